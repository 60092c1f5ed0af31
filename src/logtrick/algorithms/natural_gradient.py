"""The natural gradient from samples: Fisher products, conjugate gradient, the trust-region step.

The Fisher matrix of a batch is the Hessian of its mean KL(π_old ‖ π_θ) at θ = θ_old (G5); no
matrix of the parameters' size is ever made. `logtrick.exact` has the same for a finite MDP.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PyTree

from logtrick.policies.distributions import Distribution

Distributions = Callable[[PyTree], Distribution]
"""Parameters -> π(·|s) of every row of a batch."""


def mean_kl(
    old: Distribution, new: Distribution, weights: Float[Array, "*batch"]
) -> Float[Array, ""]:
    """Σ w KL(π_old ‖ π)/Σ w over the rows of a batch; rows of weight 0 may hold anything.

    Example:
        >>> from logtrick.distributions import Normal
        >>> old, new = (Normal(jnp.full((2, 1), m), jnp.zeros((2, 1))) for m in (0.0, 2.0))
        >>> float(mean_kl(old, new, jnp.array([1.0, 0.0])))     # ½ 2²
        2.0
    """
    counted = jnp.where(weights > 0, weights * old.kl(new), 0.0)
    return jnp.sum(counted) / jnp.sum(weights)


def fisher_vector_product(
    distributions: Distributions, params: PyTree, weights: Float[Array, "*batch"]
) -> Callable[[PyTree], PyTree]:
    """The linear map u ↦ F u, F the Hessian of `mean_kl` from the policy at `params` (G5).

    It equals Σ w E_a[∇log π ∇log πᵀ]/Σ w. The policy is linearised once, however often the map
    is used.

    Args:
        distributions: parameters -> π(·|s) of every row.
        params: θ, where F is taken.
        weights: of the rows: η_γ, visit counts, or 1 where a row is a transition.

    Example:
        >>> from logtrick.distributions import Categorical
        >>> F = fisher_vector_product(lambda x: Categorical(x[None]), jnp.zeros(2), jnp.ones(1))
        >>> F(jnp.array([1.0, 0.0])).tolist()     # diag(π) − π πᵀ
        [0.25, -0.25]

    Source: Kakade (2001), "A natural policy gradient"; Schulman et al. (2015), appendix C.
    """
    old = jax.lax.stop_gradient(distributions(params))

    def divergence(params: PyTree) -> Array:
        return mean_kl(old, distributions(params), weights)

    product: Callable[[PyTree], PyTree] = jax.linearize(jax.grad(divergence), params)[1]
    return product


class NaturalStep(NamedTuple):
    """Where the natural gradient points, and how far the quadratic model lets it go."""

    direction: PyTree
    """x with (F + damping) x = g, by conjugate gradients."""
    size: Float[Array, ""]
    """√(2 δ/xᵀ(F + damping)x), so that size · x has a KL of about δ; 0 where g is 0."""


def natural_step(
    gradient: PyTree,
    product: Callable[[PyTree], PyTree],
    *,
    max_kl: Float[Array, ""] | float,
    damping: Float[Array, ""] | float,
    iterations: int,
) -> NaturalStep:
    """The natural direction F⁻¹g, and the length that spends a divergence of `max_kl`.

    Args:
        gradient: g, of what is to rise.
        product: u ↦ F u.
        max_kl: δ > 0.
        damping: added to F's diagonal, since F is singular in general.
        iterations: of the conjugate gradients.

    Example:
        >>> g, F = jnp.array([4.0]), lambda u: 2 * u
        >>> step = natural_step(g, F, max_kl=0.01, damping=0.0, iterations=5)
        >>> float(step.direction[0]), round(float(step.size * step.direction[0]), 3)   # √(.02/2)
        (2.0, 0.1)

    Source: Schulman et al. (2015), "Trust region policy optimization", appendix C.
    """

    def damped(u: PyTree) -> PyTree:
        return jax.tree.map(lambda fu, x: fu + damping * x, product(u), u)

    # Beyond this residual, rounding grows along the directions in which F is 0.
    tol = max(float(jnp.finfo(leaf.dtype).eps) for leaf in jax.tree.leaves(gradient)) ** 0.5
    direction, _ = jax.scipy.sparse.linalg.cg(damped, gradient, tol=tol, maxiter=iterations)
    curvature = optax.tree.vdot(direction, damped(direction))
    some = curvature > 0
    size = jnp.where(some, jnp.sqrt(2 * max_kl / jnp.where(some, curvature, 1.0)), 0.0)
    return NaturalStep(direction, size)


class Searched(NamedTuple):
    """What a line search settled on."""

    scale: Float[Array, ""]
    """Share of the full step, 0 where no tried one was accepted."""
    accepted: Bool[Array, ""]


def line_search(
    acceptable: Callable[[Float[Array, ""]], Bool[Array, ""]],
    *,
    shrink: Float[Array, ""] | float,
    steps: int,
) -> Searched:
    """The first of 1, shrink, shrink², … that is acceptable; 0 if none of `steps` of them is.

    Example:
        >>> line_search(lambda scale: scale < 0.3, shrink=0.5, steps=5).scale.item()
        0.25
    """

    def searching(state: Any) -> Array:
        _, tried, accepted = state
        return ~accepted & (tried < steps)

    def attempt(state: Any) -> Any:
        scale, tried, _ = state
        accepted = acceptable(scale)
        return jnp.where(accepted, scale, scale * shrink), tried + 1, accepted

    start = jnp.ones(()), jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    scale, _, accepted = jax.lax.while_loop(searching, attempt, start)
    return Searched(jnp.where(accepted, scale, 0.0), accepted)
