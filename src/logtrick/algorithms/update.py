"""From a batch to the next parameters: the update that every algorithm here shares.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from logtrick import psi
from logtrick.algorithms import grouped
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import PPO
from logtrick.algorithms.estimation import Batch, forward, whitened
from logtrick.algorithms.group_base import GroupAlgorithm
from logtrick.algorithms.normalisation import trainable
from logtrick.psi import objectives

Objective = Callable[[Algorithm, Any, Batch], tuple[Array, dict[str, Array]]]
"""(settings, model, batch) -> (what is to fall, metrics)."""


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
        estimates = whitened(estimates, batch.valid > 0)
    parts = {"entropy": _mean(distribution.entropy(), batch.valid, batch)}
    if isinstance(algorithm, PPO):
        policy = _ppo_loss(algorithm, distribution, log_prob, estimates, batch, parts)
    else:
        policy = objectives.score_function(log_prob, estimates)
    parts["policy_loss"] = _mean(policy, batch.weight, batch)
    total = parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"]
    if algorithm.has_critic:
        parts["value_loss"] = _mean(_value_loss(algorithm, values, batch), batch.valid, batch)
        total = total + algorithm.value_coef * parts["value_loss"]
    return total, parts


def critic_loss(algorithm: Algorithm, model: Any, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """The value loss alone, a mean over the transitions."""
    total = _mean(_value_loss(algorithm, forward(model, batch)[1], batch), batch.valid, batch)
    return total, {"value_loss": total}


def _mean(x: Array, weight: Array, batch: Batch) -> Array:
    """Σ weight · x over the rows that are transitions, divided by their number."""
    count = jnp.maximum(jnp.sum(batch.valid), 1.0)
    return jnp.sum(jnp.where(batch.valid > 0, weight * x, 0.0)) / count


def _ppo_loss(
    algorithm: PPO,
    distribution: Any,
    log_prob: Array,
    estimates: Array,
    batch: Batch,
    parts: dict[str, Array],
) -> Array:
    parts["approx_kl"] = _mean(psi.k3(batch.log_prob, log_prob), batch.valid, batch)
    if algorithm.surrogate == "kl_penalty":
        divergence = batch.old.kl(distribution)
        parts["kl"] = _mean(divergence, batch.valid, batch)
        return objectives.kl_penalty(
            log_prob, batch.log_prob, estimates, divergence, algorithm.kl_coef
        )
    eps = algorithm.clip_eps
    outside = psi.clipped(log_prob, batch.log_prob, epsilon_low=eps, epsilon_high=eps)
    parts["clip_fraction"] = _mean(outside, batch.valid, batch)
    return objectives.ppo_clip(log_prob, batch.log_prob, estimates, algorithm.clip_eps)


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
    objective: Objective = loss,
) -> tuple[Any, Any, dict[str, Array]]:
    """Take epochs × minibatches gradient steps: (model, optimiser state, mean of each metric)."""
    opt = optimizer(algorithm)
    params, static = trainable(model)

    def step(carry: Any, minibatch: Batch) -> tuple[Any, dict[str, Array]]:
        params, opt_state = carry
        value_and_grad = jax.value_and_grad(
            lambda p: objective(algorithm, eqx.combine(p, static), minibatch), has_aux=True
        )
        (total, parts), grads = value_and_grad(params)
        parts |= {"loss": total, "grad_norm": optax.tree.norm(grads)}
        updates, opt_state = opt.update(grads, opt_state, params)
        params = jax.tree.map(lambda p, u: p - learning_rate * u, params, updates)
        return (params, opt_state), parts

    size = len(batch.psi)
    start = params, opt_state
    if algorithm.epochs == algorithm.minibatches == 1:
        (params, opt_state), parts = step(start, batch)
    else:
        rows = shuffles(key, size, algorithm.epochs).reshape(-1, size // algorithm.minibatches)
        limit = _kl_limit(algorithm)
        if limit is None:
            (params, opt_state), parts = jax.lax.scan(
                lambda carry, row: step(carry, jax.tree.map(lambda x: x[row], batch)), start, rows
            )
            parts = jax.tree.map(jnp.mean, parts)
        else:
            (params, opt_state), parts = _until(limit, step, start, batch, rows)
    return eqx.combine(params, static), opt_state, parts


def _kl_limit(algorithm: Algorithm) -> Any:
    """The approximate KL above which the rest of an update is left out; None: none is."""
    if isinstance(algorithm, PPO) and algorithm.surrogate == "clip":
        return None if algorithm.target_kl is None else 1.5 * algorithm.target_kl
    return None


def _until(
    limit: Array | float, step: Any, start: Any, batch: Batch, rows: Array
) -> tuple[Any, Any]:
    """Steps until a minibatch's KL exceeds the limit: (what they led to, means over those taken).

    The minibatch that exceeds it is left out, too, as is its share in the means.
    """
    shapes = jax.eval_shape(step, start, jax.tree.map(lambda x: x[rows[0]], batch))[1]

    def attempt(state: Any, row: Array) -> tuple[Any, tuple[dict[str, Array], Array]]:
        carry, going = state
        following, parts = step(carry, jax.tree.map(lambda x: x[row], batch))
        going = parts["approx_kl"] <= limit
        kept = jax.tree.map(lambda new, old: jnp.where(going, new, old), following, carry)
        return (kept, going), (parts, going)

    def skip(state: Any, row: Array) -> tuple[Any, tuple[dict[str, Array], Array]]:
        return state, (jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes), state[1])

    (carry, _), (parts, taken) = jax.lax.scan(
        lambda state, row: jax.lax.cond(state[1], attempt, skip, state, row),
        (start, jnp.ones((), bool)),
        rows,
    )
    count = jnp.sum(taken)
    means = jax.tree.map(lambda x: jnp.sum(jnp.where(taken, x, 0)) / count, parts)
    return carry, means | {"gradient_steps": count}


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
