"""Rows that are apart: no two of them step one and the same object.

Where they do, they train on a garbled environment, and nothing shows it.
"""

import types
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium

from logtrick.errors import EnvError

Factory = Callable[[], gymnasium.Env[Any, Any]]
_DEPTH = 3
"""How deep in an environment's attributes other environments are looked for."""


class Fresh:
    """A factory that has to make another environment at every call.

    What it made is remembered as long as it lives, in this process: the rows of training and those
    of an evaluation come from the same factory, and must be apart too.

    Args:
        make: the user's function.
        name: what its environments are called.
    """

    def __init__(self, make: Factory, name: str) -> None:
        self.make, self.name = make, name
        self._made: list[weakref.ref[Any]] = []

    def __reduce__(self) -> Any:
        return type(self), (self.make, self.name)  # another process has environments of its own

    def __call__(self) -> Any:
        """What the function makes.

        Raises:
            EnvError: it steps what was made before, perhaps in another wrapper.
        """
        env = self.make()
        if not isinstance(env, gymnasium.Env):
            return env  # which is refused elsewhere
        parts = list(_stepped(env))
        self._made = [ref for ref in self._made if ref() is not None]
        for part in parts:
            if any(ref() is part for ref in self._made):
                raise EnvError(
                    f"{self.name}: the function that makes the environment returned the same "
                    f"{type(part).__name__} twice, so several rows would step one object. "
                    "Make everything anew inside the function, at every call. An environment that "
                    "exists already is passed itself, without a function, with num_envs=1."
                )
        self._made += [weakref.ref(part) for part in parts]
        return env


def refuse_shared(envs: Sequence[gymnasium.Env[Any, Any]], name: str) -> None:
    """Refuse rows of which two step one and the same object.

    Raises:
        EnvError: the first such pair.
    """
    owner: dict[int, int] = {}
    for row, env in enumerate(envs):
        for part in _stepped(env):
            if (other := owner.setdefault(id(part), row)) != row:
                raise EnvError(
                    f"{name}: its rows {other} and {row} step one and the same "
                    f"{type(part).__name__}. Give each row one of its own: a list of functions, "
                    "each of which makes everything anew."
                )


def _stepped(env: gymnasium.Env[Any, Any]) -> Iterator[Any]:
    """The environment without its wrappers, and the environments among its attributes.

    Other simulators may be shared: many are functions of a state that each row keeps for itself.
    Whether one is, only their numbers tell: `check_env` compares them.
    """
    seen: set[int] = set()
    level: list[Any] = [env.unwrapped]
    for _ in range(_DEPTH):
        following: list[Any] = []
        for part in level:
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, gymnasium.Env):
                yield part.unwrapped
            following += getattr(part, "__dict__", {}).values()
        level = [x for x in following if not isinstance(x, type | types.ModuleType)]
