"""Silent mistakes that somebody could make, as data: a module for each area of the sources.

A fault is a piece of text in one file, what stands in its place, and the tests that should fail.
`benchmarks/planted_faults.py` plants them one at a time; a fault that no test catches is a test
that is missing.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

AREAS = ("exact", "planning", "psi", "auditing", "algorithms", "runs", "envs")
"""The modules of this package, and the areas of which they hold faults."""


@dataclass(frozen=True)
class Fault:
    """One mistake in one file.

    Attributes:
        area: the module of this package that holds it.
        name: what is wrong, in words.
        module: where, `logtrick.exact.finite_horizon` say.
        text: the right text; it occurs exactly once in the file.
        replacement: what is planted in its place.
        tests: what should fail, as pytest names it.
    """

    area: str
    name: str
    module: str
    text: str
    replacement: str
    tests: tuple[str, ...]

    @property
    def file(self) -> Path:
        """The file below the folder of sources."""
        return Path(*self.module.split(".")).with_suffix(".py")


Change = tuple[str, str] | tuple[str, str, str | Sequence[str]]
"""(text, replacement), and tests of its own where a fault has them."""


def faults_in(
    module: str, tests: str | Sequence[str], table: Mapping[str, Change]
) -> Iterator[tuple[str, str, str, str, tuple[str, ...]]]:
    """The faults of one file, by their names.

    Args:
        module: `logtrick.exact.finite_horizon` say.
        tests: those that should fail, unless a fault names others.
        table: what is wrong, in words -> `Change`.
    """
    for name, (text, replacement, *own) in table.items():
        named = own[0] if own else tests
        yield name, module, text, replacement, (named,) if isinstance(named, str) else tuple(named)


def all_faults() -> list[Fault]:
    """Every fault, area by area.

    Raises:
        ValueError: two of them have the same name.
    """
    from importlib import import_module

    found = [
        Fault(area, *parts)
        for area in AREAS
        for parts in import_module(f"{__name__}.{area}").FAULTS
    ]
    names = [fault.name for fault in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"faults of the same name: {', '.join(sorted(twice))}")
    return found


def a_tenth(faults: Sequence[Fault], commit: str) -> list[Fault]:
    """A tenth of the faults, in their order; which one follows from the commit's hash.

    Another commit draws anew: of 22 commits, a given fault is left out by all one time in ten.
    """

    def drawn(fault: Fault) -> str:
        return hashlib.sha256(f"{commit} {fault.name}".encode()).hexdigest()

    chosen = set(sorted(faults, key=drawn)[: -(-len(faults) // 10)])
    return [fault for fault in faults if fault in chosen]
