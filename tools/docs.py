"""Write the generated pages of the documentation, and build its site.

    python tools/docs.py          # docs/equations.md and docs/benchmarks.md
    python tools/docs.py --site   # and the site in site/: needs the extra `docs`

The two pages are committed; a test fails where one is not what this script would write. The API
reference and the lessons are written into the site only. No environment need be activated: the
site's generator is run by the Python that runs this script.
"""

import argparse
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
IDS = tuple(
    f"{letter}{number}"
    for letter, count in (("V", 7), ("J", 4), ("G", 5), ("D", 7), ("I", 5))
    for number in range(1, count + 1)
)
ID = re.compile(r"\b(" + "|".join(IDS) + r")\b")
RANGE = re.compile(r"\b([VJGDI])(\d) ?(?:–|to|-) ?\1?(\d)\b")
HOMES = {
    "exact": "exact",
    "planning": "planning",
    "derivation": "exact.derivation",
    "psi": "psi",
    "objectives": "psi.objectives",
    "natural": "algorithms.natural_gradient",
    "distributions": "policies.distributions",
}
"""The modules that hold equations, by the names that users import them under."""
TESTS = ROOT / "tests"


class Equation(NamedTuple):
    """A public function, and the equation that its docstring states."""

    name: str
    formula: str
    ids: tuple[str, ...]
    source: str


def main() -> None:
    """Read the arguments and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--site", action="store_true", help="build the site too")
    options = parser.parse_args()
    for name, page in GENERATED.items():
        (DOCS / name).write_text(page())
    if options.site:
        import docs_site  # it imports what the lessons and the reference need

        docs_site.build()


def equations_page() -> str:
    """Every equation: id, formula, the function that computes it, the tests that hold it."""
    equations = list(public_equations())
    lines = [
        "# The equations",
        "",
        "Generated from the docstrings by `python tools/docs.py`. An id is the equation's name in",
        "every docstring and test; a formula is the first line of the docstring of the function",
        "that computes it.",
        "",
        "## By id",
        "",
        "| id | computed by | tests |",
        "| --- | --- | --- |",
    ]
    for id in IDS:
        names = ", ".join(f"`{e.name}`" for e in equations if id in e.ids)
        tests = ", ".join(f"`{test}`" for test in tests_naming(id))
        lines.append(f"| {id} | {names} | {tests} |")
    for module in HOMES:
        rows = [e for e in equations if e.name.startswith(f"{module}.")]
        lines += ["", f"## `logtrick.{module}`", "", "| function | formula | id | source |"]
        lines.append("| --- | --- | --- | --- |")
        for e in rows:
            cells = (f"`{e.name.partition('.')[2]}`", e.formula, ", ".join(e.ids), e.source)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def public_equations() -> Iterator[Equation]:
    """The public functions and classes of the modules that hold equations."""
    for module, home in HOMES.items():
        loaded = importlib.import_module(f"logtrick.{home}")
        for name in getattr(loaded, "__all__", None) or own_names(loaded):
            thing = getattr(loaded, name)
            doc = inspect.getdoc(thing) if callable(thing) else None
            if doc:
                first = doc.partition("\n")[0]
                yield Equation(f"{module}.{name}", first, ids_in(doc), source_of(doc))


def own_names(module: object) -> list[str]:
    """The public names that a module defines itself."""
    own = getattr(module, "__name__", "")
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == own
    ]


def ids_in(text: str) -> tuple[str, ...]:
    """The ids that a text names, ranges such as D1–D7 included, in the order of `IDS`."""
    found = set(ID.findall(text))
    for letter, first, last in RANGE.findall(text):
        found |= {f"{letter}{n}" for n in range(int(first), int(last) + 1)}
    return tuple(id for id in IDS if id in found)


def source_of(doc: str) -> str:
    """What the docstring gives as its source, on one line."""
    found = re.search(r"^(?:Source|References?):\s*(.*?)(?:\n\n|\n\S|\Z)", doc, re.DOTALL | re.M)
    return " ".join(found.group(1).split()) if found else ""


def tests_naming(id: str) -> list[str]:
    """The files of tests that name the id."""
    return [
        str(path.relative_to(TESTS))
        for path in sorted(TESTS.rglob("test_*.py"))
        if "documentation" not in path.parts and id in ids_in(path.read_text().replace("_", " "))
    ]


def benchmarks_page() -> str:
    """The tables of benchmarks/results, one after the other: each the latest run's."""
    lines = [
        "# Benchmarks",
        "",
        "Generated from `benchmarks/results`. The script that stands above a table writes it, and",
        "anyone can run it again. A table shows the latest run, its misses included; the folder",
        "`benchmarks/results/NAME` keeps the file of every run.",
    ]
    for table in sorted((ROOT / "benchmarks" / "results").glob("*.md")):
        title = table.stem.replace("_", " ").capitalize()
        lines += ["", f"## {title}", "", f"`python benchmarks/{table.stem}.py`", ""]
        lines += re.sub(r"^#", "###", table.read_text().strip(), flags=re.M).splitlines()
    return "\n".join(lines) + "\n"


GENERATED = {"equations.md": equations_page, "benchmarks.md": benchmarks_page}
"""What is generated, by the name of its file in docs/."""


if __name__ == "__main__":
    main()
