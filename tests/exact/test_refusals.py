"""What is refused, with the state, the action or the class that causes it."""

import inspect

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import exact
from logtrick.errors import (
    ConfigError,
    ConvergenceError,
    ImproperPolicyError,
    MDPError,
    MultichainError,
    ShapeError,
)
from logtrick.exact import policy_evaluation as evaluation
from logtrick.exact import tables
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from logtrick.policies.distributions import Categorical, Normal

STORAGES = ("dense", "sparse")


def islands():
    """Two states that stay, and one that leads to either."""
    table = [
        [[(1.0, 0, 1.0, False)]],
        [[(1.0, 1, 2.0, False)]],
        [[(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)]],
    ]
    return FiniteMDP.from_outcomes(table, gamma=0.9)


@pytest.mark.parametrize("storage", STORAGES)
def test_improper_policies_name_the_states(storage):
    mdp = problems.frozen_lake(gamma=1.0, is_slippery=False).replace(storage=storage)
    left = np.zeros(16, int)
    with pytest.raises(
        ImproperPolicyError, match=r"8 of 16 states \(states 0, 1, 2, 3, 4, 8, 9, 10\)"
    ):
        exact.state_values(mdp, left)
    with pytest.raises(ImproperPolicyError, match=r"stays in state 0$"):
        exact.policy_gradient(mdp.replace(gamma=0.9), left, "total")
    assert exact.objective(mdp.replace(gamma=0.9), left) == 0


def test_an_unreachable_trap_is_refused_too():
    mdp = FiniteMDP.from_outcomes(
        [[[(1.0, 0, 1.0, True)]], [[(1.0, 1, -1.0, False)]]], gamma=1.0, start=0
    )
    with pytest.raises(ImproperPolicyError, match="never ends from 1 of 2 states"):
        exact.objective(mdp, np.ones((2, 1)))


@pytest.mark.parametrize("storage", STORAGES)
def test_multichain_names_two_classes(storage):
    mdp = islands().replace(storage=storage)
    with pytest.raises(MultichainError, match="state 0 and state 1"):
        exact.gain_and_bias(mdp, np.ones((3, 1)))


def test_average_reward_of_what_ends():
    for function in (exact.gain_and_bias, exact.stationary_distribution):
        with pytest.raises(MDPError, match=r"end in state 2.*restarting"):
            function(problems.corridor(), np.full((3, 2), 0.5))


def test_an_episode_too_long_for_float64():
    mdp = FiniteMDP.from_outcomes(
        [[[(1 - 1e-17, 0, 1.0, False), (1e-17, 0, 0.0, True)]]], gamma=1.0
    )
    with pytest.raises(ConvergenceError, match="lasts too long"):
        exact.state_values(mdp, np.ones((1, 1)))


def test_a_tolerance_below_rounding_names_the_floor():
    mdp, table = problems.random_walk(50), np.full((50, 2), 0.5)
    bound = exact.evaluate(mdp, table).error_bound
    with pytest.raises(ConvergenceError, match=f"at most {bound:.1e}.*tol=1e-18"):
        exact.state_values(mdp, table, tol=1e-18)
    for function in (
        exact.action_values,
        exact.advantages,
        exact.visitation,
        exact.objective,
        exact.policy_gradient,
    ):
        with pytest.raises(ConvergenceError):
            function(mdp, table, tol=0.0)


@pytest.mark.parametrize(
    ("policy", "error", "words"),
    [
        (np.full((3, 2), 0.4), MDPError, "sums to 0.8 in state 0"),
        (np.full((3, 2), np.nan), MDPError, "state 0, action 0"),
        (np.array([[1.5, -0.5]] * 3), MDPError, "state 0, action 0"),
        (np.full((2, 3), 0.5), ShapeError, r"shape \(2, 3\)"),
        (np.array([0, 1, 2]), MDPError, "state 2 has no action 2"),
        (np.array([0, -1, 0]), MDPError, "state 1 has no action -1"),
        (np.array([0.0, 1.0, 0.0]), ShapeError, "actions int"),
        ("uniform", ConfigError, "str is no policy"),
        (lambda obs, carry: None, ConfigError, "memory"),
        (lambda obs: Normal(jnp.zeros(1), jnp.zeros(1)), ConfigError, "distribution over actions"),
        (lambda obs: Categorical(jnp.zeros(3)), ShapeError, "2 actions"),
        (lambda obs: Categorical(jnp.full(2, jnp.nan)), MDPError, "gives nan"),
    ],
)
def test_policies_that_do_not_fit(policy, error, words):
    with pytest.raises(error, match=words):
        exact.state_values(problems.corridor(), policy)


def test_mass_on_missing_actions():
    mdp = problems.puterman_two_state()
    with pytest.raises(MDPError, match=r"puts 0\.5 on action 1, which state 1"):
        exact.state_values(mdp, np.full((2, 2), 0.5))
    with pytest.raises(MDPError, match="state 1 has no action 1"):
        exact.state_values(mdp, np.array([0, 1]))


def test_logits_of_missing_actions_are_minus_infinity():
    class Lopsided(eqx.Module):
        def __call__(self, obs):
            return Categorical(jnp.array([0.0, 3.0]))

    mdp = problems.puterman_two_state()
    chance = 1 / (1 + np.exp(3.0))
    table = exact.evaluate(mdp, Lopsided()).probabilities
    assert table == pytest.approx(np.array([[chance, 1 - chance], [1.0, 0.0]]), rel=1e-12)
    assert exact.action_values(mdp, Lopsided())[1, 1] == -np.inf


def test_kinds_and_models():
    with pytest.raises(ConfigError, match="choose discounted, total or average"):
        inspect.unwrap(evaluation.gamma_of)(problems.corridor(), "mean")
    with pytest.raises(ConfigError, match="ndarray is no MDP"):
        inspect.unwrap(tables.probabilities)(np.ones(3), np.ones((1, 1)))
