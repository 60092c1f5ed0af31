"""Append-only logs: JSON lines that a resumed run cuts back to the byte where it left off."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from logtrick.errors import RunError
from logtrick.support.files import one_line_cause, to_json, without_nan
from logtrick.support.safe_paths import Place, file_of


class AppendLog:
    r"""A JSON-lines file that only grows, and that a resumed run cuts back to a known offset.

    Every row is one line. NaN and infinity, which JSON cannot say, are written as null; other
    floats by `repr`, so that equal rows are equal bytes. A line that a kill tore is cut off when
    the log is opened.

    Args:
        place: The file; it is made if it is not there, its folder exists.

    Raises:
        RunError: The file cannot be written, or is a link or a file with a second name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> with AppendLog(path) as log:
        ...     log.append([{"step": 8192, "return": 21.5}, {"step": 16384, "return": None}])
        ...     log.size
        63
        >>> read_jsonl(path)[0]
        {'step': 8192, 'return': 21.5}
    """

    def __init__(self, place: Place) -> None:
        self._path = file_of(place)
        with one_line_cause(f"Could not open {self._path}"):
            descriptor = self._path.open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
            # Unbuffered: what `append` returned from has reached the system, kill or no kill.
            self._file = os.fdopen(descriptor, "ab", buffering=0)
            self._size = _whole_lines(descriptor)
            self._file.truncate(self._size)

    @property
    def size(self) -> int:
        """Bytes written so far: the offset at which the next row begins."""
        return self._size

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows at the end: all of them, or on an error (a full disk) none."""
        data = b"".join(to_json(without_nan(row)) for row in rows)
        with one_line_cause(f"Could not append to {self._path}"):
            view = memoryview(data)
            try:
                while view:
                    view = view[self._file.write(view) :]
            except OSError:
                self._file.truncate(self._size)
                raise
        self._size += len(data)

    def sync(self) -> None:
        """Fsync, so that every row appended so far survives a power cut."""
        with one_line_cause(f"Could not write {self._path}"):
            os.fsync(self._file.fileno())

    def truncate_to(self, offset: int) -> None:
        """Cut the log back to `offset` bytes, a `size` that it once had.

        Raises:
            RunError: The log is shorter than that, or no row ends there.
        """
        with one_line_cause(f"Could not cut back {self._path}"):
            if not 0 <= offset <= self._size:
                raise RunError(
                    f"{self._path} holds {self._size} bytes of whole rows where the checkpoint "
                    f"knows of {offset}: rows were lost, or it belongs to another run."
                )
            if offset and os.pread(self._file.fileno(), 1, offset - 1) != b"\n":
                raise RunError(f"{self._path}: no row ends at byte {offset}; it was changed.")
            self._file.truncate(offset)
            self._size = offset

    def close(self) -> None:
        """Close the file; every row has been written by then."""
        self._file.close()

    def __enter__(self) -> "AppendLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _whole_lines(descriptor: int) -> int:
    """Length in bytes of the lines that end in a newline."""
    end = os.fstat(descriptor).st_size
    while end:
        begin = max(0, end - 65536)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def read_jsonl(
    place: Place, is_row: Callable[[dict[str, Any]], object] = lambda row: True
) -> list[dict[str, Any]]:
    """Read a log of JSON lines; a last line without its newline was torn by a kill and is left out.

    Args:
        place: The file.
        is_row: Whether a row is one of this log; all are, unless it says otherwise.

    Returns:
        One dictionary a row; null is None.

    Raises:
        RunError: The file is missing, a link or no regular file, or a line that is not the torn
            last one is no JSON object or no such row.
    """
    rows, path = [], file_of(place)
    with (
        one_line_cause(f"Could not read {path}"),
        os.fdopen(path.open(os.O_RDONLY), "rb") as file,
    ):
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                row = json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                raise RunError(f"{path}, line {number} is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise RunError(f"{path}, line {number} is not a JSON object.")
            if not is_row(row):
                raise RunError(f"{path}, line {number} is no row of this run's.")
            rows.append(row)
    return rows
