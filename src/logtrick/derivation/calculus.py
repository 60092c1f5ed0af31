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
from logtrick.mdp import FiniteMDP


class Calculus:
    """Functions of the flat parameters, and their derivatives at the policy.

    Args:
        mdp: the MDP, dense.
        policy: a pytree.
        no_visits: why there is no η_γ, if there is none.
        no_stationary: why there is no d_π, if there is none.
    """

    def __init__(self, mdp: FiniteMDP, policy: Any, no_visits: str, no_stationary: str) -> None:
        self.mdp, self.gamma = mdp, mdp.gamma
        self.no_visits, self.no_stationary = no_visits, no_stationary
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
        return np.asarray(jax.vjp(function, self.theta)[1](weights)[0])

    def gradient(self, function: Callable[[Array], Array]) -> np.ndarray:
        """The gradient of a scalar."""
        return np.asarray(jax.grad(function)(self.theta))

    def at(self, function: Callable[[Array], Array]) -> Array:
        """A function's value at the policy."""
        return function(self.theta)

    def values(self, theta: Array) -> Array:
        """V_γ."""
        return self.chain(theta).values(self.gamma)

    def action_values(self, theta: Array) -> Array:
        """Q_γ, 0 at missing actions."""
        chain = self.chain(theta)
        found = chain.action_values(chain.values(self.gamma), self.gamma)
        return jnp.where(self.mdp.available, found, 0.0)

    def visits(self, theta: Array) -> Array:
        """η_γ."""
        return self.chain(theta).visits(self.gamma)

    def stationary(self, theta: Array) -> Array:
        """d_π."""
        return self.chain(theta).average()[2]

    def gain(self, theta: Array) -> Array:
        """r̄."""
        return self.chain(theta).average()[0]

    def probabilities(self, theta: Array) -> Array:
        """π."""
        return self.chain(theta).table

    def logs(self, theta: Array) -> Array:
        """Log π, 0 where π is."""
        table = self.chain(theta).table
        return jnp.where(table > 0, jnp.log(jnp.where(table > 0, table, 1.0)), 0.0)

    def score(self, weights: Array, psi: Array) -> np.ndarray:
        """Σ_s w Σ_a π ψ ∇log π."""
        return self.pull(self.logs, weights[:, None] * self.table * psi)

    def all_action(self, weights: Array, psi: Array) -> np.ndarray:
        """Σ_s w Σ_a ψ ∇π."""
        return self.pull(self.probabilities, weights[:, None] * psi)

    def unrolled(self, first: Array, gamma: float) -> Array:
        """Σ_t γ^t first P_π^t, step after step: the powers double until nothing is left."""
        power = gamma * self.chain(self.theta).matrix()
        total, mass = jnp.eye(len(power)), float(first.sum())
        while float((first @ jnp.abs(power)).sum()) > 1e-18 * mass:
            total = total + power @ total
            power = power @ power
        return first @ total
