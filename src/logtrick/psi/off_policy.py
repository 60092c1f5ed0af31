"""Off-policy traces: V-trace and Retrace. The conventions are those of `logtrick.psi.returns`.

`ratios` are π(a_t|s_t)/μ(a_t|s_t), the policy over the one that acted. Only the actions are
corrected: the states still come as often as μ visits them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from logtrick.psi.advantages import td_residual
from logtrick.psi.backends import array_function
from logtrick.psi.returns import Scalar, bootstrap, cuts, recursion


@array_function("T", pad=True)
def vtrace_targets(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    ratios: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
    lambda_: Scalar = 1.0,
    rho_bar: Scalar = 1.0,
    c_bar: Scalar = 1.0,
) -> Float[Array, "*batch T"]:
    """The V-trace targets v_t of a critic: v_t − V(s_t) = ρ_t δ_t + γ c_t (v_{t+1} − V(s_{t+1})).

    With ρ_t = min(ρ̄, ratio_t), c_t = λ min(c̄, ratio_t), and the trace cut at the end of an episode.
    Their fixed point is V of a policy between μ and π, which is π when ρ̄ = ∞. On-policy, with
    ρ̄, c̄ ≥ 1, they are `lambda_return`.

    Args:
        rewards: r_t, [..., T].
        values: V(s_t).
        next_values: V(s'_t), V of the state really reached.
        ratios: π(a_t|s_t)/μ(a_t|s_t), not negative.
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        gamma: γ in [0, 1].
        lambda_: λ in [0, 1].
        rho_bar: ρ̄, where ρ_t is clipped; infinity is allowed.
        c_bar: c̄, where c_t is clipped; the paper's proof wants c̄ ≤ ρ̄.

    Returns:
        v_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a setting or a ratio is out of range.

    Example:
        >>> vtrace_targets(
        ...     [1.0, 1.0], [0.0, 0.0], [0.0, 9.0], [0.5, 2.0], [0, 1], [0, 0], gamma=1.0
        ... )
        array([1., 1.])

    Source:
        Espeholt et al., IMPALA, arXiv 1802.01561, eq. 1 and remark 1 and 2.
    """
    errors = _vtrace_errors(
        rewards, values, next_values, ratios, terminated, truncated, gamma, lambda_, rho_bar, c_bar
    )
    return values + errors


@array_function("T", pad=True)
def vtrace(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    ratios: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
    lambda_: Scalar = 1.0,
    rho_bar: Scalar = 1.0,
    c_bar: Scalar = 1.0,
    advantage_rho_bar: Scalar | None = None,
) -> Float[Array, "*batch T"]:
    """The V-trace advantage, ψ_t = ρ_t (r_t + γ [(1−λ) V(s'_t) + λ v_{t+1}] − V(s_t)).

    v is `vtrace_targets`. Where an episode ends, what follows is V(s'_t), or 0 if it terminated:
    never a target of the next episode. On-policy, with all bars ≥ 1, it is `gae` with the same λ.
    Off-policy it is biased even with the exact V: the states come from μ, and clipping changes
    which policy is followed.

    Args:
        rewards: r_t, [..., T].
        values: V(s_t).
        next_values: V(s'_t), V of the state really reached.
        ratios: π(a_t|s_t)/μ(a_t|s_t), not negative.
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        gamma: γ in [0, 1].
        lambda_: λ in [0, 1]; the paper has λ in c_t only, which is the same at its λ = 1.
        rho_bar: ρ̄, where the ρ_t of the targets is clipped.
        c_bar: c̄, where c_t is clipped.
        advantage_rho_bar: where the ρ_t in front is clipped; None takes `rho_bar`.

    Returns:
        ψ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a setting or a ratio is out of range.

    Example:
        >>> vtrace([1.0, 1.0], [0.0, 0.0], [0.0, 9.0], [0.5, 2.0], [0, 1], [0, 0], gamma=1.0)
        array([1., 1.])

    Source:
        Espeholt et al., IMPALA, arXiv 1802.01561, sec. 4.2.
    """
    errors = _vtrace_errors(
        rewards, values, next_values, ratios, terminated, truncated, gamma, lambda_, rho_bar, c_bar
    )
    beyond = jnp.where(cuts(terminated, truncated), 0, jnp.roll(errors, -1, axis=-1))
    following = bootstrap(next_values, terminated) + lambda_ * beyond
    rho = jnp.minimum(rho_bar if advantage_rho_bar is None else advantage_rho_bar, ratios)
    return rho * (rewards + gamma * following - values)


@array_function("T", pad=True)
def retrace(
    rewards: Float[Array, "*batch T"],
    action_values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    ratios: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
    lambda_: Scalar = 1.0,
    c_bar: Scalar = 1.0,
) -> Float[Array, "*batch T"]:
    """The Retrace(λ) target for Q(s_t, a_t): G_t − Q_t = δ_t + γ c_{t+1} (G_{t+1} − Q_{t+1}).

    With δ_t = r_t + γ Σ_a π(a|s'_t) Q(s'_t, a) − Q(s_t, a_t) and c_t = λ min(c̄, ratio_t). The first
    action is not corrected: G_t is about a_t itself. Its fixed point is Q_π for every μ. As ψ, take
    G_t − V(s_t).

    Args:
        rewards: r_t, [..., T].
        action_values: Q(s_t, a_t).
        next_values: Σ_a π(a|s'_t) Q(s'_t, a), in the state really reached.
        ratios: π(a_t|s_t)/μ(a_t|s_t), not negative.
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        gamma: γ in [0, 1].
        lambda_: λ in [0, 1].
        c_bar: where c_t is clipped, 1 in the paper; infinity is importance sampling.

    Returns:
        G_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a setting or a ratio is out of range.

    Example:
        >>> retrace([1.0, 1.0], [0.0, 0.0], [0.0, 9.0], [2.0, 0.5], [0, 1], [0, 0], gamma=1.0)
        array([1.5, 1. ])

    Source:
        Munos et al., Safe and efficient off-policy reinforcement learning, arXiv 1606.02647, eq. 3.
    """
    residuals = td_residual(rewards, action_values, next_values, terminated, truncated, gamma=gamma)
    following = lambda_ * jnp.minimum(c_bar, jnp.roll(ratios, -1, axis=-1))
    return action_values + recursion(residuals, gamma * following, cuts(terminated, truncated))


def _vtrace_errors(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    ratios: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    gamma: Scalar,
    lambda_: Scalar,
    rho_bar: Scalar,
    c_bar: Scalar,
) -> Float[Array, "*batch T"]:
    """v_t − V(s_t)."""
    residuals = td_residual(rewards, values, next_values, terminated, truncated, gamma=gamma)
    decays = gamma * lambda_ * jnp.minimum(c_bar, ratios)
    corrected = jnp.minimum(rho_bar, ratios) * residuals
    return recursion(corrected, decays, cuts(terminated, truncated))
