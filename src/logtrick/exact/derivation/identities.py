"""The identities I1–I5, which hold whatever the policy, wherever their terms exist."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick import exact
from logtrick.exact.derivation.calculus import Calculus
from logtrick.exact.derivation.results import NOTHING, Identity, relative, share

_EQUATIONS = {
    "I1": "Σ ∇d = 0",
    "I2": "Σ ∇η r = γ Σ η Σ ∇π P V",
    "I3": "(1 − γ) Σ d ∇V = Σ d Σ Q ∇π",
    "I4": "∇r̄ = Σ d Σ Q ∇π + (1 − γ) Σ ∇d V",
    "I5": "(1 − γ) V_γ → r̄ in every state",
}


def all_five(of: Calculus, weights: Callable[[Array], Array]) -> tuple[Identity, ...]:
    """Every identity; one whose terms do not exist here has no residual, and its note says why.

    Args:
        of: the functions of θ.
        weights: the visits whose conservation I1 states: η_γ or d_π.
    """
    found = {"I1": _conservation(of, weights)}
    found["I2"] = (np.nan, of.no_visits) if of.no_visits else _visits_inside_q(of)
    missing = of.no_stationary or ("at γ = 1 there is no V_γ" if of.gamma == 1 else "")
    found["I3"] = (np.nan, missing) if missing else _rescaling(of)
    found["I4"] = (np.nan, missing) if missing else _dropped_term(of)
    found["I5"] = (np.nan, of.no_stationary) if of.no_stationary else _levelling(of)
    return tuple(Identity(name, _EQUATIONS[name], *found[name]) for name in _EQUATIONS)


def _conservation(of: Calculus, weights: Callable[[Array], Array]) -> tuple[float, str]:
    """I1, for visits divided by their sum."""

    def distribution(theta: Array) -> Array:
        found = weights(theta)
        return found / found.sum()

    moved = np.asarray(jax.jit(jax.jacrev(distribution))(of.theta))
    size = float(np.linalg.norm(moved, axis=1).sum())
    terms = of.size(distribution(of.theta), jnp.ones(of.table.shape))
    residual = float(np.linalg.norm(moved.sum(axis=0))) / size if size > NOTHING * terms else 0.0
    return residual, "what one state gains in visits the others lose"


def _visits_inside_q(of: Calculus) -> tuple[float, str]:
    """I2: where the change in visits went."""
    visits = of.at(of.visits)
    rewards = of.at(lambda theta: of.chain(theta).rewards)
    immediate = jnp.asarray(of.mdp.dense_rewards())
    moved = of.pull(of.visits, rewards)
    inside = of.all_action(visits, of.at(of.action_values) - immediate)
    size = of.size(visits, of.at(of.action_values))
    lost = relative(of.all_action(visits, immediate), of.gradient(of.objective), size)
    words = f"the change in visits is inside Q; with ψ = r alone {share(lost)} of ∇J is lost"
    return relative(moved, inside, size), words


def _rescaling(of: Calculus) -> tuple[float, str]:
    """I3: what freezing Q does under d_π."""
    weights, q = of.at(of.stationary), of.at(of.action_values)
    frozen = of.all_action(weights, q)
    pulled = of.pull(of.values, weights)
    residual = relative((1 - of.gamma) * pulled, frozen, of.size(weights, q))
    return residual, "freezing Q rescales and does not turn"


def _dropped_term(of: Calculus) -> tuple[float, str]:
    """I4: ∇r̄ is what D4 keeps and what D2 drops."""
    weights, q = of.at(of.stationary), of.at(of.action_values)
    kept, size = of.all_action(weights, q), of.size(weights, q)
    dropped = (1 - of.gamma) * of.pull(of.stationary, of.at(of.values))
    truth = of.gradient(of.gain)
    words = f"the second term is what D2 and D4 drop: {share(relative(kept, truth, size))} of ∇r̄"
    return relative(kept + dropped, truth, size), words


def _levelling(of: Calculus) -> tuple[float, str]:
    """I5, along γ → 1."""
    gain = float(of.at(of.gain))
    gaps = {}
    for gamma in sorted({of.gamma, 0.9, 0.99, 0.999, 0.999999} - {1.0}):
        values = exact.state_values(of.mdp.replace(gamma=gamma), of.policy, tol=1e-6)
        gaps[gamma] = float(np.abs((1 - gamma) * values - gain).max())
    *shown, (_, last) = gaps.items()
    words = ", ".join(f"{gap:.2g} at {gamma:g}" for gamma, gap in shown)
    return last, f"apart by {words}"
