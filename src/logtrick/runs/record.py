"""The read-only record of a run: its path, configuration, rows and scores, each file read once."""

import datetime
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from logtrick.runs.config import Evaluation, RunConfig
from logtrick.runs.folder import EVALUATIONS, METRICS, TIMINGS
from logtrick.runs.latest import Latest, LatestEpisodes
from logtrick.runs.logs import read_jsonl
from logtrick.support.safe_paths import SafePath


@dataclass(frozen=True)
class RunRecord:
    """What a run folder holds at one moment.

    Each log is parsed when it is first asked for, and never again: rows that training writes later
    are in the next record. Summary, report and model card are all made of one record, so that they
    agree, and the logs are parsed once for all three.

    Args:
        folder: the run folder.
        config: its `config.json`.

    Raises:
        RunError: a log is missing or damaged; raised when it is first asked for.
    """

    folder: SafePath
    config: RunConfig

    @property
    def path(self) -> Path:
        """The folder, absolute."""
        return self.folder.path

    @functools.cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """One row for each update and seed."""
        return self._rows(METRICS, "episodes")

    @functools.cached_property
    def timings(self) -> list[dict[str, Any]]:
        """Wall-clock of each stretch of training, and the moments at which it was resumed."""
        return read_jsonl(self.folder / TIMINGS, _is_timing)

    @functools.cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        """One row for each evaluation and seed; none where the run is trained without them."""
        return self._rows(EVALUATIONS) if (self.folder / EVALUATIONS).exists() else []

    def _rows(self, name: str, *counts: str) -> list[dict[str, Any]]:
        """The rows of a log, each of one of the run's seeds, with its steps and other counts."""
        seeds = range(self.config.seed, self.config.seed + self.config.seeds)

        def is_row(row: dict[str, Any]) -> bool:
            whole = all(type(row.get(count)) is int for count in ("seed", "steps", *counts))
            return whole and row["seed"] in seeds

        return read_jsonl(self.folder / name, is_row)

    @property
    def resumptions(self) -> list[dict[str, Any]]:
        """The rows of `timings.jsonl` that say when training was resumed, and from which update."""
        return [row for row in self.timings if "resumed" in row]

    @property
    def stopped_early(self) -> bool:
        """Whether the last evaluation came up to the score at which training was to stop."""
        return has_reached(self.evaluations[-self.config.seeds :], self.config.evaluation)

    @functools.cached_property
    def last_episodes(self) -> tuple[Latest, ...]:
        """Each seed's last episodes: their mean return, how many they are, and how old."""
        return LatestEpisodes(self.config, self.metrics).of_seeds()

    @property
    def final_returns(self) -> Float[np.ndarray, " seeds"]:
        """Each seed's mean return over its last episodes; NaN where that is no score."""
        return np.array([latest.score for latest in self.last_episodes])

    @functools.cached_property
    def best_evaluations(self) -> list[dict[str, Any]]:
        """Each seed's best evaluation, a row of `evaluations.jsonl`: of equal ones the first.

        A seed without any is left out.
        """
        best: dict[int, dict[str, Any]] = {}
        for row in self.evaluations:
            if row["return"] is None:
                continue
            if row["seed"] not in best or row["return"] > best[row["seed"]]["return"]:
                best[row["seed"]] = row
        return [best[seed] for seed in sorted(best)]


def has_reached(last: Sequence[Mapping[str, Any]], evaluation: Evaluation | None) -> bool:
    """Whether the last evaluation reached the score at which training is to stop.

    Args:
        last: the evaluation's rows, one for each seed; none before the first evaluation.
        evaluation: what was asked for.

    Returns:
        True if every seed's return is at least `evaluation.stop_at`.
    """
    if evaluation is None or evaluation.stop_at is None or not last:
        return False
    returns = np.array([row["return"] for row in last], np.float64)  # null is NaN
    return bool(np.all(returns >= evaluation.stop_at))


def _is_timing(row: Mapping[str, Any]) -> bool:
    """Whether a row of `timings.jsonl` holds seconds, or tells of a resumption."""
    seconds = [value for name, value in row.items() if name.endswith("seconds")]
    if "resumed" not in row:
        return all(isinstance(value, int | float) and 0 <= value < math.inf for value in seconds)
    try:
        datetime.datetime.fromisoformat(row["resumed"])
    except (TypeError, ValueError):
        return False
    counts = (row.get("update"), row.get("steps"))
    return all(type(n) is int for n in counts) and isinstance(row.get("made_by"), Mapping)
