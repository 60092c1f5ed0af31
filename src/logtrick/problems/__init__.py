"""Alias: `logtrick.problems` has moved to `logtrick.mdp.problems`."""

from typing import Any

from logtrick.mdp import problems as _home
from logtrick.mdp.problems import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """What the room has beside its public names: once imported, this module is `lt.problems`."""
    return getattr(_home, name)
