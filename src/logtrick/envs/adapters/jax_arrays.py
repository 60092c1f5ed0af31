"""What the adapters share of arrays."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def strong(leaf: Any) -> Array:
    """As an array without a weak type, for which jax would compile everything once more."""
    array = jnp.asarray(leaf)
    return jax.lax.convert_element_type(array, array.dtype)
