"""What runs beside a Gymnasium environment, in this process or in a worker's: the checks.

A worker imports this module and no jax. A failure does not travel as an exception, because
Gymnasium's vector environments lose the index of the row on the way: it travels in the `info`.
"""

import math
import multiprocessing
import signal
import traceback
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from logtrick.envs.host.alarm import CLOCK, TimedOut, log
from logtrick.support.spaces import in_short, named_parts, over_leaves

FAILURE = "logtrick_failure"
"""Key of the `info` that carries what went wrong."""
TRACE = "logtrick_trace"
"""Key of the `info` that carries the traceback, for the environment's author."""


class CheckedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """One environment, whose faults become messages. Who wraps the row knows when it was."""

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]], limit: float):
        """Wrap what `make` makes, which has `limit` seconds for its `close`."""
        super().__init__(make())
        self._limit = limit
        # Gymnasium writes the autoreset mode into this dictionary, which the class would share.
        self.metadata = dict(self.env.metadata)
        self._space = self.env.observation_space
        self._name = type(self.env.unwrapped).__name__
        taken: list[gymnasium.Space[Any]] = []
        over_leaves(taken.append, self.env.action_space)
        self._mends_actions = any(
            part.shape == () and not isinstance(part, gymnasium.spaces.Discrete) for part in taken
        )

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; the info reports a failure."""
        try:
            result = self.env.reset(seed=seed, options=options)
            if not isinstance(result, tuple) or len(result) != 2:
                raise _Fault(f"reset returned {_describe(result)} and not (obs, info)")
            return self._observation(result[0]), {}
        except (Exception, SystemExit) as error:
            return self._blank(), _failure(error)
        finally:
            CLOCK.answered()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one action; the info reports a failure, which ends the episode.

        The environment's own info is dropped: to carry it costs time, and nothing here reads it.
        """
        try:
            if self._mends_actions:
                action = over_leaves(_as_declared, self.env.action_space, action)
            result = self.env.step(action)
            if not isinstance(result, tuple) or len(result) != 5:
                expected = "(obs, reward, terminated, truncated, info)"
                raise _Fault(f"step returned {_describe(result)} and not {expected}")
            obs, reward, terminated, truncated, _ = result
            return (
                self._observation(obs),
                _reward(reward),
                _flag("terminated", terminated),
                _flag("truncated", truncated),
                {},
            )
        except (Exception, SystemExit) as error:
            return self._blank(), 0.0, True, False, _failure(error)
        finally:
            CLOCK.answered()

    def close(self) -> None:
        """Close it; a failure is logged and stops nothing, since nothing comes after it."""
        try:
            CLOCK.run(super().close, self._limit)
        except (Exception, SystemExit) as error:
            fault = next(iter(_failure(error).values()))
            log.warning("%s: its close %s; nothing of the run is lost.", self._name, fault)
        finally:
            CLOCK.answered()

    def _observation(self, obs: Any) -> Any:
        try:
            return over_leaves(_part, self._space, obs)
        except (KeyError, IndexError, TypeError) as error:
            raise _Fault(f"the observation lacks parts of its space {self._space}") from error
        except _Fault:
            for name, space, part in named_parts(self._space, obs):
                _part(space, part, name)  # again, for the name
            raise

    def _blank(self) -> Any:
        return over_leaves(lambda space: np.zeros(space.shape, space.dtype), self._space)


class NewWorld(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A BipedalWalker whose episodes begin in a new physical world each, so that seeds fix them.

    Gymnasium's own keeps the last episode's world, whose order of contacts depends on the past.
    """

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, with nothing left of the one before."""
        walker: Any = self.env.unwrapped
        walker._destroy()
        walker.world = type(walker.world)()
        return self.env.reset(**options)


def in_new_worlds(make: Callable[[], gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    """What `make` makes, a BipedalWalker, as a `NewWorld`."""
    return NewWorld(make())


class _Fault(Exception):
    """The environment answered, wrongly."""


def _part(space: gymnasium.Space[Any], obs: Any, name: str = "") -> np.ndarray:
    """The observation, or the part of it with this name, in its space's dtype."""
    array, shape, dtype = np.asarray(obs), space.shape or (), np.dtype(space.dtype)
    if array.shape != shape:
        raise _Fault(f"the observation{name} has shape {array.shape}, its space {shape}")
    kinds = "f" if dtype.kind == "f" else "iub"
    if array.dtype.kind not in kinds:
        raise _Fault(f"the observation{name} has dtype {array.dtype}, its space {dtype}")
    cast = array.astype(dtype, copy=False)
    if kinds != "f" and cast.dtype != array.dtype and not np.array_equal(cast, array):
        raise _Fault(
            f"the observation{name} {in_short(array)} does not fit its space's dtype {dtype}"
        )
    return cast


def _as_declared(space: gymnasium.Space[Any], action: Any) -> Any:
    """An array without axes is an array: Gymnasium's vector environments hand over its number."""
    return action if isinstance(space, gymnasium.spaces.Discrete) else np.asarray(action)


def _reward(reward: Any) -> float:
    if isinstance(reward, float):
        return reward
    if np.ndim(reward) != 0:
        raise _Fault(f"the reward has shape {np.shape(reward)} and is no number")
    try:
        if isinstance(reward, str | bytes | bytearray) or np.asarray(reward).dtype.kind in "SUMm":
            raise TypeError  # of which float() would read a number
        return float(reward)
    except (TypeError, ValueError):
        raise _Fault(f"the reward is {reward!r:.80} and no number") from None


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    array = np.asarray(value)
    if array.shape != () or array.dtype != bool:
        raise _Fault(f"{name} is {value!r} and no bool")
    return bool(array)


def _describe(result: Any) -> str:
    return f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"


def _failure(error: BaseException) -> dict[str, str]:
    if isinstance(error, _Fault):
        return {FAILURE: f"broke its contract: {error}", TRACE: ""}
    if isinstance(error, TimedOut):
        message = str(error)
    else:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename}, line {frame.lineno}"
        said = f": {error}" if str(error).strip() else ""
        message = f"raised {type(error).__name__}{said} ({place})"
    return {FAILURE: message, TRACE: "".join(traceback.format_exception(error))}


def checked_here(make: Callable[[], gymnasium.Env[Any, Any]], limit: float) -> CheckedEnv:
    """A `CheckedEnv` that has `limit` seconds to be built in this process."""
    return CheckedEnv(lambda: CLOCK.run(make, limit), limit)


def checked_in_worker(make: Callable[[], gymnasium.Env[Any, Any]], limit: float) -> CheckedEnv:
    """A `CheckedEnv` in a process that leaves Ctrl-C to its parent, which may want to save."""
    # Gymnasium calls this once in the parent too, to learn the spaces.
    if multiprocessing.parent_process() is None:
        return checked_here(make, limit)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return CheckedEnv(make, math.inf)  # the parent counts
