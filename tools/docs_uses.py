"""Which tests use a public name: found in the syntax of the test files, without running them."""

import ast
import functools
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Use(NamedTuple):
    """A file of tests that uses a name."""

    path: Path
    line: int
    """Of the first test that does."""
    count: int
    """How many of its tests do."""


def tests_of(thing: Any) -> list[Use]:
    """The files whose tests use a thing, those with the most tests first."""
    files = _uses().get(id(thing), {})
    found = [Use(path, min(lines), len(lines)) for path, lines in files.items()]
    return sorted(found, key=lambda use: (-use.count, use.path))


@functools.cache
def _uses() -> dict[int, dict[Path, set[int]]]:
    """Id of a thing -> file -> the lines of the tests in it that use the thing."""
    found: dict[int, dict[Path, set[int]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        names = dict(_imported(tree))
        helpers = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        for test in ast.walk(tree):
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test"):
                for thing in _things(test, names, helpers):
                    file = found.setdefault(id(thing), {})
                    file.setdefault(path.relative_to(ROOT), set()).add(test.lineno)
    return found


def _imported(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """(name, thing) of what a file imports from logtrick."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "logtrick":
                    whole = alias.name if alias.asname else "logtrick"
                    yield alias.asname or "logtrick", _loaded(whole)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("logtrick"):
            for alias in node.names:
                thing = _loaded(node.module or "", alias.name)
                yield alias.asname or alias.name, thing


@functools.cache
def _loaded(module: str, name: str | None = None) -> Any:
    try:
        loaded = importlib.import_module(module)
        if name is None:
            return loaded
        return getattr(loaded, name, None) or importlib.import_module(f"{module}.{name}")
    except ImportError:  # of an extra that is not installed
        return None


def _things(
    test: ast.FunctionDef, names: dict[str, Any], helpers: dict[str, ast.FunctionDef]
) -> Iterator[Any]:
    """What a test names, itself or in a function of its file that it calls."""
    seen, queue = {test.name}, [test]
    while queue:
        for node in ast.walk(queue.pop()):
            if isinstance(node, ast.Name) and node.id in helpers and node.id not in seen:
                seen.add(node.id)
                queue.append(helpers[node.id])
            elif isinstance(node, ast.Name) and names.get(node.id) is not None:
                yield names[node.id]
            elif isinstance(node, ast.Attribute):
                thing = _attribute(node, names)
                if thing is not None:
                    yield thing


def _attribute(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _attribute(node.value, names)
        if inspect.ismodule(owner):
            return getattr(owner, node.attr, None)
    return None
