"""What is known of an environment once it was found, before anything is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.errors import ConfigError
from logtrick.support.numbers import checked_whole
from logtrick.support.spaces import SINGLE, over_leaves

TIMEOUT = 60.0
"""Seconds that an environment may take to answer, unless somebody says otherwise."""
LONGER = "An environment that needs longer is given it by timeout=SECONDS (--env-timeout SECONDS)."
Workers = Literal["sync", "async"]
"""Where a host environment's rows run: in this process, or each in a process of its own."""


@dataclass(frozen=True, eq=False)
class EnvSpec:
    """An environment that was found, with all that a policy must know of it, and not yet built."""

    id: str
    """The id that makes it again, prefix included; `object:NAME` for what only Python can make."""
    kind: Literal["device", "host"]
    """What `build` returns: a `DeviceEnv` or `HostEnvs`."""
    observation_space: spaces.Space[Any]
    """The space of one observation."""
    action_space: spaces.Space[Any]
    """The space of one action."""
    max_episode_steps: int | None
    """Steps after which an episode is truncated; None where there is no limit, or none known."""
    builder: Callable[[int, Workers, float], DeviceEnv | HostEnvs]
    """Builds it: (num_envs, workers, timeout)."""
    num_envs: int | None = None
    """The only number of rows that it can be built with; None where any will do."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """The keyword arguments that it is made with."""

    def build(
        self, num_envs: int, *, workers: Workers = "sync", timeout: float | int = TIMEOUT
    ) -> DeviceEnv | HostEnvs:
        """Build it.

        Args:
            num_envs: Rows of a host environment. A device environment is one pure function, which
                the rollout maps over as many rows as it likes.
            workers: Where a host environment's rows run: `"sync"`, one after the other in this
                process; `"async"`, each in a process of its own (a script must then start its
                work below `if __name__ == "__main__":`, as Python's multiprocessing asks).
            timeout: Seconds after which a row that is not built, or does not answer, is an error.
                Only time in which it ran counts: a process that is stopped is waited for. In this
                process that holds for what hangs in Python, on the main thread, and not on Windows:
                rows that may hang elsewhere, or die, belong in processes of their own.

        Raises:
            ConfigError: A number that cannot be meant.
            EnvError: It cannot be built.
        """
        num_envs = checked_whole(f"{self.id}: num_envs", num_envs, 1)
        if self.num_envs not in (None, num_envs):
            raise ConfigError(
                f"{self.id} has {self.num_envs} rows and {num_envs} are asked for: set num_envs to "
                f"{self.num_envs}, or pass a function that makes one environment."
            )
        if workers not in ("sync", "async"):
            raise ConfigError(f"workers is {workers!r}; it is 'sync' or 'async'.")
        return self.builder(num_envs, workers, check_timeout(timeout))


def check_timeout(timeout: Any) -> float:
    """The seconds that an environment may take to answer.

    Raises:
        ConfigError: No positive, finite number.

    Example:
        >>> check_timeout(90)
        90.0
    """
    number = isinstance(timeout, int | float | np.integer | np.floating)
    if not number or isinstance(timeout, bool) or not 0 < timeout < float("inf"):
        raise ConfigError(f"timeout is {timeout!r} seconds; it must be a number greater than 0.")
    return float(timeout)


@dataclass(frozen=True)
class EnvRow:
    """One line of `logtrick envs`."""

    id: str
    """What to type, prefix included."""
    kind: Literal["device", "host"]
    """Where it runs: compiled on the device, or in Python on the host."""
    observation: str
    """The observation space; empty where it is only known once made."""
    action: str
    """The action space; empty where it is only known once made."""
    trainable: bool | None
    """Whether today's policies can serve its spaces; None where that is only known once made."""
    install: str
    """The command that installs what it needs; empty where nothing is missing."""


def trainable(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> bool:
    """Whether today's policies can serve these spaces."""
    seen: list[spaces.Space[Any]] = []
    taken: list[spaces.Space[Any]] = []
    over_leaves(seen.append, observation_space)
    over_leaves(taken.append, action_space)
    return all(map(_is_seen, seen)) and all(map(_is_taken, taken))


def _is_seen(space: spaces.Space[Any]) -> bool:
    return isinstance(space, SINGLE)


def _is_taken(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Box):
        return bool(np.issubdtype(space.dtype, np.floating))
    return isinstance(space, SINGLE)


def from_zero(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """The space with the starts of its Discrete parts taken away: an adapter adds them again."""
    match space:
        case spaces.Discrete() if space.start != 0:
            return spaces.Discrete(int(space.n))
        case spaces.MultiDiscrete() if np.any(space.start != 0):
            return spaces.MultiDiscrete(space.nvec, str(space.dtype))
        case spaces.Dict():
            return spaces.Dict({key: from_zero(part) for key, part in space.items()})
        case spaces.Tuple():
            return spaces.Tuple([from_zero(part) for part in space])
    return space
