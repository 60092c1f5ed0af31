"""The options that `train`, `sweep` and `search` have in common, in one place."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ParamSpec, TypedDict, TypeVar

from logtrick.envs.spec import TIMEOUT, Workers
from logtrick.runs.config import checked_kwargs
from logtrick.runs.training.progress import Observer
from logtrick.support.files import PathLike

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class RunOptions:
    """How long and where a run is trained, and what is shown of it.

    Attributes:
        steps: transitions to learn from, for each seed, rounded up to whole updates; None takes
            the preset's.
        seed: of the first run; the s-th of `seeds` uses seed + s.
        seeds: how many runs to train side by side; for a sweep or a search, runs of every point.
        env_kwargs: keyword arguments to make the environment with, where it is given by its id, as
            a class or as a function; they are kept in the run's configuration.
        out: the folder in which the folder of the run, or of the sweep, is made.
        workers: "sync" or "async": where the rows of a host environment run.
        timeout: seconds that such a row may take to be built, to reset or to step; after that it
            counts as hung. A process that is stopped does not.
        checkpoint_seconds: seconds between two checkpoints.
        progress: show a progress bar; None: where standard error is a terminal. Or an `Observer`.
    """

    steps: int | None = None
    seed: int = 0
    seeds: int = 1
    env_kwargs: Mapping[str, Any] | None = None
    out: PathLike = "runs/"
    workers: Workers = "sync"
    timeout: float | int = TIMEOUT
    checkpoint_seconds: float = 30.0
    progress: bool | Observer | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_kwargs", checked_kwargs(self.env_kwargs or {}))


class RunArguments(TypedDict, total=False):
    """The fields of `RunOptions` as keyword arguments, for type checkers and editors."""

    steps: int | None
    seed: int
    seeds: int
    env_kwargs: Mapping[str, Any] | None
    out: PathLike
    workers: Workers
    timeout: float | int
    checkpoint_seconds: float
    progress: bool | Observer | None


def with_run_options(**defaults: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Show `RunOptions` in the signature and the documentation of a function with **options.

    Args:
        defaults: those that differ from `RunOptions`; the function is called with them.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shared = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(field.name, field.default),
                annotation=field.type,
            )
            for field in fields(RunOptions)
        ]

        @functools.wraps(function)
        def filled(*args: P.args, **kwargs: P.kwargs) -> R:
            kwargs.update({k: v for k, v in defaults.items() if k not in kwargs})
            return function(*args, **kwargs)

        wrapped: Any = filled
        wrapped.__signature__ = signature.replace(parameters=[*own, *shared])
        if function.__doc__ and RunOptions.__doc__:  # not with python -OO
            described = inspect.cleandoc(RunOptions.__doc__).partition("Attributes:\n")[2]
            place = "    **options: see `RunOptions`."
            wrapped.__doc__ = inspect.cleandoc(function.__doc__).replace(place, described)
        return filled

    return decorate
