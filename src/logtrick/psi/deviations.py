"""How far numbers are from their mean: under every group rule, whitening and variance.

One place, because the plain formula fails in four ways that matter. The mean of equal numbers is
rounded, so they seem to differ from it; a square of a large number overflows, that of a small one
is 0; and a comparison turns NaN into 0. Here numbers are shifted by the largest of them, which is
exact where all agree, and divided by a power of two near the largest size, which rounds nothing.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


class Deviations(NamedTuple):
    """x = mean + scale · scaled, entry by entry."""

    scaled: Float[Array, "..."]
    """(x − mean)/scale; 0 where an entry is not valid. NaN everywhere if a valid entry is not
    finite."""
    scale: Float[Array, "..."]
    """A power of two near max |x|; the axis has length 1."""
    mean: Float[Array, "..."]
    """Of the valid entries; the axis has length 1."""
    number: Float[Array, "..."]
    """How many entries are valid."""

    def variance(self, axis: int = -1, *, ddof: int = 0) -> Float[Array, "..."]:
        """Σ (x − mean)²/(count − ddof) in units of scale²; the axis has length 1."""
        squares = jnp.sum(jnp.square(self.scaled), axis=axis, keepdims=True)
        return squares / jnp.maximum(self.number - ddof, 1)


def deviations(
    values: Float[Array, "..."],
    valid: Bool[Array, "..."] | None = None,
    weights: Float[Array, "..."] | None = None,
    axis: int = -1,
) -> Deviations:
    """Differences from the mean of the valid entries along an axis, in units of a common scale.

    Args:
        values: x, at least float32.
        valid: which entries count; None is all. It broadcasts against `values`.
        weights: of the mean, shaped like `values`; None is equal weights.
        axis: along which the mean is taken.

    Example:
        >>> scaled, scale, mean, _ = deviations(jnp.array([1.0, 3.0]))
        >>> (scaled * scale).tolist(), mean.tolist()
        ([-1.0, 1.0], [2.0])
    """
    valid = jnp.ones((1,) * values.ndim, bool) if valid is None else valid
    some = jnp.broadcast_to(valid, values.shape)
    # Neither the shift nor the scale changes the result, so neither has a derivative.
    fixed = lax.stop_gradient(values)
    size = jnp.max(jnp.abs(fixed), axis=axis, keepdims=True, where=some, initial=0)
    largest = jnp.max(fixed, axis=axis, keepdims=True, where=some, initial=-jnp.inf)
    scale = _power_of_two(size)
    unit = 1 / scale
    shift = jnp.where(jnp.isneginf(largest), 0, largest * unit)
    shifted = jnp.where(valid, values * unit - shift, 0)
    if weights is None:
        count = jnp.sum(some, axis=axis, keepdims=True)
        mean = jnp.sum(shifted, axis=axis, keepdims=True) / jnp.maximum(count, 1)
    else:
        count = jnp.sum(weights, axis=axis, keepdims=True, where=some)
        mean = jnp.sum(weights * shifted, axis=axis, keepdims=True) / count
    scaled = jnp.where(valid, shifted - mean, 0)
    return Deviations(scaled, scale, (shift + mean) * scale, count)


def _power_of_two(size: Float[Array, "..."]) -> Float[Array, "..."]:
    """A power of two near size, its inverse a normal number too; NaN where size is not finite."""
    limits = jnp.finfo(size.dtype)
    inside = jnp.clip(size, limits.tiny, limits.max / 8)
    power = lax.reduce_precision(inside, exponent_bits=limits.nexp, mantissa_bits=0)
    return jnp.where(jnp.isfinite(size), power, jnp.nan)
