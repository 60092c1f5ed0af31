"""The functions of θ that occur in the derivation, and their derivatives at the policy."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from logtrick.exact.traced import TracedChain
from logtrick.mdp.model import FiniteMDP

PROBES = 8
"""Random signs that are tried for the size of a sum's terms."""


class Calculus:
    """Functions of the flat parameters, and their derivatives at the policy.

    Args:
        mdp: the MDP, dense.
        policy: a pytree.
        no_visits: why there is no η_γ, if there is none.
        no_stationary: why there is no d_π, if there is none.
    """

    def __init__(self, mdp: FiniteMDP, policy: Any, no_visits: str, no_stationary: str) -> None:
        self.mdp, self.policy, self.gamma = mdp, policy, mdp.gamma
        self.no_visits, self.no_stationary = no_visits, no_stationary
        # What was computed, by function: the lines and identities share much of it.
        self._pullbacks: dict[Callable[[Array], Array], Any] = {}
        self._found: dict[Callable[[Array], Array], Array] = {}
        params, static = eqx.partition(policy, eqx.is_inexact_array)
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        self.theta, unravel = ravel_pytree(wide)
        self.build = lambda theta: eqx.combine(unravel(theta), static)
        chain = self.chain(self.theta)
        self.table = chain.table
        self.start = chain.start

    def chain(self, theta: Array) -> TracedChain:
        """The chain of the policy with these parameters."""
        return TracedChain(self.mdp, self.build(theta))

    def pull(self, function: Callable[[Array], Array], weights: Array) -> np.ndarray:
        """Σ weights · ∇function, the weights frozen."""
        if function not in self._pullbacks:
            self._pullbacks[function] = jax.vjp(function, self.theta)[1]
        return np.asarray(self._pullbacks[function](weights)[0])

    def gradient(self, function: Callable[[Array], Array]) -> np.ndarray:
        """The gradient [N] of a number that depends on θ."""
        return self.pull(function, jnp.ones(()))

    def at(self, function: Callable[[Array], Array]) -> Array:
        """A function's value at the policy, free of θ."""
        if function not in self._found:
            self._found[function] = function(self.theta)
        return self._found[function]

    def objective(self, theta: Array) -> Array:
        """The objective J_γ = ρ·V_γ (J1) at θ, one number."""
        return self.start @ self.values(theta)

    def values(self, theta: Array) -> Array:
        """The values V_γ [S] at θ (V2)."""
        return self.chain(theta).values(self.gamma)

    def action_values(self, theta: Array) -> Array:
        """The action values Q_γ [S, A] at θ, 0 at missing actions."""
        chain = self.chain(theta)
        found = chain.action_values(chain.values(self.gamma), self.gamma)
        return jnp.where(self.mdp.available, found, 0.0)

    def visits(self, theta: Array) -> Array:
        """The visits η_γ [S] at θ: the sum of γ^t Pr(s_t = s) over t."""
        return self.chain(theta).visits(self.gamma)

    def stationary(self, theta: Array) -> Array:
        """The stationary distribution d_π [S] at θ."""
        return self.chain(theta).average()[2]

    def gain(self, theta: Array) -> Array:
        """The gain r̄ at θ (J3), the reward of a step in the long run."""
        return self.chain(theta).average()[0]

    def probabilities(self, theta: Array) -> Array:
        """The probabilities π_θ(a|s), [S, A]."""
        return self.chain(theta).table

    def logs(self, theta: Array) -> Array:
        """Log π [S, A], 0 where π is 0."""
        table = self.chain(theta).table
        return jnp.where(table > 0, jnp.log(jnp.where(table > 0, table, 1.0)), 0.0)

    def score(self, weights: Array, psi: Array) -> np.ndarray:
        """Σ_s w Σ_a π ψ ∇log π."""
        return self.pull(self.logs, weights[:, None] * self.table * psi)

    def all_action(self, weights: Array, psi: Array) -> np.ndarray:
        """Σ_s w Σ_a ψ ∇π."""
        return self.pull(self.probabilities, weights[:, None] * psi)

    def size(self, weights: Array, psi: Array) -> float:
        """Of the terms that Σ_s w Σ_a (|ψ| + |R|) ∇π is summed from, signs at random.

        What rounding is relative to, also where the sum itself is 0.
        """
        paid = jnp.abs(jnp.asarray(self.mdp.dense_rewards()))
        terms = jnp.abs(weights)[:, None] * (jnp.abs(psi) + paid)
        rng = np.random.default_rng(0)
        signs = [jnp.asarray(rng.choice([-1.0, 1.0], terms.shape)) for _ in range(PROBES)]
        pulled = [self.pull(self.probabilities, terms * sign) for sign in signs]
        return float(max(np.linalg.norm(vector) for vector in pulled))

    def unrolled(self, first: Array, gamma: float) -> Array:
        """Σ_t γ^t first P_π^t, step after step: the powers double until nothing is left."""
        power = gamma * self.chain(self.theta).matrix()
        total, mass = jnp.eye(len(power)), float(first.sum())
        while float((first @ jnp.abs(power)).sum()) > 1e-18 * mass:
            total = total + power @ total
            power = power @ power
        return first @ total
