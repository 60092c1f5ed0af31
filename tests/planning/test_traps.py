"""What goes wrong at γ = 1 and for averages, and what is refused."""

import contextlib
import inspect

import numpy as np
import pytest

from logtrick import planning
from logtrick.errors import (
    ConfigError,
    ConvergenceError,
    ImproperPolicyError,
    MDPError,
    MultichainError,
    ShapeError,
)
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from logtrick.planning import total
from logtrick.planning.certificates import Enclosure
from logtrick.planning.components import paths
from logtrick.planning.methods import METHODS
from logtrick.planning.operators import Operator
from logtrick.planning.sparse.threads import Team

every_method = pytest.mark.parametrize("method", sorted(METHODS))


def build(table, gamma=1.0, **labels):
    return FiniteMDP.from_outcomes(table, gamma=gamma, **labels)


def go(state, reward=0.0, ends=False):
    """One certain outcome."""
    return [(1.0, state, reward, ends)]


@every_method
def test_going_round_for_nothing_is_not_taken_for_a_value(method):
    """Every constant up to 5 solves v = T v on the loop; only going out pays 1."""
    mdp = build([[go(1), go(0, 1.0, ends=True)], [go(0)]])
    solution = planning.solve(mdp, method=method, guess=np.full(2, 5.0))
    np.testing.assert_allclose(solution.values, [1, 1], atol=1e-8)
    assert solution.policy.tolist() == [1, 0]


@every_method
def test_a_greedy_policy_that_never_ends_is_replaced(method):
    """With V_* = 1 everywhere, staying is greedy in every state, and worthless."""
    stay_or_step = [[go(s), go(s + 1, float(s == 4), ends=s == 4)] for s in range(4)]
    mdp = build([*stay_or_step, [go(4), go(4, 1.0, ends=True)]])
    solution = planning.solve(mdp, method=method)
    np.testing.assert_allclose(solution.values, 1, atol=1e-8)
    assert solution.policy.tolist() == [1, 1, 1, 1, 1]


@every_method
def test_a_policy_that_pays_for_ever_is_led_out(method):
    """Going round costs 1 a step and leaving 100: greedy at first, and no policy to evaluate."""
    leave, round_ = go(0, -100.0, ends=True), [go(1, -1.0), go(0, -1.0)]
    mdp = build([[round_[0], leave], [round_[1], leave], [go(2, -1.0), go(1, -3.0)]])
    solution = planning.solve(mdp, method=method)
    np.testing.assert_allclose(solution.values, [-100, -100, -103], atol=1e-8)
    assert solution.policy.tolist() == [1, 1, 1]
    if method == "policy_iteration":
        assert solution.iterations <= 3


@every_method
def test_merged_states_walk_to_the_best_way_out(method):
    """Three states joined at random by free moves; only state 2 can leave well."""
    roam = [(0.5, 0, 0.0, False), (0.25, 1, 0.0, False), (0.25, 2, 0.0, False)]
    out = [go(s, reward, ends=True) for s, reward in enumerate([-3.0, -2.0, 7.0])]
    mdp = build([[roam, out[0]], [out[1], roam], [roam, out[2]]])
    solution = planning.solve(mdp, method=method)
    np.testing.assert_allclose(solution.values, 7, atol=1e-8)
    assert solution.policy.tolist() == [0, 1, 1]


@every_method
def test_what_never_comes_pays_nothing(method):
    """An outcome of probability 0 neither pays, nor ends, nor leads anywhere."""
    for never in ((0.0, 0, 5.0, False), (0.0, 0, 0.0, True)):
        solution = planning.solve(
            build([[[(1.0, 0, 0.0, False), never], go(0, -1.0, ends=True)]]), method=method
        )
        assert solution.values.tolist() == pytest.approx([-1.0], abs=1e-8)
        assert solution.policy.tolist() == [1]
    trapped = [(1.0, 1, -1.0, False), (0.0, 0, 0.0, False)]
    with pytest.raises(ImproperPolicyError, match="state 1 cannot reach an end"):
        planning.solve(build([[go(0, 1.0, ends=True)], [trapped]]), method=method)


@every_method
def test_a_costly_way_out_is_taken_all_the_same(method):
    """V_* is over proper policies: staying costs nothing, and is not allowed for ever."""
    solution = planning.solve(build([[go(0), go(0, -5.0, ends=True)]]), method=method)
    assert solution.values[0] == pytest.approx(-5)
    assert solution.policy.tolist() == [1]


def test_an_absorbing_state_that_pays_nothing_ends_the_episode():
    solution = planning.solve(build([[go(1, 2.0)], [go(1)]]))
    np.testing.assert_allclose(solution.values, [2, 0], atol=1e-8)


@every_method
def test_no_proper_policy_names_the_trapped_states(method):
    mdp = build([[go(0, 1.0, ends=True), go(1)], [go(2, -1.0)], [go(1, -1.0)]])
    with pytest.raises(ImproperPolicyError, match=r"state 1, state 2 cannot reach an end"):
        planning.solve(mdp, method=method)


def test_names_are_used_in_messages():
    names = ["hall", "cellar"]
    mdp = build([[go(0, ends=True), go(1)], [go(1, -1.0)]], state_names=names)
    with pytest.raises(ImproperPolicyError, match=r"state 1 \(cellar\) cannot"):
        planning.solve(mdp)


@every_method
def test_a_cycle_with_positive_reward_is_named(method):
    """+2 one way and −1 back: ½ a step."""
    mdp = build([[go(1, 2.0)], [go(0, -1.0), go(1, ends=True)]])
    with pytest.raises(MDPError, match=r"unbounded .* state 0, state 1 can be kept going .* 0\.5"):
        planning.solve(mdp, method=method)


@every_method
def test_a_cycle_whose_rewards_cancel_is_refused_not_guessed(method):
    mdp = build([[go(1, 1.0)], [go(0, -1.0), go(1, ends=True)]])
    with pytest.raises(ConvergenceError, match=r"state 0, state 1 .* cannot be told from zero"):
        planning.solve(mdp, method=method)


def test_a_cycle_is_refused_for_what_it_surely_earns():
    """Only a gain above 0, whatever its rounding, makes the total unbounded."""
    mdp = build([[go(0, 1.0, ends=True), go(0, 1.0)]])
    with Team(1) as team:
        operator = Operator.from_mdp(mdp, 1.0, team)
    ends, nowhere = np.array([True, False]), np.zeros(1, np.bool_)
    to_end = paths(operator.transitions, operator.pair_states, ends, nowhere)
    wording = total.Wording(str, False)
    search = total._ProperSearch(operator, ends, to_end, 1e-8, lambda *_: None, wording)
    for low, high, error in (
        (1e-12, 2e-12, MDPError), (-1e-12, 1e-12, ConvergenceError), (-1.0, 1.0, None),
        (-2e-12, -1e-12, None),
    ):  # fmt: skip
        context = pytest.raises(error) if error else contextlib.nullcontext()
        with context:
            search._refuse_gain(np.zeros(1, int), Enclosure(low, high))


@every_method
def test_long_episodes(method):
    """The chain leaves to the right with probability 1/8 only: 8 steps a state, −1 each."""
    size = 60
    table = [
        [[(0.875, s, -1.0, False), (0.125, min(s + 1, size - 1), -1.0, s == size - 1)]]
        for s in range(size)
    ]
    solution = planning.solve(build(table), method=method)
    np.testing.assert_allclose(solution.values, -8.0 * np.arange(size, 0, -1), atol=1e-8)


def test_two_closed_classes_are_named():
    mdp = build([[go(0, 1.0), go(1), go(2)], [go(1, 2.0)], [go(2, 3.0)]], gamma=0.9)
    with pytest.raises(MultichainError, match=r"state 0 or in state 1"):
        planning.solve(mdp, kind="average")


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"gauss_seidel"}))
def test_communicating_but_not_unichain_is_solved(method):
    """Each state has a loop that pays; some policies have three classes, the best has one."""
    table = [[go(s, [1.0, 5.0, 2.0][s]), go((s + 1) % 3, -1.0)] for s in range(3)]
    solution = planning.solve(build(table, gamma=0.5), kind="average", method=method)
    assert solution.gain == pytest.approx(5, abs=1e-8)
    assert solution.policy.tolist() == [1, 0, 1]


def test_a_periodic_chain_has_an_average():
    mdp = build([[go(1, 3.0)], [go(2)], [go(0)]], gamma=0.5)
    solution = planning.solve(mdp, kind="average", method="value_iteration")
    assert solution.gain == pytest.approx(1, abs=1e-8)


def test_an_episode_that_ends_has_no_average():
    with pytest.raises(MDPError, match=r"state 2.*may end the episode.*restarting"):
        planning.solve(problems.corridor(), kind="average")
    restarting = planning.solve(problems.corridor().restarting(), kind="average")
    assert restarting.gain == pytest.approx(-1, abs=1e-8)


@pytest.mark.parametrize(
    ("mdp", "arguments"),
    [
        (problems.forest(gamma=0.999999), {"tol": 1e-12}),
        (problems.forest(gamma=0.9), {"tol": 1e-17}),
        (problems.forest(gamma=0.9), {"tol": 1e-17, "kind": "average"}),
        (problems.frozen_lake(gamma=1.0), {"tol": 1e-18}),
        (problems.forest(gamma=0.9), {"tol": 1e-17, "horizon": 5}),
    ],
)
def test_a_tolerance_below_the_rounding_floor_names_the_floor(mdp, arguments):
    """And what the message asks for is then reached."""
    with pytest.raises(ConvergenceError, match="rounding floor") as caught:
        planning.solve(mdp, **arguments)
    asked = float(str(caught.value).split("ask for tol=")[1].split()[0])
    solution = planning.solve(mdp, **arguments | {"tol": asked})
    assert solution.error_bound <= asked * max(1.0, np.abs(solution.values).max())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mean"}, "kind='mean'; choose one of discounted, total, average"),
        ({"method": "magic"}, "method='magic'"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"tol": 0.0}, "tol=0"),
        ({"tol": float("nan")}, "tol=nan"),
        ({"tol": "small"}, "tol='small'"),
        ({"horizon": -1}, "horizon=-1"),
        ({"horizon": 1.5}, "horizon=1.5"),
        ({"horizon": 3, "kind": "average"}, "backward induction"),
        ({"horizon": 3, "method": "value_iteration"}, "backward induction"),
        ({"kind": "average", "method": "gauss_seidel"}, "does not apply to averages"),
        ({"kind": "total", "device": "accelerator"}, "accelerator"),
        ({"threads": 0}, "threads=0; it must be a whole number, at least 1"),
        ({"threads": "a"}, "threads='a'; it must be a whole number"),
        ({"threads": True}, "threads=True; it must be a whole number"),
        ({"threads": 1.5}, "threads=1.5; it must be a whole number"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message):
    solve = inspect.unwrap(planning.solve)  # users meet our errors, not beartype's
    with pytest.raises(ConfigError, match=message):
        solve(problems.forest(gamma=0.9), **arguments)


@pytest.mark.parametrize(
    "arguments", [{}, {"method": "value_iteration"}, {"kind": "total"}, {"horizon": 400}]
)
def test_values_beyond_float64(arguments):
    """An overflow ends in an error, not in an endless search for a smaller residual."""
    mdp = FiniteMDP.from_outcomes([[[(0.999, 0, 1e307, False), (0.001, 0, 0.0, True)]]], gamma=1.0)
    with pytest.raises(ConvergenceError, match=r"beyond float64|rounding floor"):
        planning.solve(mdp, **arguments)
    with pytest.raises(ConvergenceError):
        planning.solve(mdp.replace(gamma=0.9999), **arguments)


@pytest.mark.parametrize("guess", [np.zeros(2), np.array([0.0, np.nan, 1.0])])
def test_a_guess_that_is_none(guess):
    with pytest.raises(ShapeError, match="guess needs 3 finite values"):
        planning.solve(problems.forest(gamma=0.9), guess=guess)


def test_policies_that_wander_off_are_given_up(monkeypatch):
    """Careless evaluations drive Taxi's values up and up; value iteration begins again at 0."""
    monkeypatch.setattr("logtrick.planning.methods.LOOSEST_UNDISCOUNTED", 0.5)
    monkeypatch.setattr("logtrick.planning.total.MOST_POLICIES", 40)
    mdp = problems.taxi()
    solution = planning.solve(mdp, method="inexact_policy_iteration")
    assert mdp.start @ solution.values == pytest.approx(7.93, abs=1e-8)
    assert solution.iterations > 40
