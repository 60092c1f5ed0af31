"""Spaces as plain data, so that a policy can be loaded without its environment."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from logtrick.errors import SpaceError


def in_words(space: spaces.Space[Any]) -> str:
    """A space in a few words; a Box's bounds would fill the line.

    Example:
        >>> in_words(spaces.Box(-1, 1, (4,)))
        'Box[4] float32'
    """
    return f"Box{list(space.shape)} {space.dtype}" if isinstance(space, spaces.Box) else str(space)


def space_to_dict(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a Box or Discrete space in JSON's terms; infinite bounds are written as text.

    Example:
        >>> space_to_dict(spaces.Discrete(2))
        {'type': 'Discrete', 'n': 2, 'start': 0}
    """
    match space:
        case spaces.Discrete():
            return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.Box():
            return {
                "type": "Box",
                "shape": list(space.shape),
                "dtype": str(space.dtype),
                "low": _bounds(space.low),
                "high": _bounds(space.high),
            }
    raise SpaceError(f"{space} cannot be stored: Box and Discrete spaces can be.")


def space_from_dict(data: Mapping[str, Any]) -> spaces.Space[Any]:
    """Make the space that `space_to_dict` described.

    Raises:
        SpaceError: the description is damaged.
    """
    try:
        if data["type"] == "Discrete":
            return spaces.Discrete(int(data["n"]), start=int(data["start"]))
        if data["type"] == "Box":
            shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
            low, high = (np.array(data[side]).astype(dtype) for side in ("low", "high"))
            return spaces.Box(
                np.broadcast_to(low, shape), np.broadcast_to(high, shape), shape, dtype.type
            )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise SpaceError(f"This is no description of a space ({error}): {dict(data)}") from error
    raise SpaceError(f"Spaces of type {data['type']!r} are unknown; Box and Discrete are.")


def _bounds(bound: np.ndarray) -> Any:
    """One number where all are equal; numbers as text where JSON has none for them."""
    if bound.size and (bound == bound.flat[0]).all():
        bound = bound.flat[0]
    finite = np.isfinite(bound).all()
    return np.asarray(bound if finite else np.asarray(bound).astype(str)).tolist()
