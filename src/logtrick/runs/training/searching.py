"""Search by Optuna: points of a sweep that are chosen by what the points before them scored.

The journal (`study.jsonl` in the sweep's folder) is JSON lines: nothing is pickled. The sampler's
random numbers follow from the seed and the trial, and trials are chosen in the same batches, so
that an interrupted search that goes on equals one that was not interrupted.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Unpack

import numpy as np

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.elsewhere import known_arguments
from logtrick.algorithms.presets import env_id
from logtrick.envs import EnvSpec, resolve
from logtrick.errors import ConfigError
from logtrick.runs.config import RunConfig
from logtrick.runs.folder import absolute
from logtrick.runs.sweeps import Sweep
from logtrick.runs.training.journal import Journal
from logtrick.runs.training.options import RunArguments, RunOptions, with_run_options
from logtrick.runs.training.points import (
    Points,
    check_at_once,
    check_varying,
    finished,
    listed,
    make_point,
    new_sweep,
    points,
)
from logtrick.runs.training.progress import Observer
from logtrick.runs.training.start import configure, observer
from logtrick.support import extras
from logtrick.support.files import lock_folder
from logtrick.support.numbers import checked_whole
from logtrick.support.safe_paths import SafePath

STUDY = "study.jsonl"
_NO_SCORE = -sys.float_info.max
"""What a trial without a score has in the journal; JSON has no infinity."""


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
            raise ConfigError(f"{self}: low must be below high, and above 0 if log is set.")


@known_arguments
@with_run_options(seeds=4)
def search(
    env: Any,
    algorithm: Algorithm | None,
    values: Mapping[str, Any],
    trials: int,
    *,
    at_once: int | None = None,
    **options: Unpack[RunArguments],
) -> Sweep:
    """Search for the settings with the highest interquartile mean of the final returns.

    The seed of the first run is also the seed of the search.

    Args:
        env: as for `train`.
        algorithm: as for `sweep`.
        values: for each setting that varies a `Range`, or a sequence of choices.
        trials: points to be trained. One whose settings exclude each other (minibatches that do
            not divide the batch, say) counts too, and is noted.
        at_once: as for `sweep`; so many trials are chosen together.
        **options: see `RunOptions`.

    Returns:
        The sweep: its runs, results and best point.

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
    given = RunOptions(**options)
    out = absolute(given.out)
    spec = resolve(env_id(env), timeout=given.timeout, kwargs=given.env_kwargs)
    base = configure(spec, algorithm, given)
    ends = [
        {name: pick(v) for name, v in values.items()}
        for pick in (
            lambda v: v.low if isinstance(v, Range) else v[0],
            lambda v: v.high if isinstance(v, Range) else v[-1],
        )
    ]
    points(base, ends)  # the ends of the ranges are possible, before anything is made
    space = {name: asdict(v) if isinstance(v, Range) else v for name, v in values.items()}
    folder = new_sweep(
        out,
        base,
        dict.fromkeys(values, ()),
        space=space,
        trials=trials,
        at_once=check_at_once(at_once),
    )
    with lock_folder(folder):
        continue_search(Sweep(folder), spec, observer(given.progress), given.checkpoint_seconds)
        return finished(folder)


def continue_search(
    sweep: Sweep, spec: EnvSpec, watcher: Observer, checkpoint_seconds: float
) -> None:
    """Begin or continue a search; the caller has locked its folder."""
    base, at_once = RunConfig.from_dict(sweep.settings["base"]), sweep.settings["at_once"]
    trainer = Points(spec, at_once, watcher, checkpoint_seconds)
    with Journal(sweep.folder / STUDY) as journal:
        study = _Study(journal, sweep.path.name, sweep.settings["space"], base.seed)
        while begun := study.batch(at_once, sweep.settings["trials"]):
            paths: dict[int, SafePath] = {}
            for number in begun:
                try:
                    (config,) = points(base, [study.settings(number)])
                except ConfigError as error:  # settings that exclude each other: a box of ranges
                    study.fail(number)
                    watcher.note(f"Trial {number} cannot be trained, and counts as failed: {error}")
                else:
                    paths[number] = make_point(sweep.folder, number, config)
            trainer.train(list(paths.values()))
            scores = {row["point"]: row["iqm"] for row in sweep.results}
            for number, path in paths.items():
                study.tell(number, scores[path.name])


class _Study:
    """Optuna's study of one search, whose every choice follows from the trials before it.

    Args:
        journal: what is known of it.
        name: the name that a new study gets.
        space: the values of each setting, as JSON says them.
        seed: the seed of the search.
    """

    def __init__(self, journal: Journal, name: str, space: Mapping[str, Any], seed: int) -> None:
        self._optuna = optuna = extras.load("optuna", "tune")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = optuna.storages.JournalStorage(journal)
        known = [study.study_name for study in self._storage.get_all_studies()]
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=known[0] if known else name,  # the folder may have been renamed since
            direction="maximize",
            load_if_exists=True,
        )
        self._journal, self._space, self._seed = journal, space, seed

    def batch(self, size: int, trials: int) -> list[int]:
        """The trials to be trained next: those that were begun, and those that are begun now.

        Trials are chosen together, `size` at a time, before any of them has a score. A batch that
        was interrupted is filled up, with the choices that it would have had.
        """
        begun = self._study.get_trials(deepcopy=False)
        running = [trial.number for trial in begun if not trial.state.is_finished()]
        end = -(-len(begun) // size) * size if running or len(begun) % size else len(begun) + size
        return running + [self._begin(k) for k in range(len(begun), min(end, trials))]

    def settings(self, number: int) -> dict[str, Any]:
        """What a trial chose; a choice among listed ones is kept as JSON: it may be a tuple."""
        params = self._study.trials[number].params
        return {k: json.loads(v) if isinstance(v, str) else v for k, v in params.items()}

    def tell(self, number: int, score: float | None) -> None:
        """End a trial with its score; None: it has none, and is the worst."""
        self._study.tell(number, _NO_SCORE if score is None else score)

    def fail(self, number: int) -> None:
        """End a trial that cannot be trained."""
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)

    def _begin(self, number: int) -> int:
        """Begin a trial: its number. Its random numbers are its own, whatever was drawn before."""
        entropy = np.random.SeedSequence((self._seed, number))
        # Trials that are chosen together should not be the same ones: constant_liar.
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=int(entropy.generate_state(1)[0]), constant_liar=True
        )
        with self._journal.together():
            trial = self._study.ask()
            for name, choices in self._space.items():
                if isinstance(choices, list):
                    trial.suggest_categorical(name, [json.dumps(choice) for choice in choices])
                elif isinstance(choices["low"], int) and isinstance(choices["high"], int):
                    trial.suggest_int(name, **choices)
                else:
                    trial.suggest_float(name, **choices)
        return int(trial.number)
