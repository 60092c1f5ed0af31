"""From a batch and an objective to the next parameters: the optimiser and its gradient steps.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.estimation import Batch
from logtrick.algorithms.normalisation import trainable

Objective = Callable[[Any, Any, Batch], tuple[Array, dict[str, Array]]]
"""(configuration, model, batch) -> (what is to fall, metrics)."""


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


def descend(
    algorithm: Algorithm,
    model: Any,
    opt_state: Any,
    batch: Batch,
    key: PRNGKeyArray,
    objective: Objective,
    kl_limit: Array | float | None = None,
) -> tuple[Any, Any, dict[str, Array]]:
    """Take epochs × minibatches gradient steps.

    Args:
        algorithm: the configuration.
        model: what is trained.
        opt_state: of `optimizer`.
        batch: its rows are shuffled and cut into minibatches.
        key: of the shuffles.
        objective: what falls.
        kl_limit: the approximate KL of a minibatch above which it, and all that would follow, is
            left out; None: nothing is.

    Returns:
        (model, optimiser state, mean of each metric).
    """
    opt, learning_rate = optimizer(algorithm), jnp.asarray(algorithm.learning_rate)
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
        if kl_limit is None:
            (params, opt_state), parts = jax.lax.scan(
                lambda carry, row: step(carry, jax.tree.map(lambda x: x[row], batch)), start, rows
            )
            parts = jax.tree.map(jnp.mean, parts)
        else:
            (params, opt_state), parts = _until(kl_limit, step, start, batch, rows)
    return eqx.combine(params, static), opt_state, parts


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
