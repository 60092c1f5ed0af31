"""A group estimator out of its parts, by the names of the registry: ψ × weights × ratio rule × KL.

The estimate is the gradient of `group_surrogate`. Training ascends it and the audit measures it, so
that what is trained is what is audited. Arrays are JAX's, [..., G, T]: groups in front, then the G
sequences of a group, then time; where `valid` is False there is no token. Where ψ looks at a whole
batch, the batch is the group.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from logtrick.errors import ConfigError
from logtrick.psi import ratios
from logtrick.psi.registry import Ratio, Scope, named, penalty_named, psi_named
from logtrick.psi.returns import Scalar, discounts, episode_return, reward_to_go, step_in_episode


def group_psi(
    rule: str,
    rewards: Float[Array, "*groups G T"],
    terminated: Bool[Array, "*groups G T"],
    truncated: Bool[Array, "*groups G T"],
    valid: Bool[Array, "*groups G T"],
    *,
    gamma: Scalar = 1.0,
    greedy_returns: Float[Array, "*groups G"] | None = None,
    **settings: Any,
) -> Float[Array, "*groups G T"]:
    """γ^t ψ of every token: of its whole sequence, or of each token where ψ is of a batch.

    R_i = Σ_t γ^t r_t has the weight γ^t of G2 already in it; the reward-to-go that is whitened is
    multiplied by it.

    Args:
        rule: a ψ of the registry that compares sequences.
        rewards: r_t, the KL inside them if it is to be; one episode in each row.
        terminated: the MDP ended.
        truncated: the episode was cut.
        valid: which tokens there are.
        gamma: γ.
        greedy_returns: what "remax" needs, [..., G].
        **settings: the numbers of the rule, `ddof` and `epsilon` say; others are left aside.

    Returns:
        [..., G, T]; 0 where there is no token.

    Raises:
        ConfigError: another name, or no greedy returns.
        ShapeError: a group of one.
    """
    row = psi_named(rule)
    if not row.of_sequences:
        raise ConfigError(f"{rule!r} is a psi of single trajectories, not of groups.")
    if row.scope is Scope.BATCH:
        to_go = reward_to_go(rewards, terminated, truncated, gamma=gamma)
        steps = step_in_episode(terminated | truncated)
        flat = (*to_go.shape[:-2], -1)
        tokens = (to_go * discounts(gamma, steps, to_go.dtype)).reshape(flat)
        data = {"psi": tokens, "valid": valid.reshape(flat)}
        return row.evaluate(data | settings).reshape(to_go.shape)
    returns = episode_return(rewards, terminated, truncated, gamma=gamma)[..., 0]
    of_groups = {
        "returns": returns,
        "lengths": _lengths(valid, returns),
        "greedy_returns": greedy_returns,
    }
    of_sequences = row.evaluate(of_groups | settings)
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
    row = named("normaliser", normaliser)
    longest = valid.shape[-1] if max_length is None else max_length
    return row.function(_lengths(valid, like), **row.chosen({"max_length": longest}))


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
    beta: Scalar = 0.0,
    **settings: Any,
) -> Float[Array, "*groups"]:
    """L = Σ_i w_i Σ_t (rule(r_t, ψ_t) − β k_t), to be ascended; ψ, w and π_old are frozen.

    "gspo" has one term for each sequence in the place of the inner sum; its ψ is the first token's.
    At π = π_old the gradient is that of the registered estimator of these names.

    Args:
        ratio: a ratio rule of the registry.
        penalty: which k is subtracted in the loss; "none" and "k1_in_reward" subtract nothing here.
        log_probs: log π of the tokens, differentiated.
        old_log_probs: log π_old, of the policy that wrote them.
        reference_log_probs: log π_ref; needed where a k is subtracted.
        psi: ψ_t.
        weights: w_i.
        valid: which tokens there are.
        beta: β.
        **settings: the numbers of the ratio rule: `epsilon_low`, `epsilon_high`, `bound`; what is
            not given is as in the rule's own function, and others are left aside.

    Returns:
        L of each group, [...].

    Raises:
        ConfigError: a name that is not known.
    """
    rule, k = named("ratio", ratio), penalty_named(penalty)
    assert isinstance(rule, Ratio)
    numbers = rule.chosen(settings)
    if rule.of_sequences:
        of_sequences = rule.function(log_probs, old_log_probs, psi[..., 0], valid, **numbers)
    else:
        of_sequences = _summed(rule.function(log_probs, old_log_probs, psi, **numbers), valid)
    if reference_log_probs is not None and k.place == "loss":
        terms = k.function(log_probs, reference_log_probs)
        if k.times_ratio:
            terms = ratios.ratio(log_probs, old_log_probs) * terms
        of_sequences = of_sequences - beta * _summed(terms, valid)
    return jnp.sum(weights * of_sequences, axis=-1)


def _summed(
    terms: Float[Array, "*groups G T"], valid: Bool[Array, "*groups G T"]
) -> Float[Array, "*groups G"]:
    return jnp.sum(jnp.where(valid, terms, 0), axis=-1)


def _lengths(valid: Bool[Array, "*groups G T"], like: Float[Array, "..."]) -> Array:
    return jnp.sum(valid, axis=-1).astype(like.dtype)
