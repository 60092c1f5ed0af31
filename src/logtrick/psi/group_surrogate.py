"""A group estimator out of its parts, by the names of the registry: ψ × weights × ratio rule × KL.

The estimate is the gradient of `group_surrogate`. Training ascends it and the audit measures it, so
that what is trained is what is audited. Arrays are JAX's, [..., G, T]: groups in front, then the G
sequences of a group, then time; where `valid` is False there is no token.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from logtrick.errors import ConfigError
from logtrick.psi import groups, kl, ratios, weights
from logtrick.psi.returns import Scalar, episode_return, reward_to_go, step_in_episode


def group_psi(
    rule: str,
    rewards: Float[Array, "*groups G T"],
    terminated: Bool[Array, "*groups G T"],
    truncated: Bool[Array, "*groups G T"],
    valid: Bool[Array, "*groups G T"],
    *,
    gamma: Scalar = 1.0,
    ddof: int = 1,
    epsilon: Scalar = 1e-4,
    greedy_returns: Float[Array, "*groups G"] | None = None,
) -> Float[Array, "*groups G T"]:
    """γ^t ψ of every token: of its whole sequence, but for "whiten", which is of each token.

    R_i = Σ_t γ^t r_t has the weight γ^t of G2 already in it; the reward-to-go that is whitened is
    multiplied by it.

    Args:
        rule: "rloo", "grpo", "dr_grpo", "opo", "remax" or "whiten", the functions of that name.
        rewards: r_t, the KL inside them if it is to be; one episode in each row.
        terminated: the MDP ended.
        truncated: the episode was cut.
        valid: which tokens there are.
        gamma: γ.
        ddof: of the std of "grpo".
        epsilon: ε beside it.
        greedy_returns: what "remax" needs.

    Returns:
        [..., G, T]; 0 where there is no token.

    Raises:
        ConfigError: another name.
        ShapeError: a group of one.
    """
    if rule == "whiten":
        to_go = reward_to_go(rewards, terminated, truncated, gamma=gamma)
        steps = step_in_episode(terminated | truncated)
        to_go = to_go * jnp.asarray(gamma, to_go.dtype) ** steps
        flat = (*to_go.shape[:-2], -1)
        white = groups.whiten(to_go.reshape(flat), valid.reshape(flat))
        return white.reshape(to_go.shape)
    returns = episode_return(rewards, terminated, truncated, gamma=gamma)[..., 0]
    match rule:
        case "rloo":
            of_sequences = groups.rloo(returns)
        case "grpo":
            of_sequences = groups.grpo(returns, ddof=ddof, epsilon=epsilon)
        case "dr_grpo":
            of_sequences = groups.dr_grpo(returns)
        case "opo":
            of_sequences = groups.opo(returns, _lengths(valid, returns))
        case "remax" if greedy_returns is not None:
            of_sequences = groups.remax(returns, greedy_returns)
        case _:
            raise ConfigError(f"{rule!r} is no group rule, or lacks the greedy returns.")
    return jnp.where(valid, jnp.broadcast_to(of_sequences[..., None], valid.shape), 0)


def group_weights(
    normaliser: str,
    valid: Bool[Array, "*groups G T"],
    like: Float[Array, "*groups G T"],
    *,
    max_length: int | None = None,
) -> Float[Array, "*groups G"]:
    """w_i of each sequence, by the name of `logtrick.psi`'s `…_weights`.

    Args:
        normaliser: "sequence_sum", "sequence_mean", "token_mean" or "constant_length".
        valid: which tokens there are.
        like: an array whose dtype the result has.
        max_length: L_max of "constant_length"; None is T.

    Raises:
        ConfigError: another name.
    """
    lengths = _lengths(valid, like)
    match normaliser:
        case "sequence_sum":
            return weights.sequence_sum_weights(lengths)
        case "sequence_mean":
            return weights.sequence_mean_weights(lengths)
        case "token_mean":
            return weights.token_mean_weights(lengths)
        case "constant_length":
            longest = valid.shape[-1] if max_length is None else max_length
            return weights.constant_length_weights(lengths, max_length=longest)
    raise ConfigError(f"{normaliser!r} is no normaliser.")


def group_surrogate(
    ratio: str,
    penalty: str,
    log_probs: Float[Array, "*groups G T"],
    old_log_probs: Float[Array, "*groups G T"],
    reference_log_probs: Float[Array, "*groups G T"] | None,
    psi: Float[Array, "*groups G T"],
    weights: Float[Array, "*groups G"],
    valid: Bool[Array, "*groups G T"],
    *,
    epsilon_low: Scalar = 0.2,
    epsilon_high: Scalar = 0.2,
    bound: Scalar = 3.0,
    beta: Scalar = 0.0,
) -> Float[Array, "*groups"]:
    """L = Σ_i w_i Σ_t (rule(r_t, ψ_t) − β k_t), to be ascended; ψ, w and π_old are frozen.

    "gspo" has one term for each sequence in the place of the inner sum; its ψ is the first token's.
    At π = π_old the gradient is that of the registered estimator of these names.

    Args:
        ratio: a rule of `logtrick.psi.ratios`, or "score": ψ log π.
        penalty: which k is subtracted in the loss; "none" and "k1_in_reward" subtract nothing here.
        log_probs: log π of the tokens, differentiated.
        old_log_probs: log π_old, of the policy that wrote them.
        reference_log_probs: log π_ref; needed where a k is subtracted.
        psi: ψ_t.
        weights: w_i.
        valid: which tokens there are.
        epsilon_low: ε of the clip below.
        epsilon_high: ε of the clip above.
        bound: c of the dual clip.
        beta: β.

    Returns:
        L of each group, [...].

    Raises:
        ConfigError: a name that is not known.
    """
    clip = {"epsilon_low": epsilon_low, "epsilon_high": epsilon_high}
    arrays = log_probs, old_log_probs, psi
    match ratio:
        case "gspo":
            of_sequences = ratios.gspo(log_probs, old_log_probs, psi[..., 0], valid, **clip)
        case "score":
            of_sequences = _summed(psi * log_probs, valid)
        case "importance":
            of_sequences = _summed(ratios.importance(*arrays), valid)
        case "ppo_clip":
            of_sequences = _summed(ratios.ppo_clip(*arrays, **clip), valid)
        case "dual_clip":
            of_sequences = _summed(ratios.dual_clip(*arrays, **clip, bound=bound), valid)
        case "cispo":
            of_sequences = _summed(ratios.cispo(*arrays, **clip), valid)
        case _:
            raise ConfigError(f"{ratio!r} is no ratio rule.")
    if reference_log_probs is not None:
        k = _penalties(penalty, log_probs, old_log_probs, reference_log_probs)
        of_sequences = of_sequences - beta * _summed(k, valid)
    return jnp.sum(weights * of_sequences, axis=-1)


def _penalties(
    penalty: str,
    log_probs: Float[Array, "*groups G T"],
    old_log_probs: Float[Array, "*groups G T"],
    reference_log_probs: Float[Array, "*groups G T"],
) -> Float[Array, "*groups G T"]:
    """k_t as it stands in the loss."""
    match penalty:
        case "none" | "k1_in_reward":
            return jnp.zeros_like(log_probs)
        case "k1_in_loss":
            return kl.k1(log_probs, reference_log_probs)
        case "k2_in_loss":
            return kl.k2(log_probs, reference_log_probs)
        case "k3_in_loss":
            return kl.k3(log_probs, reference_log_probs)
        case "k3_times_ratio_in_loss":
            corrected = ratios.importance(log_probs, old_log_probs, jnp.ones_like(log_probs))
            return corrected * kl.k3(log_probs, reference_log_probs)
    raise ConfigError(f"{penalty!r} is no place for a KL penalty.")


def _summed(
    terms: Float[Array, "*groups G T"], valid: Bool[Array, "*groups G T"]
) -> Float[Array, "*groups G"]:
    return jnp.sum(jnp.where(valid, terms, 0), axis=-1)


def _lengths(valid: Bool[Array, "*groups G T"], like: Float[Array, "..."]) -> Array:
    return jnp.sum(valid, axis=-1).astype(like.dtype)
