"""Sampled moments against the exact ones.

Every z-score here is held against the quantile of a false alarm of 1e-6 for all of them together
(`FALSE_ALARM`, Bonferroni over parameters), and the keys are fixed.
"""

import json

import numpy as np
import pytest
from scipy import stats
from trees import random_softmax, random_tree

import logtrick as lt
from logtrick.auditing import closed_form
from logtrick.auditing.policies import read_policy
from logtrick.auditing.settings import Settings
from logtrick.auditing.significance import exceeds_sampling_error
from logtrick.auditing.streaming import alias_table, sampled_moments
from logtrick.errors import EstimatorError

COUNT = 400_000


def equations(name, mdp, policy, **told):
    read = read_policy(mdp, policy)
    told = Settings(gamma=mdp.gamma, **{"n": 2, "lambda_": 0.6, **told})
    return closed_form.equations(name, mdp, read.probabilities, read.scores, told)


@pytest.mark.parametrize("name", closed_form.ESTIMATORS)
@pytest.mark.parametrize("weighting", ["discounted", "undiscounted"])
@pytest.mark.parametrize("horizon", [None, 2])
def test_within_its_standard_error(name, weighting, horizon):
    mdp = random_tree(3)
    policy = random_softmax(mdp, 4)
    critic = np.random.default_rng(5).normal(size=mdp.num_states)
    told = {"weighting": weighting, "values": critic}
    exact = equations(name, mdp, policy, horizon=horizon, **told).moments()
    sampled = sampled_moments(
        equations(name, mdp, policy, **told), COUNT, key=1, horizon=horizon, threads=1
    )
    assert not exceeds_sampling_error(sampled.mean - exact.mean, exact.covariance / COUNT)
    assert exceeds_sampling_error(1.05 * exact.mean - exact.mean, exact.covariance / COUNT)
    np.testing.assert_allclose(
        sampled.covariance, exact.covariance, rtol=0.05, atol=0.01 * np.trace(exact.covariance)
    )


def test_cycles_without_a_horizon():
    mdp = lt.problems.random_walk(5)
    policy = random_softmax(mdp, 0)
    for name in ("gae", "total_return", "n_step"):
        recursion = equations(name, mdp, policy, n=4)
        exact, sampled = recursion.moments(), sampled_moments(recursion, COUNT, key=2)
        assert not exceeds_sampling_error(sampled.mean - exact.mean, exact.covariance / COUNT)


def test_the_bits_do_not_depend_on_the_threads_but_on_the_key():
    recursion = equations("gae", lt.problems.corridor(), lt.SoftmaxTable(lt.problems.corridor()))
    runs = [sampled_moments(recursion, 300_000, key, threads=n) for key, n in ((7, 1), (7, 3))]
    np.testing.assert_array_equal(runs[0].mean, runs[1].mean)
    np.testing.assert_array_equal(runs[0].covariance, runs[1].covariance)
    assert sampled_moments(recursion, 300_000, 8).mean[0] != runs[0].mean[0]


def test_keys_are_independent():
    """Means under many keys err as √(1/n) says; streams that overlap would err otherwise."""
    mdp = lt.problems.sequences(2)
    recursion = equations("reward_to_go", mdp, random_softmax(mdp, 0))
    exact = recursion.moments()
    direction = exact.mean / np.linalg.norm(exact.mean)
    means = [sampled_moments(recursion, 1000, key, threads=1).mean for key in range(400)]
    spread = np.var(np.stack(means) @ direction, ddof=1)
    expected = direction @ exact.covariance @ direction / 1000
    assert abs(spread / expected - 1) < 5 * np.sqrt(2 / 400)


def test_an_alias_table_is_the_distribution():
    rng = np.random.default_rng(0)
    for size, slots in ((1, 1), (1, 4), (3, 3), (5, 8), (7, 7)):
        chances = rng.dirichlet(np.ones(size))
        if size > 2:
            chances[1] = 0.0
        thresholds, items = alias_table(chances, slots)
        found = np.zeros(size)
        for slot, threshold in enumerate(thresholds):
            found[items[2 * slot]] += threshold / slots
            found[items[2 * slot + 1]] += (1 - threshold) / slots
        np.testing.assert_allclose(found, chances / chances.sum(), atol=1e-14)


def test_a_sampled_audit_says_so():
    mdp = random_tree(3)
    policy = random_softmax(mdp, 4)
    exact = lt.audit("gae", mdp, policy, weighting="undiscounted")
    report = lt.audit(
        "gae", mdp, policy, weighting="undiscounted", method="sampling", samples=COUNT, key=3
    )
    assert report.samples == COUNT
    assert report.standard_error == pytest.approx(np.sqrt(exact.variance / COUNT), rel=0.02)
    error = report.flat.mean - exact.flat.mean
    assert np.linalg.norm(error) < 4 * report.standard_error
    assert report.bias_is_significant
    assert report.gradient_of == "undecided (sampled; consistent with J total)"
    assert np.isnan(report.curl)
    assert "standard error" in str(report)
    unbiased = lt.audit("gae", mdp, policy, method="sampling", samples=COUNT)
    assert not unbiased.bias_is_significant
    assert unbiased.gradient_of == "undecided (sampled; consistent with J discounted)"


@pytest.mark.parametrize("group_size", [2, 3])
def test_padded_groups_within_their_standard_error(group_size):
    mdp = lt.problems.sequences(2)
    policy = random_softmax(mdp, 1)
    for name in ("grpo", "rloo"):
        exact = lt.audit(name, mdp, policy, group_size=group_size)
        report = lt.audit(
            name, mdp, policy, group_size=group_size, method="sampling", samples=30_000
        )
        assert report.samples >= 30_000
        difference = report.flat.mean - exact.flat.mean
        assert not exceeds_sampling_error(difference, exact.covariance / report.samples)
        assert report.variance == pytest.approx(exact.variance, rel=0.1)


def test_trajectories_that_do_not_end_need_a_horizon():
    mdp = lt.problems.two_state_loop()
    policy = lt.SoftmaxTable(mdp)
    with pytest.raises(EstimatorError, match="Give a smaller γ, a horizon"):
        lt.audit("gae", mdp, policy, method="sampling")
    assert lt.audit("gae", mdp, policy, method="sampling", horizon=5, samples=1000).samples == 1000


def test_a_bias_of_the_size_that_is_told_is_seen():
    """95 % of the time where it hides best, one parameter; more often with more parameters."""
    from logtrick.auditing.significance import FALSE_ALARM, POWER

    rng = np.random.default_rng(0)
    for errors in (np.ones(1), np.array([1.0, 2.0, 0.5])):
        limit = stats.norm.isf(FALSE_ALARM / 2 / len(errors))
        detectable = (limit + stats.norm.ppf(POWER)) * np.linalg.norm(errors)
        bias = detectable * errors / np.linalg.norm(errors)
        means = bias + errors * rng.normal(size=(4000, len(errors)))
        seen = np.mean([exceeds_sampling_error(mean, np.diag(errors**2)) for mean in means])
        expected = 1 - (1 - POWER) ** len(errors)
        assert seen == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / 4000))


def test_what_a_sampled_mean_could_not_have_shown_is_told():
    """Five standard errors of 4,096 samples may be as large as ∇J itself."""
    mdp = random_tree(3)
    policy = random_softmax(mdp, 4)
    report = lt.audit("gae", mdp, policy, method="sampling", samples=4096)
    parameters = len(report.flat.mean)
    z = stats.norm.isf(1e-6 / 2 / parameters) + stats.norm.ppf(0.95)
    exact = lt.audit("gae", mdp, policy)
    told = z * np.sqrt(exact.variance / 4096)
    assert report.detectable_bias == pytest.approx(told, rel=0.1)
    size = np.linalg.norm(exact.flat.gradient)
    assert report.detectable_relative_bias == pytest.approx(told / size, rel=0.1)
    more = lt.audit("gae", mdp, policy, method="sampling", samples=4096 * 16)
    assert more.detectable_bias == pytest.approx(told / 4, rel=0.1)
    percent = f"{100 * report.detectable_relative_bias:.3g} % of ‖∇J‖"
    assert f"({percent}) or more would have been seen with 95 % probability" in str(report)
    stored = json.loads(report.to_json())
    assert stored["detectable_bias"] == report.detectable_bias
    assert stored["detectable_relative_bias"] == report.detectable_relative_bias
    assert (stored["power"], stored["false_alarm"]) == (0.95, 1e-6)
    assert exact.detectable_bias is None
    assert exact.detectable_relative_bias is None
    assert json.loads(exact.to_json())["power"] is None
    assert "power" not in str(exact)
