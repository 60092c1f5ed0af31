"""Group rules in the training loop: from groups of episodes to a batch, and the batch's loss.

Unbatched in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logtrick import psi
from logtrick.algorithms.estimation import Batch, without_padding
from logtrick.algorithms.group_configs import GroupAlgorithm
from logtrick.psi.group_surrogate import group_psi, group_surrogate, group_weights
from logtrick.rollouts import Trajectory


def estimate(
    algorithm: GroupAlgorithm, model: Any, reference: Any, trajectory: Trajectory
) -> Batch:
    """ψ and weights of N episodes [N, T], group after group: the Batch [M, G, T].

    Args:
        algorithm: the configuration.
        model: the policy and no critic.
        reference: the model before training; None where no KL to it is asked for.
        trajectory: one episode a row.
    """
    t = jax.tree.map(
        lambda x: x.reshape(algorithm.num_groups, -1, *x.shape[1:]), without_padding(trajectory)
    )
    ends, rewards, before = (t.terminated, t.truncated), t.reward, None
    if reference is not None:
        _, before = _log_prob(reference, t.obs, t.action)
    if algorithm.kl == "k1_in_reward":
        rewards = psi.penalised_rewards(rewards, t.log_prob, before, beta=algorithm.beta)
    estimates = group_psi(
        algorithm.psi, rewards, *ends, t.valid, gamma=algorithm.gamma, epsilon=algorithm.std_eps
    )
    weights = group_weights(algorithm.normaliser, t.valid, rewards)
    if algorithm.groups == "informative":
        returns = psi.episode_return(rewards, *ends, gamma=algorithm.gamma)[..., 0]
        kept = psi.informative(returns)
        weights = weights * (kept / jnp.maximum(jnp.mean(kept), 1 / len(kept)))[:, None]
    zeros = jnp.zeros_like(rewards)
    valid = t.valid.astype(rewards.dtype)
    weight = valid * weights[..., None]
    return Batch(t.obs, t.action, t.log_prob, estimates, weight, zeros, zeros, valid, before)


def loss(algorithm: GroupAlgorithm, model: Any, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """−(mean of the groups' surrogates) − entropy_coef · entropy."""
    distribution, log_prob = _log_prob(model, batch.obs, batch.action)
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

    ratio = jnp.exp(log_prob - batch.log_prob)
    outside = (ratio < 1 - algorithm.clip_eps_low) | (ratio > 1 + algorithm.clip_eps_high)
    parts = {
        "entropy": mean(distribution.entropy().reshape(valid.shape)),
        "policy_loss": -jnp.mean(surrogate),
        "approx_kl": mean(psi.k3(batch.log_prob, log_prob)),
        "clip_fraction": mean(outside.astype(ratio.dtype)),
    }
    if batch.reference_log_prob is not None:
        parts["reference_kl"] = mean(psi.k3(log_prob, batch.reference_log_prob))
    return parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"], parts


def _log_prob(model: Any, obs: Array, action: Array) -> tuple[Any, Float[Array, "M G T"]]:
    """(π(·|s) [M·G·T], log π(a|s) [M, G, T])."""
    shape = action.shape[:3]

    def flat(x: Array) -> Array:
        return x.reshape(-1, *x.shape[3:])

    distribution, _ = jax.vmap(model)(flat(obs))
    return distribution, distribution.log_prob(flat(action)).reshape(shape)
