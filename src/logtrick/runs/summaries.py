"""What a run came to, as plain data: curves of its metrics and the numbers that sum it up."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from logtrick.reports.statistics import Curve, curve, summarise
from logtrick.runs.record import RunRecord

POINTS = 200
"""Points of a curve, at most: more than an eye can tell apart."""


class Series(NamedTuple):
    """A metric of all seeds on common steps."""

    steps: Float[np.ndarray, " U"]
    values: Float[np.ndarray, "U seeds"]
    """NaN where there is no value."""
    curve: Curve


def series(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    *,
    points: int = POINTS,
    until: float | int = math.inf,
) -> Series:
    """A metric against steps, averaged within equal stretches of steps.

    Seeds need not agree in their steps (whole episodes differ in length). Within a stretch the
    episodes weigh the same, and so do the updates where the metric is none of episodes.

    Args:
        rows: Of `metrics.jsonl`: "seed", "steps", "episodes" and the metric, None where it has
            no value.
        name: The metric.
        points: Stretches, at most; there are no more than updates.
        until: Steps after which the curve over seeds ends, where one of them has no newer value.
    """
    seeds, column = np.unique([row["seed"] for row in rows], return_inverse=True)
    steps = np.array([row["steps"] for row in rows], dtype=np.float64)
    values = np.array([row.get(name) for row in rows], dtype=np.float64)
    if not len(rows):
        return Series(np.zeros(0), np.zeros((0, 1)), curve(np.zeros((0, 1))))
    weights = np.ones(len(rows))
    if name.startswith("episode_"):
        weights = np.array([row["episodes"] for row in rows], dtype=np.float64)
    weights[~np.isfinite(values)] = 0
    count = min(points, int(np.bincount(column).max()))
    edges = np.linspace(0, steps.max(), count + 1)
    stretch = np.clip(np.searchsorted(edges, steps) - 1, 0, count - 1)
    place, size = stretch * len(seeds) + column, count * len(seeds)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, weights * np.nan_to_num(values), size) / np.bincount(
            place, weights, size
        )
    table = mean.reshape(count, len(seeds))
    over = curve(table)
    if until < math.inf:
        shown = edges[:-1] < until
        over = Curve(*(np.where(shown, values, np.nan) for values in over))
    return Series(edges[1:], table, over)


def run_summary(record: RunRecord) -> dict[str, Any]:
    """The scores and times of a run as plain data, as `logtrick train --json` prints them."""
    config, latest, best = record.config, record.last_episodes, record.best_evaluations
    steps = {row["seed"]: row["steps"] for row in record.metrics}
    compiling = sum((row.get("compile_seconds", 0.0) for row in record.timings), 0.0)
    training = sum((row.get("seconds", 0.0) for row in record.timings), 0.0)
    final = record.final_returns
    done = min(steps.values()) if len(steps) == config.seeds else 0
    return {
        "run": str(record.path),
        "env": config.env,
        "algorithm": config.algorithm.name,
        "steps": config.steps,
        "steps_done": done,
        "finished": done >= config.steps or record.stopped_early,
        "stopped_early": record.stopped_early,
        "seeds": config.seeds,
        "final_returns": final.tolist(),
        "last_episodes": [x._asdict() for x in latest],
        "best_evaluations": [row["return"] for row in best] or None,
        "best_evaluation_steps": [row["steps"] for row in best] or None,
        "score": summarise(final)._asdict() if np.isfinite(final).all() else None,
        "resumed": [
            {"time": row["resumed"], "update": row["update"], "steps": row["steps"]}
            for row in record.resumptions
        ],
        "seconds": training,
        "compile_seconds": compiling,
        "steps_per_second": sum(steps.values()) / training if training else None,
    }


def solved_at(env: str) -> float | None:
    """The return at which Gymnasium counts an environment as solved, if it says so."""
    import gymnasium

    try:
        return gymnasium.spec(env.rpartition(":")[2]).reward_threshold
    except gymnasium.error.Error:
        return None
