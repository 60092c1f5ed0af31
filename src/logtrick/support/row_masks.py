"""Masks over rows: one flag for each row, against arrays that have more axes than the mask."""

from typing import Any


def over_axes(mask: Any, x: Any) -> Any:
    """The mask with an axis of length 1 for each axis that only x has, so that it broadcasts.

    Args:
        mask: [*rows], of JAX or of NumPy.
        x: [*rows, ...], an array that the mask selects from.

    Returns:
        [*rows, 1, …, 1], with as many axes as x.

    Example:
        >>> import numpy as np
        >>> over_axes(np.ones(3, bool), np.zeros((3, 4, 2))).shape
        (3, 1, 1)
    """
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
