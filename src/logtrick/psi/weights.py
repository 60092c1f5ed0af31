"""The weights w_i of the G sequences of a group in Σ_i w_i ψ_i Σ_t ∇log π(a_{i,t}|s_{i,t}).

Arrays are [..., G], the group last. Of these only the first and the last leave the direction of the
gradient alone: a weight that looks at L_i looks at the actions that made L_i.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from logtrick.psi.backends import array_function
from logtrick.psi.returns import Scalar


@array_function("G")
def sequence_sum_weights(lengths: Float[Array, "*batch G"]) -> Float[Array, "*batch G"]:
    """w_i = 1/G: the sum over a sequence's tokens, the mean over sequences. Keeps the mean of ψ.

    Args:
        lengths: L_i, [..., G]; only the shape counts.

    Returns:
        w_i, [..., G], of the kind and dtype of `lengths`.

    Raises:
        ShapeError: an empty array.
        ConfigError: a length is less than 1.

    Example:
        >>> sequence_sum_weights([1.0, 3.0])
        array([0.5, 0.5])

    Source:
        Ahmadian et al., Back to basics, arXiv 2402.14740.
    """
    return jnp.full_like(lengths, 1 / lengths.shape[-1])


@array_function("G")
def sequence_mean_weights(lengths: Float[Array, "*batch G"]) -> Float[Array, "*batch G"]:
    """w_i = 1/(G L_i): the mean over a sequence's tokens, as in GRPO.

    With a leave-one-out ψ the mean is ∇E[R/L] − J ∇E[1/L], J frozen: the gradient of no function.

    Args:
        lengths: L_i, [..., G], at least 1.

    Returns:
        w_i, [..., G], of the kind and dtype of `lengths`.

    Raises:
        ShapeError: an empty array.
        ConfigError: a length is less than 1.

    Example:
        >>> sequence_mean_weights([1.0, 2.0])
        array([0.5 , 0.25])

    Source:
        Shao et al., DeepSeekMath, arXiv 2402.03300, eq. 3.
    """
    return 1 / (lengths.shape[-1] * lengths)


@array_function("G")
def token_mean_weights(lengths: Float[Array, "*batch G"]) -> Float[Array, "*batch G"]:
    """w_i = 1/Σ_j L_j: the mean over all tokens, as in DAPO and in most PPO code.

    The divisor depends on the sampled lengths: in general the gradient of no function.

    Args:
        lengths: L_i, [..., G], at least 1.

    Returns:
        w_i, [..., G], of the kind and dtype of `lengths`.

    Raises:
        ShapeError: an empty array.
        ConfigError: a length is less than 1.

    Example:
        >>> token_mean_weights([1.0, 3.0])
        array([0.25, 0.25])

    Source:
        Yu et al., DAPO, arXiv 2503.14476, sec. 3.3.
    """
    total = jnp.sum(lengths, axis=-1, keepdims=True)
    return jnp.broadcast_to(1 / total, lengths.shape)


@array_function("G")
def constant_length_weights(
    lengths: Float[Array, "*batch G"], *, max_length: Scalar
) -> Float[Array, "*batch G"]:
    """w_i = 1/(G L_max): a constant, as in Dr. GRPO. Keeps the mean of ψ up to 1/L_max.

    Args:
        lengths: L_i, [..., G]; only the shape counts.
        max_length: L_max, at least 1.

    Returns:
        w_i, [..., G], of the kind and dtype of `lengths`.

    Raises:
        ShapeError: an empty array.
        ConfigError: a length or L_max is less than 1.

    Example:
        >>> constant_length_weights([1.0, 3.0], max_length=4)
        array([0.125, 0.125])

    Source:
        Liu et al., Understanding R1-Zero-like training, arXiv 2503.20783, sec. 3.2.
    """
    return jnp.ones_like(lengths) / (lengths.shape[-1] * max_length)
