"""`evaluate(horizon=, terminal_values=)` against rational arithmetic, and what is refused."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest

from logtrick import exact, planning
from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from random_mdps import as_matrix_free, random_mdp, random_policy, random_table, with_large_rewards
from rationals import Rational, error, normalised, shares


def last_values(mdp, seed):
    """V_H, 0 in terminal states."""
    drawn = np.random.default_rng([seed, 3]).normal(size=mdp.num_states)
    return np.where(mdp.terminal, 0.0, drawn)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("seed", range(4))
def test_every_number_is_within_its_bound(seed, steps, large):
    mdp = random_mdp(seed)
    mdp = with_large_rewards(mdp, seed) if large else mdp
    table, last = random_table(mdp, seed), last_values(mdp, seed)
    exactly = [shares(row) for row in table]
    for kind, gamma in (("discounted", mdp.gamma), ("total", 1.0)):
        truth = Rational(normalised(mdp), exactly, gamma)
        values, action_values, visits = truth.over(steps, last.tolist())
        for model in (mdp, as_matrix_free(mdp)):
            found = exact.evaluate(model, table, kind, horizon=steps, terminal_values=last)
            assert found.horizon == steps
            assert found.values.shape == (steps + 1, mdp.num_states)
            assert found.action_values.shape == (steps, mdp.num_states, mdp.num_actions)
            assert np.array_equal(found.values[-1], last)
            assert error(found.values, values) <= found.error_bound
            finite = np.where(mdp.available, found.action_values, 0.0)
            if steps:
                assert error(finite, action_values) <= found.action_values_error
            off = [
                abs(Fraction(v) - t)
                for v, t in zip(
                    found.step_visitation.ravel().tolist(),
                    itertools.chain(*visits),
                    strict=True,
                )
            ]
            assert sum(off) <= found.visitation_error
            counts = [sum(column) for column in zip(*visits[:-1], strict=True)] if steps else []
            if steps:
                off = zip(found.visitation.tolist(), counts, strict=True)
                assert sum(abs(Fraction(v) - t) for v, t in off) <= found.visitation_error
            start = normalised(mdp).start
            objective = sum(p * v for p, v in zip(start, values[0], strict=True))
            assert error(found.objective, [objective]) <= found.objective_error
            gradient = sum(
                np.array(v, object)[:, None] * q
                for v, q in zip(visits[:-1], action_values, strict=True)
            ) + np.zeros(table.shape, object)
            gap = sum(
                abs(Fraction(float(g)) - t)
                for g, t in zip(found.table_gradient.ravel(), gradient.ravel(), strict=True)
            )
            assert gap <= found.gradient_error


def test_objective_visits_and_values_are_one_story():
    """J = Σ_t γ^t E[r_t] + γ^H E[V_H(s_H)], three ways."""
    mdp = random_mdp(5, gamma=0.9)
    table, last = random_table(mdp, 5), last_values(mdp, 5)
    found = exact.evaluate(mdp, table, horizon=6, terminal_values=last)
    paid = (table * mdp.dense_rewards()).sum(axis=1)
    by_visits = found.visitation @ paid + found.step_visitation[-1] @ last
    assert found.objective == pytest.approx(by_visits, rel=1e-12)
    assert found.visitation == pytest.approx(found.step_visitation[:-1].sum(axis=0))
    assert (table[None] * np.where(mdp.available, found.advantages, 0)).sum(
        axis=2
    ) == pytest.approx(0, abs=1e-12)


def test_the_gradients_are_derivatives_of_the_objective():
    """By central differences: of a softmax's logits, shared by all steps or each step's own."""
    mdp = random_mdp(6, gamma=0.9)
    last = last_values(mdp, 6)
    logits = np.random.default_rng(0).normal(size=(3, mdp.num_states, mdp.num_actions))

    def objective(logits):
        table = np.where(mdp.available, np.exp(logits), 0.0)
        table = table / table.sum(axis=-1, keepdims=True)
        return exact.evaluate(mdp, table, horizon=3, terminal_values=last)

    for theta in (logits[0], logits):
        direction = np.random.default_rng(1).normal(size=theta.shape)
        found = objective(theta)
        slope = (
            objective(theta + 1e-5 * direction).objective
            - objective(theta - 1e-5 * direction).objective
        ) / 2e-5
        assert (found.logit_gradient * direction).sum() == pytest.approx(slope, rel=1e-6)


def test_a_long_horizon_comes_near_the_infinite_one():
    mdp, table = problems.example_3_5_grid(), np.full((25, 4), 0.25)
    far, ever = exact.evaluate(mdp, table, horizon=400), exact.evaluate(mdp, table)
    assert far.values[0] == pytest.approx(ever.values, abs=1e-12)
    assert far.visitation == pytest.approx(ever.visitation, abs=1e-12)
    assert far.logit_gradient == pytest.approx(ever.logit_gradient, abs=1e-9)


def test_what_solve_returns_attains_what_it_says():
    mdp = random_mdp(2, gamma=0.9)
    last = last_values(mdp, 2)
    for minimise in (False, True):
        best = planning.solve(mdp, horizon=5, terminal_values=last, minimise=minimise)
        own = exact.evaluate(mdp, best.policy, horizon=5, terminal_values=last)
        apart = best.error_bound + own.error_bound
        assert own.values == pytest.approx(best.values, rel=0, abs=apart)
        assert own.probabilities.shape == (5, mdp.num_states, mdp.num_actions)


def test_a_horizon_needs_no_end():
    """At γ = 1 without a horizon this policy is refused: it never ends."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 2.0, False)]]], gamma=1.0)
    assert exact.evaluate(mdp, np.ones((1, 1)), horizon=3).values[:, 0].tolist() == [6, 4, 2, 0]


def test_a_policy_of_parameters():
    mdp = random_mdp(7, gamma=0.9)
    policy = random_policy(mdp, "mlp", 7)
    table = exact.evaluate(mdp, policy).probabilities
    found, same = (exact.evaluate(mdp, p, horizon=3) for p in (policy, table))
    assert found.values == pytest.approx(same.values, rel=1e-14)


FOREST, UNIFORM = problems.forest(gamma=0.9), np.full((3, 2), 0.5)
ENDING = FiniteMDP.from_outcomes(
    [[[(1.0, 1, 1.0, False)]], [[(1.0, 1, 0.0, False)]]], gamma=0.9
)  # state 1 is terminal

REFUSED = [
    ({"terminal_values": [0, 0, 0]}, ConfigError, "give horizon="),
    ({"horizon": 2, "terminal_values": [0, 0]}, ShapeError, "3 states"),
    ({"horizon": 2, "terminal_values": [[0, 0, 0]]}, ShapeError, "3 states"),
    ({"horizon": 2, "terminal_values": [0, np.nan, 0]}, MDPError, "state 1 the value nan"),
    ({"horizon": 2, "terminal_values": [0, 0, -np.inf]}, MDPError, "state 2 the value -inf"),
    ({"horizon": 2, "terminal_values": ["a", 0, 0]}, ShapeError, "no array of numbers"),
    ({"horizon": -1}, ConfigError, "horizon=-1"),
    ({"horizon": 2, "kind": "average"}, ConfigError, "average"),
]


@pytest.mark.parametrize(("arguments", "kind", "words"), REFUSED)
def test_what_is_refused(arguments, kind, words):
    with pytest.raises(kind, match=words):
        exact.evaluate(FOREST, UNIFORM, **arguments)
    with pytest.raises(kind, match=words):
        planning.solve(FOREST, **arguments)


def test_terminal_states_are_worth_nothing():
    for function in (
        lambda **more: exact.evaluate(ENDING, np.ones((2, 1)), horizon=2, **more),
        lambda **more: planning.solve(ENDING, horizon=2, **more),
    ):
        with pytest.raises(MDPError, match=r"state 1 the value 3\.0, but it is terminal"):
            function(terminal_values=[0.0, 3.0])
        assert function(terminal_values=[5.0, 0.0]).values.tolist() == [[1, 0], [1, 0], [5, 0]]


@pytest.mark.parametrize(
    ("policy", "kind", "words"),
    [
        (np.zeros((2, 3), int), ShapeError, "shape"),
        (np.full((2, 3, 2), 0.5), ShapeError, "2 steps, the horizon 3"),
        (np.full((3, 3, 2), 0.4), MDPError, "sums to 0.8"),
        (np.full((3, 3), 7), MDPError, "has no action 7"),
    ],
)
def test_policies_that_do_not_fit(policy, kind, words):
    with pytest.raises(kind, match=words):
        exact.evaluate(FOREST, policy, horizon=3)


def test_whole_numbers_that_may_be_either_are_refused():
    corridor = problems.corridor()
    with pytest.raises(ConfigError, match="may be actions"):
        exact.evaluate(problems.two_state_loop(), np.eye(2, dtype=int), horizon=2)
    assert exact.evaluate(corridor, np.zeros((5, 3), int), horizon=5).values.shape == (6, 3)


def test_a_guess_for_a_horizon_is_refused():
    """Filed: it reads like a salvage value, and had no effect."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], gamma=0.5)
    with pytest.raises(ConfigError, match="terminal_values="):
        planning.solve(mdp, horizon=3, guess=np.array([10.0]))
    assert planning.solve(mdp, horizon=3, terminal_values=[10.0]).values[:, 0].tolist() == [
        3.0, 4.0, 6.0, 10.0,
    ]  # fmt: skip


def test_a_tolerance_inside_a_transform_is_refused():
    """No bound is computed there, so that it would have no effect."""
    table = np.full((3, 2), 0.5)
    corridor = problems.corridor()
    functions = (
        exact.state_values, exact.action_values, exact.advantages, exact.visitation,
        exact.objective, exact.policy_gradient,
    )  # fmt: skip
    with jax.enable_x64(True):
        for function in functions:
            with pytest.raises(ConfigError, match="no bound is computed there"):
                jax.jit(lambda t, f=function: f(corridor, t, tol=1e-3))(table)
            jax.jit(lambda t, f=function: f(corridor, t))(table)
