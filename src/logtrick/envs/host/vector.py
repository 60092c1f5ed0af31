"""Calls into Gymnasium's vector environments: how they are built, and how they fail."""

import contextlib
import math
import multiprocessing
import multiprocessing.connection
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from logtrick.envs.host.alarm import CLOCK, TimedOut, log, slice_of, unanswered
from logtrick.envs.host.distinct_rows import Factory
from logtrick.envs.host.processes import stopped
from logtrick.envs.host.worker import FAILURE, TRACE, checked_here, checked_in_worker
from logtrick.support.names import reason

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


STARTING = 10.0
"""Seconds that worker processes have to start, beside those to build their environments."""


class _Workers(AsyncVectorEnv):
    """Rows in processes of their own, which are built within some seconds."""

    def __init__(self, factories: Sequence[Factory], limit: float, **options: Any):
        self._limit = limit
        super().__init__(factories, **options)

    def _check_spaces(self) -> None:
        """Gymnasium's check, the first question to the workers, once all have answered another."""
        for pipe in self.parent_pipes:
            pipe.send(("_call", ("render_mode", (), {})))
        if hung := _hung(self, lambda row, s: self.parent_pipes[row].poll(s), self._limit):
            kill(self)
            raise RowsFailed(hung, unbuilt(self._limit))
        for pipe in self.parent_pipes:
            pipe.recv()
        super()._check_spaces()


def unbuilt(limit: float) -> str:
    """What is said of an environment that hangs while it is built."""
    return f"was not built within {limit:g} seconds"


def sync_vector(make: Factory, num_envs: int, limit: float) -> Vector:
    """`num_envs` environments in this process, which do not reset themselves."""
    factories = [partial(checked_here, make, limit)] * num_envs
    try:
        return SyncVectorEnv(factories, copy=False, autoreset_mode=AutoresetMode.DISABLED)
    except TimedOut as error:
        raise RowsFailed([], unbuilt(limit)) from error


def async_vector(make: Factory, num_envs: int, limit: float) -> Vector:
    """`num_envs` environments in processes of their own, which do not reset themselves."""
    # Forking a process in which jax runs its threads can lock up for ever.
    methods = multiprocessing.get_all_start_methods()
    method = "forkserver" if "forkserver" in methods else "spawn"
    if method == "forkserver":
        multiprocessing.get_context(method).set_forkserver_preload(["logtrick.envs.host.worker"])
    factories = [partial(checked_in_worker, make, limit)] * num_envs
    options = {"copy": False, "context": method, "autoreset_mode": AutoresetMode.DISABLED}
    # Workers share the cores: those that are built at the same time slow each other down.
    turns = math.ceil(num_envs / (os.cpu_count() or 1))
    try:
        return _Workers(factories, STARTING + limit * turns, **options)
    except TimedOut as error:
        raise RowsFailed([], unbuilt(limit)) from error
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
            return _answer(vector, vector.reset_wait, timeout)
        return CLOCK.run(lambda: vector.reset(seed=seed, options=options), timeout)

    obs, infos = _guarded(vector, call, 2)
    _raise_reported(infos)
    return obs


def step(vector: Vector, actions: Any, timeout: float) -> Any:
    """What `vector.step(actions)` returns; a `RowsFailed` for whatever goes wrong."""

    def call() -> Any:
        if isinstance(vector, AsyncVectorEnv):
            vector.step_async(actions)
            return _answer(vector, vector.step_wait, timeout)
        return CLOCK.run(lambda: vector.step(actions), timeout)

    result = _guarded(vector, call, 5)
    _raise_reported(result[-1])
    return result


def close(vector: Vector, timeout: float) -> None:
    """Close it, orderly if its workers are; a `TimedOut` for those that are not."""
    if not isinstance(vector, AsyncVectorEnv):
        vector.close()
        return
    for pipe in vector.parent_pipes:
        with contextlib.suppress(OSError, AttributeError):  # of a worker that is dead
            pipe.send(("close", None))
    halted = stopped([_pid(vector, row) for row in range(len(vector.processes))])
    for process in vector.processes:
        if process.pid in halted:  # it would not hear that it should end
            process.kill()
    ends = [process.sentinel for process in vector.processes]
    hung = _hung(
        vector,
        lambda row, seconds: bool(multiprocessing.connection.wait([ends[row]], seconds)),
        timeout,
        excused=lambda processes: set(),
    )
    kill(vector)  # all but the hung have ended
    if hung:
        raise TimedOut(f"in environment {hung[0]} {unanswered(timeout)}")


def _answer(vector: AsyncVectorEnv, wait: Callable[..., Any], timeout: float) -> Any:
    """What the rows answer; a `RowsFailed` names those that do not."""
    pipes = vector.parent_pipes
    if hung := _hung(vector, lambda row, seconds: pipes[row].poll(seconds), timeout):
        with contextlib.suppress(multiprocessing.TimeoutError):
            wait(0)  # so that its owner can close it
        raise RowsFailed(hung, unanswered(timeout))
    return wait()


def _hung(
    vector: AsyncVectorEnv,
    ready: Callable[[int, float], bool],
    limit: float,
    excused: Callable[[Sequence[int]], set[int]] = stopped,
) -> list[int]:
    """Wait until all rows are ready: those that are not, though their processes ran for `limit`.

    The time is counted in slices (see `_alarm`) in which this process ran, and those of the workers
    that are not `excused`: one that is stopped is waited for, and not taken for a hung one.
    """
    rows, length = range(len(vector.processes)), slice_of(limit)
    slices, halted = [0] * len(rows), [0] * len(rows)
    for first in rows:
        while not ready(first, length):
            CLOCK.answered()  # whatever waits for this wait: it is not hung
            late = [row for row in rows[first:] if not ready(row, 0)]
            still = excused([_pid(vector, row) for row in late])
            for row in late:
                count = halted if _pid(vector, row) in still else slices
                count[row] += 1
                if halted[row] * length >= limit:
                    log.warning(
                        "environment %d: its process %d is stopped, and waited for; to go on with "
                        "it: kill -CONT %d",
                        *(row, _pid(vector, row), _pid(vector, row)),
                    )
                    halted[row] = -(2**31)  # said once
            if hung := [row for row in late if slices[row] * length >= limit]:
                return hung
    return []


def _pid(vector: AsyncVectorEnv, row: int) -> int:
    return int(vector.processes[row].pid or 0)


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


def _guarded(vector: Vector, call: Callable[[], Any], values: int) -> Any:
    try:
        result = call()
    except RowsFailed:
        raise
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


def _raise_reported(infos: dict[str, Any]) -> None:
    """Raise the failure that a `CheckedEnv` reported, if one did."""
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
