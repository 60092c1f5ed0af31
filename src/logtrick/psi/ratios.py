"""Ratio rules: what is differentiated once the policy π is no longer the π_old that acted.

Each is a term to be *maximised*, summed with the weights of `logtrick.psi.groups`. ψ and
log π_old are frozen. At π = π_old all have the gradient ψ ∇log π (`gspo`: the mean of it over the
sequence), so all inherit the mean of their ψ there; away from it only `importance` corrects the
sampled action, and none corrects the states.
"""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from logtrick.psi.backends import array_function
from logtrick.psi.returns import Scalar


@array_function("T")
def ratio(
    log_probs: Float[Array, "*batch T"], old_log_probs: Float[Array, "*batch T"]
) -> Float[Array, "*batch T"]:
    """r_t = π(a_t|s_t)/π_old(a_t|s_t), from the logarithms; π_old is frozen.

    Where r_t is too large for the dtype it is infinite, with the derivative 0, so that a clip
    behind it stays what it is.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions.

    Returns:
        r_t, [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        NonFiniteError: r_t is too large for the dtype.

    Example:
        >>> ratio([0.0, 0.5], [0.0, 0.0]).round(4)
        array([1.    , 1.6487])

    Source:
        Schulman et al., Proximal policy optimization algorithms, arXiv 1707.06347, sec. 3.
    """
    return _exp(log_probs - lax.stop_gradient(old_log_probs))


@array_function("T")
def clipped(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    *,
    epsilon_low: Scalar = 0.2,
    epsilon_high: Scalar = 0.2,
) -> Float[Array, "*batch T"]:
    """1 where r_t is outside [1 − ε_low, 1 + ε_high], else 0: its mean is the clip fraction.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions.
        epsilon_low: in [0, 1].
        epsilon_high: not negative.

    Returns:
        [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: an ε is out of range.

    Example:
        >>> clipped([0.0, 1.0, -1.0], [0.0, 0.0, 0.0])
        array([0., 1., 1.])

    Source:
        Schulman et al., arXiv 1707.06347, sec. 3.
    """
    change = jnp.expm1(log_probs - old_log_probs)  # r − 1, with its digits where r is near 1
    outside = (change < -epsilon_low) | (change > epsilon_high)
    return jnp.where(jnp.isnan(change), jnp.nan, outside.astype(log_probs.dtype))


@array_function("T")
def score(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    psi: Float[Array, "*batch T"],
) -> Float[Array, "*batch T"]:
    """ψ_t log π(a_t|s_t), whose gradient is ψ_t ∇log π: one sample of G2 (D7), π_old unused.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions; without effect.
        psi: ψ_t.

    Returns:
        [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> score([-1.0], [0.0], [2.0])
        array([-2.])

    Source:
        Williams, Simple statistical gradient-following algorithms, Machine Learning 8 (1992), eq.
        11.
    """
    return log_probs * lax.stop_gradient(psi)


@array_function("T")
def importance(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    psi: Float[Array, "*batch T"],
) -> Float[Array, "*batch T"]:
    """r_t ψ_t, with r_t = π(a_t|s_t)/π_old(a_t|s_t): unclipped, exact in the action at any π.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions.
        psi: ψ_t.

    Returns:
        [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> importance([0.0], [0.0], [2.0])
        array([2.])

    Source:
        Schulman et al., arXiv 1707.06347, eq. 6.
    """
    return _times(ratio(log_probs, old_log_probs), lax.stop_gradient(psi))


@array_function("T")
def ppo_clip(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    psi: Float[Array, "*batch T"],
    *,
    epsilon_low: Scalar = 0.2,
    epsilon_high: Scalar = 0.2,
) -> Float[Array, "*batch T"]:
    """min(r_t ψ_t, clip(r_t, 1 − ε_low, 1 + ε_high) ψ_t).

    No gradient once r_t has moved as ψ_t wishes, past the clip. DAPO's "clip higher" is
    ε_high > ε_low.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions.
        psi: ψ_t.
        epsilon_low: in [0, 1].
        epsilon_high: not negative.

    Returns:
        [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: an ε is out of range.

    Example:
        >>> ppo_clip([0.5, 0.5], [0.0, 0.0], [1.0, -1.0]).round(4)
        array([ 1.2   , -1.6487])

    Source:
        Schulman et al., arXiv 1707.06347, eq. 7; Yu et al., DAPO, arXiv 2503.14476, sec. 3.1.
    """
    return _lower(ratio(log_probs, old_log_probs), psi, epsilon_low, epsilon_high)


@array_function("T")
def dual_clip(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    psi: Float[Array, "*batch T"],
    *,
    epsilon_low: Scalar = 0.2,
    epsilon_high: Scalar = 0.2,
    bound: Scalar = 3.0,
) -> Float[Array, "*batch T"]:
    """`ppo_clip`, but never below c ψ_t where ψ_t < 0: a huge ratio then pushes no further.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions.
        psi: ψ_t.
        epsilon_low: in [0, 1].
        epsilon_high: not negative.
        bound: c, more than 1 + ε_high; 3 in the paper.

    Returns:
        [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: an ε or the bound is out of range.

    Example:
        >>> dual_clip([9.0, 0.0], [0.0, 0.0], [-1.0, -1.0])
        array([-3., -1.])

    Source:
        Ye et al., Mastering complex control in MOBA games with deep reinforcement learning, arXiv
        1912.09729.
    """
    lower = _lower(ratio(log_probs, old_log_probs), psi, epsilon_low, epsilon_high)
    psi = lax.stop_gradient(psi)
    return jnp.where(psi < 0, jnp.maximum(lower, bound * psi), lower)


@array_function("T")
def cispo(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    psi: Float[Array, "*batch T"],
    *,
    epsilon_low: Scalar = 1.0,
    epsilon_high: Scalar = 0.2,
) -> Float[Array, "*batch T"]:
    """clip(r_t, 1 − ε_low, 1 + ε_high) ψ_t log π with the clipped ratio frozen.

    Every token keeps a gradient, also one whose ratio is clipped.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        old_log_probs: log π_old of the same actions.
        psi: ψ_t.
        epsilon_low: in [0, 1]; 1 is no lower clip, as in the paper.
        epsilon_high: not negative.

    Returns:
        [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: an ε is out of range.

    Example:
        >>> cispo([-1.0], [-1.0], [2.0], epsilon_high=0.2)
        array([-2.])

    Source:
        MiniMax, MiniMax-M1, arXiv 2506.13585, sec. 3.1.
    """
    near = jnp.clip(ratio(log_probs, old_log_probs), 1 - epsilon_low, 1 + epsilon_high)
    return lax.stop_gradient(near * psi) * log_probs


@array_function("T")
def sequence_ratio(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    valid: Bool[Array, "*batch T"] | None = None,
) -> Float[Array, "*batch"]:
    """The geometric mean of a sequence's token ratios, s = exp(mean_t log r_t).

    Its gradient at π = π_old is (1/L) Σ_t ∇log π_t: the length is in it.

    Args:
        log_probs: log π of the sampled tokens, [..., T].
        old_log_probs: log π_old of the same tokens.
        valid: False where there is no token; None is all True. No token at all gives 1.

    Returns:
        s, [...], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> sequence_ratio([1.0, -1.0, 7.0], [0.0, 0.0, 0.0], [1, 1, 0])
        array(1.)

    Source:
        Zheng et al., Group sequence policy optimization, arXiv 2507.18071, eq. 7.
    """
    valid = jnp.ones(log_probs.shape, bool) if valid is None else valid
    x = jnp.where(valid, log_probs - lax.stop_gradient(old_log_probs), 0)
    return _exp(jnp.sum(x, axis=-1) / jnp.maximum(jnp.sum(valid, axis=-1), 1))


@array_function("T", one_per_row=("psi",))
def gspo(
    log_probs: Float[Array, "*batch T"],
    old_log_probs: Float[Array, "*batch T"],
    psi: Float[Array, "*batch"],
    valid: Bool[Array, "*batch T"] | None = None,
    *,
    epsilon_low: Scalar = 3e-4,
    epsilon_high: Scalar = 4e-4,
) -> Float[Array, "*batch"]:
    """min(s ψ, clip(s, 1 − ε_low, 1 + ε_high) ψ), one term a sequence, s the `sequence_ratio`.

    On-policy its gradient is that of GRPO with the weight 1/L, length bias included.

    Args:
        log_probs: log π of the sampled tokens, [..., T].
        old_log_probs: log π_old of the same tokens.
        psi: ψ of each sequence, [...].
        valid: False where there is no token; None is all True.
        epsilon_low: in [0, 1].
        epsilon_high: not negative.

    Returns:
        [...], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: an ε is out of range.

    Example:
        >>> gspo([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [1.0, 1.0])
        array([1.    , 1.0004])

    Source:
        Zheng et al., arXiv 2507.18071, eq. 5; the ε are those of its section 5.1.
    """
    of_sequence = sequence_ratio(log_probs, old_log_probs, valid)
    return _lower(of_sequence, psi, epsilon_low, epsilon_high)


def _lower(
    ratio: Float[Array, "*t"], psi: Float[Array, "*t"], low: Scalar, high: Scalar
) -> Float[Array, "*t"]:
    """The clipped surrogate, min(r ψ, clip(r) ψ)."""
    psi = lax.stop_gradient(psi)
    return jnp.minimum(_times(ratio, psi), jnp.clip(ratio, 1 - low, 1 + high) * psi)


def _times(ratio: Float[Array, "*t"], psi: Float[Array, "*t"]) -> Float[Array, "*t"]:
    """The product r ψ, which is 0 where ψ is 0, however large r is."""
    return jnp.where((psi == 0) & jnp.isposinf(ratio), 0, ratio * psi)


def _exp(x: Float[Array, "*t"]) -> Float[Array, "*t"]:
    """e^x; beyond the largest number of the dtype it is infinite, with the derivative 0, not ∞."""
    overflows = x > math.log(jnp.finfo(x.dtype).max)
    return jnp.where(overflows, jnp.inf, jnp.exp(jnp.where(overflows, 0, x)))
