"""A run folder that is being written: logs, checkpoints and policies that belong together.

The logs are cut back to the checkpoint from which a run goes on, so what a killed process had
written beyond it is written again, to the same bytes.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from logtrick.runs import folder as run_folder
from logtrick.runs.checkpoints import CheckpointFolder, Restored
from logtrick.runs.logs import AppendLog
from logtrick.runs.run import Run
from logtrick.runs.training.progress import Rows
from logtrick.runs.training.tensorboard import TENSORBOARD, EventFiles
from logtrick.runs.tree_files import FromMetadata, write_arrays_atomic
from logtrick.runs.trees import NamedTree
from logtrick.support.row_masks import over_axes
from logtrick.support.safe_paths import Place, folder_of


class Recorder:
    """Writes one run folder; used as a context.

    Args:
        path: the folder; its `config.json` is there.
        first: the place of the run's first seed among all that are trained side by side.
        policy: a user's own, where the run is trained with one.
    """

    def __init__(self, path: Place, first: int = 0, policy: Any = None) -> None:
        self.folder = folder_of(path)
        self.path, self.run = self.folder.path, Run(self.folder, policy=policy)
        self.config = self.run.config
        self.members = slice(first, first + self.config.seeds)
        self.checkpoints = CheckpointFolder(self.folder / run_folder.CHECKPOINTS)
        names = [run_folder.METRICS, run_folder.TIMINGS]
        if self.config.evaluation is not None:
            names.append(run_folder.EVALUATIONS)
        self.logs: dict[str, AppendLog] = {}
        with contextlib.ExitStack() as opened:  # closed again where one of them cannot be opened
            for name in names:
                self.logs[name] = opened.enter_context(AppendLog(self.folder / name))
            opened.pop_all()
        self.scalars: EventFiles | None = None
        self.last_evaluation: Rows = []
        """A row for each seed; none before the first evaluation."""
        self.best: Any = None
        """The models' arrays at each seed's best evaluation; None before the first one."""
        self.best_returns = np.full(self.config.seeds, -np.inf)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        for log in self.logs.values():
            log.close()
        if self.scalars is not None:
            self.scalars.close()

    def record(self, columns: Mapping[str, Any], active: np.ndarray, update: int) -> Rows:
        """Write what updates measured: the new rows of `metrics.jsonl`.

        Args:
            columns: each metric, [updates][members], of all that are trained side by side.
            active: bool[updates, members]; False where a run had ended before.
            update: the number of the first of the updates.
        """
        rows = [
            {"update": update + u, "seed": self.config.seed + s}
            | {name: values[u][member] for name, values in columns.items()}
            for u in range(len(active))
            for s, member in enumerate(range(self.members.start, self.members.stop))
            if active[u, member]
        ]
        self.logs[run_folder.METRICS].append(rows)
        if self.scalars is not None:
            self.scalars.write("training", rows)
        return rows

    def time(self, row: Mapping[str, Any]) -> None:
        """Write a row of `timings.jsonl`."""
        self.logs[run_folder.TIMINGS].append([row])

    def evaluated(
        self, update: int, steps: np.ndarray, returns: np.ndarray, lengths: np.ndarray, params: Any
    ) -> Rows:
        """Write an evaluation, and keep the policies that did better than any before.

        Args:
            update: the updates made so far.
            steps: [seeds] transitions learned from.
            returns: [seeds, episodes].
            lengths: [seeds, episodes].
            params: the models' arrays [seeds, …] of NumPy.

        Returns:
            The new rows of `evaluations.jsonl`.
        """
        means = returns.mean(axis=1)
        rows = [
            {
                "update": update,
                "seed": self.config.seed + s,
                "steps": int(steps[s]),
                "return": float(means[s]),
                "length": float(lengths[s].mean()),
                "returns": returns[s].tolist(),
            }
            for s in range(self.config.seeds)
        ]
        self.logs[run_folder.EVALUATIONS].append(rows)
        if self.scalars is not None:
            self.scalars.write("evaluation", rows)
        self.last_evaluation = rows
        self._keep_best(means, params)
        return rows

    def _keep_best(self, means: np.ndarray, params: Any) -> None:
        import jax

        better = means > self.best_returns
        self.best_returns = np.where(better, means, self.best_returns)

        def choose(new: np.ndarray, old: np.ndarray) -> np.ndarray:
            return np.where(over_axes(better, new), new, old)

        self.best = params if self.best is None else jax.tree.map(choose, params, self.best)

    def save(
        self,
        updates: int,
        state: Any,
        model: Callable[[Any], Any],
        host: Mapping[str, np.ndarray] | None,
    ) -> None:
        """Save the state, and the policies in it; the logs up to here belong to it.

        Args:
            updates: how many were made.
            state: the training state of this run's seeds.
            model: puts the models together from their arrays.
            host: the state of host environments, by name; None where there are none to save.
        """
        tree = {"state": state}
        metadata: dict[str, Any] = {}
        for name, log in self.logs.items():
            log.sync()
            metadata[f"{Path(name).stem}_bytes"] = log.size
        if self.best is not None:
            tree["best"], metadata["best"] = self.best, True
        if host is not None:
            tree["host"] = dict(host)
            metadata["host"] = {k: [str(v.dtype), *v.shape] for k, v in host.items()}
        everything = {"checkpoint": tree, "policy": model(state.params)}
        if self.best is not None:
            everything["best"] = model(self.best)
        # Taken of everything at once: the models' arrays are part of the state, too.
        taken = NamedTree(everything).snapshot()
        self.checkpoints.save(updates, taken.part("checkpoint"), metadata)
        run_folder.write_policy(self.folder, self.config, taken.part("policy"))
        if self.best is not None:
            write_arrays_atomic(self.folder / run_folder.BEST, taken.part("best"), {})

    def _begin_scalars(self) -> None:
        """Write TensorBoard's files, if there is a folder for them, anew from the logs."""
        folder = self.folder / TENSORBOARD
        if folder.exists():
            self.scalars = EventFiles(folder)
            self.scalars.write("training", self.run.metrics)
            self.scalars.write("evaluation", self.run.evaluations)

    def latest(self, state: Any, at_most: int | None = None) -> Restored:
        """The newest checkpoint that verifies, of at most this many updates."""
        import jax

        def like(metadata: dict[str, Any]) -> dict[str, Any]:
            tree = {"state": state}
            if metadata.get("best"):
                tree["best"] = jax.tree.map(lambda x: np.empty(x.shape, x.dtype), state.params)
            if (host := metadata.get("host")) is not None:
                tree["host"] = {k: np.empty(shape, dtype) for k, (dtype, *shape) in host.items()}
            return tree

        return self.checkpoints.latest(FromMetadata(like), at_most=at_most)

    def cut_back(self, restored: Restored | None) -> None:
        """Go back to a checkpoint, or to the start."""
        metadata = {} if restored is None else restored.metadata
        for name, log in self.logs.items():
            log.truncate_to(metadata.get(f"{Path(name).stem}_bytes", 0))
        self._begin_scalars()
        if restored is None:
            return
        self.time({"resumed_at": restored.step})
        self.best = restored.tree.get("best")
        evaluations = self.run.evaluations
        self.last_evaluation = evaluations[-self.config.seeds :]
        for row in evaluations:
            s = row["seed"] - self.config.seed
            found = np.array(row["return"], np.float64)  # null is NaN
            self.best_returns[s] = np.fmax(self.best_returns[s], found)
