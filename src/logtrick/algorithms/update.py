"""From a batch to the next parameters: the update that every algorithm here shares.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from logtrick import objectives
from logtrick.algorithms import grouped
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import PPO
from logtrick.algorithms.estimation import Batch, forward, standardise
from logtrick.algorithms.group_configs import GroupAlgorithm
from logtrick.normalisation import trainable


def optimizer(algorithm: Algorithm) -> optax.GradientTransformation:
    """Clip by norm, precondition; the learning rate is applied where the schedule is known.

    The parameters are one flat vector to the optimiser: one small program instead of a dozen.
    """
    eps = algorithm.optimizer_eps
    precondition = {
        "adam": optax.scale_by_adam(eps=eps),
        "rmsprop": optax.scale_by_rms(decay=0.99, eps=eps, eps_in_sqrt=False),
        "sgd": optax.identity(),
    }[algorithm.optimizer]
    if algorithm.max_grad_norm is None:
        return optax.flatten(precondition)
    return optax.flatten(
        optax.chain(optax.clip_by_global_norm(algorithm.max_grad_norm), precondition)
    )


def loss(algorithm: Algorithm, model: Any, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """Policy + value_coef · value − entropy_coef · entropy, each a mean over the transitions.

    Group rules have weights of their own in the place of the mean: `grouped.loss`.
    """
    if isinstance(algorithm, GroupAlgorithm):
        return grouped.loss(algorithm, model, batch)
    distribution, values = forward(model, batch)
    log_prob = distribution.log_prob(batch.action)
    estimates = batch.psi
    if algorithm.normalise == "minibatch":
        estimates = standardise(estimates, batch.valid > 0)
    count = jnp.maximum(jnp.sum(batch.valid), 1.0)

    def mean(x: Array, weight: Array) -> Array:
        return jnp.sum(jnp.where(batch.valid > 0, weight * x, 0.0)) / count

    parts = {"entropy": mean(distribution.entropy(), batch.valid)}
    log_ratio = log_prob - batch.log_prob
    if isinstance(algorithm, PPO):
        policy = objectives.ppo_clip(log_prob, batch.log_prob, estimates, algorithm.clip_eps)
        outside = jnp.abs(jnp.expm1(log_ratio)) > algorithm.clip_eps
        parts["approx_kl"] = mean(jnp.expm1(log_ratio) - log_ratio, batch.valid)
        parts["clip_fraction"] = mean(outside.astype(log_prob.dtype), batch.valid)
    else:
        policy = objectives.score_function(log_prob, estimates)
    parts["policy_loss"] = mean(policy, batch.weight)
    total = parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"]
    if algorithm.has_critic:
        parts["value_loss"] = mean(_value_loss(algorithm, values, batch), batch.valid)
        total = total + algorithm.value_coef * parts["value_loss"]
    return total, parts


def _value_loss(algorithm: Algorithm, values: Array, batch: Batch) -> Array:
    if isinstance(algorithm, PPO) and algorithm.value_clip_eps is not None:
        eps = algorithm.value_clip_eps
        return objectives.clipped_value_loss(values, batch.value, batch.target, eps)
    return objectives.value_loss(values, batch.target)


def descend(
    algorithm: Algorithm,
    model: Any,
    opt_state: Any,
    batch: Batch,
    learning_rate: Array,
    key: PRNGKeyArray,
) -> tuple[Any, Any, dict[str, Array]]:
    """Take epochs × minibatches gradient steps: (model, optimiser state, mean of each metric)."""
    opt = optimizer(algorithm)
    params, static = trainable(model)

    def step(carry: Any, minibatch: Batch) -> tuple[Any, dict[str, Array]]:
        params, opt_state = carry
        value_and_grad = jax.value_and_grad(
            lambda p: loss(algorithm, eqx.combine(p, static), minibatch), has_aux=True
        )
        (total, parts), grads = value_and_grad(params)
        parts |= {"loss": total, "grad_norm": optax.tree.norm(grads)}
        updates, opt_state = opt.update(grads, opt_state, params)
        params = jax.tree.map(lambda p, u: p - learning_rate * u, params, updates)
        return (params, opt_state), parts

    size = len(batch.psi)
    if algorithm.epochs == algorithm.minibatches == 1:
        (params, opt_state), parts = step((params, opt_state), batch)
    else:
        rows = shuffles(key, size, algorithm.epochs).reshape(-1, size // algorithm.minibatches)
        (params, opt_state), parts = jax.lax.scan(
            lambda carry, row: step(carry, jax.tree.map(lambda x: x[row], batch)),
            (params, opt_state),
            rows,
        )
        parts = jax.tree.map(jnp.mean, parts)
    return eqx.combine(params, static), opt_state, parts


def shuffles(key: PRNGKeyArray, size: int, count: int) -> Array:
    """`count` random orders of 0 … size−1, int32[count, size].

    The index is packed into the low bits of a random word and the words are sorted: no payload
    moves, several times faster on a CPU than sorting pairs. Two words whose random bits agree keep
    their order, which matters nothing while there are far more random values than rows; beyond
    2^16 rows the pairs are sorted after all.
    """
    words = jax.random.bits(key, (count, size), jnp.uint32)
    index_bits = (size - 1).bit_length()
    if index_bits > 16:
        return jnp.argsort(words, axis=1).astype(jnp.int32)
    low = jnp.uint32((1 << index_bits) - 1)
    packed = (words & ~low) | jnp.arange(size, dtype=jnp.uint32)[None]
    return (jax.lax.sort(packed, dimension=1, is_stable=False) & low).astype(jnp.int32)
