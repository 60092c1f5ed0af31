"""Plant one fault at a time in a copy of the sources and see which test catches it.

    python benchmarks/planted_faults.py                    # all of them; or the names of some
    python benchmarks/planted_faults.py --area exact       # those of one area
    python benchmarks/planted_faults.py --tenth HASH       # a tenth, drawn by a commit's hash
    python benchmarks/planted_faults.py --jobs 2           # two at a time
    python benchmarks/planted_faults.py --write            # and the table in benchmarks/results

The faults are in `benchmarks/faults`. First their tests run without any fault: a test that fails
then would seem to catch everything. A line for each fault says which test failed, and how many
seconds of CPU it took to find out. The exit status is 1 if a fault went unnoticed; it is 2 if one
cannot be planted, or if its tests are not there or fail without it.
"""

import argparse
import ast
import contextlib
import itertools
import os
import queue
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import results
from faults import AREAS, Fault, a_tenth, all_faults, running

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 900.0
"""Seconds of wall time after which tests that do not end are ended."""
PROTOCOL = (
    "Each fault is planted by itself in a copy of the sources: a piece of text that occurs once in "
    "the file gives way to another. Then the tests that should notice it run until the first one "
    "fails, which is named. All these tests pass without a fault. The seconds are of CPU, so that "
    "a busy machine changes little; the imports of other packages, done once for all, are not in "
    "them. Each row is of the last time that its fault was planted."
)


class Unplanted(Exception):
    """A fault that cannot be planted, or whose tests cannot be run."""


class Caught(NamedTuple):
    """What became of a fault."""

    fault: Fault
    test: str | None
    """The first test that failed; None where all passed."""
    seconds: float
    """Of CPU."""


class Copy:
    """A copy of the sources, in which one fault at a time is planted.

    Args:
        folder: where; it is made.
        root: the checkout, with `src` and `tests`.
    """

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.root, self.sources, self._planted = root, folder / "src", 0
        shutil.copytree(root / "src", self.sources)  # with what is compiled of them

    def caught(self, fault: Fault) -> Caught:
        """Run the fault's tests with the fault in its place.

        Raises:
            Unplanted: the text does not occur once, or the tests are not there.
        """
        with self._with_fault(fault):
            test, seconds = self.first_failure(fault.tests)
        return Caught(fault, test, seconds)

    def first_failure(self, tests: Sequence[str]) -> tuple[str | None, float]:
        """(the first test that fails, seconds of CPU), with the sources as they now are."""
        ended = running.run(tests, self.sources, self.root, LIMIT)
        return _verdict(ended.status, ended.said), ended.seconds

    @contextlib.contextmanager
    def _with_fault(self, fault: Fault) -> Iterator[None]:
        """The fault in its file; afterwards the file, and what is compiled of it, as before.

        Python, Numba and JAX know a file again by its size and the second of its last change, which
        are therefore new for every fault and the old ones afterwards.
        """
        file = self.sources / fault.file
        faulty, right, changed = planted(fault, self.sources), file.read_bytes(), file.stat()
        self._planted += 1
        compiled, aside = file.parent / "__pycache__", self.sources.parent / "aside"
        names = [path.name for path in compiled.glob(f"{file.stem}.*")]
        aside.mkdir()
        for name in names:
            (compiled / name).rename(aside / name)
        try:
            file.write_text(faulty)
            os.utime(file, ns=(changed.st_atime_ns, changed.st_mtime_ns + self._planted * 10**9))
            yield
        finally:
            file.write_bytes(right)
            os.utime(file, ns=(changed.st_atime_ns, changed.st_mtime_ns))
            for path in compiled.glob(f"{file.stem}.*"):
                path.unlink()
            for name in names:
                (aside / name).rename(compiled / name)
            aside.rmdir()


def planted(fault: Fault, sources: Path) -> str:
    """The text of the file with the fault in it.

    Raises:
        Unplanted: there is no such file, the text does not occur exactly once in it, or what comes
            out is no Python.
    """
    file = sources / fault.file
    if not file.exists():
        raise Unplanted(f"{fault.name!r}: there is no {fault.file}")
    text = file.read_text()
    if (times := text.count(fault.text)) != 1:
        raise Unplanted(f"{fault.name!r}: {fault.file} holds {fault.text!r} {times} times")
    faulty = text.replace(fault.text, fault.replacement)
    try:
        ast.parse(faulty)
    except SyntaxError as error:
        raise Unplanted(f"{fault.name!r} makes {fault.file} no Python: {error}") from error
    return faulty


def _verdict(status: int, said: str) -> str | None:
    """The first test that failed, or None, from pytest's status and what it printed."""
    if status == 0:
        return None
    if found := re.search(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", said, re.MULTILINE):
        return found[1]
    if status == -signal.SIGKILL:
        return f"no end within {LIMIT:g} s"
    if -status in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE):
        return f"ended by {signal.Signals(-status).name}"
    raise Unplanted(f"pytest ended with status {status}:\n{said[-2000:]}")


def plant(faults: Sequence[Fault], jobs: int = 1, root: Path = ROOT) -> Iterator[Caught]:
    """What becomes of each fault, as it is known.

    Args:
        faults: those to plant.
        jobs: how many at a time, each in a copy of its own.
        root: the checkout.

    Raises:
        Unplanted: a fault cannot be planted, its tests are not there, or fail without it.
    """
    for fault in faults:
        planted(fault, root / "src")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(jobs) as pool:
        running.prepare(Path(folder, "jax"))
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for k in range(jobs):
            copies.put(Copy(Path(folder, str(k)), root))

        @contextlib.contextmanager
        def a_copy() -> Iterator[Copy]:
            copy = copies.get()
            try:
                yield copy
            finally:
                copies.put(copy)

        def failing(tests: Sequence[str]) -> str | None:
            with a_copy() as copy:
                return copy.first_failure(tests)[0]

        def decide(fault: Fault) -> Caught:
            with a_copy() as copy:
                return copy.caught(fault)

        for failed in filter(None, pool.map(failing, _by_file(faults))):
            raise Unplanted(f"{failed} fails without any fault")
        yield from pool.map(decide, faults)


def _by_file(faults: Sequence[Fault]) -> list[list[str]]:
    """The tests of all these faults, those of a file together."""
    tests = sorted({test for fault in faults for test in fault.tests})
    return [list(some) for _, some in itertools.groupby(tests, lambda x: x.partition("::")[0])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="of faults; all, if none is given")
    parser.add_argument("--area", choices=AREAS, help="the faults of one area")
    parser.add_argument("--tenth", metavar="HASH", help="a tenth of the faults, drawn by this hash")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--write", action="store_true", help="write the table of catches")
    options = parser.parse_args()
    faults = [fault for fault in all_faults() if options.area in (None, fault.area)]
    if unknown := set(options.names) - {fault.name for fault in faults}:
        parser.error(f"no fault is called {', '.join(sorted(unknown))}")
    faults = [fault for fault in faults if not options.names or fault.name in options.names]
    if options.tenth:
        faults = a_tenth(faults, options.tenth)
    begin, decided = time.perf_counter(), []
    try:
        for found in plant(faults, options.jobs):
            decided.append(found)
            said = found.test or "NOT CAUGHT"
            print(f"{found.seconds:5.1f} s  {found.fault.name}: {said}", flush=True)
    except Unplanted as error:
        print(error, file=sys.stderr)
        return 2
    unnoticed = sum(found.test is None for found in decided)
    seconds = time.perf_counter() - begin
    print(f"{len(decided) - unnoticed} of {len(decided)} faults were caught, in {seconds:.0f} s")
    if options.write:
        write(decided)
    return int(unnoticed > 0)


def write(decided: Sequence[Caught]) -> Path:
    """Write the table of catches; what was not planted now keeps its row."""
    rows = {row["fault"]: row for row in results.rows("planted_faults")}
    for found in decided:
        rows[found.fault.name] = {
            "area": found.fault.area,
            "fault": found.fault.name,
            "file": str(found.fault.file),
            "caught by": found.test or "nothing",
            "CPU s": round(found.seconds, 1),
        }
    known = [fault.name for fault in all_faults() if fault.name in rows]
    return results.write("planted_faults", PROTOCOL, [rows[name] for name in known])


if __name__ == "__main__":
    sys.exit(main())
