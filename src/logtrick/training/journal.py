"""The journal of a search: what Optuna remembers, one JSON object a line, in the sweep's folder.

Optuna's own file backend opens its file by name, through links, and guards it with a second file
that a killed process leaves behind. Here the folder is locked already, so a log of lines is enough.
"""

from typing import Any

from logtrick.runs.logs import AppendLog, read_jsonl
from logtrick.safe_paths import SafePath


class Journal:
    """What `optuna.storages.JournalStorage` writes to, in a folder that the caller has locked.

    Args:
        file: the file; a line that a kill tore is cut off.

    Raises:
        RunError: it cannot be written, or holds a line that is none of a journal's.
    """

    def __init__(self, file: SafePath) -> None:
        self._log = AppendLog(file)
        self._entries = read_jsonl(file, lambda row: type(row.get("op_code")) is int)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The entries from this one on."""
        return self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, durably."""
        self._log.append(logs)
        self._log.sync()
        self._entries += logs
