"""Whether somebody else's function is one: the same trajectories, the same estimate.

A compiled function runs its Python code once and keeps what came out, random numbers, counters and
times included, so that calling it again shows nothing. Here the code itself runs twice, with other
seeds, and what differs is traced to its cause.
"""

import functools
import inspect
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import jax
import numpy as np

from logtrick.errors import EstimatorError

Call = Callable[[], list[Any]]
"""One call of the function: its trace as text and constants, or its numbers."""

DEEP = 6
"""How far generators are looked for in what a function holds,"""
MOST = 1000
"""and among how many things at each level."""
CLOCKS = ("time", "perf_counter", "monotonic", "process_time")
MAKE_INSIDE = (
    "Make the generator inside the function, np.random.default_rng(seed) or jax.random.key(seed), "
    "with a seed that is part of it"
)


@dataclass(frozen=True)
class Source:
    """A random generator that every function can reach."""

    name: str
    seed: Callable[[int], Any]
    state: Callable[[], Any]
    restore: Callable[[Any], Any]
    advice: str = MAKE_INSIDE


def check_repeatable(
    estimator: Callable[..., Any], call: Call, resolution: float, numbers: Call | None = None
) -> None:
    """Run the function's code twice, under other seeds, and compare.

    Args:
        estimator: the function, in which a cause is looked for.
        call: runs its Python code once.
        resolution: the rounding of a number that it returns.
        numbers: the same, with numbers; two traces that differ may still compute the same.

    Raises:
        EstimatorError: they differ; the cause is named.
    """
    sources, held = list(_sources()), list(_generators(estimator))
    before = [_state_of(generator) for _, generator in held]
    ones = dict.fromkeys(sources, 1)
    try:
        first, second = (_seeded(dict.fromkeys(sources, seed), call) for seed in (1, 2))
        if _alike(first, second, resolution):
            return
        same = _alike(_seeded(ones, call), _seeded(ones, call), resolution)
    except Exception as error:
        if not _is_leak(error):
            raise
        raise EstimatorError(_said(*_hidden())) from error
    if same:  # under the same seeds
        first = _seeded(ones, call)
        turned = (s for s in sources if not _alike(first, _seeded(ones | {s: 2}, call), resolution))
        if (source := next(turned, None)) is None:  # only the very first call was another
            return
        raise EstimatorError(_said(f"the estimator draws from {source.name}", source.advice))
    for (name, generator), state in zip(held, before, strict=True):
        if _state_of(generator) != state:
            what = f"{name}, a {type(generator).__name__} that it keeps between calls"
            raise EstimatorError(_said(f"the estimator draws from {what}", MAKE_INSIDE))
    if numbers is not None:
        check_repeatable(estimator, numbers, resolution)
    else:
        raise EstimatorError(_said(*_cause(call, resolution)))


def _said(cause: str, advice: str) -> str:
    return f"two calls on the same trajectories differ: {cause}. {advice}"


def _is_leak(error: BaseException | None) -> bool:
    """Whether a call met what an earlier one, of another trace, had left behind."""
    while error is not None:
        if isinstance(error, jax.errors.UnexpectedTracerError):
            return True
        error = error.__cause__
    return False


def _cause(call: Call, resolution: float) -> tuple[str, str]:
    """(what makes two calls differ, what to do), where no generator that was found does."""
    with _watched_default_rng() as unseeded:
        call()
    if unseeded:
        return "the estimator draws from np.random.default_rng() without a seed", MAKE_INSIDE
    with _stopped_clocks():
        if _alike(call(), call(), resolution):
            return "the estimator reads the clock", "Leave the time out of it"
    return _hidden()


def _hidden() -> tuple[str, str]:
    return (
        "the estimator has a hidden state that changes from call to call (a counter, a running "
        "mean, a list that grows) or another source of randomness",
        "Bind the state with functools.partial, and let no call change it",
    )


def _sources() -> Iterator[Source]:
    yield Source("np.random", np.random.seed, np.random.get_state, np.random.set_state)
    yield Source("Python's random", random.seed, random.getstate, random.setstate)
    if (torch := sys.modules.get("torch")) is not None:
        yield Source(
            "torch's generator",
            torch.manual_seed,
            torch.get_rng_state,
            torch.set_rng_state,
            "Call eval() on the module if it is dropout, or torch.manual_seed(seed) in the loss",
        )


def _seeded(seeds: dict[Source, int], call: Call) -> list[Any]:
    """What a call returns under these seeds; the generators are then as they were."""
    saved = [source.state() for source in seeds]
    try:
        for source, seed in seeds.items():
            source.seed(seed)
        return call()
    finally:
        for source, state in zip(seeds, saved, strict=True):
            source.restore(state)


def _alike(first: list[Any], second: list[Any], resolution: float) -> bool:
    """The same text, and the same numbers but for the last digits."""
    if list(map(type, first)) != list(map(type, second)):
        return False
    for one, other in zip(first, second, strict=True):
        if isinstance(one, str):
            if one != other:
                return False
        elif one.shape != other.shape or not _close(one, other, resolution):
            return False
    return True


def _close(one: np.ndarray, other: np.ndarray, resolution: float) -> bool:
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    size = float(np.max(np.abs(one), initial=0.0, where=np.isfinite(one)))
    return np.allclose(one, other, rtol=0, atol=100 * resolution * size, equal_nan=True)


def _generators(function: Any) -> Iterator[tuple[str, Any]]:
    """(name, generator) of all that a function holds: closures, globals, attributes, arguments."""
    kinds: tuple[type, ...] = (np.random.Generator, np.random.RandomState, random.Random)
    if (torch := sys.modules.get("torch")) is not None:
        kinds += (torch.Generator,)
    everybodys = [getattr(f, "__self__", None) for f in (random.random, np.random.rand)]
    level: list[tuple[str, Any]] = [("", function)]
    seen: dict[int, tuple[str, Any]] = {}
    for _ in range(DEEP):
        inside = {id(v): (k, v) for _, thing in level for k, v in _parts(thing).items()}
        level = [inside[key] for key in inside if key not in seen][:MOST]
        seen |= inside  # what is kept alive keeps its id
        yield from ((k, v) for k, v in level if isinstance(v, kinds) and v not in everybodys)


def _parts(thing: Any) -> dict[str, Any]:
    """What is inside of a function or an object, by name."""
    if isinstance(thing, functools.partial):
        named = {f"argument {i}": value for i, value in enumerate(thing.args)}
        return {"the function": thing.func} | named | thing.keywords
    if inspect.ismethod(thing):
        return {"the method": thing.__func__, "self": thing.__self__}
    if inspect.isfunction(thing):
        inside = inspect.getclosurevars(thing)
        defaults = {f"default {i}": value for i, value in enumerate(thing.__defaults__ or ())}
        held = {**inside.nonlocals, **inside.globals, **defaults, **(thing.__kwdefaults__ or {})}
        return {k: v for k, v in held.items() if not inspect.ismodule(v)} | vars(thing)
    if isinstance(thing, dict):
        return {str(key): value for key, value in thing.items()}
    if isinstance(thing, list | tuple) and len(thing) < 100:
        return {f"entry {i}": value for i, value in enumerate(thing)}
    if inspect.isclass(thing) or isinstance(thing, np.ndarray | jax.Array):
        return {}
    return dict(getattr(thing, "__dict__", {}))


def _state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return _frozen(generator.bit_generator.state)
    for read in ("getstate", "get_state"):
        if hasattr(generator, read):
            return _frozen(getattr(generator, read)())
    return None


def _frozen(state: Any) -> Any:
    """A generator's state as something that can be compared."""
    if isinstance(state, dict):
        return tuple((key, _frozen(value)) for key, value in state.items())
    if isinstance(state, list | tuple):
        return tuple(map(_frozen, state))
    return np.asarray(state).tobytes() if hasattr(state, "__array__") else state


@contextmanager
def _watched_default_rng() -> Iterator[list[bool]]:
    """A list that is not empty once np.random.default_rng() was called without a seed."""
    unseeded: list[bool] = []
    make = np.random.default_rng

    def watched(seed: Any = None) -> np.random.Generator:
        if seed is None:
            unseeded.append(True)
        return make(seed)

    with mock.patch.object(np.random, "default_rng", watched):
        yield unseeded


@contextmanager
def _stopped_clocks() -> Iterator[None]:
    """The clocks of the module `time` stand still."""
    stopped: dict[str, Any] = {}
    for name in CLOCKS:
        for clock in (name, f"{name}_ns"):
            stopped[clock] = functools.partial(_identity, getattr(time, clock)())
    with mock.patch.multiple(time, **stopped):
        yield


def _identity(value: Any) -> Any:
    return value
