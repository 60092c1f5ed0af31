"""Benchmark tables: written by the scripts beside this file, with what is needed to judge them."""

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


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
        "date": datetime.date.today().isoformat(),
    }


def write(name: str, protocol: str, rows: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    """Write `results/NAME.json` and `results/NAME.md`; returns the latter."""
    facts = {**machine(), **more}
    FOLDER.mkdir(exist_ok=True)
    data = {"protocol": protocol, "facts": facts, "rows": list(rows)}
    (FOLDER / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n")
    stated = ", ".join(f"{key} {value}" for key, value in facts.items())
    path = FOLDER / f"{name}.md"
    path.write_text(f"{protocol}\n\n{_table(rows)}\n\n{stated}\n")
    return path


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of `results/NAME.json`; none before it was written."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


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
