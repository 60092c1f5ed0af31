"""Points of a sweep: their configurations and folders, and the trainer that they share.

Points that differ in numbers only (learning rate, γ, clipping …) share one compiled program. On an
accelerator it trains them side by side. On a CPU they take turns in it, which is faster there and
gives each point the very bits of a training alone.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from logtrick.algorithms.field_checks import check_names, plain
from logtrick.envs import EnvSpec
from logtrick.errors import ConfigError, NonFiniteError
from logtrick.runs.config import CONFIG, RunConfig
from logtrick.runs.folder import new_folder, resume_command
from logtrick.runs.run import Run
from logtrick.runs.sweeps import POINT, SWEEP, Sweep
from logtrick.runs.training.interruption import Interrupted
from logtrick.runs.training.progress import Observer
from logtrick.runs.training.session import Session
from logtrick.runs.training.side_by_side import shape
from logtrick.runs.training.start import finish, folder_name
from logtrick.support.files import lock_folder, one_line_cause, write_json_atomic
from logtrick.support.numbers import checked_whole
from logtrick.support.safe_paths import SafePath

ON_ACCELERATORS = 64
"""Points that an accelerator trains side by side, at most, if nobody says otherwise."""


def grid(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values.

    Example:
        >>> grid({"gamma": [0.9, 0.99], "epochs": [4]})
        [{'gamma': 0.9, 'epochs': 4}, {'gamma': 0.99, 'epochs': 4}]
    """
    return [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]


def listed(name: str, choices: Any) -> list[Any]:
    """The values of one setting as a list; an error if they are no list or empty."""
    if isinstance(choices, str) or not isinstance(choices, Iterable):
        raise ConfigError(
            f"{name}={choices!r}: a sweep needs a list of values; only a search (--optuna N, "
            "lt.search) takes a range."
        )
    values: list[Any] = plain(list(choices))
    if not values:
        raise ConfigError(f"{name} has no values to vary.")
    return values


def check_varying(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The settings that vary; there must be one."""
    if not values:
        raise ConfigError(
            "Nothing varies. Give a setting its values, as in --set gamma=.98,.99 or values="
            '{"gamma": [0.98, 0.99]}. To vary only the seed: logtrick train ENV --seeds N.'
        )
    return values


def points(base: RunConfig, settings: Sequence[Mapping[str, Any]]) -> list[RunConfig]:
    """The configuration of each point; what its algorithm cannot be is an error."""
    for point in settings:
        check_names(type(base.algorithm), point)
    changed = [
        dataclasses.replace(base.algorithm, **{k: _from_json(v) for k, v in point.items()})
        for point in settings
    ]
    return [dataclasses.replace(base, algorithm=algorithm) for algorithm in changed]


def _from_json(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def new_sweep(out: Path, base: RunConfig, values: Mapping[str, Any], **more: Any) -> SafePath:
    """Make a sweep's folder and write its settings there.

    Args:
        out: the folder in which it is made.
        base: the configuration that all points share.
        values: the values of each setting that varies.
        more: other settings, as JSON can say them.
    """
    folder = new_folder(out, f"sweep-{folder_name(base)}")
    settings = {"base": base.to_dict(), "values": {k: list(v) for k, v in values.items()}, **more}
    write_json_atomic(folder / SWEEP, settings)
    return folder


def make_point(sweep: SafePath, number: int, config: RunConfig) -> SafePath:
    """The run folder of a point, made where it is not there yet."""
    folder = sweep / f"{POINT}{number:03d}"
    with one_line_cause(f"Could not make {folder}"):
        folder.make_folder()
    with lock_folder(folder):
        if not (folder / CONFIG).exists():
            write_json_atomic(folder / CONFIG, config.to_dict())
    return folder


class Points:
    """Trains points of a sweep to their ends; what one compiled serves the next of its shape.

    The sweep's folder is locked by the caller; the folder of each point is locked here, while it is
    trained. A point that diverges stops at its last checkpoint, with a note; the others continue.

    Args:
        spec: the environment that the points are trained on.
        at_once: points that are trained side by side, at most.
        watcher: the observer that shows progress.
        checkpoint_seconds: seconds between two checkpoints.
    """

    def __init__(
        self, spec: EnvSpec, at_once: int, watcher: Observer, checkpoint_seconds: float
    ) -> None:
        self.spec, self.watcher, self.checkpoint_seconds = spec, watcher, checkpoint_seconds
        self.at_once = 1 if spec.kind == "host" else at_once
        self._compiled: dict[Any, Any] = {}

    def train(self, paths: Sequence[SafePath]) -> None:
        """Train these run folders; those of one shape come together."""
        groups: dict[Any, list[SafePath]] = {}
        for path in paths:
            groups.setdefault(shape(Run(path).config.algorithm), []).append(path)
        for kind, group in groups.items():
            for begin in range(0, len(group), self.at_once):
                self._train_at_once(kind, group[begin : begin + self.at_once])

    def _train_at_once(self, kind: Any, paths: Sequence[SafePath]) -> None:
        configs = [Run(path).config for path in paths]
        key = kind, len(paths)
        with (
            ExitStack() as locks,
            Session(configs, self.spec, self.watcher, self.checkpoint_seconds) as session,
        ):
            for path in paths:
                locks.enter_context(lock_folder(path))
            if key in self._compiled:
                session.loop.adopt(self._compiled[key])
            try:
                for run in session.run(paths):
                    finish(run, self.watcher, report=False)
            except Interrupted as stopped:
                command = resume_command(paths[0].path.parent, configs[0], what="sweep")
                raise Interrupted(stopped.run, command) from None
            except NonFiniteError as error:  # of one point: side by side they stand still instead
                self.watcher.note(f"{paths[0].name}: {error} The other points continue.")
        self._compiled[key] = session.loop


def check_at_once(at_once: int | None) -> int:
    """How many points are trained side by side; None: as suits the device."""
    if at_once is None:
        import jax

        return 1 if jax.default_backend() == "cpu" else ON_ACCELERATORS
    return checked_whole("at_once", at_once, 1)


def finished(folder: SafePath) -> Sweep:
    """The sweep, with its results written."""
    found = Sweep(folder)
    found.write_results()
    return found
