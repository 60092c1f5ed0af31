"""The journal of a search: what Optuna remembers, in JSON lines, in the sweep's folder.

Optuna's own file backend opens its file by name, through links, and guards it with a second file
that a killed process leaves behind. Here the folder is locked already, so a log of lines is enough.
And what belongs together, a trial and all that it chose, is one line here, so that a kill leaves
all of it or nothing: how Optuna would fill up the rest depends on what is there.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from logtrick.runs.logs import AppendLog, read_jsonl
from logtrick.support.safe_paths import SafePath

TOGETHER = "entries"
"""What a line holds in which several entries are."""


class Journal:
    """What `optuna.storages.JournalStorage` writes to, in a folder that the caller has locked.

    Args:
        file: the file; a line that a kill tore is cut off.

    Raises:
        RunError: it cannot be written, or holds a line that is none of a journal's.
    """

    def __init__(self, file: SafePath) -> None:
        self._log = AppendLog(file)
        self._together: list[dict[str, Any]] | None = None
        try:
            rows = read_jsonl(file, lambda row: all(map(_is_entry, _entries(row))))
        except BaseException:
            self._log.close()
            raise
        self._known = [entry for row in rows for entry in _entries(row)]

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is added in this block is written at its end, all of it or nothing."""
        entries: list[dict[str, Any]] = []
        self._together = entries
        try:
            yield
        finally:
            self._together = None
        self._write([{TOGETHER: entries}])

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The entries from number `log_number_from` on."""
        return self._known[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries; they are on disk when this returns."""
        if self._together is None:
            self._write(logs)
        else:
            self._together += logs
        self._known += logs

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._log.append(rows)
        self._log.sync()


def _entries(row: Mapping[str, Any]) -> list[Any]:
    entries = row.get(TOGETHER)
    return entries if isinstance(entries, list) else [row]


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and type(entry.get("op_code")) is int
