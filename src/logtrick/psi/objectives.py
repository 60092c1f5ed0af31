"""Surrogate losses: functions whose *gradient* is wanted, sample by sample.

Each returns one number for each sample and is to be minimised; the training loop weights, masks
and averages. ψ, old log-probabilities and targets are data: no gradient flows through them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logtrick.psi import ratios


def score_function(
    log_prob: Float[Array, "*batch"], psi: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """−ψ log π, whose gradient is −ψ ∇log π: one sample of G2 (D7), negated to be minimised.

    With a discounted weighting γ^t and an unbiased ψ its mean gradient is −∇J1; without γ^t it is
    in general the gradient of no function (G4).

    Args:
        log_prob: log π_θ(a_t|s_t), with a gradient in θ.
        psi: ψ_t, a constant here.

    Returns:
        [B], one loss for each sample, to be minimised.

    Example:
        >>> import jax
        >>> float(jax.grad(score_function)(jnp.float32(-0.7), jnp.float32(2.0)))
        -2.0

    Source: Williams (1992), "Simple statistical gradient-following algorithms", equation 11.
    """
    batch = (log_prob[None], log_prob[None], jnp.asarray(psi)[None])  # one sample has no axis
    return -ratios.score(*batch)[0]


def ppo_clip(
    log_prob: Float[Array, "*batch B"],
    old_log_prob: Float[Array, "*batch B"],
    psi: Float[Array, "*batch B"],
    clip_eps: Float[Array, ""] | float,
) -> Float[Array, "*batch B"]:
    """−min(r ψ, clip(r, 1−ε, 1+ε) ψ) with the ratio r = π_θ/π_old.

    At θ = θ_old its gradient is that of `score_function`. Away from it, the gradient is 0 wherever
    the ratio has left the interval on the side that ψ asks for.

    Args:
        log_prob: log π_θ(a_t|s_t), with a gradient in θ.
        old_log_prob: the same under the policy that acted.
        psi: ψ_t.
        clip_eps: ε > 0.

    Returns:
        [B], one loss for each sample, to be minimised.

    Example:
        >>> new, old, psi = jnp.log(jnp.array([0.6, 0.9])), jnp.log(jnp.full(2, 0.5)), jnp.ones(2)
        >>> [round(float(x), 2) for x in ppo_clip(new, old, psi, 0.2)]
        [-1.2, -1.2]

    Source: Schulman et al. (2017), "Proximal policy optimization algorithms", equation 7.
    """
    data = jax.lax.stop_gradient((old_log_prob, psi))
    return -ratios.ppo_clip(log_prob, *data, epsilon_low=clip_eps, epsilon_high=clip_eps)


def kl_penalty(
    log_prob: Float[Array, "*batch B"],
    old_log_prob: Float[Array, "*batch B"],
    psi: Float[Array, "*batch B"],
    divergence: Float[Array, "*batch B"],
    kl_coef: Float[Array, ""] | float,
) -> Float[Array, "*batch B"]:
    """−r ψ + β KL(π_old ‖ π_θ) with the ratio r = π_θ/π_old.

    At θ = θ_old its gradient is that of `score_function`: the divergence is at its minimum there.

    Args:
        log_prob: log π_θ(a_t|s_t), with a gradient in θ.
        old_log_prob: the same under the policy that acted.
        psi: ψ_t.
        divergence: KL(π_old ‖ π_θ) in s_t, exact, with a gradient in θ.
        kl_coef: β ≥ 0.

    Returns:
        [B], one loss for each sample, to be minimised.

    Example:
        >>> one = jnp.ones(1)
        >>> kl_penalty(jnp.log(one / 2), jnp.log(one / 4), one, 0.5 * one, 3.0).tolist()
        [-0.5]

    Source: Schulman et al. (2017), "Proximal policy optimization algorithms", equation 8.
    """
    return kl_coef * divergence - ratios.importance(log_prob, old_log_prob, psi)


def value_loss(
    values: Float[Array, "*batch"], targets: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """½ (V_φ(s_t) − target_t)², the target a constant.

    Args:
        values: V_φ(s_t), with a gradient in φ.
        targets: what V_φ is fitted to, in the units of the return; no gradient flows through it.

    Returns:
        [B], one loss for each sample, to be minimised.

    Example:
        >>> float(value_loss(jnp.float32(1.0), jnp.float32(3.0)))
        2.0
    """
    return 0.5 * jnp.square(values - jax.lax.stop_gradient(targets))


def clipped_value_loss(
    values: Float[Array, "*batch"],
    old_values: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    clip_eps: Float[Array, ""] | float,
) -> Float[Array, "*batch"]:
    """½ max((V − target)², (V_old + clip(V − V_old, ±ε) − target)²).

    It limits how far one update moves the critic, in the units of the return. OpenAI's baselines
    do this; the paper on PPO does not, and it rarely helps (Andrychowicz et al. 2021, choice C13).

    Args:
        values: V_φ(s_t), with a gradient in φ.
        old_values: V of the critic before the update.
        targets: what V_φ is fitted to.
        clip_eps: ε > 0, in the units of the return.

    Returns:
        [B], one loss for each sample, to be minimised.

    Example:
        >>> v, old, target = jnp.float32(2.0), jnp.float32(0.0), jnp.float32(3.0)
        >>> round(float(clipped_value_loss(v, old, target, 0.5)), 4)     # ½ (0.5 − 3)²
        3.125
    """
    near = old_values + jnp.clip(values - old_values, -clip_eps, clip_eps)
    return jnp.maximum(value_loss(values, targets), value_loss(near, targets))
