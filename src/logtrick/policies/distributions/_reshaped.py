"""Actions with another number of axes than one."""

import math
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from logtrick.errors import ShapeError
from logtrick.policies.distributions._base import Distribution


class Reshaped(Distribution):
    """A distribution whose actions are laid out in some shape.

    Args:
        flat: the distribution of the same numbers in a row, [..., D].
        shape: of an action: any whose numbers are D together.

    Example:
        >>> import jax.numpy as jnp
        >>> from logtrick.distributions import Normal
        >>> board = Reshaped(Normal(jnp.zeros(6), jnp.zeros(6)), (2, 3))
        >>> board.mode.shape
        (2, 3)
    """

    flat: Distribution
    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def mode(self) -> Array:
        """The mode of `flat`, in shape."""
        return self._in_shape(self.flat.mode)

    def draw_noise(self, key: PRNGKeyArray) -> Any:
        """The noise of `flat`."""
        return self.flat.draw_noise(key)

    def from_noise(self, noise: Any) -> Array:
        """The action of `flat`, in shape."""
        return self._in_shape(self.flat.from_noise(noise))

    def log_prob(self, action: Array) -> Float[Array, "*batch"]:
        """That of the same numbers in a row."""
        batch = action.shape[: action.ndim - len(self.shape)]
        return self.flat.log_prob(action.reshape(*batch, math.prod(self.shape)))

    def entropy(self) -> Float[Array, "*batch"]:
        """The entropy of `flat`: to lay numbers out changes no volume."""
        return self.flat.entropy()

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """The divergence of `flat`."""
        return self.flat.kl(other.flat)

    def _in_shape(self, row: Array) -> Array:
        if row.shape[-1] != math.prod(self.shape):
            raise ShapeError(f"{row.shape[-1]} numbers cannot be laid out in {self.shape}.")
        return row.reshape(*row.shape[:-1], *self.shape)
