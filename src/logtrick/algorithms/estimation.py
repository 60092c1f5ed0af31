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
from logtrick.policies.actor_critic import unroll
from logtrick.psi.deviations import deviations
from logtrick.psi.returns import discounts, step_in_episode
from logtrick.rollouts.device import Trajectory
from logtrick.support.row_masks import over_axes


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
    weight, dtype = t.valid.astype(t.reward.dtype), t.reward.dtype
    estimates, targets = _psi(algorithm, t, values, next_values, ratios)
    if algorithm.weighting == "discounted":
        steps = t.step
        if algorithm.rule.weighted is not None:
            # ψ has its γ^t already in it, t from the first row of the episode in the batch.
            steps = t.step - step_in_episode(t.terminated | t.truncated)
        weight = weight * discounts(algorithm.gamma, steps, dtype)
    if algorithm.normalise == "batch":
        estimates = whitened(estimates, t.valid)
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
    explained = _explained(targets, values, t.valid)
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
    if not algorithm.rule.needs_ratios:
        return values, next_values, None
    if distributions is None:
        distributions = jax.vmap(jax.vmap(lambda obs: model(obs)[0]))(t.obs)
    return values, next_values, psi.ratio(distributions.log_prob(t.action), t.log_prob)


def without_padding(trajectory: Trajectory) -> Trajectory:
    """Zeros where a row is no transition: masked later, but 0 · NaN would be a NaN gradient."""
    valid = trajectory.valid

    def keep(x: Array) -> Array:
        return jnp.where(over_axes(valid, x), x, jnp.zeros((), x.dtype))

    kept = jax.tree.map(keep, trajectory)
    return kept._replace(valid=valid)


def _psi(
    algorithm: Algorithm, t: Trajectory, values: Array, next_values: Array, ratios: Array | None
) -> tuple[Float[Array, "N T"], Float[Array, "N T"]]:
    """ψ_t, or γ^t ψ_t where that is another function, and the target of V(s_t)."""
    row = algorithm.rule
    data = {
        "rewards": t.reward,
        "values": values,
        "next_values": next_values,
        "ratios": ratios,
        "terminated": t.terminated,
        "truncated": t.truncated,
        **{name: getattr(algorithm, name) for name in row.settings},
    }
    estimates = row.evaluate(
        data, function=row.weighted if algorithm.weighting == "discounted" else None
    )
    if row.target is None:
        return estimates, estimates + values
    return estimates, row.evaluate(data, function=row.target)


def _explained(targets: Array, values: Array, valid: Bool[Array, "..."]) -> Array:
    """1 − Var(target − V)/Var(target) over the valid rows; NaN where the targets do not differ."""
    errors, own = (deviations(x.ravel(), valid.ravel()) for x in (targets - values, targets))
    share = errors.variance() / own.variance() * jnp.square(errors.scale / own.scale)
    return jnp.where(own.variance() > 0, 1 - share, jnp.nan)[0]


def whitened(estimates: Array, valid: Bool[Array, "..."]) -> Array:
    """`psi.whiten` over all rows together."""
    return psi.whiten(estimates.ravel(), valid.ravel()).reshape(estimates.shape)
