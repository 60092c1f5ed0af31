"""Group rules in the training loop: from groups of episodes to a batch, and the batch's loss.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from logtrick import psi
from logtrick.algorithms.estimation import Batch, forward, without_padding
from logtrick.algorithms.group_base import GroupAlgorithm
from logtrick.psi.group_surrogate import group_psi, group_surrogate, group_weights
from logtrick.psi.registry import penalty_named
from logtrick.rollouts.device import Trajectory


def estimate(
    algorithm: GroupAlgorithm, reference: Any, trajectory: Trajectory, carry: Any = None
) -> Batch:
    """ψ and weights of N episodes [N, T], group after group: the Batch [M, G, T].

    Args:
        algorithm: the configuration.
        reference: the model before training; None where no KL to it is asked for.
        trajectory: one episode a row.
        carry: [N, …] the model's memory before the first of them; None where it has none.
    """
    t, carry = jax.tree.map(
        lambda x: x.reshape(algorithm.num_groups, -1, *x.shape[1:]),
        (without_padding(trajectory), carry),
    )
    ends, valid = (t.terminated, t.truncated), t.valid.astype(t.reward.dtype)
    zeros = jnp.zeros_like(t.reward)
    batch = Batch(t.obs, t.action, t.log_prob, zeros, zeros, zeros, zeros, valid)
    if carry is not None:
        batch = batch._replace(begins=t.step == 0, carry=carry)
    if reference is not None:
        batch = batch._replace(reference_log_prob=_act(reference, batch)[1])
    rewards = t.reward
    if penalty_named(algorithm.kl).place == "reward":
        before = batch.reference_log_prob
        rewards = psi.penalised_rewards(rewards, t.log_prob, before, beta=algorithm.beta)
    estimates = group_psi(
        algorithm.psi, rewards, *ends, t.valid, gamma=algorithm.gamma, epsilon=algorithm.std_eps
    )
    weights = group_weights(algorithm.normaliser, t.valid, rewards)
    if algorithm.groups == "informative":
        returns = psi.episode_return(rewards, *ends, gamma=algorithm.gamma)[..., 0]
        kept = psi.informative(returns)
        weights = weights * (kept / jnp.maximum(jnp.mean(kept), 1 / len(kept)))[:, None]
    return batch._replace(psi=estimates, weight=valid * weights[..., None])


def loss(algorithm: GroupAlgorithm, model: Any, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """−(mean of the groups' surrogates) − entropy_coef · entropy."""
    distribution, log_prob = _act(model, batch)
    valid = batch.valid > 0
    surrogate = group_surrogate(
        algorithm.ratio,
        algorithm.kl,
        log_prob,
        batch.log_prob,
        batch.reference_log_prob,
        batch.psi,
        batch.weight[..., 0],  # every episode has a first step
        valid,
        epsilon_low=algorithm.clip_eps_low,
        epsilon_high=algorithm.clip_eps_high,
        bound=algorithm.dual_clip,
        beta=algorithm.beta,
    )

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(valid, x, 0)) / jnp.sum(batch.valid)

    outside = psi.clipped(
        log_prob,
        batch.log_prob,
        epsilon_low=algorithm.clip_eps_low,
        epsilon_high=algorithm.clip_eps_high,
    )
    parts = {
        "entropy": mean(distribution.entropy().reshape(valid.shape)),
        "policy_loss": -jnp.mean(surrogate),
        "approx_kl": mean(psi.k3(batch.log_prob, log_prob)),
        "clip_fraction": mean(outside),
    }
    if batch.reference_log_prob is not None:
        parts["reference_kl"] = mean(psi.k3(log_prob, batch.reference_log_prob))
    return parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"], parts


def _act(model: Any, batch: Batch) -> tuple[Any, Array]:
    """(π(·|s), log π(a|s) [M, G, T]); with memory the order in time is kept."""
    axes = 3 if batch.begins is None else 2

    def merged(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[axes:]), tree)

    flat = batch._replace(
        obs=merged(batch.obs), begins=merged(batch.begins), carry=merged(batch.carry)
    )
    distribution, _ = forward(model, flat)
    return distribution, distribution.log_prob(merged(batch.action)).reshape(batch.valid.shape)
