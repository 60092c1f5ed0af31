"""A sweep's folder, opened for reading: its points, their scores, the best one.

sweep.json           the settings of the sweep
point-000/ …         a run folder each, like those of `train`
results.json         a row for each point, the best first; results.md: the same as a table
study.jsonl          the search's journal, where Optuna chose the points
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from logtrick.envs import EnvSpec
from logtrick.errors import RunError
from logtrick.reports.statistics import summarise
from logtrick.runs.config import CONFIG, RunConfig, find_env
from logtrick.runs.folder import SWEEP as SWEEP
from logtrick.runs.latest import no_score
from logtrick.runs.record import RunRecord
from logtrick.runs.run import Run
from logtrick.support.files import without_nan, write_bytes_atomic, write_json_atomic
from logtrick.support.markdown import markdown_table
from logtrick.support.safe_paths import Place, folder_of

RESULTS, TABLE, POINT = "results.json", "results.md", "point-"
_LIMIT = 2**24


class Sweep:
    """A sweep's folder, opened for reading.

    Args:
        path: the folder. It may be a link; in it, none is followed.

    Attributes:
        path: the folder, absolute.
        folder: the same, to reach what is in it.

    Raises:
        RunError: it is no sweep's folder.
    """

    def __init__(self, path: Place) -> None:
        self.folder = folder_of(path)
        self.path = self.folder.path
        if not (self.folder / SWEEP).exists():
            raise RunError(f"{self.path} holds no {SWEEP}, so it is no sweep.")
        self.settings: dict[str, Any] = json.loads((self.folder / SWEEP).read(_LIMIT))

    def __repr__(self) -> str:
        return f"Sweep({str(self.path)!r})"

    @property
    def runs(self) -> list[Run]:
        """The run of each point, in the order in which they were made."""
        points = [self.folder / name for name in self.folder.names() if name.startswith(POINT)]
        return [Run(point) for point in points if (point / CONFIG).exists()]

    @property
    def results(self) -> list[dict[str, Any]]:
        """A row for each point, the best first: its settings, and its score over seeds.

        The score of a seed is its mean training return over its last episodes: `episodes` says how
        many they are at least, `since_step` since when at the earliest. A point of which a seed
        diverged, or has ended no episode, or none for long, has no score and stands last;
        `no_score` says why.
        """
        names = list(self.settings["values"])
        rows = [_row(run.record, names) for run in self.runs]
        return sorted(rows, key=lambda row: -math.inf if row["iqm"] is None else row["iqm"])[::-1]

    @property
    def best(self) -> Run:
        """The run of the point with the highest interquartile mean."""
        rows = self.results
        if not rows or rows[0]["iqm"] is None:
            raise RunError(f"{self.path}: no point has a score.")
        return Run(self.folder / rows[0]["point"])

    def env_spec(self, env: Any = None) -> EnvSpec:
        """The environment of the sweep, checked where a point is there to check it against."""
        if made := self.runs:
            return made[0].env_spec(env)
        base = RunConfig.from_dict(self.settings["base"])
        return find_env(base, env)

    def write_results(self) -> None:
        """Write `results.json` and `results.md`."""
        rows = self.results
        write_json_atomic(self.folder / RESULTS, rows)
        head = list(rows[0]) if rows else []
        table = markdown_table(head, [[_cell(row[name]) for name in head] for row in rows])
        write_bytes_atomic(self.folder / TABLE, (table + "\n").encode())


def _row(record: RunRecord, names: Sequence[str]) -> dict[str, Any]:
    latest = record.last_episodes
    final = record.final_returns
    cut_short = record.config.seeds - sum(x.steps >= record.config.steps for x in latest)
    scored = not cut_short and bool(np.isfinite(final).all())
    missing = dict.fromkeys(("mean", "std", "iqm", "low", "high", "n"))
    score = summarise(final)._asdict() if scored else missing
    return {
        "point": record.path.name,
        **{name: getattr(record.config.algorithm, name) for name in names},
        **without_nan(score),
        "episodes": min(x.episodes for x in latest),
        "since_step": min(x.since_step for x in latest),
        "no_score": no_score(latest) or None,
        "diverged_or_unfinished": cut_short,
    }


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
