"""Calls into Gymnasium's vector environments: how they are built, and how they fail."""

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from logtrick.envs._alarm import CLOCK, TimedOut
from logtrick.envs._rows import Factory
from logtrick.envs._worker import FAILURE, TRACE, CheckedEnv, checked_in_worker
from logtrick.names import reason

Vector = VectorEnv[Any, Any, Any]


class SeededVector(VectorEnv[Any, Any, Any]):
    """A vector environment of ours, whose `reset` takes a list with one seed for each row."""


class RowsFailed(Exception):
    """Some rows failed: which ones, and how. No rows: it is not known which."""

    def __init__(self, rows: list[int], what: str, trace: str = ""):
        super().__init__(what)
        self.rows = rows
        self.what = what
        self.trace = trace


def sync_vector(make: Factory, num_envs: int) -> Vector:
    """`num_envs` environments in this process, which do not reset themselves."""
    factories = [partial(CheckedEnv, make)] * num_envs
    return SyncVectorEnv(factories, copy=False, autoreset_mode=AutoresetMode.DISABLED)


def async_vector(make: Factory, num_envs: int) -> Vector:
    """`num_envs` environments in processes of their own, which do not reset themselves."""
    # Forking a process in which jax runs its threads can lock up for ever.
    methods = multiprocessing.get_all_start_methods()
    method = "forkserver" if "forkserver" in methods else "spawn"
    if method == "forkserver":
        multiprocessing.get_context(method).set_forkserver_preload(["logtrick.envs._worker"])
    factories = [partial(checked_in_worker, make)] * num_envs
    try:
        return AsyncVectorEnv(
            factories, copy=False, context=method, autoreset_mode=AutoresetMode.DISABLED
        )
    except (EOFError, OSError) as error:
        raise RowsFailed(
            [],
            "died while it started. In a script, what starts worker processes must stand below "
            "`if __name__ == '__main__':`",
        ) from error


def autoreset_mode(vector: Vector) -> AutoresetMode:
    """How `vector` resets its rows; NEXT_STEP where it does not say, as Gymnasium assumes.

    Gymnasium writes the mode of the newest vector environment into metadata that all environments
    of a class share, so the attribute of the object itself comes first.
    """
    mode = getattr(vector.unwrapped, "autoreset_mode", None)
    mode = vector.metadata.get("autoreset_mode") if mode is None else mode
    return AutoresetMode.NEXT_STEP if mode is None else AutoresetMode(mode)


def reset(vector: Vector, seed: Any, options: Any, timeout: float) -> Any:
    """The observations of `vector.reset(...)`; a `RowsFailed` for whatever goes wrong."""

    def call() -> Any:
        if isinstance(vector, AsyncVectorEnv):
            vector.reset_async(seed=seed, options=options)
            return vector.reset_wait(timeout)
        CLOCK.look_again()
        return CLOCK.run(lambda: vector.reset(seed=seed, options=options), timeout)

    obs, infos = _guarded(vector, call, 2, timeout)
    _raise_told(infos)
    return obs


def step(vector: Vector, actions: Any, timeout: float) -> Any:
    """What `vector.step(actions)` returns; a `RowsFailed` for whatever goes wrong."""

    def call() -> Any:
        if isinstance(vector, AsyncVectorEnv):
            vector.step_async(actions)
            return vector.step_wait(timeout)
        return CLOCK.run(lambda: vector.step(actions), timeout)

    result = _guarded(vector, call, 5, timeout)
    _raise_told(result[-1])
    return result


def kill(vector: Vector) -> None:
    """End the workers of a vector environment that can no longer be closed in an orderly way."""
    if not isinstance(vector, AsyncVectorEnv):
        return
    for process in vector.processes:
        process.kill()
        process.join()
    for pipe in vector.parent_pipes:
        if pipe is not None:
            pipe.close()
    vector.closed = True


def _guarded(vector: Vector, call: Callable[[], Any], values: int, timeout: float) -> Any:
    try:
        result = call()
    except multiprocessing.TimeoutError as error:
        pipes = getattr(vector, "parent_pipes", [])
        rows = [row for row, pipe in enumerate(pipes) if not pipe.poll(0)]
        raise RowsFailed(rows, f"did not answer within {timeout:g} seconds") from error
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        rows, code = _dead(vector)
        raise RowsFailed(rows, f"died, exit code {code}") from error
    except TimedOut as error:
        raise RowsFailed([], str(error)) from error
    except Exception as error:
        raise RowsFailed([], f"raised {reason(error)}") from error
    if not isinstance(result, tuple) or len(result) != values or not isinstance(result[-1], dict):
        raise RowsFailed([], f"did not return a tuple of {values} values, the last one a dict")
    return result


def _raise_told(infos: dict[str, Any]) -> None:
    """Raise the failure that a `CheckedEnv` told, if one did."""
    if FAILURE in infos:
        rows = np.flatnonzero(infos[f"_{FAILURE}"]).tolist()
        raise RowsFailed(rows, infos[FAILURE][rows[0]], infos[TRACE][rows[0]])


def _dead(vector: Vector) -> tuple[list[int], int | str]:
    """The rows whose process is dead, and how the first of them ended."""
    processes = getattr(vector, "processes", [])
    # The pipe breaks a moment before the process is gone.
    multiprocessing.connection.wait([process.sentinel for process in processes], timeout=1.0)
    rows = [row for row, process in enumerate(processes) if not process.is_alive()]
    return rows, processes[rows[0]].exitcode if rows else "unknown"
