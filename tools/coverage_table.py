"""Measure which lines of logtrick its tests run, and write the table of docs/coverage.md.

    python tools/coverage_table.py              # the commit-size suite; writes the page
    python tools/coverage_table.py tests/psi    # some tests only; prints the table, writes nothing

What is counted, and what is left out, stands in pyproject.toml (`tool.coverage`). Tracing makes the
tests slower. The tests must pass; their failure is this script's.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coverage.md"
PACKAGE = Path("src") / "logtrick"
INTRODUCTION = """\
# Coverage

The table says how many of logtrick's lines, and how many of the ways out of its branches, the tests
run. A line that no test runs is not tested. A line that a test runs may still be wrong, so the
project sets no target; [the equations](equations.md) name the tests that prove each of them.

- JAX runs a function in Python once, when it compiles the function. From then on its lines count as
  run, and both sides of a `jax.lax.cond` do.
- The functions that numba compiles (`@kernel`, `@inlined`) are left out. Their lines run as machine
  code, which a tracer of Python does not see. Tests compare these functions with NumPy.
- The processes that tests start are counted: commands, and workers that step environments. A
  process that a test kills writes nothing, so its lines count only where another test runs them.
- The slow tests and those of the optional ecosystems and of torch are not part of this measurement.
"""
COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def main() -> None:
    """Read the arguments, measure, and write or print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tests", nargs="*", help="what pytest is given; default: everything")
    tests = parser.parse_args().tests
    shown = table(measured(tests))
    print(shown)
    if not tests:
        PAGE.write_text(f"{INTRODUCTION}\n{shown}\n\n{facts()}\n")


def measured(tests: list[str]) -> Mapping[str, Any]:
    """Run the tests under coverage; returns each file's counts by its path in the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        # Absolute, since tests start processes in other folders.
        environment = os.environ | {"COVERAGE_FILE": str(Path(folder) / "data")}
        python = [sys.executable, "-m"]
        for command in (
            [*python, "pytest", "-q", "--cov", "--cov-report=", *tests],
            [*python, "coverage", "json", "--quiet", "-o", str(report)],
        ):
            subprocess.run(command, check=True, cwd=ROOT, env=environment)
        files: Mapping[str, Any] = json.loads(report.read_text())["files"]
    return {path: entry["summary"] for path, entry in files.items()}


def table(files: Mapping[str, Mapping[str, int]]) -> str:
    """The Markdown table: one row for each room, and one for all of them."""
    rooms: dict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for path, summary in files.items():
        for room in (room_of(path), "**all**"):
            rooms[room] = [a + summary[name] for a, name in zip(rooms[room], COUNTS, strict=True)]
    lines = ["| room | lines | run | branches | run |", "| --- | ---: | ---: | ---: | ---: |"]
    total = rooms.pop("**all**")
    return "\n".join([*lines, *rows(dict(sorted(rooms.items())) | {"**all**": total})])


def rows(rooms: Mapping[str, list[int]]) -> Iterator[str]:
    """One line of Markdown for each room."""
    for room, (statements, covered, branches, taken) in rooms.items():
        cells = (room, f"{statements:,}", share(covered, statements))
        yield "| " + " | ".join([*cells, f"{branches:,}", share(taken, branches)]) + " |"


def room_of(path: str) -> str:
    """The folder of `src/logtrick` that holds the file, or the file itself."""
    first, *rest = Path(path).relative_to(PACKAGE).parts
    return f"`{first}/`" if rest else f"`{Path(first).stem}`"


def share(part: int, whole: int) -> str:
    """A percentage that is rounded down, so that 100 % means all; – of nothing."""
    return f"{1000 * part // whole / 10:.1f} %" if whole else "–"


def facts() -> str:
    """When and with what the table was measured."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("coverage", "jax")
    )
    day, python = datetime.date.today().isoformat(), platform.python_version()
    return f"Measured on {day} by `python tools/coverage_table.py` (Python {python}, {versions})."


if __name__ == "__main__":
    main()
