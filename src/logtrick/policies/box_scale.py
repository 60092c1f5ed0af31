"""Where a Normal policy starts in a Box of actions: in its middle, at its scale.

The mean of a Normal starts near 0 and its standard deviation at 1. Where the bounds of a coordinate
are about −1 and 1, that is the Box. Elsewhere it is not: in [0, 1000] every action would be clipped
to a few, and nothing would be learned. So the Normal is one of (a − middle)/scale there, whose
density in a is exact, since an affine map of a Normal is a Normal.
"""

from typing import Literal, NamedTuple

import numpy as np
from gymnasium import spaces

ActionScale = Literal["box", "raw"]
ORDINARY = 0.1, 10.0
"""Half-widths of intervals [−h, h] that are left as they are: within an order of magnitude of 1."""
LARGEST = 1e12
"""Beyond this half-width (and below its inverse) bounds are no scale, but a way to write none."""


class Place(NamedTuple):
    """The middle and half the width of each coordinate; (0, 1) where it is left as it is."""

    middle: tuple[float, ...]
    scale: tuple[float, ...]


def place(space: spaces.Box, action_scale: str = "box") -> Place | None:
    """Where a Normal starts in a Box, by coordinate; None where all are left as they are.

    That is a coordinate without two finite bounds, and one from −h to h with 0.1 ≤ h ≤ 10.

    Args:
        space: of the actions.
        action_scale: "box"; "raw" leaves all as they are.

    Example:
        >>> place(spaces.Box(0, 1000, (1,)))
        Place(middle=(500.0,), scale=(500.0,))
        >>> place(spaces.Box(-2, 2, (1,))) is None
        True
    """
    low, high = (np.ravel(bound).astype(np.float64) for bound in (space.low, space.high))
    with np.errstate(invalid="ignore", over="ignore"):
        half, middle = (high - low) / 2, (high + low) / 2
    ordinary = (low == -high) & (half >= ORDINARY[0]) & (half <= ORDINARY[1])
    asis = ordinary | unscaled(space) | (low == high) | (action_scale == "raw")
    if asis.all():
        return None
    middle, half = np.where(asis, 0.0, middle), np.where(asis, 1.0, half)
    return Place(tuple(middle.tolist()), tuple(half.tolist()))


def unscaled(space: spaces.Box) -> np.ndarray:
    """bool[D]: the coordinates whose bounds say nothing of where good actions may lie."""
    low, high = (np.ravel(bound).astype(np.float64) for bound in (space.low, space.high))
    with np.errstate(invalid="ignore", over="ignore"):
        half = (high - low) / 2
    return (low < high) & ~((half >= 1 / LARGEST) & (half <= LARGEST))


def where_it_starts(space: spaces.Box) -> str:
    """What is to be known of a Box on which a Normal does not start like on [−1, 1]; else empty.

    Example:
        >>> where_it_starts(spaces.Box(-1, 1, (2,)))
        ''
        >>> where_it_starts(spaces.Box(0, np.inf, (1,))).partition(":")[0]
        'coordinate 0 goes from 0 to inf, which says nothing of where good actions lie'
    """
    low, high = np.ravel(space.low), np.ravel(space.high)
    if (lost := unscaled(space)).any():
        d = int(np.argmax(lost))
        return (
            f"coordinate {d} goes from {low[d]:g} to {high[d]:g}, which says nothing of where good "
            "actions lie: a Normal policy starts there at 0 with standard deviation 1. If they lie "
            "elsewhere, give the actions another unit, with bounds: gymnasium.wrappers."
            "TransformAction(env, function, Box(-1, 1, shape))."
        )
    if (put := place(space)) is not None:
        d = int(np.argmax((np.array(put.middle) != 0) | (np.array(put.scale) != 1)))
        return (
            f"coordinate {d} goes from {low[d]:g} to {high[d]:g}: a Normal of mean 0 and standard "
            "deviation 1 would hardly try what is there. The policies of this library start at "
            f"{put.middle[d]:g} ± {put.scale[d]:g} (action_scale='box'); one of your own has to do "
            "so itself, or be given gymnasium.wrappers.RescaleAction(env, -1, 1)."
        )
    return ""
