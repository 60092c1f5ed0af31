"""Returns: what was collected, from the start of the episode or from t on.

All arrays are [..., T], time last. Row t is one transition: `rewards[t]` is r_t, the reward after
a_t, and `next_values[t]` is V of the state that was really reached, which is `values[t + 1]` inside
an episode. `terminated` makes the value that follows 0. Either flag ends the episode, and so does
the last row: what is not known beyond a cut is `next_values`, never a number of the next episode.
"""

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from logtrick.psi.backends import array_function

Scalar = float | Float[Array, ""]


def recursion(
    increments: Float[Array, "*batch T"],
    decays: Scalar | Float[Array, "*batch T"],
    cut: Bool[Array, "*batch T"],
) -> Float[Array, "*batch T"]:
    """x_t = a_t + b_t x_{t+1}, or a_t where the trace is cut and after the last row.

    The one recursion under every ψ that has one. A select, not a product with 0, stops the trace,
    so that NaN on the far side of a cut stays there. A plain scan: on a CPU an associative scan is
    several times slower, to run and to compile (benchmarks/psi_recursion.py).

    Args:
        increments: a_t.
        decays: b_t, or one number for all t.
        cut: True where row t is the last of its episode.

    Returns:
        x_t.
    """
    rows = (
        jnp.moveaxis(increments, -1, 0),
        jnp.moveaxis(cut, -1, 0),
        jnp.moveaxis(decays, -1, 0) if isinstance(decays, Array) and decays.ndim else None,
    )

    def step(following: Array, row: tuple[Array, Array, Array | None]) -> tuple[Array, Array]:
        increment, is_cut, decay = row
        factor = decays if decay is None else decay
        x = increment + jnp.where(is_cut, 0, factor * following)
        return x, x

    _, xs = lax.scan(step, jnp.zeros_like(rows[0][0]), rows, reverse=True)
    return jnp.moveaxis(xs, 0, -1)


def step_in_episode(cut: Bool[Array, "*batch T"]) -> Array:
    """int32: how many rows of the same episode come before row t; the first row starts one."""
    t = lax.broadcasted_iota(jnp.int32, cut.shape, cut.ndim - 1)
    after_cut = jnp.where(cut[..., :-1], t[..., 1:], 0)
    starts = jnp.concatenate([jnp.zeros_like(t[..., :1]), after_cut], axis=-1)
    return t - lax.cummax(starts, axis=cut.ndim - 1)


def discounts(gamma: Scalar, steps: Int[Array, "*batch T"], dtype: DTypeLike) -> Array:
    """γ^k, the weight of the k-th step of an episode (G2); 0^0 is 1.

    Args:
        gamma: γ.
        steps: k, counted from the first step of the episode.
        dtype: of the result.

    Example:
        >>> discounts(0.5, jnp.arange(3), jnp.float32).tolist()
        [1.0, 0.5, 0.25]
    """
    return jnp.asarray(gamma, dtype) ** steps


def cuts(
    terminated: Bool[Array, "*batch T"], truncated: Bool[Array, "*batch T"]
) -> Bool[Array, "*batch T"]:
    """True where nothing of the same episode follows: either flag, and the last row."""
    return (terminated | truncated).at[..., -1].set(True)


def bootstrap(
    next_values: Float[Array, "*batch T"], terminated: Bool[Array, "*batch T"]
) -> Float[Array, "*batch T"]:
    """V(s'_t), and 0 where s'_t ended the MDP, whatever the critic says there (even NaN)."""
    return jnp.where(terminated, 0, next_values)


def one_step_target(
    rewards: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    gamma: Scalar,
) -> Float[Array, "*batch T"]:
    """r_t + γ (1 − terminated_t) V(s'_t): what V(s_t) is compared with in δ_t."""
    return rewards + gamma * bootstrap(next_values, terminated)


@array_function("T", by_name=("next_values",), pad=True)
def reward_to_go(
    rewards: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    next_values: Float[Array, "*batch T"] | None = None,
    gamma: Scalar,
) -> Float[Array, "*batch T"]:
    """The reward from t on, ψ_t = Σ_{k≥t} γ^{k−t} r_k, to the end of the episode.

    Unbiased for ∇J (G2) on whole episodes. Where an episode is cut without having terminated (by
    `truncated`, or by the last row) the rest is γ `next_values`; without `next_values` it is left
    out, and ψ then belongs to the problem that ends there.

    Args:
        rewards: r_t, [..., T].
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        next_values: V(s'_t); None bootstraps with 0.
        gamma: γ in [0, 1].

    Returns:
        ψ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ is outside [0, 1].

    Example:
        >>> reward_to_go([1.0, 1.0, 1.0, 5.0], [0, 0, 1, 0], [0, 0, 0, 0], gamma=0.5)
        array([1.75, 1.5 , 1.  , 5.  ])

    Source:
        Schulman et al., High-dimensional continuous control using generalized advantage
        estimation, arXiv 1506.02438, eq. 1, item 2.
    """
    last = rewards
    if next_values is not None:
        last = one_step_target(rewards, next_values, terminated, gamma)
    cut = cuts(terminated, truncated)
    return recursion(jnp.where(cut, last, rewards), gamma, cut)


@array_function("T", by_name=("next_values",), pad=True)
def episode_return(
    rewards: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    next_values: Float[Array, "*batch T"] | None = None,
    gamma: Scalar,
) -> Float[Array, "*batch T"]:
    """The return of the whole episode, Σ_k γ^k r_k, at each of its rows: γ^t ψ_t of `total_return`.

    This is the total return with the weight γ^t of G2 already in it (`weighting="discounted"`), so
    it never overflows. k counts from the first row of the episode in these arrays: in a fragment
    that begins in the middle of an episode, the earlier rewards are missing and k starts there.

    Args:
        rewards: r_t, [..., T].
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        next_values: V(s'_t), used where an episode is cut without an end; None stands for 0.
        gamma: γ in [0, 1].

    Returns:
        γ^t ψ_t, [..., T], constant within an episode.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ is outside [0, 1].

    Example:
        >>> episode_return([1.0, 1.0, 1.0, 5.0], [0, 0, 1, 0], [0, 0, 0, 0], gamma=0.5)
        array([1.75, 1.75, 1.75, 5.  ])

    Source:
        Williams, Simple statistical gradient-following algorithms, Machine Learning 8 (1992).
    """
    to_go = reward_to_go(rewards, terminated, truncated, next_values=next_values, gamma=gamma)
    step = step_in_episode(cuts(terminated, truncated))
    start = lax.broadcasted_iota(jnp.int32, step.shape, step.ndim - 1) - step
    return jnp.take_along_axis(to_go, start, axis=-1)


@array_function("T", by_name=("next_values",), pad=True)
def total_return(
    rewards: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    next_values: Float[Array, "*batch T"] | None = None,
    gamma: Scalar,
) -> Float[Array, "*batch T"]:
    """The total return written from t, ψ_t = Σ_k γ^{k−t} r_k over all k of the episode.

    Unbiased for ∇J (G2) on whole episodes, with the weight γ^t: rewards before t multiply a score
    of mean zero. ψ_t grows like γ^{−t}; where the weight γ^t follows anyway, `episode_return` is
    γ^t ψ_t directly and cannot overflow. With γ = 1 the two are the same. In a fragment that
    begins in the middle of an episode, the rewards before the fragment are missing.

    Args:
        rewards: r_t, [..., T].
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        next_values: V(s'_t), used where an episode is cut without an end; None stands for 0.
        gamma: γ in [0, 1]. At γ = 0 only the first row of an episode is defined.

    Returns:
        ψ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ is outside [0, 1].
        NonFiniteError: ψ_t is too large for the dtype, as γ^{−t} becomes in long episodes.

    Example:
        >>> total_return([1.0, 1.0, 1.0, 5.0], [0, 0, 1, 0], [0, 0, 0, 0], gamma=0.5)
        array([1.75, 3.5 , 7.  , 5.  ])

    Source:
        Schulman et al., arXiv 1506.02438, eq. 1, item 1, with the discount kept.
    """
    whole = episode_return(rewards, terminated, truncated, next_values=next_values, gamma=gamma)
    step = step_in_episode(cuts(terminated, truncated))
    return whole / discounts(gamma, step, whole.dtype)


@array_function("T", by_name=("next_values",), pad=True)
def baselined_return(
    rewards: Float[Array, "*batch T"],
    values: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    next_values: Float[Array, "*batch T"] | None = None,
    gamma: Scalar,
) -> Float[Array, "*batch T"]:
    """Reward-to-go minus a baseline, ψ_t = Σ_{k≥t} γ^{k−t} r_k − b(s_t).

    Unbiased for ∇J (G2) on whole episodes for any b that does not look at a_t, because
    Σ_a b(s) ∇π(a|s) = 0.

    Args:
        rewards: r_t, [..., T].
        values: b(s_t), usually V(s_t).
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        next_values: V(s'_t), used where an episode is cut without an end; None stands for 0.
        gamma: γ in [0, 1].

    Returns:
        ψ_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ is outside [0, 1].

    Example:
        >>> baselined_return([1.0, 1.0], [1.5, 1.0], [0, 1], [0, 0], gamma=1.0)
        array([0.5, 0. ])

    Source:
        Schulman et al., arXiv 1506.02438, eq. 1, item 3.
    """
    to_go = reward_to_go(rewards, terminated, truncated, next_values=next_values, gamma=gamma)
    return to_go - values


@array_function("T", pad=True)
def lambda_return(
    rewards: Float[Array, "*batch T"],
    next_values: Float[Array, "*batch T"],
    terminated: Bool[Array, "*batch T"],
    truncated: Bool[Array, "*batch T"],
    *,
    gamma: Scalar,
    lambda_: Scalar,
) -> Float[Array, "*batch T"]:
    """The TD(λ) target, G_t = r_t + γ [(1−λ) V(s'_t) + λ G_{t+1}], with V(s'_t) alone at a cut.

    What a critic is fitted to: λ = 0 is the TD(0) target, λ = 1 the reward-to-go. It is
    `gae` + V(s_t) wherever next_values[t] = values[t+1].

    Args:
        rewards: r_t, [..., T].
        next_values: V(s'_t), V of the state really reached.
        terminated: the MDP ended at row t; bool or 0/1.
        truncated: the episode was cut at row t; bool or 0/1.
        gamma: γ in [0, 1].
        lambda_: λ in [0, 1].

    Returns:
        G_t, [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: γ or λ is outside [0, 1].

    Example:
        >>> lambda_return([1.0, 1.0], [2.0, 9.0], [0, 1], [0, 0], gamma=1.0, lambda_=0.5)
        array([2.5, 1. ])

    Source:
        Sutton and Barto, Reinforcement Learning (2nd ed.), eq. 12.2 and 12.18.
    """
    following = gamma * bootstrap(next_values, terminated)
    cut = cuts(terminated, truncated)
    one_step = rewards + jnp.where(cut, following, (1 - lambda_) * following)
    return recursion(one_step, gamma * lambda_, cut)
