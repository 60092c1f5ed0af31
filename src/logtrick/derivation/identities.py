"""The identities I1, I2 and I5, which hold whatever the policy."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick.derivation.calculus import Calculus
from logtrick.derivation.results import Identity, relative, share


def conservation(of: Calculus, visits: Callable[[Array], Array]) -> Identity:
    """I1, for visits divided by their sum."""

    def distribution(theta: Array) -> Array:
        found = visits(theta)
        return found / found.sum()

    moved = np.asarray(jax.jit(jax.jacrev(distribution))(of.theta))
    size = float(np.linalg.norm(moved, axis=1).sum())
    residual = float(np.linalg.norm(moved.sum(axis=0))) / size if size > 0 else 0.0
    return Identity("I1", "Σ ∇d = 0", residual, "what one state gains in visits the others lose")


def visits_inside_q(of: Calculus, visits: Array) -> Identity:
    """I2: where the change in visits went."""
    rewards = of.at(lambda theta: of.chain(theta).rewards)
    immediate = jnp.asarray(of.mdp.dense_rewards())
    moved = of.pull(of.visits, rewards)
    inside = of.all_action(visits, of.at(of.action_values) - immediate)
    whole = of.gradient(lambda theta: of.start @ of.values(theta))
    lost = relative(of.all_action(visits, immediate), whole)
    return Identity(
        "I2",
        "Σ ∇η r = γ Σ η Σ ∇π P V",
        relative(moved, inside),
        f"the change in visits is inside Q; with ψ = r alone {share(lost)} of ∇J is lost",
    )


def levelling(of: Calculus) -> Identity:
    """I5, along γ → 1."""
    gain = float(of.at(of.gain))
    gaps = {}
    for gamma in sorted({of.gamma, 0.9, 0.99, 0.999, 0.999999} - {1.0}):

        def values(theta: Array, gamma: float = gamma) -> Array:
            return (1 - gamma) * of.chain(theta).values(gamma)

        gaps[gamma] = float(jnp.abs(of.at(values) - gain).max())
    *shown, (_, last) = gaps.items()
    words = ", ".join(f"{gap:.2g} at {gamma:g}" for gamma, gap in shown)
    return Identity("I5", "(1 − γ) V_γ → r̄ in every state", last, f"apart by {words}")
