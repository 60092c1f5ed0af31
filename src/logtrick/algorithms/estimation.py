"""From trajectories to what a gradient step needs of them: ψ, weights and value targets.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from logtrick import psi
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import IMPALA
from logtrick.policies.actor_critic import unroll
from logtrick.psi.returns import step_in_episode
from logtrick.rollouts import Trajectory

STD_EPS = 1e-8


class Batch(NamedTuple):
    """What a gradient step needs of each transition: of B of them, in any order.

    With memory, of B sequences [B, T], whose order in time is kept; under a group rule, of B groups
    [B, G, T].
    """

    obs: Any
    action: Any
    log_prob: Float[Array, "B *axes"]
    psi: Float[Array, "B *axes"]
    weight: Float[Array, "B *axes"]
    """γ^k or 1, or w_i of a sequence in its group; 0 where the row is no transition."""
    value: Float[Array, "B *axes"]
    target: Float[Array, "B *axes"]
    valid: Float[Array, "B *axes"]
    """1 where the row is a transition."""
    begins: Bool[Array, "B *axes"] | None = None
    """Where an episode begins, and with it a fresh memory; None without memory."""
    carry: Any = None
    """[B, …] the memory before each sequence; None without memory."""
    old: Any = None
    """π_old(·|s), where a loss measures the divergence from it."""
    reference_log_prob: Float[Array, "B *axes"] | None = None
    """log π of the same actions under the policy before training; None where no KL asks for it."""


def forward(model: Any, batch: Batch) -> tuple[Any, Array]:
    """(π(·|s), V(s)) for every row of the batch."""
    if batch.begins is None:
        distributions, values, _ = jax.vmap(model)(batch.obs)
    else:
        distributions, values, _ = jax.vmap(functools.partial(unroll, model))(
            batch.obs, batch.begins, batch.carry
        )
    return distributions, values


def estimate(
    algorithm: Algorithm, model: Any, trajectory: Trajectory, carry: Any = None
) -> tuple[Batch, Array]:
    """ψ, weights and value targets of trajectories [N, T]: (the Batch, explained variance).

    The value target is ψ + V: the λ-return for GAE, the n-step return, the reward-to-go.

    Args:
        algorithm: the configuration.
        model: policy and value function.
        trajectory: [N, T] transitions.
        carry: [N, …] the model's memory before the first of them; None where it has none.
    """
    t = without_padding(trajectory)
    values, next_values, ratios = _values(algorithm, model, t, carry)
    weight = t.valid.astype(t.reward.dtype)
    if algorithm.weighting == "discounted":
        weight = weight * jnp.asarray(algorithm.gamma) ** t.step
    estimates, targets = _psi(algorithm, t, values, next_values, ratios)
    if algorithm.psi == "total_return" and algorithm.weighting == "discounted":
        # This ψ comes with its γ^t already in it, t from the first row of the episode in the batch.
        before = t.step - step_in_episode(t.terminated | t.truncated)
        weight = t.valid * jnp.asarray(algorithm.gamma, t.reward.dtype) ** before
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
    if carry is not None:
        return batch._replace(begins=t.step == 0, carry=carry), explained
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch), explained


def _values(
    algorithm: Algorithm, model: Any, t: Trajectory, carry: Any
) -> tuple[Array, Array, Array | None]:
    """V(s_t), V(s'_t) with the memory that the step t left, and for V-trace π/μ of the actions."""
    if not algorithm.has_critic:
        return jnp.zeros_like(t.reward), jnp.zeros_like(t.reward), None
    state_value = jax.vmap(jax.vmap(model.state_value))
    if carry is not None:
        along = jax.vmap(functools.partial(unroll, model))
        distributions, values, carries = along(t.obs, t.step == 0, carry)
        next_values = state_value(t.next_obs, carries)
    else:
        values, next_values = state_value(t.obs), state_value(t.next_obs)
        distributions = None
    if not isinstance(algorithm, IMPALA):
        return values, next_values, None
    if distributions is None:
        distributions = jax.vmap(jax.vmap(lambda obs: model(obs)[0]))(t.obs)
    return values, next_values, jnp.exp(distributions.log_prob(t.action) - t.log_prob)


def without_padding(trajectory: Trajectory) -> Trajectory:
    """Zeros where a row is no transition: masked later, but 0 · NaN would be a NaN gradient."""
    valid = trajectory.valid

    def keep(x: Array) -> Array:
        mask = valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim))
        return jnp.where(mask, x, jnp.zeros((), x.dtype))

    kept = jax.tree.map(keep, trajectory)
    return kept._replace(valid=valid)


def _psi(
    algorithm: Algorithm, t: Trajectory, values: Array, next_values: Array, ratios: Array | None
) -> tuple[Float[Array, "N T"], Float[Array, "N T"]]:
    """ψ_t, and the target of V(s_t): ψ_t + V(s_t) but for V-trace, which has its own."""
    if isinstance(algorithm, IMPALA):
        data = (t.reward, values, next_values, ratios, t.terminated, t.truncated)
        settings = {
            "gamma": algorithm.gamma,
            "lambda_": algorithm.lambda_,
            "rho_bar": algorithm.rho_bar,
            "c_bar": algorithm.c_bar,
        }
        return psi.vtrace(*data, **settings), psi.vtrace_targets(*data, **settings)
    estimates = _on_policy_psi(algorithm, t, values, next_values)
    return estimates, estimates + values


def _on_policy_psi(
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
            return psi.baselined_return(
                t.reward, values, *ends, next_values=next_values, gamma=gamma
            )
        case "td_residual":
            return psi.td_residual(t.reward, values, next_values, *ends, gamma=gamma)
        case "n_step":
            return psi.n_step(t.reward, values, next_values, *ends, gamma=gamma, n=algorithm.n)
        case "gae" | "vtrace":  # which is IMPALA's alone, and was taken above
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
