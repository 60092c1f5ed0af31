"""Trajectories simulated and added up in machine code: nothing of a trajectory is ever stored.

The reverse recursions ψ_t = δ_t + c ψ_{t+1}, X_t = w ψ_t g_t + X_{t+1} run forward as an
eligibility trace: z_t = c z_{t−1} + w^t g_t and X = Σ_t δ_t z_t. Each block of trajectories has its
own random stream and its own sums, so any number of threads gives the same bits.

The random generator and the alias table are written here because they are the work of a step, and
libraries are slower. In a kernel on one core, xoshiro256++ takes 1.1 ns a number; numba's own
`np.random.random` takes 12 ns and a NumPy `Generator` (SFC64) 6.7 ns. An alias table takes 2.0 to
2.4 ns to draw one of 2 to 64 outcomes, the number included; `np.searchsorted` takes 9 ns for 2
outcomes and 35 ns for 64. `benchmarks/draws.py` measures this again.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from logtrick.planning.sparse.machine_code import inlined, kernel

_MIX, _M1, _M2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
_11, _17, _19, _23, _27, _30, _31, _41, _45 = (
    np.uint64(n) for n in (11, 17, 19, 23, 27, 30, 31, 41, 45)
)


@inlined
def _splitmix(x):
    """SplitMix64, which fills the state of the generator below (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> _30)) * _M1
    x = (x ^ (x >> _27)) * _M2
    return x ^ (x >> _31)


@inlined
def _seeded(key, block):
    """The four words of xoshiro256++ for one block."""
    x = _splitmix(np.uint64(key) + _MIX) + np.uint64(block) * np.uint64(4) * _MIX
    return (
        _splitmix(x + _MIX),
        _splitmix(x + np.uint64(2) * _MIX),
        _splitmix(x + np.uint64(3) * _MIX),
        _splitmix(x + np.uint64(4) * _MIX),
    )


@inlined
def _next(a, b, c, d):
    """A uniform number in [0, 1) of 53 bits, and the next state (Blackman and Vigna 2021)."""
    total = a + d
    drawn = ((total << _23) | (total >> _41)) + a
    shifted = b << _17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << _45) | (d >> _19)
    return np.float64(drawn >> _11) * 1.1102230246251565e-16, a, b, c, d


@inlined
def _pick(uniform, base, slots, thresholds):
    """The row of an alias table: one draw, whatever the number of outcomes (Walker 1977)."""
    x = uniform * slots
    slot = np.int64(x)
    x -= slot
    slot += base
    return 2 * slot + (x >= thresholds[slot])


@kernel
def traces(
    first,
    last,
    block,
    count,
    key,
    horizon,
    start_thresholds,
    start_bases,
    slots,
    thresholds,
    bases,
    increments,
    pairs,
    scores,
    decay,
    weight,
    window,
    sums,
    squares,
):
    """X = Σ_t δ_t z_t of each trajectory; `window` is n of the n-step ψ, or 0."""
    size = scores.shape[1]
    z, x, ring = np.empty(size), np.empty(size), np.empty(max(window, 1), np.int64)
    leaving = decay ** np.float64(window) / weight ** np.float64(window) if weight > 0 else 0.0
    for b in range(first, last):
        r0, r1, r2, r3 = _seeded(key, b)
        for _ in range(min(block, count - b * block)):
            u, r0, r1, r2, r3 = _next(r0, r1, r2, r3)
            base = start_bases[_pick(u, 0, len(start_thresholds), start_thresholds)]
            for n in range(size):
                z[n] = x[n] = 0.0
            w = 1.0
            t = 0
            while base >= 0 and t != horizon:
                u, r0, r1, r2, r3 = _next(r0, r1, r2, r3)
                row = _pick(u, base, slots, thresholds)
                base = bases[row]
                pair = pairs[row]
                for n in range(size):
                    z[n] = decay * z[n] + w * scores[pair, n]
                if window > 0:
                    if t >= window:
                        gone = ring[t % window]
                        for n in range(size):
                            z[n] -= leaving * w * scores[gone, n]
                    ring[t % window] = pair
                delta = increments[row]
                for n in range(size):
                    x[n] += delta * z[n]
                w *= weight
                t += 1
            for n in range(size):
                sums[b, n] += x[n]
                for m in range(n + 1):
                    squares[b, n, m] += x[n] * x[m]


@kernel
def products(
    first,
    last,
    block,
    count,
    key,
    horizon,
    start_thresholds,
    start_bases,
    slots,
    thresholds,
    bases,
    increments,
    pairs,
    scores,
    gamma,
    spread,
    window,
    sums,
    squares,
):
    """X = R·S of each trajectory, R = Σ_t γ^t r_t and S = Σ_t u^t g_t."""
    size = scores.shape[1]
    s = np.empty(size)
    for b in range(first, last):
        r0, r1, r2, r3 = _seeded(key, b)
        for _ in range(min(block, count - b * block)):
            u, r0, r1, r2, r3 = _next(r0, r1, r2, r3)
            base = start_bases[_pick(u, 0, len(start_thresholds), start_thresholds)]
            for n in range(size):
                s[n] = 0.0
            total, discount, w = 0.0, 1.0, 1.0
            t = 0
            while base >= 0 and t != horizon:
                u, r0, r1, r2, r3 = _next(r0, r1, r2, r3)
                row = _pick(u, base, slots, thresholds)
                base = bases[row]
                pair = pairs[row]
                for n in range(size):
                    s[n] += w * scores[pair, n]
                total += discount * increments[row]
                discount *= gamma
                w *= spread
                t += 1
            for n in range(size):
                sums[b, n] += total * s[n]
                for m in range(n + 1):
                    squares[b, n, m] += total * s[n] * total * s[m]
