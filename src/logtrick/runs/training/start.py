"""Training: `train` starts a run and `resume` continues one."""

import dataclasses
import datetime
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, Unpack

from gymnasium import spaces

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.elsewhere import known_arguments
from logtrick.algorithms.presets import env_id, preset
from logtrick.envs import EnvSpec, resolve
from logtrick.envs.spec import check_timeout
from logtrick.errors import ConfigError, LogtrickError
from logtrick.policies.box_scale import unscaled, where_it_starts
from logtrick.runs.config import (
    CONFIG,
    Evaluation,
    RunConfig,
    check_sizes,
    env_settings,
    policy_name,
)
from logtrick.runs.folder import absolute, lock_run, new_folder
from logtrick.runs.record import RunRecord
from logtrick.runs.run import Run
from logtrick.runs.training.callbacks import Callback
from logtrick.runs.training.options import RunArguments, RunOptions, with_run_options
from logtrick.runs.training.progress import Observer, ProgressBar
from logtrick.runs.training.session import Session
from logtrick.runs.training.tensorboard import TENSORBOARD
from logtrick.runs.tree_files import provenance
from logtrick.support import extras
from logtrick.support.files import PathLike, write_json_atomic
from logtrick.support.spaces import named_parts, space_to_dict


@known_arguments
@with_run_options()
def train(
    env: Any,
    algorithm: Algorithm | None = None,
    *,
    policy: Any = None,
    evaluation: Evaluation | None = None,
    callbacks: Sequence[Callback] = (),
    tensorboard: bool = False,
    report: bool = True,
    **options: Unpack[RunArguments],
) -> Run:
    """Ascend J: train a policy on an environment, for one or several seeds at once.

    The algorithm's `estimates` says which gradient is ascended.

    Args:
        env: an id (`logtrick envs` lists them), a preset's short name (`logtrick presets`), a
            device environment, a Gymnasium environment class, factory or vector environment.
        algorithm: a configuration such as `lt.PPO()`; None takes the preset for this environment.
        policy: your own, in the place of the algorithm's: an Equinox module that is called on one
            observation and returns a distribution, or a function (observation_space,
            action_space, seed) that makes one. A module is where every seed starts.
        evaluation: episodes to be played now and then, such as `lt.Evaluation(every=50_000)`; the
            policies that did best are kept, and `stop_at` ends training at a score.
        callbacks: functions that are called every quarter of a second or so with a
            `callbacks.Visit`. What one raises ends training, after the state was saved.
        tensorboard: write the metrics for TensorBoard too, in the run folder's `tensorboard`; a
            resumed run goes on with them. Needs `pip install "logtrick[log]"`.
        report: write `report.html` and `learning_curve.png` at the end.
        **options: see `RunOptions`.

    Returns:
        The run: its folder, policies, scores and report.

    Raises:
        EnvError: the environment is unknown or breaks its contract.
        ConfigError: a setting that cannot be meant.
        NonFiniteError: a number ceased to be finite; the last good checkpoint is kept.
        RunError: the folder cannot be written.
        Interrupted: Ctrl-C; a checkpoint was saved.

    Example:
        >>> import tempfile, logtrick as lt
        >>> with tempfile.TemporaryDirectory() as out:
        ...     run = lt.train("CartPole-v1", lt.PPO(), steps=4096, out=out, progress=False)
        ...     len(run.metrics), run.metrics[-1]["steps"]
        (2, 4096)
    """
    given = RunOptions(**options)
    out = absolute(given.out)
    spec = resolve(env_id(env), timeout=given.timeout, kwargs=given.env_kwargs)
    config = configure(spec, algorithm, given, evaluation=evaluation, policy=policy)
    watcher = observer(given.progress)
    if policy is None:
        _say_where_it_starts(config, watcher)
    if tensorboard:
        extras.load("tensorboardX", "log")  # before anything is made
    with Session([config], spec, watcher, given.checkpoint_seconds, callbacks, policy) as session:
        folder = new_folder(out, folder_name(config))
        with lock_run(folder):
            write_json_atomic(folder / CONFIG, config.to_dict())
            if tensorboard:
                (folder / TENSORBOARD).make_folder()
            (run,) = session.run([folder])
            finish(run, watcher, report=report)
    return run


@known_arguments
def resume(
    path: PathLike,
    *,
    env: Any = None,
    policy: Any = None,
    timeout: float | int | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint_seconds: float = 30.0,
    progress: bool | Observer | None = None,
    report: bool = True,
) -> Run:
    """Continue an interrupted run, to the same bits as if it had not been interrupted.

    The bits are the same with the same versions and device. Otherwise the run continues from the
    same state, and a note says that the rest is another sample of the same experiment.

    Args:
        path: the run folder.
        env: the environment, where it has no id by which it is found again.
        policy: your own, where the run was started with one.
        timeout: as for `train`; None: as in the run's configuration. It changes no number.
        callbacks: as for `train`.
        checkpoint_seconds: seconds between two checkpoints.
        progress: as for `train`.
        report: as for `train`.

    Returns:
        The run.

    Raises:
        RunError: no run folder, a second writer, damaged files.
        CheckpointError: checkpoints are there, and none verifies.
    """
    run = Run(path, policy=policy)
    run.check_policy()
    spec = run.env_spec(env, timeout=timeout)
    config, watcher = run.config, observer(progress)
    if timeout is not None:
        config = dataclasses.replace(config, timeout=check_timeout(timeout))
    with (
        lock_run(run.folder),
        Session([config], spec, watcher, checkpoint_seconds, callbacks, policy) as session,
    ):
        (run,) = session.run([run.folder])
        finish(run, watcher, report=report)
    return run


def _say_where_it_starts(config: RunConfig, watcher: Observer) -> None:
    """Where actions have no bounds, their scale is a guess, and a wrong one keeps from learning."""
    if config.algorithm.distribution != "normal":
        return
    for name, space, _ in named_parts(config.action_space, config.action_space):
        if isinstance(space, spaces.Box) and unscaled(space).any():
            watcher.note(f"{config.env}, actions{name}: {where_it_starts(space)}")


def finish(run: Run, watcher: Observer, *, report: bool) -> None:
    """Write the model card of a run whose training has ended, and its report if one is wanted."""
    from logtrick.runs.model_card import write_model_card

    record = run.record
    write_model_card(record)
    if report:
        _write_report(record, watcher)


def _write_report(record: RunRecord, watcher: Observer) -> None:
    """Write the report and the curve; an error here is noted, so that no finished run is lost."""
    from logtrick.runs.presentation import write_run_report

    try:
        write_run_report(record)
    except (LogtrickError, OSError) as error:
        watcher.note(
            f"The run is finished and saved, but its report could not be written: {error} "
            f"`logtrick report {shlex.quote(str(record.path))}` tries again."
        )


def configure(
    spec: EnvSpec,
    algorithm: Algorithm | None,
    options: RunOptions,
    *,
    evaluation: Evaluation | None = None,
    policy: Any = None,
) -> RunConfig:
    """The checked configuration of a new run; the arguments are those of `train`."""
    if not isinstance(algorithm, Algorithm | None):
        raise ConfigError(f"algorithm={algorithm!r}; give settings, such as lt.PPO().")
    if not isinstance(evaluation, Evaluation | None):
        raise ConfigError(f"evaluation={evaluation!r}; give an lt.Evaluation(every=…).")
    steps, workers = options.steps, options.workers
    if algorithm is None or steps is None:
        chosen = preset(spec.id, "ppo" if algorithm is None else algorithm.name)
        algorithm = chosen.algorithm if algorithm is None else algorithm
        steps = chosen.steps if steps is None else steps
    steps, seed, seeds = check_sizes(steps, options.seed, options.seeds)
    if workers not in ("sync", "async"):
        raise ConfigError(f"workers={workers!r}; it must be 'sync' or 'async'.")
    config = RunConfig(
        env=spec.id,
        kind=spec.kind,
        observation_space=spec.observation_space,
        action_space=spec.action_space,
        max_episode_steps=spec.max_episode_steps,
        env_settings=env_settings(spec),
        env_kwargs=options.env_kwargs,
        algorithm=algorithm,
        steps=steps,
        seed=seed,
        seeds=seeds,
        workers=workers,
        timeout=check_timeout(options.timeout),
        provenance=provenance(),
        policy=None if policy is None else policy_name(policy),
        evaluation=evaluation,
    )
    # Spaces that no file can describe are refused before anything is made.
    space_to_dict(config.observation_space), space_to_dict(config.action_space)
    return config


def folder_name(config: RunConfig) -> str:
    """What a new run's folder is called: environment, algorithm and time."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", config.env).strip("-.") or "env"
    return f"{safe[:60]}-{config.algorithm.name}-{stamp}"


def observer(progress: bool | Observer | None) -> Observer:
    """The observer that `progress` asks for."""
    if isinstance(progress, Observer):
        return progress
    show = sys.stderr.isatty() if progress is None else progress
    return ProgressBar() if show else Observer()
