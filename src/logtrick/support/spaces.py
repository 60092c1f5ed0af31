"""Spaces as plain data, so that a policy can be loaded without its environment."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from logtrick.errors import SpaceError

SINGLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""Spaces whose samples are single arrays or numbers."""
_STORED = "Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple"


def in_words(space: spaces.Space[Any]) -> str:
    """A space in a few words; a Box's bounds would fill the line.

    Example:
        >>> in_words(spaces.Box(-1, 1, (4,)))
        'Box[4] float32'
    """
    return f"Box{list(space.shape)} {space.dtype}" if isinstance(space, spaces.Box) else str(space)


def in_short(array: np.ndarray | np.generic) -> str:
    """The numbers of an array, or what it is where they would fill the screen.

    Example:
        >>> in_short(np.zeros(2)), in_short(np.zeros((84, 84)))
        ('[0. 0.]', 'float64[84, 84]')
    """
    return str(array) if array.size <= 20 else f"{array.dtype}{list(array.shape)}"


def last_numbers(space: spaces.Space[Any]) -> np.ndarray | None:
    """The last number that an entry can be, where they are whole and start at 0; None for a Box.

    Example:
        >>> last_numbers(spaces.MultiDiscrete([2, 3])).tolist()
        [1, 2]
    """
    match space:
        case spaces.Discrete(n=n):
            return np.asarray(int(n) - 1)
        case spaces.MultiDiscrete(nvec=nvec):
            return np.asarray(nvec, np.int64) - 1
        case spaces.MultiBinary():
            return np.asarray(1)
    return None


def over_leaves(function: Callable[..., Any], space: spaces.Space[Any], *values: Any) -> Any:
    """Call function(space, *values) on every part of Dict and Tuple spaces, however deep.

    Args:
        function: gets a space that is neither a Dict nor a Tuple, and the values' parts there.
        space: the space.
        values: of its structure: samples, batches of them, or other spaces.

    Returns:
        What it returned, in dicts and tuples like the space.

    Example:
        >>> pair = spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (3,))])
        >>> over_leaves(lambda part: part.shape, pair)
        ((), (3,))
    """
    match space:
        case spaces.Dict():
            return {k: over_leaves(function, s, *(v[k] for v in values)) for k, s in space.items()}
        case spaces.Tuple():
            parts = enumerate(space)
            return tuple(over_leaves(function, s, *(v[i] for v in values)) for i, s in parts)
    return function(space, *values)


def named_parts(
    space: spaces.Space[Any], values: Any, name: str = ""
) -> Iterator[tuple[str, spaces.Space[Any], Any]]:
    """Every part of Dict and Tuple spaces with its name, and the values' part there.

    Example:
        >>> pair = spaces.Dict({"seen": spaces.Tuple([spaces.Discrete(2)])})
        >>> list(named_parts(pair, {"seen": (1,)}))
        [("['seen'][0]", Discrete(2), 1)]
    """
    match space:
        case spaces.Dict():
            for key, part in space.items():
                yield from named_parts(part, values[key], f"{name}[{key!r}]")
        case spaces.Tuple():
            for i, part in enumerate(space):
                yield from named_parts(part, values[i], f"{name}[{i}]")
        case _:
            yield name, space, values


def space_to_dict(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a space in JSON's terms; infinite bounds are written as text.

    Raises:
        SpaceError: it is none of Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple.

    Example:
        >>> space_to_dict(spaces.Discrete(2))
        {'type': 'Discrete', 'n': 2, 'start': 0}
    """
    match space:
        case spaces.Discrete():
            return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.MultiDiscrete():
            start = np.asarray(space.start).tolist()
            numbers = {"nvec": space.nvec.tolist(), "start": start}
            return {"type": "MultiDiscrete", **numbers, "dtype": str(space.dtype)}
        case spaces.MultiBinary():
            return {"type": "MultiBinary", "n": np.asarray(space.n).tolist()}
        case spaces.Box():
            return {
                "type": "Box",
                "shape": list(space.shape),
                "dtype": str(space.dtype),
                "low": _bounds(space.low),
                "high": _bounds(space.high),
            }
        case spaces.Dict():
            return {"type": "Dict", "parts": {k: space_to_dict(s) for k, s in space.items()}}
        case spaces.Tuple():
            return {"type": "Tuple", "parts": [space_to_dict(part) for part in space]}
    raise SpaceError(f"{space} cannot be stored: {_STORED} spaces can be.")


def space_from_dict(data: Mapping[str, Any]) -> spaces.Space[Any]:
    """Make the space that `space_to_dict` described.

    Raises:
        SpaceError: the description is damaged.
    """
    try:
        match data["type"]:
            case "Discrete":
                return spaces.Discrete(int(data["n"]), start=int(data["start"]))
            case "MultiDiscrete":
                nvec, start = np.array(data["nvec"]), np.array(data["start"])
                dtype = str(data.get("dtype", "int64"))
                return spaces.MultiDiscrete(nvec, dtype, start=start)
            case "MultiBinary":
                n = data["n"]
                return spaces.MultiBinary(n if isinstance(n, int) else tuple(n))
            case "Box":
                shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
                low, high = (np.array(data[side]).astype(dtype) for side in ("low", "high"))
                return spaces.Box(
                    np.broadcast_to(low, shape), np.broadcast_to(high, shape), shape, dtype.type
                )
            case "Dict":
                return spaces.Dict({k: space_from_dict(s) for k, s in data["parts"].items()})
            case "Tuple":
                return spaces.Tuple([space_from_dict(part) for part in data["parts"]])
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise SpaceError(f"This is no description of a space ({error}): {data}") from error
    raise SpaceError(f"Spaces of type {data['type']!r} are unknown; {_STORED} are.")


def _bounds(bound: np.ndarray) -> Any:
    """One number where all are equal; numbers as text where JSON has none for them."""
    if bound.size and (bound == bound.flat[0]).all():
        bound = bound.flat[0]
    finite = np.isfinite(bound).all()
    return np.asarray(bound if finite else np.asarray(bound).astype(str)).tolist()
