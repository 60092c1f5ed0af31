"""Measure the house: rooms, storeys, circles, names, functions and docstrings of `src/logtrick`.

    python tools/house.py            # the table; exit status 1 where a limit is broken
    python tools/house.py --arrows   # and every arrow between two rooms, with its files

It reads the source as text and imports nothing, so it runs with any Python from 3.11 on. A room is
what lies directly in `src/logtrick`. An alias is a file or folder that only keeps an old import
path working; aliases are counted apart. `ORDER` is the order of the rooms, lowest first: a room
imports only from rooms before it.
"""

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[1] / "src"
ORDER = (
    "errors",
    "support",
    "mdp",
    "psi",
    "policies",
    "reports",
    "planning",
    "exact",
    "envs",
    "rollouts",
    "algorithms",
    "auditing",
    "runs",
    "lessons",
    "commands",
    "__main__",
)
ALIAS = "Alias: "
"""How the docstring of a file begins that only keeps an old import path working."""

MOST_ROOMS, MOST_STOREYS, MOST_LINES, LEAST_DOCSTRING = 16, 10, 60, 15
#: Decorators of numba kernels: each is one compiled loop, which cannot be cut without a cost.
KERNELS = {"kernel", "inlined"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class File:
    """One Python file: its dotted name and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module = field(repr=False)

    @cached_property
    def doc(self) -> str:
        """The docstring of the file, or ""."""
        return ast.get_docstring(self.tree) or ""

    @property
    def room(self) -> str:
        """The room in which the file lies."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def is_alias(self) -> bool:
        """Whether the file only keeps an old import path working."""
        return self.doc.startswith(ALIAS)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the syntax tree."""
        return list(ast.walk(self.tree))

    def functions(self) -> Iterator[Function]:
        """Every function and method, at any depth."""
        return (n for n in self.nodes if isinstance(n, Function))

    def classes(self) -> Iterator[ast.ClassDef]:
        """Every class, at any depth."""
        return (n for n in self.nodes if isinstance(n, ast.ClassDef))

    def public_definitions(self) -> Iterator[Function | ast.ClassDef]:
        """Functions, classes and their methods whose names do not begin with an underscore.

        What stands inside a function, or in a class that begins with an underscore, is left out.
        """
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            for node in ast.iter_child_nodes(waiting.pop()):
                if isinstance(node, Function | ast.ClassDef):
                    if node.name.startswith("_"):
                        continue
                    yield node
                if not isinstance(node, Function):
                    waiting.append(node)


class Finding(NamedTuple):
    """One row of the table: what was counted, its limit, and where the limit is broken."""

    what: str
    count: int
    limit: int
    where: list[str]


class House:
    """All files of the package and the imports between them."""

    def __init__(self, source: Path) -> None:
        everything = [_read(source, path) for path in sorted(source.glob("logtrick/**/*.py"))]
        self.aliases = [file for file in everything if file.is_alias]
        self.files = {file.name: file for file in everything if not file.is_alias}
        self.imports = {name: set(self._imported(file)) for name, file in self.files.items()}

    def _imported(self, file: File) -> Iterator[str]:
        """Files that a file imports, at any depth of its code, type checking included."""
        for node in file.nodes:
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = (f"{node.module}.{alias.name}" for alias in node.names)
                names = [name if name in self.files else node.module for name in whole]
            for name in names:
                if name in self.files and name not in (file.name, "logtrick"):
                    yield name

    @cached_property
    def rooms(self) -> list[str]:
        """The rooms, in the order of `ORDER`; unknown ones last."""
        found = {file.room for file in self.files.values()} - {""}
        return sorted(found, key=lambda room: (_level(room), room))

    @cached_property
    def arrows(self) -> dict[tuple[str, str], list[str]]:
        """(room, the room that it imports from) -> the imports."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, targets in self.imports.items():
            for target in targets:
                rooms = self.files[name].room, self.files[target].room
                if rooms[0] and rooms[0] != rooms[1]:
                    found[rooms].append(f"{name} -> {target}")
        return found

    def storeys(self) -> int:
        """How many rooms stand on one another; a circle of rooms counts as endless."""
        below = {room: {b for a, b in self.arrows if a == room} for room in self.rooms}
        heights: dict[str, int] = {}

        def height(room: str, above: tuple[str, ...] = ()) -> int:
            if room in above:
                return 1000
            if room not in heights:
                heights[room] = 1 + max((height(b, (*above, room)) for b in below[room]), default=0)
            return heights[room]

        return max(height(room) for room in self.rooms)

    def circles(self) -> list[str]:
        """Groups of files that import one another."""
        groups = strongly_connected(self.imports)
        return [" <-> ".join(sorted(group)) for group in groups if len(group) > 1]

    def upward(self) -> list[str]:
        """Imports from a room that comes later in `ORDER`."""
        return [
            line
            for (own, other), lines in self.arrows.items()
            if _level(other) > _level(own)
            for line in lines
        ]

    def same_file_names(self) -> list[str]:
        """Names that two files have, where no first line of one says how they differ."""
        groups = defaultdict(list)
        for file in self.files.values():
            if file.path.name != "__init__.py":
                groups[file.path.name].append((file.name, file.doc))
        return _unexplained(groups)

    def same_class_names(self) -> list[str]:
        """Names that two classes have, where no first line of one says how they differ."""
        groups = defaultdict(list)
        for file in self.files.values():
            for node in file.classes():
                where = f"{file.name}.{node.name}"
                groups[node.name].append((where, ast.get_docstring(node) or ""))
        return _unexplained(groups)

    def questions_of_kind(self) -> list[str]:
        """`isinstance` and `hasattr` on an algorithm: what differs belongs into its class.

        Not counted: the check of a user's argument, which asks only for `Algorithm` itself.
        """
        found = []
        for file in self.files.values():
            for node in file.nodes:
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                if node.func.id in ("isinstance", "hasattr") and _asks_an_algorithm(node):
                    found.append(f"{file.path.name}:{node.lineno} {ast.unparse(node)}")
        return found

    def long_functions(self) -> list[str]:
        """Functions over the limit, docstring and decorators not counted, kernels left out."""
        lengths = []
        for file in self.files.values():
            for node in file.functions():
                decorators = {ast.unparse(d).partition("(")[0] for d in node.decorator_list}
                length = _length(node)
                if length > MOST_LINES and not decorators & KERNELS:
                    lengths.append(f"{file.name}.{node.name}: {length} lines")
        return lengths

    def thin_docstrings(self) -> list[str]:
        """Public functions and classes without a docstring that says what they are."""
        found = []
        for file in self.files.values():
            for node in file.public_definitions():
                doc = ast.get_docstring(node)
                if doc is None and _is_overload_or_override(node):
                    continue
                if len(doc or "") < LEAST_DOCSTRING:
                    found.append(f"{file.name}.{node.name}: {doc!r}")
        return found

    def silent_docstrings(self) -> list[str]:
        """Functions of the public modules whose docstring leaves a section out.

        Args where there are parameters, Returns where something is returned, and Raises where the
        function itself raises; a docstring of one line may stand alone where there is at most one
        parameter.
        """
        found = []
        for file in self.files.values():
            for node in _public_functions(file):
                doc = ast.get_docstring(node) or ""
                missing = [s for s in _sections_needed(node) if f"{s}:" not in doc]
                if missing:
                    found.append(f"{file.name}.{node.name}: no {', '.join(missing)}")
        return found

    def findings(self) -> list[Finding]:
        """The table."""
        rows = (
            ("rooms", self.rooms, MOST_ROOMS),
            ("circles of files", self.circles(), 0),
            ("imports from a higher room", self.upward(), 0),
            ("file names that occur twice, unexplained", self.same_file_names(), 0),
            ("class names that occur twice, unexplained", self.same_class_names(), 0),
            ("questions of an algorithm's kind", self.questions_of_kind(), 0),
            (f"functions over {MOST_LINES} lines", self.long_functions(), 0),
            (f"public docstrings under {LEAST_DOCSTRING} characters", self.thin_docstrings(), 0),
            ("public functions without a section", self.silent_docstrings(), 0),
        )
        table = [Finding(what, len(where), limit, where) for what, where, limit in rows]
        table.insert(1, Finding("storeys", self.storeys(), MOST_STOREYS, []))
        return table


def strongly_connected(graph: dict[str, set[str]]) -> list[set[str]]:
    """Tarjan's strongly connected components of a graph {node: nodes that it points to}."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            groups.append(group)

    for node in graph:
        if node not in index:
            visit(node)
    return groups


def _read(source: Path, path: Path) -> File:
    parts = path.relative_to(source).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return File(name, path, ast.parse(path.read_text()))


def _level(room: str) -> int:
    return ORDER.index(room) if room in ORDER else len(ORDER)


def _unexplained(groups: dict[str, list[tuple[str, str]]]) -> list[str]:
    """The groups of several where no first line names the module or the class of another one."""
    found = []
    for name, members in sorted(groups.items()):
        first_lines = " ".join(doc.partition("\n")[0] for _, doc in members)
        others = (where.removeprefix("logtrick.") for where, _ in members)
        if len(members) > 1 and not any(f"`{other}`" in first_lines for other in others):
            found.append(f"{name}: {', '.join(where for where, _ in members)}")
    return found


def _asks_an_algorithm(call: ast.Call) -> bool:
    about = ast.unparse(call.args[0])
    kinds = ast.unparse(call.args[1]).removesuffix(" | None")
    return about.rpartition(".")[2].strip("_") == "algorithm" and kinds != "Algorithm"


def _length(node: Function) -> int:
    """Lines of a function from its first parameter on, without its docstring."""
    begin = node.lineno
    first = node.body[0]
    doc = 0
    if ast.get_docstring(node) is not None:
        doc = (first.end_lineno or first.lineno) - first.lineno + 1
    return (node.end_lineno or begin) - begin + 1 - doc


def _is_overload_or_override(node: Function | ast.ClassDef) -> bool:
    names = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
    return bool(names & {"overload", "override"})


def _public_functions(file: File) -> Iterator[Function]:
    """Functions that a file's room shows to users: those in the `__all__` of a public room."""
    if file.room not in PUBLIC_ROOMS or any(p.startswith("_") for p in file.name.split(".")):
        return
    for node in file.tree.body:
        if isinstance(node, Function) and node.name in PUBLIC_NAMES[file.room]:
            yield node


def _sections_needed(node: Function) -> list[str]:
    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    needed = []
    if len([n for n in names if n not in ("self", "cls")]) > 1:
        needed.append("Args")
        returns = ast.unparse(node.returns) if node.returns else "None"
        if returns not in ("None", "NoReturn"):
            needed.append("Returns")
    return needed


def _names_of(init: Path) -> set[str]:
    """The names in the `__all__` or the `_HOME` of a room; none where it is no package."""
    names: set[str] = set()
    if not init.exists():
        return names
    for node in ast.walk(ast.parse(init.read_text())):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "_HOME"):
            names |= {
                c.value
                for c in ast.walk(node.value)
                if isinstance(c, ast.Constant) and isinstance(c.value, str)
            }
    return names


PUBLIC_ROOMS = (
    "auditing",
    "envs",
    "exact",
    "mdp",
    "planning",
    "policies",
    "psi",
    "rollouts",
    "runs",
)
_TOP = _names_of(SOURCE / "logtrick" / "__init__.py")
PUBLIC_NAMES = {
    room: _TOP | _names_of(SOURCE / "logtrick" / room / "__init__.py") for room in PUBLIC_ROOMS
}


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"    {line}")


def main() -> int:
    """Print the table; 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arrows", action="store_true", help="print every arrow between rooms")
    options = parser.parse_args()
    house = House(SOURCE)
    if options.arrows:
        for (own, other), lines in sorted(house.arrows.items()):
            print(f"{own} -> {other}")
            _print(lines)
    table = house.findings()
    for row in table:
        broken = row.count > row.limit
        print(f"{row.count:5}  {row.what} (at most {row.limit}){'  BROKEN' if broken else ''}")
        if broken:
            _print(row.where)
    print(f"{len(house.arrows):5}  arrows between rooms")
    print(f"{len(house.aliases):5}  aliases that keep old import paths")
    total = sum(len(file.path.read_text().splitlines()) for file in house.files.values())
    broken = [row.what for row in table if row.count > row.limit]
    print(f"{len(house.files):5}  files, {total} lines")
    print(f"broken limits: {', '.join(broken) or 'none'}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
