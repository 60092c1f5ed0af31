"""Action masks that allow nothing."""

import math
from typing import Any

import numpy as np
from gymnasium import spaces

from logtrick.errors import SpaceError
from logtrick.policies.encoders import ACTION_MASK, action_mask
from logtrick.support.spaces import over_leaves


def without_actions(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any], obs: Any
) -> np.ndarray | None:
    """bool[N]: the rows whose mask allows no action in some coordinate; None without a mask.

    Args:
        observation_space: of the environment.
        action_space: of the environment.
        obs: N observations.

    Raises:
        SpaceError: the mask has another structure than the actions.
    """
    if (mask := action_mask(obs)) is None:
        return None
    assert isinstance(observation_space, spaces.Dict)
    space, found = observation_space[ACTION_MASK], []

    def look(_: Any, actions: Any, mask: np.ndarray) -> None:
        flat = np.asarray(mask).reshape(len(mask), -1)
        allowed = np.logical_or.reduceat(flat, _coordinates(actions, flat.shape[1]), axis=1)
        found.append(~allowed.all(axis=1))

    try:
        over_leaves(look, space, action_space, mask)
    except (KeyError, IndexError, TypeError) as error:
        raise SpaceError(
            f"an {ACTION_MASK} in {space} does not fit actions in {action_space}."
        ) from error
    return np.logical_or.reduce(found)


def _coordinates(actions: Any, width: int) -> list[int]:
    """Where in a mask of so many entries each coordinate of an action begins."""
    choices: list[int] = []
    match actions:
        case spaces.MultiDiscrete(nvec=nvec):
            choices = nvec.ravel().tolist()
        case spaces.MultiBinary(shape=shape):
            choices = [2] * math.prod(shape)
    return [sum(choices[:k]) for k in range(len(choices))] if sum(choices) == width else [0]
