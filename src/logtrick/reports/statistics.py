"""Scores over seeds: interquartile mean and bootstrap interval, as the field reports them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from logtrick.errors import ConfigError, ShapeError

# Resamples are drawn in blocks of about this many numbers, so that memory stays small.
_BLOCK = 2**22


class Interval(NamedTuple):
    """A confidence interval: its lower and its upper end."""

    low: float
    high: float


class Summary(NamedTuple):
    """Scores of some seeds in six numbers."""

    mean: float
    std: float
    """Standard deviation over seeds (n - 1 in the denominator); NaN for one seed."""
    iqm: float
    """The interquartile mean over seeds."""
    low: float
    """Lower end of the 95 % interval of the interquartile mean; NaN for one seed."""
    high: float
    """Upper end of the same interval; NaN for one seed."""
    n: int
    """The number of seeds."""


def interquartile_mean(x: ArrayLike, *, axis: int | None = None) -> Any:
    """Mean of the middle half of the scores.

    Of n sorted scores, ⌊n/4⌋ are left out at either end, so that below four scores it is the mean.
    It is as robust as a median to a few bad seeds, and needs fewer seeds.

    Args:
        x: Scores.
        axis: The axis that is reduced; None takes all scores together.

    Returns:
        A float, or an array without that axis.

    Raises:
        ShapeError: There are no scores.
        ConfigError: A score is NaN.

    Example:
        >>> interquartile_mean([0, 490, 500, 500, 500, 500, 500, 2000])
        500.0

    Source: Agarwal et al. (2021), Deep RL at the edge of the statistical precipice, section 4.3.
    """
    scores = _checked(x)
    scores = scores.ravel() if axis is None else np.moveaxis(scores, axis, -1)
    n = scores.shape[-1]
    cut = n // 4
    # scipy.stats.trim_mean(scores, 0.25, axis=-1) gives the same bits, but importing scipy.stats
    # takes 0.9 s of CPU time, at the end of every training run, which needs nothing else of it.
    # Partition instead of sorting: only the two borders of the middle half must stand in place.
    middle = np.partition(scores, sorted({cut, n - cut - 1}), axis=-1)[..., cut : n - cut]
    mean = middle.mean(axis=-1)
    return float(mean) if mean.ndim == 0 else mean


def bootstrap_interval(
    scores: ArrayLike,
    statistic: Callable[..., Any] = interquartile_mean,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a statistic over seeds.

    Seeds are drawn again with replacement, the statistic is computed each time, and the interval
    is cut from the quantiles (1 ± level)/2 of what comes out. With several tasks the draw is
    stratified: seeds are drawn for each task apart, and the statistic sees all scores together.

    How far to trust it: over normal scores, "95 %" intervals of the interquartile mean hold the
    truth 75 times in 100 with 3 seeds, 90 with 5, 94 with 10 and 95 with 20 (of the plain mean: 75,
    85, 89 and 92). Neither BCa nor any other resampling of 3 seeds does better; run ten.

    Args:
        scores: [seeds] or [seeds, tasks].
        statistic: `interquartile_mean`, `np.mean`, …: it reduces the `axis` that it is given.
        level: Confidence, between 0 and 1.
        resamples: How often seeds are drawn.
        seed: Of the draws; equal seeds give equal intervals.

    Returns:
        The interval; both ends are NaN for a single seed, which says nothing about others.

    Raises:
        ShapeError: `scores` is neither [seeds] nor [seeds, tasks].
        ConfigError: A score is NaN or infinite, or `level` or `resamples` are out of range.

    Example:
        >>> bootstrap_interval([480.0, 495.0, 500.0, 500.0, 500.0])
        Interval(low=485.0, high=500.0)

    Source: Efron (1979); stratified as in Agarwal et al. (2021), appendix A.
    """
    table = _checked(scores)
    if table.ndim not in (1, 2):
        raise ShapeError(f"scores has shape {table.shape}; expected [seeds] or [seeds, tasks].")
    if not 0 < level < 1:
        raise ConfigError(f"level={level}; it must lie between 0 and 1.")
    if resamples < 1:
        raise ConfigError(f"resamples={resamples}; at least one is needed.")
    table = table.reshape(len(table), -1)
    seeds, tasks = table.shape
    if seeds == 1:
        return Interval(np.nan, np.nan)
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // table.size)
    values: list[Any] = []
    for begin in range(0, resamples, block):
        drawn = rng.integers(seeds, size=(min(block, resamples - begin), seeds, tasks))
        again = table[drawn, np.arange(tasks)]
        values.append(statistic(again.reshape(len(again), -1), axis=-1))
    low, high = np.quantile(np.concatenate(values), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def summarise(scores: ArrayLike) -> Summary:
    """Mean, spread, interquartile mean and its 95 % bootstrap interval.

    Args:
        scores: [seeds] or [seeds, tasks].

    Raises:
        ShapeError: `scores` has another shape, or none are there.
        ConfigError: A score is NaN or infinite.

    Example:
        >>> summarise([480.0, 495.0, 500.0, 500.0, 500.0]).mean
        495.0
    """
    table = _checked(scores)
    low, high = bootstrap_interval(table)
    of_seeds = table.reshape(len(table), -1).mean(axis=1)
    return Summary(
        mean=float(table.mean()),
        std=float(of_seeds.std(ddof=1)) if len(table) > 1 else float("nan"),
        iqm=interquartile_mean(table),
        low=low,
        high=high,
        n=len(table),
    )


class Curve(NamedTuple):
    """A statistic of several seeds as training goes on."""

    middle: np.ndarray
    """float64[U], the interquartile mean over seeds; NaN until every seed has a value."""
    low: np.ndarray
    """float64[U], lower end of its 95 % bootstrap interval; NaN for one seed."""
    high: np.ndarray
    """float64[U], upper end of the same interval; NaN for one seed."""


def curve(returns: ArrayLike, *, level: float = 0.95, resamples: int = 1000) -> Curve:
    """Interquartile mean over seeds and its bootstrap interval, at each update.

    Where a seed has no value (no episode ended in that update) it takes one between its neighbours,
    and after its last value it keeps that. All updates share the same draws of seeds, so that the
    band is as smooth as the curves.

    Args:
        returns: [U, seeds]; NaN where there is no value.
        level: Confidence of the band, at each update by itself.
        resamples: How often seeds are drawn.

    Raises:
        ShapeError: `returns` is not [U, seeds], or infinite somewhere.

    Example:
        >>> curve([[float("nan"), 1.0], [2.0, 3.0], [float("nan"), 5.0]]).middle
        array([nan, 2.5, 3.5])
    """
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0 or np.isinf(table).any():
        raise ShapeError(f"returns has shape {table.shape}; expected finite or NaN [U, seeds].")
    filled = np.full(table.shape, np.nan)
    updates = np.arange(len(table))
    for found, values in zip(filled.T, table.T, strict=True):
        known = np.flatnonzero(~np.isnan(values))
        if len(known):
            found[:] = np.interp(updates, known, values[known], left=np.nan)
    middle, low, high = np.full((3, len(table)), np.nan)
    rows = np.flatnonzero(~np.isnan(filled).any(axis=1))
    if not len(rows):
        return Curve(middle, low, high)
    middle[rows] = interquartile_mean(filled[rows], axis=1)
    seeds = table.shape[1]
    if seeds > 1:
        drawn = np.random.default_rng(0).integers(seeds, size=(resamples, seeds))
        ends = [(1 - level) / 2, (1 + level) / 2]
        for some in np.array_split(rows, 1 + len(rows) * drawn.size // _BLOCK):
            again = interquartile_mean(filled[some][:, drawn], axis=2)
            low[some], high[some] = np.quantile(again, ends, axis=1)
    return Curve(middle, low, high)


def _checked(scores: ArrayLike) -> np.ndarray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 0 or table.size == 0:
        raise ShapeError(f"scores has shape {table.shape}; there must be at least one.")
    if not np.isfinite(table).all():
        where = np.argwhere(~np.isfinite(table))[0].tolist()
        raise ConfigError(
            f"The score at {where} is {table[tuple(where)]}; leave it out, and say so."
        )
    return table
