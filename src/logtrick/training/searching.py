"""Search by Optuna: points of a sweep that are chosen by what the points before them scored.

The journal (`study.jsonl` in the sweep's folder) is JSON lines: nothing is pickled. A search that
was interrupted goes on with the trials that it had begun.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from logtrick import extras
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.elsewhere import known_arguments
from logtrick.envs import EnvSpec, resolve
from logtrick.envs.spec import Workers
from logtrick.errors import ConfigError
from logtrick.files import PathLike, lock_folder
from logtrick.presets import env_id
from logtrick.progress import Observer
from logtrick.runs.config import RunConfig
from logtrick.runs.sweeps import Sweep
from logtrick.training.entry import configure, observer
from logtrick.training.sweeping import (
    Points,
    check_at_once,
    check_varying,
    finished,
    listed,
    make_point,
    new_sweep,
    points,
)
from logtrick.validation import checked_whole

STUDY = "study.jsonl"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; whole ones where both are; `log`: equal shares per decade.

    Example:
        >>> Range(1e-4, 1e-2, log=True).low
        0.0001
    """

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(f"A range runs upwards, and above 0 where it is log: {self}.")


@known_arguments
def search(
    env: Any,
    algorithm: Algorithm | None,
    values: Mapping[str, Any],
    trials: int,
    *,
    steps: int | None = None,
    seed: int = 0,
    seeds: int = 4,
    out: PathLike = "runs/",
    workers: Workers = "sync",
    at_once: int | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool | Observer | None = None,
) -> Sweep:
    """Search for the settings with the highest interquartile mean of the final returns.

    Args:
        env: as for `train`.
        algorithm: as for `sweep`.
        values: for each setting that varies a `Range`, or a sequence of choices.
        trials: points to be trained. One whose settings exclude each other (minibatches that do
            not divide the batch, say) counts too, and is noted.
        steps: as for `sweep`.
        seed: of the first run of every point, and of the search.
        seeds: runs of every point.
        out: as for `sweep`.
        workers: as for `train`.
        at_once: as for `sweep`; so many trials are chosen together.
        checkpoint_seconds: seconds between two checkpoints.
        progress: as for `train`.

    Raises:
        MissingExtraError: Optuna is not installed.
        ConfigError: a setting that cannot be meant.
    """
    extras.load("optuna", "tune")  # before anything is made
    trials = checked_whole("trials", trials, 1)
    values = {
        name: choices if isinstance(choices, Range) else listed(name, choices)
        for name, choices in check_varying(values).items()
    }
    spec = resolve(env_id(env))
    base = configure(spec, algorithm, steps=steps, seed=seed, seeds=seeds, workers=workers)
    ends = [
        {name: pick(v) for name, v in values.items()}
        for pick in (
            lambda v: v.low if isinstance(v, Range) else v[0],
            lambda v: v.high if isinstance(v, Range) else v[-1],
        )
    ]
    points(base, ends)  # the ends of the ranges are possible, before anything is made
    space = {name: asdict(v) if isinstance(v, Range) else v for name, v in values.items()}
    path = new_sweep(
        out,
        base,
        dict.fromkeys(values, ()),
        space=space,
        trials=trials,
        at_once=check_at_once(at_once),
    )
    with lock_folder(path):
        go_on(Sweep(path), spec, observer(progress), checkpoint_seconds)
    return finished(path)


def go_on(sweep: Sweep, spec: EnvSpec, watcher: Observer, checkpoint_seconds: float) -> None:
    """Begin or go on with a search; its folder is locked by the caller."""
    base, space = RunConfig.from_dict(sweep.told["base"]), sweep.told["space"]
    study, at_once = _study(sweep.path, base.seed), sweep.told["at_once"]
    trainer = Points(spec, at_once, watcher, checkpoint_seconds)
    trial_state = extras.load("optuna", "tune").trial.TrialState
    while True:
        trials = study.get_trials(deepcopy=False)
        begun = [trial.number for trial in trials if not trial.state.is_finished()]
        missing = min(at_once - len(begun), sweep.told["trials"] - len(trials))
        begun += [_ask(study, space) for _ in range(missing)]
        if not begun:
            return
        paths: dict[int, Path] = {}
        for number in begun:
            try:
                (config,) = points(base, [_settings(study.trials[number].params)])
            except ConfigError as error:  # settings that exclude each other: the ranges are a box
                study.tell(number, state=trial_state.FAIL)
                watcher.note(f"Trial {number} cannot be trained, and counts as failed: {error}")
            else:
                paths[number] = make_point(sweep.path, number, config)
        trainer.train(list(paths.values()))
        scores = {row["point"]: row["iqm"] for row in sweep.results}
        for number, path in paths.items():
            score = scores[path.name]
            study.tell(number, float("-inf") if score is None else score)


def _ask(study: Any, space: Mapping[str, Any]) -> int:
    """Begin a trial: its number."""
    trial = study.ask()
    for name, choices in space.items():
        if isinstance(choices, list):
            trial.suggest_categorical(name, [json.dumps(choice) for choice in choices])
        elif isinstance(choices["low"], int) and isinstance(choices["high"], int):
            trial.suggest_int(name, **choices)
        else:
            trial.suggest_float(name, **choices)
    return int(trial.number)


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial chose; a choice among listed ones is kept as JSON, since it may be a tuple."""
    return {k: json.loads(v) if isinstance(v, str) else v for k, v in params.items()}


def _study(folder: Path, seed: int) -> Any:
    optuna = extras.load("optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = extras.load("optuna.storages.journal", "tune")
    # The folder is locked by us, so what is there is a dead process's.
    for left in folder.glob(f"{STUDY}.lock*"):
        left.unlink()
    storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / STUDY)))
    # Trials that are chosen together should not be the same ones: constant_liar.
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.create_study(
        storage=storage,
        sampler=sampler,
        study_name=folder.name,
        direction="maximize",
        load_if_exists=True,
    )
