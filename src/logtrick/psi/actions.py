"""What can be computed when Q(s, ·) is known for every action: arrays [..., A], actions last."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from logtrick.psi.backends import array_function


@array_function("A")
def all_action_sum(
    probabilities: Float[Array, "*batch A"], action_values: Float[Array, "*batch A"]
) -> Float[Array, "*batch"]:
    """Σ_a π(a|s) ψ(s, a) with ψ frozen: its gradient is Σ_a ψ ∇π, the action summed exactly.

    With ψ = Q_π, states weighted by η_γ, this is G1: unbiased for ∇J, and no sampled action adds
    variance. As a number it is V(s). Actions with probability 0 count 0, even where Q = −∞.

    Args:
        probabilities: π(a|s), [..., A].
        action_values: ψ(s, a), usually Q or A; no gradient flows through it.

    Returns:
        [...], of the kind and dtype of `probabilities`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a probability is outside [0, 1].

    Example:
        >>> all_action_sum([0.25, 0.75], [4.0, 0.0])
        array(1.)

    Source:
        Ciosek and Whiteson, Expected policy gradients, arXiv 1706.05374; the same sum is the mean
        actor-critic of Allen et al., arXiv 1709.00503.
    """
    return jnp.sum(_weighted(probabilities, lax.stop_gradient(action_values)), axis=-1)


@array_function("A")
def advantage(
    action_values: Float[Array, "*batch A"], probabilities: Float[Array, "*batch A"]
) -> Float[Array, "*batch A"]:
    """A(s, a) = Q(s, a) − Σ_a' π(a'|s) Q(s, a') (V4). As ψ unbiased for ∇J (G2) when Q = Q_π.

    Args:
        action_values: Q(s, a), [..., A]; −∞ at actions that the state does not have.
        probabilities: π(a|s).

    Returns:
        A(s, a), [..., A], of the kind and dtype of `action_values`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a probability is outside [0, 1].

    Example:
        >>> advantage([4.0, 0.0], [0.25, 0.75])
        array([ 3., -1.])

    Source:
        Schulman et al., arXiv 1506.02438, eq. 1, item 5.
    """
    value = jnp.sum(_weighted(probabilities, action_values), axis=-1, keepdims=True)
    return jnp.subtract(action_values, jnp.broadcast_to(value, action_values.shape))


@array_function("A")
def q_value(action_values: Float[Array, "*batch A"]) -> Float[Array, "*batch A"]:
    """ψ(s, a) = Q(s, a), with no baseline at all. Unbiased for ∇J (G2) when Q = Q_π.

    Args:
        action_values: Q(s, a), [..., A].

    Returns:
        Q(s, a), [..., A].

    Raises:
        ShapeError: an empty array.

    Example:
        >>> q_value([4.0, 0.0])
        array([4., 0.])

    Source:
        Sutton et al., Policy gradient methods for reinforcement learning with function
        approximation, NIPS 1999, theorem 1.
    """
    return action_values


@array_function("A")
def above_optimal_baseline(
    action_values: Float[Array, "*batch A"],
    probabilities: Float[Array, "*batch A"],
    squared_scores: Float[Array, "*batch A"] | None = None,
) -> Float[Array, "*batch A"]:
    """ψ(s, a) = Q(s, a) − b*(s), b* the `optimal_baseline`. Unbiased for ∇J (G2) when Q = Q_π.

    Args:
        action_values: Q(s, a), [..., A]; −∞ at actions that the state does not have.
        probabilities: π(a|s).
        squared_scores: ‖∇log π(a|s)‖²; None is a softmax over this state's own logits.

    Returns:
        Q − b*, [..., A], of the kind and dtype of `action_values`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a probability is outside [0, 1].

    Example:
        >>> above_optimal_baseline([4.0, 0.0], [0.25, 0.75])
        array([ 1., -3.])

    Source:
        Greensmith et al., Variance reduction techniques for gradient estimates in reinforcement
        learning, JMLR 5 (2004).
    """
    return action_values - optimal_baseline(action_values, probabilities, squared_scores)[..., None]


@array_function("A")
def optimal_baseline(
    action_values: Float[Array, "*batch A"],
    probabilities: Float[Array, "*batch A"],
    squared_scores: Float[Array, "*batch A"] | None = None,
) -> Float[Array, "*batch"]:
    """b*(s) = E[‖∇log π‖² Q] / E[‖∇log π‖²], the baseline of least variance of one step's term.

    It minimises the variance of (Q − b) ∇log π in this state; that of the sum over a trajectory
    also has covariances between steps, which it does not know. It beats V by little, usually. Where
    every score is 0 all baselines are the same, and V is returned.

    Args:
        action_values: Q(s, a), [..., A]; −∞ at actions that the state does not have.
        probabilities: π(a|s).
        squared_scores: ‖∇log π(a|s)‖²; None is a softmax over this state's own logits, for which
            it is 1 − 2π(a|s) + Σ_a' π(a'|s)².

    Returns:
        b*(s), [...], of the kind and dtype of `action_values`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.
        ConfigError: a probability is outside [0, 1].

    Example:
        >>> optimal_baseline([4.0, 0.0], [0.25, 0.75])
        array(3.)

    Source:
        Weaver and Tao, The optimal reward baseline for gradient-based reinforcement learning, UAI
        2001; Greensmith et al., Variance reduction techniques for gradient estimates in
        reinforcement learning, JMLR 5 (2004).
    """
    if squared_scores is None:
        collisions = jnp.sum(probabilities**2, axis=-1, keepdims=True)
        squared_scores = 1 - 2 * probabilities + jnp.broadcast_to(collisions, probabilities.shape)
    weights = probabilities * squared_scores
    total = jnp.sum(weights, axis=-1)
    value = jnp.sum(_weighted(probabilities, action_values), axis=-1)
    weighted = jnp.sum(_weighted(weights, action_values), axis=-1)
    return jnp.where(total > 0, weighted / jnp.where(total > 0, total, 1), value)


def _weighted(
    weights: Float[Array, "*batch A"], action_values: Float[Array, "*batch A"]
) -> Float[Array, "*batch A"]:
    """Products in which weight 0 times −∞ is 0."""
    missing = (weights == 0) & jnp.isneginf(action_values)
    return weights * jnp.where(missing, 0, action_values)
