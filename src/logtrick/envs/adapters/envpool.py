"""EnvPool's environments: rows that C++ threads step while Python waits once for all of them."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from logtrick.envs.host.rows import VectorHostEnvs
from logtrick.envs.host.vector import SeededVector
from logtrick.envs.spec import EnvRow, EnvSpec, Workers
from logtrick.errors import EnvError, SpaceError, UnknownEnvError
from logtrick.support import extras
from logtrick.support.names import reason

_NO_LIMIT = 2**31 - 1
"""What EnvPool writes where a task has no time limit."""


def resolve(name: str) -> EnvSpec:
    """Find EnvPool's task `name`, `HalfCheetah-v5` or `CheetahRun-v1` say.

    A dictionary of Boxes only, as the dm_control tasks observe, is concatenated in EnvPool's order;
    any other keeps its parts. `workers` means nothing here, and `timeout` does not reach the
    threads, which are EnvPool's. A task that ends by itself on the last step of its time limit
    counts as truncated: EnvPool does not tell them apart.

    Raises:
        MissingExtraError: EnvPool is not installed.
        UnknownEnvError: EnvPool has no such task.
        SpaceError: It has several players.
    """
    envpool = extras.load("envpool", "envpool")
    if name not in envpool.list_all_envs():
        raise UnknownEnvError(f"EnvPool has no environment {name!r}.")
    id = f"envpool:{name}"
    try:
        with _quiet():
            spec = envpool.make_spec(name)
            inner, action = spec.gymnasium_observation_space, spec.gymnasium_action_space
    except Exception as error:
        raise EnvError(f"{id} could not be made: {reason(error)}.") from error
    if spec.config.max_num_players > 1:
        raise SpaceError(f"{id}: it has {spec.config.max_num_players} players; one is served here.")
    observation, action = _joined_space(_mended(inner)), _mended(action)
    steps = int(spec.config.max_episode_steps)
    limit = None if steps == _NO_LIMIT else steps

    def build(num_envs: int, workers: Workers, timeout: float) -> VectorHostEnvs:
        pool = _Pool(name, num_envs, observation, action)
        return VectorHostEnvs(pool, id=id, max_episode_steps=limit, timeout=timeout)

    return EnvSpec(id, "host", observation, action, limit, build)


def rows() -> list[EnvRow]:
    """One line: EnvPool has more than a thousand tasks."""
    install = extras.install("envpool", "envpool")
    return [EnvRow("envpool:HalfCheetah-v5", "host", "", "", None, install)]


def names() -> list[str]:
    """The names of all tasks that EnvPool has, as `resolve` takes them."""
    return list(extras.load("envpool", "envpool").list_all_envs())


class _Pool(SeededVector):
    """An EnvPool behind Gymnasium's interface. Every reset makes it anew, with its seeds.

    An ended row is reset by its next step, whose action is ignored. Seeds can be given when the
    pool is made only, so its episodes cannot be replayed.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        observation: spaces.Space[Any],
        action: spaces.Space[Any],
        **options: Any,
    ):
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs = num_envs
        self.single_observation_space = observation
        self.single_action_space = action
        self.observation_space = batch_space(observation, num_envs)
        self.action_space = batch_space(action, num_envs)
        self._name = name
        self._options = options
        self._pool: Any = None

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Make the pool, a new one each time, with one seed for each row; start all rows."""
        envpool = extras.load("envpool", "envpool")
        self.close_extras()
        with _quiet():
            self._pool = envpool.make_gymnasium(
                self._name,
                num_envs=self.num_envs,
                num_threads=min(self.num_envs, os.cpu_count() or 1),
                env_seed=[number >> 1 for number in seed],  # it takes 31 bits
                **self._options,
            )
            obs, _ = self._pool.reset()
        return self._joined(obs), {}

    def step(self, actions: np.ndarray) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step all rows."""
        obs, reward, terminated, truncated, _ = self._pool.step(actions)
        return self._joined(obs), reward, terminated, truncated, {}

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.close()

    def _joined(self, obs: Any) -> Any:
        if not isinstance(obs, dict) or not isinstance(self.single_observation_space, spaces.Box):
            return obs
        return np.concatenate([np.reshape(x, (self.num_envs, -1)) for x in obs.values()], axis=1)


def _mended(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """The space with the bounds that EnvPool means."""
    match space:
        case spaces.Box():
            low, high = _unbounded(space)
            return spaces.Box(low, high, dtype=space.dtype)  # type: ignore[arg-type]
        case spaces.Dict():
            return spaces.Dict({key: _mended(part) for key, part in space.items()})
    return space


def _joined_space(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """One Box in the place of a dictionary of Boxes."""
    parts = list(space.values()) if isinstance(space, spaces.Dict) else []
    if not parts or not all(isinstance(part, spaces.Box) for part in parts):
        return space
    dtype = np.result_type(*(part.dtype for part in parts))
    low, high = (
        np.concatenate([getattr(part, side).ravel() for part in parts]).astype(dtype)
        for side in ("low", "high")
    )
    return spaces.Box(low, high, dtype=dtype.type)


def _unbounded(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """The bounds; EnvPool writes the least positive number where it means minus infinity."""
    if not np.issubdtype(space.dtype, np.floating):
        return space.low, space.high
    kind = np.finfo(space.dtype)
    low = np.where(space.low == kind.tiny, -np.inf, space.low)
    return low.astype(space.dtype), np.where(space.high == kind.max, np.inf, space.high)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """EnvPool builds its spaces with bounds of another precision, of which Gymnasium warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
