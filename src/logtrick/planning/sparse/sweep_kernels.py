"""The sweeps over states in machine code. Nothing here knows what it is solving.

A kernel takes a range `first ... last` of blocks of `block` rows and writes only what belongs to
those rows, so any number of threads gives the same bits. Sums and extremes over rows are left as
one number for each block, and the caller combines them in order. Indices are unsigned, which
spares the test for negative ones.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from logtrick.planning.sparse.machine_code import (
    GATHER_AHEAD,
    STREAM_AHEAD,
    fetch_gathered,
    fetch_streamed,
    inlined,
    kernel,
)

_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


@inlined
def _expectation(start, end, stop, successors, probabilities, values):
    """Σ_k p_k v(s'_k) over k = start ... end; `stop` is the very last outcome."""
    total = 0.0
    k = start
    fetch_streamed(probabilities, k + STREAM_AHEAD)
    fetch_streamed(successors, k + STREAM_AHEAD + GATHER_AHEAD)
    while k + _4 <= end:
        ahead = min(k + GATHER_AHEAD, stop - _3)
        fetch_gathered(values, successors[ahead])
        fetch_gathered(values, successors[ahead + _1])
        fetch_gathered(values, successors[ahead + _2])
        fetch_gathered(values, successors[ahead + _3])
        total += (
            probabilities[k] * values[successors[k]]
            + probabilities[k + _1] * values[successors[k + _1]]
        ) + (
            probabilities[k + _2] * values[successors[k + _2]]
            + probabilities[k + _3] * values[successors[k + _3]]
        )
        k += _4
    while k < end:
        fetch_gathered(values, successors[min(k + GATHER_AHEAD, stop)])
        total += probabilities[k] * values[successors[k]]
        k += _1
    return total


@kernel
def backup(
    first,
    last,
    block,
    pair_offsets,
    outcome_offsets,
    successors,
    probabilities,
    rewards,
    gamma,
    values,
    margin,
    backed_up,
    choice,
    low,
    high,
    size,
    changes,
):
    """(T v)(s) = max_a R(s, a) + γ Σ p v(s'), and which pair attains it.

    `choice` holds the place of a pair among those of its state. It changes only where another pair
    is better than the present one by more than `margin`, so that ties never make it wander. Left
    for each block: least and greatest T v − v, greatest |T v|, and how many choices changed.
    """
    num_states = np.uint64(pair_offsets.size - 1)
    stop = np.uint64(successors.size - 1)
    for b in range(np.uint64(first), np.uint64(last)):
        least, most, largest, changed = np.inf, -np.inf, 0.0, 0
        begin = b * np.uint64(block)
        pair = pair_offsets[begin]
        k = outcome_offsets[pair]
        for s in range(begin, min(begin + np.uint64(block), num_states)):
            start = pair
            present = start + np.uint64(choice[s])
            best, kept, arg = -np.inf, -np.inf, start
            while pair < pair_offsets[s + _1]:
                end = outcome_offsets[pair + _1]
                q = rewards[pair] + gamma * _expectation(
                    k, end, stop, successors, probabilities, values
                )
                arg = pair if q > best else arg
                best = q if q > best else best
                kept = q if pair == present else kept
                k = end
                pair += _1
            better = best > kept + margin
            choice[s] = np.uint32((arg if better else present) - start)
            changed += better
            backed_up[s] = best
            difference, magnitude = best - values[s], abs(best)
            least = difference if difference < least else least
            most = difference if difference > most else most
            largest = magnitude if magnitude > largest else largest
        low[b], high[b], size[b], changes[b] = least, most, largest, changed


@kernel
def gauss_seidel(
    first,
    last,
    block,
    pair_offsets,
    outcome_offsets,
    successors,
    probabilities,
    rewards,
    gamma,
    values,
    updated,
):
    """T v with the new values as soon as they are there, within a block; old ones elsewhere.

    `updated` starts as a copy of `values`. Blocks do not read each other's new values: which of
    them are there already would depend on the threads.
    """
    num_states = np.uint64(pair_offsets.size - 1)
    for b in range(np.uint64(first), np.uint64(last)):
        begin = b * np.uint64(block)
        finish = min(begin + np.uint64(block), num_states)
        for s in range(begin, finish):
            best = -np.inf
            for pair in range(pair_offsets[s], pair_offsets[s + _1]):
                total = 0.0
                for k in range(outcome_offsets[pair], outcome_offsets[pair + _1]):
                    s_next = np.uint64(successors[k])
                    inside = begin <= s_next and s_next < finish
                    total += probabilities[k] * (updated[s_next] if inside else values[s_next])
                q = rewards[pair] + gamma * total
                best = q if q > best else best
            updated[s] = best


@kernel
def advance(
    first, last, block, offsets, successors, probabilities, rewards, gamma, values, out, low, high
):
    """(T_π v)(s) = r_π(s) + γ Σ p v(s'); least and greatest T_π v − v of each block."""
    rows = np.uint64(offsets.size - 1)
    stop = np.uint64(successors.size - 1)
    for b in range(np.uint64(first), np.uint64(last)):
        least, most = np.inf, -np.inf
        begin = b * np.uint64(block)
        k = offsets[begin]
        for s in range(begin, min(begin + np.uint64(block), rows)):
            end = offsets[s + _1]
            new = rewards[s] + gamma * _expectation(k, end, stop, successors, probabilities, values)
            k = end
            out[s] = new
            difference = new - values[s]
            least = difference if difference < least else least
            most = difference if difference > most else most
        low[b], high[b] = least, most


@kernel
def apply(
    first, last, block, offsets, successors, probabilities, gamma, x, shift, other, out, dot, square
):
    """Compute y = x − γ P x + shift, and y·other and y·y of each block."""
    rows = np.uint64(offsets.size - 1)
    stop = np.uint64(successors.size - 1)
    for b in range(np.uint64(first), np.uint64(last)):
        product, norm = 0.0, 0.0
        begin = b * np.uint64(block)
        k = offsets[begin]
        for s in range(begin, min(begin + np.uint64(block), rows)):
            end = offsets[s + _1]
            y = shift + x[s] - gamma * _expectation(k, end, stop, successors, probabilities, x)
            k = end
            out[s] = y
            product += y * other[s]
            norm += y * y
        dot[b], square[b] = product, norm


@kernel
def combine(first, last, block, x, a, y, b_, z, out):
    """Compute out = x + a y + b z, entry by entry; `out` may be one of them."""
    for b in range(np.uint64(first), np.uint64(last)):
        begin = b * np.uint64(block)
        for i in range(begin, min(begin + np.uint64(block), np.uint64(x.size))):
            out[i] = x[i] + a * y[i] + b_ * z[i]


@kernel
def scatter_weights(first, last, block, x, out, dot):
    """Compute out = x, each entry times its own weight between ½ and 1½ (Weyl's sequence); x·out.

    (BLAS would compute the product, but with threads of its own, whose number changes it.)
    """
    golden = 0.6180339887498949
    for b in range(np.uint64(first), np.uint64(last)):
        product = 0.0
        begin = b * np.uint64(block)
        for i in range(begin, min(begin + np.uint64(block), np.uint64(x.size))):
            place = golden * np.float64(i)
            out[i] = x[i] * (0.5 + place - np.floor(place))
            product += x[i] * out[i]
        dot[b] = product


@kernel
def descend(first, last, block, alpha, p, omega, s, t, shadow, x, residual, dot, size):
    """Add α p + ω s to x and take ω t from the residual; shadow·r and greatest |r| of a block."""
    for b in range(np.uint64(first), np.uint64(last)):
        product, largest = 0.0, 0.0
        begin = b * np.uint64(block)
        for i in range(begin, min(begin + np.uint64(block), np.uint64(x.size))):
            x[i] += alpha * p[i] + omega * s[i]
            r = residual[i] - omega * t[i]
            residual[i] = r
            product += shadow[i] * r
            magnitude = abs(r)
            largest = magnitude if magnitude > largest else largest
        dot[b], size[b] = product, largest


@inlined
def _pivot(gamma, own):
    """The diagonal 1 − γ P(s | s); 1 for a state that it cannot leave, where that would be 0."""
    pivot = 1.0 - gamma * own
    return pivot if pivot > 1e-9 else 1.0


@kernel
def precondition(first, last, block, offsets, successors, probabilities, gamma, b_, out):
    """Solve M x = b, M = (D − γL) D⁻¹ (D − γU): Gauss–Seidel up and down within each block.

    D is the diagonal of I − γP, L and U the parts of P below and above it inside the block.
    """
    rows = np.uint64(offsets.size - 1)
    for b in range(np.uint64(first), np.uint64(last)):
        begin = b * np.uint64(block)
        finish = min(begin + np.uint64(block), rows)
        for s in range(begin, finish):
            total, own = 0.0, 0.0
            for k in range(offsets[s], offsets[s + _1]):
                s_next = np.uint64(successors[k])
                below = begin <= s_next and s_next < s
                total += probabilities[k] * (out[s_next] if below else 0.0)
                own += probabilities[k] if s_next == s else 0.0
            out[s] = (b_[s] + gamma * total) / _pivot(gamma, own)
        for back in range(begin, finish):
            row = finish - _1 - (back - begin)
            total, own = 0.0, 0.0
            for k in range(offsets[row], offsets[row + _1]):
                s_next = np.uint64(successors[k])
                above = row < s_next and s_next < finish
                total += probabilities[k] * (out[s_next] if above else 0.0)
                own += probabilities[k] if s_next == row else 0.0
            out[row] += gamma * total / _pivot(gamma, own)
