"""Nanoseconds a draw in the audit's sampling kernels: their own generator and table, and libraries.

    python benchmarks/draws.py

Each number is the least of seven runs on one core, in CPU time, so that other work does not count.
"""

import time
from collections.abc import Callable

import numpy as np
from numba import njit

from logtrick.auditing.sampling_kernels import _next, _pick, _seeded
from logtrick.auditing.streaming import alias_table

DRAWS, RUNS = 3_000_000, 7


@njit(nogil=True)
def own_numbers(count):
    """Xoshiro256++, as the kernels have it."""
    a, b, c, d = _seeded(np.uint64(1), np.uint64(0))
    total = 0.0
    for _ in range(count):
        u, a, b, c, d = _next(a, b, c, d)
        total += u
    return total


@njit(nogil=True)
def numba_numbers(count):
    """Numba's np.random, a Mersenne twister."""
    np.random.seed(1)  # noqa: NPY002 - this is what is measured
    total = 0.0
    for _ in range(count):
        total += np.random.random()  # noqa: NPY002
    return total


@njit(nogil=True)
def generator_numbers(count, generator):
    """A Generator of NumPy."""
    total = 0.0
    for _ in range(count):
        total += generator.random()
    return total


@njit(nogil=True)
def alias_draws(count, thresholds):
    """Outcomes from an alias table."""
    a, b, c, d = _seeded(np.uint64(1), np.uint64(0))
    total = 0
    for _ in range(count):
        u, a, b, c, d = _next(a, b, c, d)
        total += _pick(u, 0, len(thresholds), thresholds)
    return total


@njit(nogil=True)
def searched_draws(count, edges):
    """Outcomes by a search among sums of probabilities."""
    a, b, c, d = _seeded(np.uint64(1), np.uint64(0))
    total = 0
    for _ in range(count):
        u, a, b, c, d = _next(a, b, c, d)
        total += np.searchsorted(edges, u, side="right")
    return total


def nanoseconds(function: Callable[..., object], *arguments: object) -> float:
    """Of one draw."""
    function(10, *arguments)  # compiles
    times = []
    for _ in range(RUNS):
        begin = time.thread_time()
        function(DRAWS, *arguments)
        times.append(time.thread_time() - begin)
    return min(times) / DRAWS * 1e9


def main() -> None:
    """Print a line for each generator and each number of outcomes."""
    print(f"xoshiro256++ here      {nanoseconds(own_numbers):6.1f}")
    print(f"numba's np.random      {nanoseconds(numba_numbers):6.1f}")
    for bits in (np.random.SFC64, np.random.Philox):
        generator = np.random.Generator(bits(1))
        print(f"Generator({bits.__name__:6})      {nanoseconds(generator_numbers, generator):6.1f}")
    for outcomes in (2, 4, 12, 64):
        chances = np.random.default_rng(0).dirichlet(np.ones(outcomes))
        edges = np.cumsum(chances)
        edges[-1] = 1.0
        thresholds, _ = alias_table(chances, outcomes)
        alias = nanoseconds(alias_draws, thresholds)
        print(
            f"{outcomes:3} outcomes: alias {alias:6.1f}, "
            f"searchsorted {nanoseconds(searched_draws, edges):6.1f}"
        )


if __name__ == "__main__":
    main()
