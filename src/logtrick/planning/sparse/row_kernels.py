"""Rows of transitions in machine code: read, copied, mixed, turned round, searched as a graph."""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from logtrick.planning.sparse.machine_code import kernel

_1 = np.uint64(1)


@kernel
def read_pairs(
    first,
    last,
    block,
    outcome_offsets,
    probabilities,
    rewards,
    terminated,
    expected,
    largest,
    longest,
    least,
    most,
    uneven,
    stops,
):
    """R(s, a) of each pair, and of each block what `Limits` names.

    Besides, how many outcomes have no probability or do not go on.
    """
    pairs = np.uint64(outcome_offsets.size - 1)
    for b in range(np.uint64(first), np.uint64(last)):
        size, length, lightest, heaviest, stopping = 0.0, np.uint64(0), np.inf, 0.0, 0
        furthest = 0.0
        begin = b * np.uint64(block)
        for pair in range(begin, min(begin + np.uint64(block), pairs)):
            start, end = outcome_offsets[pair], outcome_offsets[pair + _1]
            total, mass, whole, lost = 0.0, 0.0, 0.0, 0.0
            for k in range(start, end):
                total += probabilities[k] * rewards[k]
                mass += 0.0 if terminated[k] else probabilities[k]
                new = whole + probabilities[k]  # with compensation: the defect is all rounding
                back = new - whole
                lost += (whole - (new - back)) + (probabilities[k] - back)
                whole = new
                magnitude = abs(rewards[k])
                size = magnitude if magnitude > size else size
                stopping += terminated[k] or probabilities[k] == 0.0
            expected[pair] = total
            length = max(length, end - start)
            lightest = mass if mass < lightest else lightest
            heaviest = mass if mass > heaviest else heaviest
            defect = abs((whole - 1.0) + lost)
            furthest = defect if defect > furthest else furthest
        largest[b], longest[b], stops[b] = size, length, stopping
        least[b], most[b], uneven[b] = lightest, heaviest, furthest


@kernel
def row_lengths(first, last, block, rows, outcome_offsets, out):
    """How many outcomes each of the pairs `rows` has, one place further on."""
    for b in range(np.uint64(first), np.uint64(last)):
        begin = b * np.uint64(block)
        for s in range(begin, min(begin + np.uint64(block), np.uint64(rows.size))):
            pair = np.uint64(rows[s])
            out[s + _1] = outcome_offsets[pair + _1] - outcome_offsets[pair]


@kernel
def copy_rows(
    first,
    last,
    block,
    rows,
    outcome_offsets,
    successors,
    probabilities,
    offsets,
    out_successors,
    out_probabilities,
):
    """The outcomes of the pairs `rows`, one after the other."""
    for b in range(np.uint64(first), np.uint64(last)):
        begin = b * np.uint64(block)
        for s in range(begin, min(begin + np.uint64(block), np.uint64(rows.size))):
            pair = np.uint64(rows[s])
            k = outcome_offsets[pair]
            for j in range(offsets[s], offsets[s + _1]):
                out_successors[j] = successors[k]
                out_probabilities[j] = probabilities[k]
                k += _1


@kernel
def replace_rows(
    first,
    last,
    block,
    choice,
    present,
    pair_offsets,
    outcome_offsets,
    successors,
    probabilities,
    offsets,
    out_successors,
    out_probabilities,
    misfits,
):
    """Where `choice` differs from `present`, the new pair's outcomes in place of the old one's.

    A pair with another number of outcomes fits nowhere, and is counted.
    """
    for b in range(np.uint64(first), np.uint64(last)):
        misfits[b] = 0
        begin = b * np.uint64(block)
        for s in range(begin, min(begin + np.uint64(block), np.uint64(choice.size))):
            if choice[s] == present[s]:
                continue
            present[s] = choice[s]
            pair = pair_offsets[s] + np.uint64(choice[s])
            k, end = outcome_offsets[pair], outcome_offsets[pair + _1]
            if end - k != offsets[s + _1] - offsets[s]:
                misfits[b] += 1
                continue
            for j in range(offsets[s], offsets[s + _1]):
                out_successors[j] = successors[k]
                out_probabilities[j] = probabilities[k]
                k += _1


@kernel
def transpose(offsets, successors, probabilities, fill, out_successors, out_probabilities):
    """Write entry (s, s') of the chain into row s'; `fill` starts as the new rows' offsets."""
    for s in range(np.uint64(offsets.size - 1)):
        for k in range(offsets[s], offsets[s + _1]):
            s_next = successors[k]
            place = fill[s_next]
            fill[s_next] = place + _1
            out_successors[place] = np.uint32(s)
            out_probabilities[place] = probabilities[k]


@kernel
def attract(entry_offsets, entry_rows, row_states, allowed, frontier, queue, reached, chosen):
    """Breadth-first search backwards: which states can step by step reach the frontier.

    `entry_rows` lists, for each state s', the rows (pairs, or states of a chain) that lead to it.
    The first `frontier` places of `queue` hold the states to start from, which are `reached`.
    `chosen[s]` becomes a row that leads one step nearer.
    """
    head, tail = 0, frontier
    while head < tail:
        s_next = np.uint64(queue[head])
        head += 1
        for j in range(entry_offsets[s_next], entry_offsets[s_next + _1]):
            row = np.uint64(entry_rows[j])
            s = np.uint64(row_states[row])
            if allowed[row] and not reached[s]:
                reached[s] = True
                chosen[s] = row
                queue[tail] = s
                tail += 1
    return tail


@kernel
def leaving(row_states, offsets, successors, labels, leaves):
    """Which rows lead, with positive probability, to a state with another label."""
    for row in range(np.uint64(row_states.size)):
        own = labels[np.uint64(row_states[row])]
        leaves[row] = False
        for k in range(offsets[row], offsets[row + _1]):
            if labels[successors[k]] != own:
                leaves[row] = True
