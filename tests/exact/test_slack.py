"""What readers accept is in the bounds: rows, start and policy; and under- and overflow.

The truth is rational: every row of the given numbers divided by its sum, exactly.
"""

import copy
import inspect
from fractions import Fraction

import numpy as np
import pytest

import rationals
from logtrick import exact, planning
from logtrick.errors import ConfigError, ConvergenceError
from logtrick.exact import values
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from random_mdps import as_matrix_free, random_mdp, random_table, with_large_rewards
from rationals import Rational, error, normalised, shares

STORAGES = ("dense", "sparse")
SLACK = 9e-10


def loosened(seed, *, ends, storage="auto", large=False):
    """An MDP and a policy whose rows are off by up to 9e-10, and the rational truth about them."""
    rng = np.random.default_rng([seed, 2])
    tight = random_mdp(seed, ends=ends, storage=storage)
    tight = with_large_rewards(tight, seed) if large else tight
    off = 1 + rng.choice([-SLACK, SLACK], tight.num_pairs)[tight.outcome_pairs]
    given = tight.probabilities * off
    start = tight.start * (1 + SLACK)
    policy = random_table(tight, seed) * (1 - SLACK)
    mdp = FiniteMDP(
        pair_offsets=tight.pair_offsets,
        pair_actions=tight.pair_actions,
        outcome_offsets=tight.outcome_offsets,
        successors=tight.successors,
        probabilities=given,
        rewards=tight.rewards,
        terminated=tight.terminated,
        gamma=tight.gamma,
        start=start,
        storage=storage,
    )
    raw = copy.copy(mdp)
    object.__setattr__(raw, "probabilities", given)
    object.__setattr__(raw, "start", start)
    return mdp, policy, normalised(raw), [shares(row) for row in policy]


def check(found, truth):
    """All numbers of an evaluation, J1 and J2, against a `Rational`."""
    assert error(found.values, truth.values()) <= found.error_bound
    visits = zip(found.visitation.tolist(), truth.visits(), strict=True)
    assert sum(abs(Fraction(v) - t) for v, t in visits) <= found.visitation_error
    assert error(found.objective, [truth.objective()]) <= found.objective_error
    finite = np.where(truth.mdp.available, found.action_values, 0.0)
    assert error(finite, truth.action_values()) <= found.action_values_error
    differences = (
        abs(Fraction(float(g)) - t)
        for g, t in zip(found.table_gradient.flat, truth.gradient().flat, strict=True)
    )
    assert sum(differences) <= found.gradient_error


def check_average(found, truth):
    gain, distribution = truth.average()
    assert error(found.objective, [gain]) <= found.objective_error
    shares_ = zip(found.visitation.tolist(), distribution, strict=True)
    assert sum(abs(Fraction(v) - t) for v, t in shares_) <= found.visitation_error
    bias = truth.bias()
    assert error(found.values, bias) <= found.error_bound
    action_values = np.zeros(truth.mdp.available.shape, object)
    for state, action, chance, successor, reward, _ in rationals.outcomes(truth.mdp):
        action_values[state, action] += chance * (reward + bias[successor] - gain)
    finite = np.where(truth.mdp.available, found.action_values, 0.0)
    assert error(finite, action_values) <= found.action_values_error


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("seed", range(8))
def test_rows_start_and_policy_that_are_off_by_1e_9(storage, seed, large):
    mdp, policy, truth_mdp, truth_policy = loosened(seed, ends=True, storage=storage, large=large)
    for kind, gamma in (("discounted", mdp.gamma), ("total", 1.0)):
        check(exact.evaluate(mdp, policy, kind), Rational(truth_mdp, truth_policy, gamma))
    mdp, policy, truth_mdp, truth_policy = loosened(seed, ends=False, storage=storage, large=large)
    check_average(exact.evaluate(mdp, policy, "average"), Rational(truth_mdp, truth_policy, 1.0))


@pytest.mark.parametrize("seed", range(8))
def test_the_slack_of_a_function_is_carried(seed):
    """A function cannot be divided: its excess, and for averages its defect, are in the bounds."""
    tight = random_mdp(seed, ends=False)
    table = random_table(tight, seed)
    truth = Rational(normalised(tight), [shares(row) for row in table], 1.0)
    free = as_matrix_free(tight)
    for factor in (1 - SLACK, 1 + SLACK):
        loose = exact.MatrixFreeMDP(
            lambda values, factor=factor: factor * free.expect(values),
            free.rewards,
            gamma=min(tight.gamma, 0.9),
            start=free.start,
            terms=free.terms,
            available=free.available,
        )
        check_average(exact.evaluate(loose, table, "average"), truth)
    discounted = Rational(normalised(tight), [shares(row) for row in table], loose.gamma)
    check(exact.evaluate(loose, table), discounted)


def test_the_average_of_the_chain_that_was_meant():
    """Filed: −960784.31443 ± 2.3e-8 was said; the chain with its rows normalised has this gain."""
    rows = [[[0.5, 0.5]], (np.array([[0.01, 0.99]]) * (1 + 8e-10)).tolist()]
    mdp = FiniteMDP.from_arrays(rows, np.array([[1e6], [-1e6]]), gamma=0.9)
    truth = Fraction(1, 51) * 10**6 - Fraction(50, 51) * 10**6  # d = (.01, .5)/.51
    for storage in STORAGES:
        found = exact.evaluate(mdp.replace(storage=storage), np.ones((2, 1)), "average")
        assert abs(Fraction(found.objective) - truth) <= found.objective_error < 1e-7
    found = planning.solve(mdp, kind="average")
    assert abs(Fraction(found.gain) - truth) <= found.error_bound


def test_rows_that_are_off_by_rounding_only_are_left_alone():
    mdp = random_mdp(3)
    again = FiniteMDP.from_outcomes(
        [
            {
                int(mdp.pair_actions[p]): [
                    (
                        float(mdp.probabilities[k]),
                        int(mdp.successors[k]),
                        float(mdp.rewards[k]),
                        bool(mdp.terminated[k]),
                    )
                    for k in range(*mdp.outcome_offsets[p : p + 2])
                ]
                for p in range(*mdp.pair_offsets[s : s + 2])
            }
            for s in range(mdp.num_states)
        ],
        gamma=0.9,
    )
    assert np.array_equal(again.probabilities, mdp.probabilities)
    for _ in range(2):  # and dividing twice changes nothing more
        mdp, *_ = loosened(3, ends=True)
        twice = FiniteMDP(
            *(getattr(mdp, name) for name in (
                "pair_offsets", "pair_actions", "outcome_offsets", "successors", "probabilities",
                "rewards", "terminated",
            )),
            gamma=0.9,
        )  # fmt: skip
        assert np.array_equal(twice.probabilities, mdp.probabilities)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("seed", range(12))
def test_rewards_that_underflow(storage, seed):
    """Products of numbers near 1e-320 lose all their digits; bounds in whole subnormals hold."""
    rng = np.random.default_rng(seed)
    mdp = random_mdp(seed, storage=storage, gamma=float(rng.choice([0.5, 0.9, 0.999])))
    mdp = mdp.replace(rewards=mdp.rewards * 10.0 ** rng.integers(-323, -306))
    table = random_table(mdp, seed)
    truth = Rational(mdp, table, mdp.gamma)
    found = exact.evaluate(mdp, table)
    check(found, truth)
    assert found.error_bound < 1e-310
    endless = random_mdp(seed, ends=False, storage=storage)
    endless = endless.replace(rewards=endless.rewards * 1e-320)
    table = random_table(endless, seed)
    check_average(exact.evaluate(endless, table, "average"), Rational(endless, table, 1.0))


@pytest.mark.parametrize("storage", STORAGES)
def test_a_loop_that_pays_a_subnormal(storage):
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 1e-320, False)]]], gamma=0.999, storage=storage)
    truth = [Fraction(1e-320) / (1 - Fraction(0.999))]
    found = exact.evaluate(mdp, np.ones((1, 1)))
    assert error(found.values, truth) <= found.error_bound
    assert 0 < found.error_bound < 1e-318
    for method in ("value_iteration", "policy_iteration", "inexact_policy_iteration"):
        solution = planning.solve(mdp, method=method, tol=1e-310)
        assert error(solution.values, truth) <= solution.error_bound


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", ["discounted", "total", "average"])
@pytest.mark.parametrize("seed", range(6))
def test_numbers_beyond_float64_are_an_error(seed, kind, storage):
    """Finite numbers with finite bounds, or an error whose advice works: never NaN ± NaN."""
    mdp = random_mdp(seed, ends=kind != "average", storage=storage, gamma=0.9)
    signs = mdp.rewards / np.abs(mdp.rewards).max()
    table = random_table(mdp, seed)
    for size in (1e308, 1e300, 1e160):
        large = mdp.replace(rewards=size * signs)
        try:
            found = exact.evaluate(large, table, kind)
        except ConvergenceError as caught:
            assert "divide the rewards by a constant" in str(caught)  # noqa: PT017
            assert size > 1e290
        else:
            numbers = (
                found.values, found.objective, found.error_bound, found.objective_error,
                found.gradient_error, found.table_gradient, found.logit_gradient, found.visitation,
            )  # fmt: skip
            assert all(np.isfinite(number).all() for number in numbers)
    assert np.isfinite(exact.evaluate(mdp.replace(rewards=signs), table, kind).objective)


def test_an_overflow_is_an_error_in_every_function():
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 1e308, False)]]], gamma=0.9)
    for function in (
        exact.evaluate,
        exact.state_values,
        exact.action_values,
        exact.advantages,
        exact.objective,
        exact.policy_gradient,
        planning.solve,
    ):
        arguments = (mdp,) if function is planning.solve else (mdp, np.ones((1, 1)))
        with pytest.raises(ConvergenceError, match="divide the rewards by a constant"):
            function(*arguments)
    assert exact.objective(mdp.replace(rewards=[1e306]), np.ones((1, 1))) == pytest.approx(1e307)
    with pytest.raises(ConvergenceError, match="divide the rewards"):
        exact.evaluate(mdp, np.ones((1, 1)), horizon=3)


def test_a_tolerance_means_the_same_everywhere():
    """tol · max(1, size of the values): relative for large numbers, absolute for small ones."""
    mdp, table = problems.random_walk(50), np.full((50, 2), 0.5)
    found = exact.evaluate(mdp, table)
    for factor in (1e6, 1.0, 1e-9):
        scaled = mdp.replace(rewards=factor * mdp.rewards)
        allowed = 2 * found.error_bound * factor / max(1.0, factor * found.values.max())
        assert exact.state_values(scaled, table, tol=allowed).max() == pytest.approx(
            factor * found.values.max()
        )
        with pytest.raises(ConvergenceError):
            exact.state_values(scaled, table, tol=allowed / 8)


def test_an_objective_that_cancels_is_judged_by_the_values():
    """J = 0 from values of ±10⁶: the tolerance is a share of 10⁶, as it is for the values."""
    mdp = FiniteMDP.from_outcomes(
        [[[(1.0, 0, 1e5 / 3, False)]], [[(1.0, 1, -1e5 / 3, False)]]], gamma=0.9
    )
    assert abs(exact.objective(mdp, np.ones((2, 1)), tol=1e-13)) < 1e-8
    assert np.isfinite(exact.evaluate(mdp, np.ones((2, 1))).objective)


def test_the_normalised_visits_meet_their_own_tolerance():
    mdp, table = problems.random_walk(50), np.full((50, 2), 0.5)
    found = exact.evaluate(mdp, table)
    share = found.visitation_error / found.visitation.sum()
    assert exact.visitation(mdp, table, tol=1.5 * share).sum() > 1
    with pytest.raises(ConvergenceError):
        exact.visitation(mdp, table, normalised=True, tol=1.5 * share)


@pytest.mark.parametrize("tol", ["small", None, True])
def test_a_tolerance_that_is_none(tol):
    within = inspect.unwrap(values.within)  # users meet our errors, not beartype's
    with pytest.raises(ConfigError, match="a tolerance is a number"):
        within(tol, "the values", 1e-9, 1.0)
