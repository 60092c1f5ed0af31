"""Advantages: TD residual, n steps, GAE. The conventions are those of `logtrick.psi.returns`."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from logtrick.psi.backends import array_function
from logtrick.psi.returns import Scalar, cuts, one_step_target, recursion


@array_function("T", pad=True)
def td_residual(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
) -> Float[Array, "*batch T"]:
    """The TD residual, δ_t = r_t + γ (1 − terminated_t) V(s'_t) − V(s_t).

    As ψ it is unbiased for ∇J (G2) when V = V_π, whose mean it has A_π; biased otherwise.

    Args:
        rewards: r_t, [..., T].
        values: V(s_t).
        next_values: V(s'_t), V of the state really reached.
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; without effect, since δ_t looks no further.
        gamma: γ in [0, 1].

    Returns:
        δ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ is outside [0, 1].

    Example:
        >>> td_residual([1.0, 1.0], [0.5, 2.0], [2.0, 7.0], [0, 1], [0, 0], gamma=0.5)
        array([ 1.5, -1. ])

    Source:
        Schulman et al., arXiv 1506.02438, eq. 1, item 6.
    """
    return one_step_target(rewards, next_values, terminated, gamma) - values


@array_function("T", pad=True, static=("n",))
def n_step(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
    n: int,
) -> Float[Array, "*batch T"]:
    """The n-step advantage, ψ_t = Σ_{k<n} γ^k r_{t+k} + γ^n V(s_{t+n}) − V(s_t).

    It stops early where the episode is cut, and bootstraps there unless it terminated. n = 1 is
    `td_residual`; n ≥ T is `baselined_return`. Unbiased for ∇J (G2) when V = V_π; biased otherwise,
    the less the larger n.

    Args:
        rewards: r_t, [..., T].
        values: V(s_t).
        next_values: V(s'_t), V of the state really reached.
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        gamma: γ in [0, 1].
        n: how many rewards, at least 1. The work grows with min(n, T).

    Returns:
        ψ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ is outside [0, 1], or n is not a positive integer.

    Example:
        >>> n_step([1.0, 1.0, 1.0], [0.0] * 3, [8.0] * 3, [0, 0, 1], [0, 0, 0], gamma=0.5, n=2)
        array([3.5, 1.5, 1. ])

    Source:
        Mnih et al., Asynchronous methods for deep reinforcement learning, arXiv 1602.01783, sec. 4.
    """
    one_step = one_step_target(rewards, next_values, terminated, gamma)
    cut = cuts(terminated, truncated)

    def one_more(_: Array, target: Array) -> Array:
        # The wrapped-around last row is always a cut and never used.
        return jnp.where(cut, one_step, rewards + gamma * jnp.roll(target, -1, axis=-1))

    return lax.fori_loop(1, min(n, rewards.shape[-1]), one_more, one_step) - values


@array_function("T", pad=True)
def gae(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
    lambda_: Scalar,
) -> Float[Array, "*batch T"]:
    """Generalised advantage estimation, ψ_t = δ_t + γλ ψ_{t+1} within the episode.

    λ = 0 is `td_residual`, λ = 1 is `baselined_return`. Unbiased for ∇J (G2) when V = V_π, or at
    λ = 1 on whole episodes with any V; biased otherwise.

    Args:
        rewards: r_t, [..., T].
        values: V(s_t).
        next_values: V(s'_t), V of the state really reached: `values[t + 1]` inside an episode.
        terminated: the MDP ended at row t; the value that follows is 0. Bool or 0/1.
        truncated: the episode was cut at row t; the value that follows counts. Bool or 0/1.
        gamma: γ in [0, 1].
        lambda_: λ in [0, 1].

    Returns:
        ψ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ or λ is outside [0, 1].

    Example:
        >>> rewards, values, next_values = [1.0, 1.0, 1.0], [0.0, 2.0, 4.0], [2.0, 4.0, 6.0]
        >>> gae(rewards, values, next_values, [0, 1, 0], [0, 0, 1], gamma=0.5, lambda_=0.5)
        array([ 1.75, -1.  ,  0.  ])

    Source:
        Schulman et al., arXiv 1506.02438, eq. 16.
    """
    residuals = td_residual(rewards, values, next_values, terminated, truncated, gamma=gamma)
    return recursion(residuals, gamma * lambda_, cuts(terminated, truncated))
