"""A run's scalars for TensorBoard: `logtrick train … --tensorboard`, `tensorboard --logdir runs`.

Nothing is measured here: the scalars are those of `metrics.jsonl` and `evaluations.jsonl`, against
the steps of each seed, which has a folder of its own. Whenever training starts or goes on they are
written anew from the logs, so that a resumed run shows every point once.
"""

import math
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from logtrick.support import extras
from logtrick.support.safe_paths import SafePath, one_line_cause

TENSORBOARD = "tensorboard"
"""The folder in the run folder; where it is there, it is kept up to date."""
_PLACE = ("update", "seed", "steps")
_SEED = "seed-"


class EventFiles:
    """The event files of one run.

    An event file is a sequence of records (TensorFlow's TFRecord), each a protocol buffer.
    tensorboardX knows the buffers and their check sums; the files are opened here, because it opens
    them by name, through links.

    Args:
        folder: they are written in `folder/seed-N`; what is there is removed.

    Raises:
        MissingExtraError: tensorboardX is not installed.
        RunError: the folder cannot be written, or is a link.
    """

    def __init__(self, folder: SafePath) -> None:
        extras.load("tensorboardX", "log")
        self._folder = folder
        self._files: dict[int, BinaryIO] = {}
        with one_line_cause(f"Could not empty {folder}"):
            for name in folder.names():
                if name.startswith(_SEED):
                    (folder / name).remove()

    def write(self, group: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the numbers of some rows as `group/NAME`, one event a row."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        now = time.time()
        for row in rows:
            numbers = {name: value for name, value in row.items() if name not in _PLACE}
            values = [
                Summary.Value(tag=f"{group}/{name}", simple_value=value)
                for name, value in numbers.items()
                if isinstance(value, int | float) and math.isfinite(value)
            ]
            event = Event(summary=Summary(value=values), step=row["steps"], wall_time=now)
            self._append(row["seed"], event)
        with one_line_cause(f"Could not write in {self._folder}"):
            for file in self._files.values():
                file.flush()

    def close(self) -> None:
        """Write what is still in memory, and close the files."""
        for file in self._files.values():
            file.close()

    def _append(self, seed: int, event: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with one_line_cause(f"Could not write in {self._folder}"):
            if seed not in self._files:
                self._files[seed] = self._open(seed)
                first = Event(wall_time=event.wall_time, file_version="brain.Event:2")
                self._files[seed].write(_record(first.SerializeToString()))
            self._files[seed].write(_record(event.SerializeToString()))

    def _open(self, seed: int) -> BinaryIO:
        folder = self._folder / f"{_SEED}{seed}"
        folder.make_folder()
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
        name = f"events.out.tfevents.{int(time.time())}.{host}"
        return os.fdopen((folder / name).open(os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def _record(data: bytes) -> bytes:
    """Length, check sum of the length, data, check sum of the data."""
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    return length + sums[0] + data + sums[1]
