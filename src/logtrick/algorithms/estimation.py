"""From trajectories to what a gradient step needs of them: ψ, weights and value targets.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from logtrick import psi
from logtrick.algorithms.base import Algorithm
from logtrick.rollouts import Trajectory

STD_EPS = 1e-8


class Batch(NamedTuple):
    """What a gradient step needs of each transition; B of them, or [groups, G, T]."""

    obs: Array
    action: Array
    log_prob: Float[Array, " B"]
    psi: Float[Array, " B"]
    weight: Float[Array, " B"]
    """γ^k or 1, or of a sequence in its group, and 0 where the row is no transition."""
    value: Float[Array, " B"]
    target: Float[Array, " B"]
    valid: Float[Array, " B"]
    """1 where the row is a transition."""
    reference_log_prob: Float[Array, " B"] | None = None
    """The same under the policy before training, where a KL to it is asked for."""


def estimate(algorithm: Algorithm, model: Any, trajectory: Trajectory) -> tuple[Batch, Array]:
    """ψ, weights and value targets of trajectories [N, T]: (the Batch [N·T], explained variance).

    The value target is ψ + V: the λ-return for GAE, the n-step return, the reward-to-go.
    """
    t = without_padding(trajectory)
    if algorithm.has_critic:
        state_value = jax.vmap(jax.vmap(model.state_value))
        values, next_values = state_value(t.obs), state_value(t.next_obs)
    else:
        values = next_values = jnp.zeros_like(t.reward)
    weight = t.valid.astype(t.reward.dtype)
    if algorithm.weighting == "discounted":
        weight = weight * jnp.asarray(algorithm.gamma) ** t.step
    estimates = _psi(algorithm, t, values, next_values)
    targets = estimates + values
    if algorithm.psi == "total_return" and algorithm.weighting == "discounted":
        weight = t.valid.astype(t.reward.dtype)  # this ψ comes with its γ^t already in it
    if algorithm.normalise == "batch":
        estimates = standardise(estimates, t.valid)
    batch = Batch(
        t.obs,
        t.action,
        t.log_prob,
        estimates,
        weight,
        values,
        targets,
        t.valid.astype(weight.dtype),
    )
    explained = 1 - _variance(targets - values, t.valid) / _variance(targets, t.valid)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch), explained


def without_padding(trajectory: Trajectory) -> Trajectory:
    """Zeros where a row is no transition: masked later, but 0 · NaN would be a NaN gradient."""
    valid = trajectory.valid

    def keep(x: Array) -> Array:
        mask = valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim))
        return jnp.where(mask, x, jnp.zeros((), x.dtype))

    kept = jax.tree.map(keep, trajectory)
    return kept._replace(valid=valid)


def _psi(
    algorithm: Algorithm, t: Trajectory, values: Array, next_values: Array
) -> Float[Array, "N T"]:
    ends, gamma = (t.terminated, t.truncated), algorithm.gamma
    match algorithm.psi:
        case "total_return" if algorithm.weighting == "discounted":
            return psi.episode_return(t.reward, *ends, gamma=gamma)
        case "total_return":
            return psi.total_return(t.reward, *ends, gamma=gamma)
        case "reward_to_go":
            return psi.reward_to_go(t.reward, *ends, gamma=gamma)
        case "baselined_return":
            return psi.baselined_return(t.reward, values, *ends, next_values, gamma=gamma)
        case "td_residual":
            return psi.td_residual(t.reward, values, next_values, *ends, gamma=gamma)
        case "n_step":
            return psi.n_step(t.reward, values, next_values, *ends, gamma=gamma, n=algorithm.n)
        case "gae":
            lambda_ = algorithm.lambda_
            return psi.gae(t.reward, values, next_values, *ends, gamma=gamma, lambda_=lambda_)


def _moments(x: Array, valid: Bool[Array, "..."]) -> tuple[Array, Array]:
    count = jnp.maximum(jnp.sum(valid), 1)
    mean = jnp.sum(jnp.where(valid, x, 0)) / count
    return mean, jnp.sum(jnp.where(valid, jnp.square(x - mean), 0)) / count


def _variance(x: Array, valid: Bool[Array, "..."]) -> Array:
    return _moments(x, valid)[1]


def standardise(x: Array, valid: Bool[Array, "..."]) -> Array:
    """Shift and scale to mean 0 and standard deviation 1 over the rows that are valid."""
    mean, variance = _moments(x, valid)
    return (x - mean) / (jnp.sqrt(variance) + STD_EPS)
