"""Sweeps: one training for each combination of settings, each in a run folder of its own."""

from collections.abc import Mapping
from typing import Any, Unpack

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.elsewhere import known_arguments
from logtrick.algorithms.presets import env_id
from logtrick.envs import EnvSpec, resolve
from logtrick.runs.config import RunConfig
from logtrick.runs.folder import absolute
from logtrick.runs.sweeps import Sweep
from logtrick.runs.training import searching
from logtrick.runs.training.options import RunArguments, RunOptions, with_run_options
from logtrick.runs.training.points import (
    Points,
    check_at_once,
    check_varying,
    finished,
    grid,
    listed,
    make_point,
    new_sweep,
    points,
)
from logtrick.runs.training.progress import Observer
from logtrick.runs.training.start import configure, observer
from logtrick.support.files import PathLike, lock_folder


@known_arguments
@with_run_options(seeds=4)
def sweep(
    env: Any,
    algorithm: Algorithm | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    at_once: int | None = None,
    **options: Unpack[RunArguments],
) -> Sweep:
    """Train every combination of some settings, with the same seeds.

    A point is the same experiment as a training of its own, with the same random numbers. Where
    several are trained at once, sums are rounded in another order, so that the bits differ: see
    docs/runs.md.

    Args:
        env: as for `train`.
        algorithm: what is the same in all points; None: the preset for the environment.
        values: the settings that vary, fields of the algorithm, with a list (or array) of the
            values of each.
        at_once: points to be trained side by side on a device environment, if they differ in
            numbers only; None: 64 on an accelerator, 1 on a CPU.
        **options: see `RunOptions`.

    Returns:
        The sweep: its runs, results and best point.

    Raises:
        ConfigError: no setting varies; a field that the algorithm does not have, or a value that
            it cannot have.
        Interrupted: Ctrl-C; `resume_sweep` continues.

    Example:
        >>> import tempfile, logtrick as lt
        >>> values = {"learning_rate": [1e-3, 3e-3]}
        >>> with tempfile.TemporaryDirectory() as out:
        ...     found = lt.sweep("CartPole-v1", lt.PPO(), values, steps=4096, seeds=2, out=out)
        ...     [row["n"] for row in found.results]
        [2, 2]
    """
    values = {name: listed(name, choices) for name, choices in check_varying(values).items()}
    given = RunOptions(**options)
    out = absolute(given.out)
    spec = resolve(env_id(env), timeout=given.timeout, kwargs=given.env_kwargs)
    base = configure(spec, algorithm, given)
    points(base, grid(values))  # refused before anything is made
    folder = new_sweep(out, base, values, at_once=check_at_once(at_once))
    with lock_folder(folder):
        _train_grid(Sweep(folder), spec, observer(given.progress), given.checkpoint_seconds)
        return finished(folder)


@known_arguments
def resume_sweep(
    path: PathLike,
    *,
    env: Any = None,
    checkpoint_seconds: float = 30.0,
    progress: bool | Observer | None = None,
) -> Sweep:
    """Continue an interrupted sweep.

    Args:
        path: the sweep's folder.
        env: the environment, where it has no id by which it is found again.
        checkpoint_seconds: seconds between two checkpoints.
        progress: as for `train`.

    Returns:
        The sweep: its runs, results and best point.
    """
    found = Sweep(path)
    spec = found.env_spec(env)
    with lock_folder(found.folder):
        if "trials" in found.settings:
            searching.continue_search(found, spec, observer(progress), checkpoint_seconds)
        else:
            _train_grid(found, spec, observer(progress), checkpoint_seconds)
        return finished(found.folder)


def _train_grid(found: Sweep, spec: EnvSpec, watcher: Observer, checkpoint_seconds: float) -> None:
    base = RunConfig.from_dict(found.settings["base"])
    configs = points(base, grid(found.settings["values"]))
    made = [make_point(found.folder, number, config) for number, config in enumerate(configs)]
    Points(spec, found.settings["at_once"], watcher, checkpoint_seconds).train(made)
