"""How the audit reads a user's policy: as a pytree, a table of probabilities, or as it is."""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float64, PyTree

from logtrick.auditing.foreign import JaxRunner
from logtrick.auditing.scored import Actor, Runner, ScoredPolicy, Table
from logtrick.errors import ConfigError, EstimatorError
from logtrick.exact import tables
from logtrick.exact.histories import OnHistories
from logtrick.mdp.model import FiniteMDP

MOST_PARAMETERS = 5000
"""A covariance of more takes over 200 MB."""


class PytreePolicy(ScoredPolicy):
    """A pytree that is called on one observation; θ is its float arrays in one vector."""

    def __init__(self, mdp: FiniteMDP, policy: PyTree) -> None:
        self.mdp, self.model = mdp, policy
        params, self._static = eqx.partition(policy, eqx.is_inexact_array)
        leaves, self._structure = jax.tree.flatten(params)
        if not leaves:
            raise ConfigError(f"{type(policy).__name__} has no parameters: nothing to estimate")
        self._shapes = [leaf.shape for leaf in leaves]
        self.theta = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])

    @cached_property
    def probabilities(self) -> Float64[np.ndarray, " P"]:
        """π(a|s), masked where a state lacks an action."""
        table = tables.probabilities(self.mdp, self.model)
        return table[self.mdp.pair_states, self.mdp.pair_actions]

    @cached_property
    def scores(self) -> Float64[np.ndarray, "P N"]:
        """∇log π = ∇π/π of each pair, [P, N]; 0 where π is 0."""
        jacobian = tables.jacobian(self.mdp, self.model)
        of_pairs = jacobian[self.mdp.pair_states, self.mdp.pair_actions]
        pi = self.probabilities[:, None]
        return np.where(pi > 0, of_pairs / np.where(pi > 0, pi, 1.0), 0.0)

    def at(self, theta: Float64[np.ndarray, " N"]) -> "PytreePolicy":
        """The pytree with other numbers in it."""
        return PytreePolicy(self.mdp, eqx.combine(self.unravel(theta), self._static))

    def unravel(self, vector: Float64[np.ndarray, " N"]) -> PyTree:
        """A pytree of NumPy arrays."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes])
        parts = np.split(vector, ends[:-1])
        shaped = [part.reshape(s) for part, s in zip(parts, self._shapes, strict=True)]
        return jax.tree.unflatten(self._structure, shaped)

    def shaped(self, vector: Float64[np.ndarray, " N"]) -> PyTree:
        """Without the shell that a policy with memory wears on histories."""
        tree = self.unravel(vector)
        return tree.policy if isinstance(tree, OnHistories) else tree

    def runner(self, estimator: Callable[..., Any]) -> Runner:
        """Compiled where the estimator can be."""
        return JaxRunner(estimator)

    def flat_gradients(self, leaves: list[np.ndarray]) -> Float64[np.ndarray, "U N"]:
        """U gradients, leaf by leaf [U, ...], as rows."""
        return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


class TablePolicy(ScoredPolicy):
    """Probabilities [S, A], read as positive weights: π(a|s) = θ(s, a) / Σ_a' θ(s, a').

    So every direction of θ leads to a policy, scores have mean 0, and ∂J/∂θ(s, a) = η(s) A(s, a):
    the η·Q of unconstrained entries up to a constant in each row, which no policy can follow.
    """

    def __init__(self, mdp: FiniteMDP, theta: Float64[np.ndarray, " P"]) -> None:
        self.mdp, self.theta = mdp, theta
        self.sums = np.bincount(mdp.pair_states, theta)[mdp.pair_states]
        self.model = self.unravel(self.probabilities)

    @classmethod
    def of(cls, mdp: FiniteMDP, table: Any) -> "TablePolicy":
        """From probabilities [S, A], all of them positive where a state has the action."""
        checked = tables.probabilities(mdp, table)
        weights = checked[mdp.pair_states, mdp.pair_actions]
        if not np.all(weights > 0):
            pair = int(np.argmin(weights))
            raise EstimatorError(
                f"state {mdp.pair_states[pair]}, action {mdp.pair_actions[pair]}: the table gives "
                "probability 0, so this action has no score ∇log π, and no sample of it ever "
                "comes. Give every action that a state has some probability, or a SoftmaxTable"
            )
        return cls(mdp, weights)

    @cached_property
    def probabilities(self) -> Float64[np.ndarray, " P"]:
        """π(a|s) = θ(s, a) / Σ_a' θ(s, a') of each pair, [P]."""
        return self.theta / self.sums

    @cached_property
    def scores(self) -> Float64[np.ndarray, "P N"]:
        """1/θ at the action itself, −1/Σθ at all actions of its state."""
        states = self.mdp.pair_states
        own = np.diag(1 / self.theta)
        return own - (states[:, None] == states[None, :]) / self.sums[:, None]

    def at(self, theta: Float64[np.ndarray, " N"]) -> "TablePolicy":
        """The policy of other weights θ, [P]."""
        return TablePolicy(self.mdp, theta)

    def unravel(self, vector: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, "S A"]:
        """A table; 0 at actions that a state does not have."""
        table = np.zeros(self.mdp.available.shape)
        table[self.mdp.pair_states, self.mdp.pair_actions] = vector
        return table

    def nearby(self, rng: np.random.Generator) -> "TablePolicy":
        """Weights times random factors: they stay positive."""
        return self.at(self.theta * np.exp(0.5 * rng.normal(size=self.theta.shape)))

    @property
    def scale(self) -> float:
        """The smallest weight: a larger step could make it negative."""
        return float(self.theta.min())

    def runner(self, estimator: Callable[..., Any]) -> Runner:
        """The estimator gets the probabilities as one array."""
        return JaxRunner(estimator)

    def flat_gradients(self, leaves: list[np.ndarray]) -> Float64[np.ndarray, "U N"]:
        """Derivatives by π(a|s), through θ/Σθ: less the π-mean of each row, over Σθ."""
        states, (table,) = self.mdp.pair_states, leaves
        by_pi = table[:, states, self.mdp.pair_actions]
        firsts = self.mdp.pair_offsets[:-1]
        means = np.add.reduceat(by_pi * self.probabilities, firsts, axis=1)
        return (by_pi - means[:, states]) / self.sums


def read_policy(mdp: FiniteMDP, policy: Any) -> ScoredPolicy:
    """The policy as the audit reads it.

    Args:
        mdp: the MDP.
        policy: a pytree that is called on one observation, probabilities [S, A], or a
            `ScoredPolicy` as it is.

    Raises:
        ConfigError: no parameters, or too many for a covariance.
        EstimatorError: a table with a probability of 0.
        ShapeError, MDPError: the policy does not fit the MDP.
    """
    if isinstance(policy, ScoredPolicy):
        read = policy
    else:
        read = (TablePolicy.of if tables.is_array(policy) else PytreePolicy)(mdp, policy)
    if read.theta.size > MOST_PARAMETERS:
        raise ConfigError(
            f"the policy has {read.theta.size} parameters; a covariance of more than "
            f"{MOST_PARAMETERS} is too large. Audit a smaller policy: the claim is about the rule"
        )
    return read


def read_actor(mdp: FiniteMDP, policy: Any) -> Actor:
    """A policy that acts, or that another is compared with, and is itself not estimated.

    So it needs no parameters and no scores: deterministic actions int[S] will do, a table with
    zeros, and a function of an observation.

    Raises:
        ConfigError: it is no policy.
        ShapeError, MDPError: it does not fit the MDP.
    """
    if isinstance(policy, ScoredPolicy):
        return policy
    table = tables.probabilities(mdp, policy)
    return Table(mdp, table[mdp.pair_states, mdp.pair_actions])
