"""Benchmark tables: written by the scripts beside this file, with what is needed to judge them.

Every run of a script is a file of its own, `results/NAME/2026-11-30.json` (a second run on the same
day: `2026-11-30-02.json`), which no later run overwrites. `results/NAME.md` shows the latest one.
"""

import datetime
import importlib.metadata
import itertools
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
MEASURED = "measured on"
"""The column of the rows that a run took over from an earlier one; empty where it measured anew."""
_FILES: dict[str, Path] = {}
"""The file that this process writes, by the name of its table."""


def today() -> str:
    """The day of a run, as its files are named for it."""
    return datetime.date.today().isoformat()


def machine() -> dict[str, Any]:
    """The machine and the versions that a number belongs to."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    packages = ("jax", "jaxlib", "equinox", "optax", "numpy", "gymnasium")
    return {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "date": today(),
    }


def write(name: str, protocol: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    """Write this run's `results/NAME/DATE.json`, and `results/NAME.md`; returns the latter.

    A script may call this after each part of its run: the later calls replace what the first wrote.
    """
    data = {"protocol": protocol, "facts": {**machine(), **more}, "rows": list(rows)}
    _file_of_this_run(name).write_text(json.dumps(data, indent=2) + "\n")
    path = FOLDER / f"{name}.md"
    path.write_text(page(data))
    return path


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of the latest run, each with the day on which it was measured; none before a run.

    A script that measures some rows again writes the others with this day, in a column of its own.
    """
    if not (path := latest(name)):
        return []
    data = json.loads(path.read_text())
    return [{**row, MEASURED: row.get(MEASURED, data["facts"]["date"])} for row in data["rows"]]


def latest(name: str) -> Path | None:
    """The file of the latest run."""
    return max((FOLDER / name).glob("*.json"), key=lambda path: path.stem, default=None)


def page(data: Mapping[str, Any]) -> str:
    """The Markdown of a run: its protocol, its table, and its facts."""
    stated = ", ".join(f"{key} {value}" for key, value in data["facts"].items())
    return f"{data['protocol']}\n\n{_table(data['rows'])}\n\n{stated}\n"


def _file_of_this_run(name: str) -> Path:
    """A file that was not there before; the same one for every call of this process."""
    if name not in _FILES:
        day = today()
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
        stems = itertools.chain([day], (f"{day}-{number:02}" for number in itertools.count(2)))
        paths = (FOLDER / name / f"{stem}.json" for stem in stems)
        _FILES[name] = next(path for path in paths if not path.exists())
    return _FILES[name]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [_line(columns), _line("---" for _ in columns)]
    return "\n".join(lines + [_line(_text(row.get(c, "")) for c in columns) for row in rows])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
