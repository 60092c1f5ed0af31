"""NPG's and TRPO's policy step: along the natural gradient, as far as a divergence allows."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from logtrick import psi
from logtrick.algorithms import natural_gradient as natural
from logtrick.algorithms.configs import NPG
from logtrick.algorithms.estimation import Batch, forward
from logtrick.algorithms.normalisation import trainable


def policy_step(algorithm: NPG, model: Any, batch: Batch) -> tuple[Any, dict[str, Array]]:
    """Move the policy by one natural step: (the model, metrics).

    The surrogate is the mean of w r ψ plus the entropy bonus, r = π_θ/π_old; F, the KL and the
    surrogate weight the rows alike. With TRPO, the first point of the line search that improves
    the surrogate and keeps the *exact* mean KL within `max_kl` is taken, or none.
    """
    params, static = trainable(model)
    total = jnp.maximum(jnp.sum(batch.weight), jnp.finfo(batch.weight.dtype).tiny)

    def distributions(params: Any) -> Any:
        return forward(eqx.combine(params, static), batch)[0]

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(batch.weight > 0, batch.weight * x, 0.0)) / total

    def surrogate(params: Any) -> tuple[Array, dict[str, Array]]:
        distribution = distributions(params)
        log_prob = distribution.log_prob(batch.action)
        gain = mean(psi.importance(log_prob, batch.log_prob, batch.psi))
        entropy = mean(distribution.entropy())
        parts = {"policy_loss": -gain, "entropy": entropy}
        return gain + algorithm.entropy_coef * entropy, parts

    (before, parts), gradient = jax.value_and_grad(surrogate, has_aux=True)(params)
    product = natural.fisher_vector_product(distributions, params, batch.weight)
    step = natural.natural_step(
        gradient,
        product,
        max_kl=algorithm.max_kl,
        damping=algorithm.cg_damping,
        iterations=algorithm.cg_iterations,
    )
    old = distributions(params)

    def moved(scale: Array | float) -> Any:
        length = scale * step.size
        return jax.tree.map(lambda p, x: p + length.astype(p.dtype) * x, params, step.direction)

    def divergence(params: Any) -> Array:
        return natural.mean_kl(old, distributions(params), batch.weight)

    def acceptable(scale: Array) -> Array:
        candidate = moved(scale)
        better = surrogate(candidate)[0] > before
        return better & (divergence(candidate) <= algorithm.max_kl)

    scale: Array | float = 1.0
    if algorithm.line_search is not None:
        shrink, tries = algorithm.line_search
        scale = natural.line_search(acceptable, shrink=shrink, steps=tries).scale
        parts["step_scale"] = scale
    params = moved(scale)
    parts |= {"kl": divergence(params), "grad_norm": optax.tree.norm(gradient)}
    return eqx.combine(params, static), parts
