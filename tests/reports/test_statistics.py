"""Statistics over seeds, against SciPy, and by how often the interval holds the truth."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from logtrick.errors import ConfigError, ShapeError
from logtrick.reports import statistics
from logtrick.reports.statistics import (
    Interval,
    bootstrap_interval,
    curve,
    interquartile_mean,
    summarise,
)

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(SCORES)
def test_the_interquartile_mean_is_scipys_trimmed_mean(scores):
    expected = scipy.stats.trim_mean(scores, 0.25)
    assert interquartile_mean(scores) == pytest.approx(expected, rel=1e-12, abs=1e-6)


def test_many_scores():
    scores = np.random.default_rng(0).normal(size=5001)
    assert interquartile_mean(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25))


def test_the_interquartile_mean_takes_all_scores_together_or_an_axis():
    table = np.random.default_rng(0).normal(size=(9, 5))
    assert interquartile_mean(table) == pytest.approx(scipy.stats.trim_mean(table, 0.25, axis=None))
    for axis in (0, 1, -1):
        found = interquartile_mean(table, axis=axis)
        np.testing.assert_allclose(found, scipy.stats.trim_mean(table, 0.25, axis=axis))


@given(SCORES, st.floats(0.1, 10), st.floats(-100, 100))
def test_shifting_and_scaling_scores_does_so_to_the_summary(scores, scale, shift):
    one, two = summarise(scores), summarise(np.array(scores) * scale + shift)
    size = max(map(abs, scores), default=0) * scale + abs(shift) + 1
    for name in ("mean", "iqm", "low", "high"):
        expected = getattr(one, name) * scale + shift
        assert getattr(two, name) == pytest.approx(expected, abs=1e-9 * size, nan_ok=True)
    assert two.std == pytest.approx(one.std * scale, abs=1e-9 * size, nan_ok=True)


@pytest.mark.parametrize("statistic", [interquartile_mean, np.mean, np.median])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_is_scipys_percentile_interval(statistic, level):
    scores = np.random.default_rng(1).exponential(size=12)
    expected = scipy.stats.bootstrap(
        (scores,),
        statistic,
        confidence_level=level,
        n_resamples=50_000,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    found = bootstrap_interval(scores, statistic, level=level, resamples=50_000)
    # Two draws of 50,000 differ by about 0.006 standard errors of the statistic.
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_with_two_seeds_the_interval_of_the_mean_is_known():
    """The mean of two draws is a, (a+b)/2 or b with probability 1/4, 1/2, 1/4."""
    assert bootstrap_interval([0.0, 1.0], np.mean, level=0.95) == Interval(0, 1)
    assert bootstrap_interval([0.0, 1.0], np.mean, level=0.4) == Interval(0.5, 0.5)


def test_tasks_are_strata():
    """Between tasks scores differ by 1e6; only within a task may a draw replace one by another."""
    rng = np.random.default_rng(3)
    tasks = rng.normal(size=(10, 4)) + 1e6 * np.arange(4)
    low, high = bootstrap_interval(tasks, np.mean)
    assert high - low < 1
    assert low < tasks.mean() < high
    # Independent draws in each task: the variance of the mean is a fourth of one task's.
    error = tasks.std(axis=0).mean() / np.sqrt(10 * 4)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.25)
    # Drawing whole seeds, the same for each task, would find no variance at all here.
    opposed = np.stack([np.arange(10.0), -np.arange(10.0)], axis=1)
    low, high = bootstrap_interval(opposed, np.mean)
    assert high - low > 2


def coverage(statistic, seeds, trials):
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(trials):
        scores = rng.normal(size=seeds)
        low, high = bootstrap_interval(scores, statistic, resamples=1000, seed=trial)
        hits += low <= 0 <= high
    return hits / trials


@pytest.mark.parametrize(
    ("statistic", "seeds", "stated"),
    [(interquartile_mean, 5, 0.90), (interquartile_mean, 10, 0.94), (np.mean, 10, 0.89)],
)
def test_the_interval_holds_the_truth_as_often_as_the_docstring_says(statistic, seeds, stated):
    trials = 1500
    error = np.sqrt(stated * (1 - stated) / trials)
    # Four standard errors, and one hundredth for the rounding of what is stated.
    assert abs(coverage(statistic, seeds, trials) - stated) < 4 * error + 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statistic", "stated"),
    [
        (interquartile_mean, {3: 0.75, 5: 0.90, 10: 0.94, 20: 0.95}),
        (np.mean, {3: 0.75, 5: 0.85, 10: 0.89, 20: 0.92}),
    ],
)
def test_every_stated_coverage(statistic, stated):
    for seeds, expected in stated.items():
        assert coverage(statistic, seeds, 20_000) == pytest.approx(expected, abs=0.012)


def test_the_interval_depends_on_its_seed_alone():
    scores = np.random.default_rng(0).normal(size=10)
    first = bootstrap_interval(scores, seed=3)
    assert bootstrap_interval(scores, seed=3) == first != bootstrap_interval(scores, seed=4)


def test_drawing_in_blocks_changes_nothing_but_memory(monkeypatch):
    scores = np.random.default_rng(0).normal(size=10)
    whole = bootstrap_interval(scores)
    monkeypatch.setattr(statistics, "_BLOCK", 700)
    assert bootstrap_interval(scores) == whole


def test_one_seed_has_a_mean_and_no_spread():
    found = summarise([3.0])
    assert (found.mean, found.iqm, found.n) == (3.0, 3.0, 1)
    assert np.isnan([found.std, found.low, found.high]).all()


def test_a_summary_of_seeds_and_tasks():
    table = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 9.0]])
    found = summarise(table)
    assert (found.mean, found.n) == (4.0, 3)
    assert found.std == pytest.approx(np.std([1.5, 3.5, 7.0], ddof=1))
    assert found.low <= found.iqm <= found.high


@pytest.mark.parametrize(
    ("scores", "error", "words"),
    [
        ([], ShapeError, "at least one"),
        (np.array(3.0), ShapeError, r"shape \(\)"),
        (np.zeros((2, 2, 2)), ShapeError, r"\(2, 2, 2\); expected \[seeds\] or"),
        ([1.0, np.nan], ConfigError, r"score at \[1\] is nan"),
        ([[1.0, 2.0], [np.inf, 3.0]], ConfigError, r"score at \[1, 0\] is inf"),
    ],
)
def test_scores_that_are_none_are_refused(scores, error, words):
    with pytest.raises(error, match=words):
        summarise(scores)


def test_settings_out_of_range_are_refused():
    for level in (0.0, 1.0, 95.0, float("nan")):
        with pytest.raises(ConfigError, match="level="):
            bootstrap_interval([1.0, 2.0], level=level)
    with pytest.raises(ConfigError, match="resamples=0"):
        bootstrap_interval([1.0, 2.0], resamples=0)


# --- curves -------------------------------------------------------------------------------------


def test_a_curve_is_the_summary_of_each_update():
    returns = np.random.default_rng(0).normal(size=(7, 10)).cumsum(axis=0)
    found = curve(returns, resamples=20_000)
    for update, row in enumerate(returns):
        summary = summarise(row)
        assert found.middle[update] == pytest.approx(summary.iqm)
        spread = summary.high - summary.low
        assert found.low[update] == pytest.approx(summary.low, abs=0.03 * spread)
        assert found.high[update] == pytest.approx(summary.high, abs=0.03 * spread)


def test_a_gap_is_bridged_and_the_last_value_kept():
    nan = np.nan
    gaps = [[nan, nan], [1.0, nan], [nan, 3.0], [5.0, nan], [nan, 9.0], [nan, nan]]
    np.testing.assert_array_equal(curve(gaps).middle, [nan, nan, 3, 5.5, 7, 7])
    alone = curve([[nan], [2.0], [nan]])
    np.testing.assert_array_equal(alone.middle, [nan, 2, 2])
    assert np.isnan(alone.low).all()
    empty = curve(np.zeros((0, 3)))
    assert empty.middle.shape == (0,)
    assert np.isnan(curve(np.full((4, 3), nan)).high).all()


def test_a_curve_in_blocks_is_the_same_curve(monkeypatch):
    returns = np.random.default_rng(0).normal(size=(50, 10))
    returns[:3] = np.nan
    whole = curve(returns)
    monkeypatch.setattr(statistics, "_BLOCK", 20_000)
    for one, other in zip(curve(returns), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_shifted_updates_have_shifted_bands():
    """All updates share their draws: a band does not flicker."""
    base = np.random.default_rng(0).normal(size=5)
    found = curve(base + np.arange(6)[:, None])
    np.testing.assert_allclose(np.diff(found.low), 1)
    np.testing.assert_allclose(np.diff(found.high), 1)


@pytest.mark.parametrize("returns", [[1.0, 2.0], [[np.inf]], np.zeros((3, 0))])
def test_a_table_that_is_none_is_refused(returns):
    with pytest.raises(ShapeError, match=r"expected finite or NaN \[U, seeds\]"):
        curve(returns)
