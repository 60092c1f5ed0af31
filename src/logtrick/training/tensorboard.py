"""A run's scalars for TensorBoard: `logtrick train … --tensorboard`, `tensorboard --logdir runs`.

Nothing is measured here: the scalars are those of `metrics.jsonl` and `evaluations.jsonl`, against
the steps of each seed, which has a folder of its own. Whenever training starts or goes on they are
written anew from the logs, so that a resumed run shows every point once.
"""

import math
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from logtrick import extras
from logtrick.files import one_line_cause

TENSORBOARD = "tensorboard"
"""The folder in the run folder; where it is there, it is kept up to date."""
_PLACE = ("update", "seed", "steps")


class EventFiles:
    """The event files of one run.

    Args:
        folder: they are written in `folder/seed-N`; what is there is removed.

    Raises:
        MissingExtraError: tensorboardX is not installed.
        RunError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        extras.load("tensorboardX", "log")
        self._folder = folder
        self._writers: dict[int, Any] = {}
        with one_line_cause(f"Could not empty {folder}"):
            for old in folder.glob("seed-*"):
                shutil.rmtree(old)

    def write(self, group: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the numbers of some rows as `group/NAME`, one event a row."""
        from tensorboardX.proto.summary_pb2 import Summary

        now = time.time()
        for row in rows:
            numbers = {name: value for name, value in row.items() if name not in _PLACE}
            values = [
                Summary.Value(tag=f"{group}/{name}", simple_value=value)
                for name, value in numbers.items()
                if isinstance(value, int | float) and math.isfinite(value)
            ]
            self._writer(row["seed"]).add_summary(Summary(value=values), row["steps"], now)

    def close(self) -> None:
        """Write what is still in memory."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, seed: int) -> Any:
        from tensorboardX.writer import FileWriter

        if seed not in self._writers:
            with one_line_cause(f"Could not write in {self._folder}"):
                self._writers[seed] = FileWriter(str(self._folder / f"seed-{seed}"))
        return self._writers[seed]
