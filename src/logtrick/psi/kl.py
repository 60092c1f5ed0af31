"""Estimators of KL(π‖π_ref) from one sampled action, and where they may be put.

With x = log π(a) − log π_ref(a), a ~ π. As *numbers*, k1 and k3 have mean KL and k2 is close to it.
As *losses* they are other things, because differentiating an estimator is not estimating the
derivative:

| what is differentiated | its mean, on-policy |
|---|---|
| k1 | 0: ∇log π has mean 0, so no penalty at all |
| k2 | ∇KL(π‖π_ref) of each token given its prefix; what the token does to later prefixes is lost |
| k3 | ∇KL(π_ref‖π) of each token given its prefix, the KL the other way round |
| −β k1 inside the reward | the gradient of J − β KL over whole sequences, nothing lost |
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from logtrick.psi.backends import array_function
from logtrick.psi.returns import Scalar


@array_function("T")
def k1(
    log_probs: Float[Array, "*batch T"], reference_log_probs: Float[Array, "*batch T"]
) -> Float[Array, "*batch T"]:
    """k1 = x, the plain log ratio: mean KL(π‖π_ref), and the most variance; it can be negative.

    In the reward (`penalised_rewards`) it gives the exact gradient. In the loss its gradient has
    mean 0.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        reference_log_probs: log π_ref of the same actions.

    Returns:
        k1, [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> k1([-1.0, -2.0], [-1.5, -1.0])
        array([ 0.5, -1. ])

    Source:
        Schulman, Approximating KL divergence (2020), joschu.net/blog/kl-approx.html.
    """
    return log_probs - reference_log_probs


@array_function("T")
def k2(
    log_probs: Float[Array, "*batch T"], reference_log_probs: Float[Array, "*batch T"]
) -> Float[Array, "*batch T"]:
    """k2 = x²/2: never negative, biased as a number, to second order the KL.

    In the loss its gradient, x ∇log π, has the mean ∇KL(π‖π_ref) of each token given its prefix.
    `k3` times the ratio π/π_old has the same gradient at π = π_old.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        reference_log_probs: log π_ref of the same actions.

    Returns:
        k2, [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> k2([-1.0, -2.0], [-1.5, -1.0])
        array([0.125, 0.5  ])

    Source:
        Schulman, Approximating KL divergence (2020); its gradient: Tang and Munos, On a few
        pitfalls in KL divergence gradient estimation for RL, arXiv 2506.09477.
    """
    return (log_probs - reference_log_probs) ** 2 / 2


@array_function("T")
def k3(
    log_probs: Float[Array, "*batch T"], reference_log_probs: Float[Array, "*batch T"]
) -> Float[Array, "*batch T"]:
    """k3 = e^{−x} − 1 + x: mean KL(π‖π_ref), never negative, less variance near π_ref than k1.

    In the loss its gradient, (1 − π_ref/π) ∇log π, has the mean ∇KL(π_ref‖π) of each token given
    its prefix: the other KL.

    Args:
        log_probs: log π of the sampled actions, [..., T].
        reference_log_probs: log π_ref of the same actions.

    Returns:
        k3, [..., T], of the kind and dtype of `log_probs`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> k3([-1.0, -2.0], [-1.0, -2.0])
        array([0., 0.])

    Source:
        Schulman, Approximating KL divergence (2020); its gradient: Tang and Munos, arXiv
        2506.09477.
    """
    x = log_probs - reference_log_probs
    return jnp.expm1(-x) + x


@array_function("T")
def penalised_rewards(
    rewards: Float[Array, "*batch T"],
    log_probs: Float[Array, "*batch T"],
    reference_log_probs: Float[Array, "*batch T"],
    *,
    beta: Scalar,
) -> Float[Array, "*batch T"]:
    """r_t − β k1_t, frozen: the KL inside the reward, so that ψ carries it to earlier actions.

    Reward-to-go of these rewards is unbiased for the gradient of J − β E[Σ_t log π/π_ref]: the
    term that comes from differentiating log π itself has mean 0.

    Args:
        rewards: r_t, [..., T].
        log_probs: log π of the sampled actions; no gradient flows through it.
        reference_log_probs: log π_ref of the same actions.
        beta: β ≥ 0.

    Returns:
        [..., T], of the kind and dtype of `rewards`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: β is negative.

    Example:
        >>> penalised_rewards([1.0, 1.0], [-1.0, -2.0], [-1.5, -1.0], beta=0.5)
        array([0.75, 1.5 ])

    Source:
        Ziegler et al., Fine-tuning language models from human preferences, arXiv 1909.08593, eq. 2.
    """
    return rewards - beta * lax.stop_gradient(k1(log_probs, reference_log_probs))
