"""What `tol`, `minimise` and the horizon of `solve` mean."""

import inspect
import itertools
from fractions import Fraction

import numpy as np
import pytest
import rational
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick import planning
from logtrick.errors import ConfigError, ConvergenceError, MDPError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from logtrick.planning.methods import METHODS

methods = pytest.mark.parametrize("method", sorted(METHODS))


@pytest.mark.parametrize("name", ["garnet:100,4", "forest:1000"])
@methods
def test_far_sighted_problems_just_work(name, method):
    """Filed: absolute tolerances of 1e-8 are beyond float64 where values are 10⁴."""
    mdp = problems.make(name, gamma=0.9999)
    if method in ("value_iteration", "gauss_seidel") and name.startswith("forest"):
        pytest.skip("ten thousand sweeps, which other methods do not need")
    solution = planning.solve(mdp, method=method)
    size = np.abs(solution.values).max()
    assert size > 1000
    assert solution.error_bound <= 1e-8 * size


@methods
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
def test_the_bound_is_a_share_of_the_values_or_of_one(scale, method):
    mdp = problems.example_3_5_grid()
    mdp = mdp.replace(rewards=scale * mdp.rewards)
    solution = planning.solve(mdp, method=method, tol=1e-6)
    truth = scale * 10 / (1 - 0.9**5)
    assert solution.error_bound <= 1e-6 * max(1.0, np.abs(solution.values).max())
    assert abs(solution.values.max() - truth) <= solution.error_bound


@methods
@pytest.mark.parametrize("guess", [1e9, 1e12])
@pytest.mark.parametrize("ends", [False, True])
def test_a_guess_that_is_too_large_does_not_loosen_the_bound(ends, guess, method):
    """The tolerance is a share of what is returned, not of what was guessed on the way."""
    mdp = problems.garnet(40, 3, 3, seed=1, ends=0.2 if ends else 0.0, gamma=0.9)
    solution = planning.solve(mdp, method=method, guess=np.full(40, guess))
    assert solution.error_bound <= 1e-8 * max(1.0, np.abs(solution.values).max())


def test_small_rewards_need_a_smaller_tolerance():
    mdp = problems.forest(gamma=0.9)
    mdp = mdp.replace(rewards=1e-9 * mdp.rewards)
    rough = planning.solve(mdp, method="value_iteration")
    assert 1e-9 < rough.error_bound <= 1e-8  # absolute, and a third of the values
    close = planning.solve(mdp, method="value_iteration", tol=1e-16)
    assert close.error_bound <= 1e-16
    np.testing.assert_allclose(
        close.values, 1e-9 * np.array([26.244, 29.484, 33.484]), rtol=0, atol=1e-16
    )


@pytest.mark.parametrize("kind", ["discounted", "average"])
@pytest.mark.parametrize("window", [None, 8])
@pytest.mark.parametrize("method", ["inexact_policy_iteration", "policy_iteration"])
def test_numbers_beyond_single_precision_and_their_squares(method, window, kind):
    """Rewards of 10²⁰⁰ or 10⁻²⁰⁰ take as many backups as those of one: nothing is lost."""
    mdp = problems.garnet(300, 3, 3, seed=1, gamma=0.99, window=window)
    plain = planning.solve(mdp, kind, method=method)
    for scale in (2.0**664, 2.0**-664):
        scaled = mdp.replace(rewards=scale * mdp.rewards)
        found = planning.solve(scaled, kind, method=method, tol=1e-8 * min(scale, 1.0))
        apart = plain.error_bound + found.error_bound / scale
        np.testing.assert_allclose(found.values / scale, plain.values, rtol=0, atol=2e-5)
        if kind == "average":
            assert abs(found.gain / scale - plain.gain) <= apart
        else:
            np.testing.assert_allclose(found.values / scale, plain.values, rtol=0, atol=apart)
        assert found.iterations <= plain.iterations + 3


def test_the_values_of_nothing_are_nothing():
    mdp = problems.forest(gamma=0.9)
    nothing = planning.solve(mdp.replace(rewards=np.zeros(mdp.num_outcomes)))
    assert nothing.values.tolist() == [0, 0, 0]
    assert nothing.error_bound < 1e-300


def test_averages_are_judged_by_the_gain():
    mdp = problems.forest(gamma=0.9)
    large = planning.solve(mdp.replace(rewards=1e12 * mdp.rewards), kind="average")
    assert abs(large.gain - 3.24e12) <= large.error_bound <= 3.24e4
    lifted = mdp.replace(rewards=mdp.rewards - 3.24 + 1e-3)  # gain 0.001, bias as before
    assert planning.solve(lifted, kind="average").error_bound <= 1e-8


def test_averages_with_a_large_bias_are_judged_by_the_gain():
    """±100 in turn: the gain is 0 and the bias 100. What is returned of it is 0 in state 0."""
    turns = [[[(0.9, 1, 100.0, False), (0.1, 0, 0.0, False)]], [[(1.0, 0, -100.0, False)]]]
    mdp = FiniteMDP.from_outcomes(turns, gamma=0.9)
    for tol in (1e-2, 1e-4):
        found = planning.solve(mdp, kind="average", method="value_iteration", tol=tol)
        assert abs(found.gain) <= found.error_bound <= tol
        assert found.values[0] == 0
        assert found.values[1] == pytest.approx(-100, abs=100 * tol)


def test_least_and_greatest_gains():
    """Two ways to stay, which pay 1 and 3."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, r, False)] for r in (1.0, 3.0)]], gamma=0.9)
    for minimise, gain in ((True, 1.0), (False, 3.0)):
        found = planning.solve(mdp, kind="average", minimise=minimise)
        assert abs(found.gain - gain) <= found.error_bound <= 1e-8


def test_a_total_is_not_discounted():
    """Two steps that pay 1 each, whatever γ the MDP has."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 1, 1.0, False)]], [[(1.0, 1, 1.0, True)]]], gamma=0.5)
    assert planning.solve(mdp, kind="total").values.tolist() == pytest.approx([2, 1], abs=1e-8)
    assert planning.solve(mdp).values.tolist() == pytest.approx([1.5, 1], abs=1e-8)


many = settings(max_examples=40, deadline=None)


@many
@given(rational.tables(), st.sampled_from(sorted(METHODS)), st.sampled_from([0.5, 0.9]))
def test_the_least_values_are_those_of_the_other_sign(table, method, gamma):
    mdp = FiniteMDP.from_outcomes(table, gamma=gamma)
    least = planning.solve(mdp, method=method, minimise=True)
    values = [rational.evaluate(mdp, p, Fraction(gamma)) for p in rational.policies(mdp)]
    best = [min(column) for column in zip(*values, strict=True)]
    for value, truth in zip(least.values.tolist(), best, strict=True):
        assert abs(truth - Fraction(value)) <= Fraction(least.error_bound)
    assert least.minimised
    assert not np.signbit(least.values[least.values == 0]).any()


@methods
def test_least_totals_and_averages(method):
    """The dearest and the cheapest way out; what a forest earns when it is managed badly."""
    table = [[[(1.0, 1, 1.0, False)], [(1.0, 1, 3.0, False)]], [[(1.0, 1, 2.0, True)]]]
    mdp = FiniteMDP.from_outcomes(table, gamma=1.0)
    least = planning.solve(mdp, method=method, minimise=True, guess=np.full(2, 7.0))
    assert least.values.tolist() == pytest.approx([3, 2], abs=1e-8)
    assert least.policy.tolist() == [0, 0]
    if method != "gauss_seidel":
        worst = planning.solve(
            problems.forest(gamma=0.9), kind="average", method=method, minimise=True
        )
        assert worst.gain == pytest.approx(0, abs=worst.error_bound)  # cutting at age 0 pays 0


def test_an_endless_fall_is_named():
    table = [[[(1.0, 0, -1.0, False)], [(1.0, 0, 0.0, True)]]]
    mdp = FiniteMDP.from_outcomes(table, gamma=1.0)
    with pytest.raises(MDPError, match=r"unbounded below .* state 0 .* at -1 or less a step"):
        planning.solve(mdp, minimise=True)
    assert planning.solve(mdp).values[0] == 0


@pytest.mark.parametrize("minimise", [False, True])
@many
@given(rational.tables(), st.integers(0, 5), st.data())
def test_a_horizon_ends_in_its_terminal_values(minimise, table, horizon, data):
    mdp = FiniteMDP.from_outcomes(table, gamma=0.75)
    drawn = [data.draw(st.sampled_from([-3.0, 0.0, 0.1, 1e6])) for _ in range(mdp.num_states)]
    last = np.where(mdp.terminal, 0.0, drawn)
    solution = planning.solve(mdp, horizon=horizon, terminal_values=last, minimise=minimise)
    assert np.array_equal(solution.values[horizon], last)
    values, choose = [Fraction(v) for v in last.tolist()], min if minimise else max
    for t in reversed(range(horizon)):
        q = [
            sum(
                p * (r + (0 if end else Fraction(3, 4) * values[s]))
                for p, s, r, end in rational.outcomes(mdp, pair)
            )
            for pair in range(mdp.num_pairs)
        ]
        offsets = mdp.pair_offsets.tolist()
        values = [choose(q[a:b]) for a, b in itertools.pairwise(offsets)]
        for s in range(mdp.num_states):
            off = abs(values[s] - Fraction(float(solution.values[t, s])))
            assert off <= Fraction(solution.error_bound)
    size = max(1.0, np.abs(solution.values).max())
    assert solution.error_bound <= 1e-8 * size


def test_a_floor_of_large_values_asks_for_what_then_works():
    mdp = problems.make("garnet:100,4", gamma=0.9999)
    with pytest.raises(ConvergenceError, match="for values up to") as caught:
        planning.solve(mdp, tol=1e-14)
    asked = float(str(caught.value).split("ask for tol=")[1].split()[0])
    assert 1e-13 < asked < 1e-9
    planning.solve(mdp, tol=asked)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"minimise": "yes"}, "minimise='yes'"),
        ({"minimise": 1}, "minimise=1"),
        ({"horizon": True}, "horizon=True"),
        ({"tol": True}, "tol=True"),
        ({"tol": -1e-8}, "tol=-1e-08"),
    ],
)
def test_what_is_refused(arguments, words):
    solve = inspect.unwrap(planning.solve)  # users meet our errors, not beartype's
    with pytest.raises(ConfigError, match=words):
        solve(problems.forest(gamma=0.9), **arguments)
