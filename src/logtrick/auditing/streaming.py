"""The moments of a trajectory estimator from many sampled trajectories, none of them stored."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.flow import Flow
from logtrick.auditing.moments import Moments, TotalReturn, Trace
from logtrick.planning.sparse.threads import Team

BLOCK = 1 << 16
"""Trajectories that share a random stream; results depend on it, not on the threads."""
SUMS = 1 << 24
"""Numbers that the sums of all blocks may take together."""


def sampled_moments(
    estimator: Trace | TotalReturn,
    count: int,
    key: int,
    *,
    horizon: int | None = None,
    threads: int | None = None,
) -> Moments:
    """Simulate `count` trajectories and return the sample mean and covariance of their estimates.

    Args:
        estimator: ψ as a recursion on a flow without a horizon.
        count: how many trajectories.
        key: of the random streams; the same key gives the same bits on any number of threads.
        horizon: cut every trajectory after so many steps.
        threads: how many; None takes every core.

    Returns:
        Moments of one trajectory's estimate; the mean errs by about √(covariance/count).

    Raises:
        EstimatorError: without a horizon, trajectories that never end.
    """
    flow = estimator.flow
    if horizon is None:
        flow.fixed_point(1.0, np.ones(len(flow.start)))  # the expected lengths are finite, or says
    basis, scores = _basis(flow.scores)
    size = scores.shape[1]
    block = max(BLOCK, -(-count * size**2 // SUMS))
    blocks = -(-count // block)
    sums, squares = np.zeros((blocks, size)), np.zeros((blocks, size, size))
    tables, slots = _tables(flow)
    kernel, increments, *numbers = _kernel(estimator)
    chosen = tables["outcomes"]
    following = np.where(flow.goes_on[chosen] > 0, flow.successors[chosen] * slots, -1)
    arguments = (
        count,
        np.uint64(key),
        -1 if horizon is None else horizon,
        tables["start_thresholds"],
        tables["starts"] * slots,
        slots,
        tables["thresholds"],
        following,
        increments[chosen],
        flow.pairs[chosen],
        scores,
        *numbers,
        sums,
        squares,
    )
    with Team(threads) as team:
        team.run(kernel, count, count * 10, *arguments, block=block)
    mean = sums.sum(axis=0) / count
    lower = squares.sum(axis=0) / count
    second = lower + np.tril(lower, -1).T
    covariance = (second - np.outer(mean, mean)) * (count / max(count - 1, 1))
    return Moments(basis @ mean, basis @ covariance @ basis.T)


def _kernel(
    estimator: Trace | TotalReturn,
) -> tuple[Callable[..., None], Float64[np.ndarray, " K"], float, float, int]:
    """What simulates ψ: the kernel, the increments of the outcomes, two factors and a window."""
    from logtrick.auditing import sampling_kernels as kernels

    if isinstance(estimator, Trace):
        factors = float(estimator.decay), float(estimator.weight)
        return kernels.traces, estimator.increments, *factors, estimator.window or 0
    factors = float(estimator.gamma), float(estimator.spread)
    return kernels.products, estimator.rewards, *factors, 0


def _basis(
    scores: Float64[np.ndarray, "P N"],
) -> tuple[Float64[np.ndarray, "N r"], Float64[np.ndarray, "P r"]]:
    """Scores in coordinates of their span: fewer numbers to add up in every step."""
    _, sizes, directions = np.linalg.svd(scores, full_matrices=False)
    rank = max(1, int(np.sum(sizes > sizes[0] * 1e-13)))
    basis = directions[:rank].T
    return np.ascontiguousarray(basis), np.ascontiguousarray(scores @ basis)


def _tables(flow: Flow) -> tuple[dict[str, np.ndarray], int]:
    """Alias tables of the outcomes of every state and of the start states, and their width."""
    policy = flow.policy.tocsc()
    states = policy.indices[policy.indptr[flow.pairs]]
    chances = flow.chances * policy.data[policy.indptr[flow.pairs]]
    counts = np.bincount(states, minlength=len(flow.start))
    slots = int(counts.max())
    thresholds, outcomes = [], []
    for first, number in zip(np.cumsum(counts) - counts, counts, strict=True):
        threshold, alias = alias_table(chances[first : first + number], slots)
        thresholds.append(threshold)
        outcomes.append(first + alias)
    start_thresholds, starts = alias_table(flow.start, len(flow.start))
    return {
        "thresholds": np.concatenate(thresholds),
        "outcomes": np.concatenate(outcomes),
        "start_thresholds": start_thresholds,
        "starts": starts,
    }, slots


def alias_table(
    chances: Float64[np.ndarray, " n"], slots: int
) -> tuple[Float64[np.ndarray, " slots"], np.ndarray]:
    """Walker's table: (threshold of each slot, the item below it and the item above it in turn).

    Args:
        chances: of the items, in any scale; all 0 gives a table that is never used.
        slots: at least as many as there are items.
    """
    total = chances.sum()
    left = np.zeros(slots)
    left[: len(chances)] = chances * (slots / total) if total > 0 else 1.0
    items = np.repeat(np.minimum(np.arange(slots), len(chances) - 1), 2)
    thresholds = np.ones(slots)
    small = [i for i in range(slots) if left[i] < 1]
    large = [i for i in range(slots) if left[i] >= 1]
    while small and large:
        i, j = small.pop(), large[-1]
        thresholds[i], items[2 * i + 1] = left[i], j
        left[j] -= 1 - left[i]
        if left[j] < 1:
            small.append(large.pop())
    for i in small:  # rounding: they hold 1 but for the last bits, unless they are padding
        if i >= len(chances) or chances[i] == 0:
            thresholds[i], items[2 * i + 1] = 0.0, int(np.argmax(chances))
    return thresholds, items
