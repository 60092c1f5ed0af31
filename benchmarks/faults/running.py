"""Tests in a process of their own that begins where the imports of other packages are done."""

import multiprocessing
import os
import resource
import sys
import tempfile
import types
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

IMPORTED = (
    "beartype", "equinox", "gymnasium.vector", "hypothesis", "jax.numpy", "numba", "optax",
    "pytest", "rich.progress", "scipy.sparse.linalg", "scipy.stats", "tyro",
)  # fmt: skip
"""What most tests import beside logtrick, which takes longer than many a test."""
PYTEST = (
    "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "slow or not slow",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip

_FORKS = multiprocessing.get_context("forkserver")


class Ended(NamedTuple):
    """What became of some tests."""

    status: int
    """pytest's; negative where a signal ended it."""
    said: str
    seconds: float
    """Of CPU, with those of the processes that the tests started; 0 where a signal ended them."""


def run(tests: Sequence[str], sources: Path, root: Path, limit: float) -> Ended:
    """Run tests until the first one fails.

    Args:
        tests: as pytest names them.
        sources: where the package is.
        root: the checkout, which the tests are in.
        limit: seconds after which all of it is ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        said, used = Path(folder, "said"), Path(folder, "used")
        process = _FORKS.Process(target=_run, args=(tests, sources, root, said, used))
        process.start()
        process.join(limit)
        if process.exitcode is None:
            _end(process)
        seconds = float(used.read_text()) if used.exists() else 0.0
        return Ended(process.exitcode or 0, said.read_text() if said.exists() else "", seconds)


def prepare(cache: Path) -> None:
    """Import what most tests need, once; JAX keeps what it compiles in `cache`."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    _FORKS.set_forkserver_preload(list(IMPORTED))


def _run(tests: Sequence[str], sources: Path, root: Path, said: Path, used: Path) -> None:
    """In the new process."""
    os.setsid()
    with said.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.dont_write_bytecode = False  # whatever the shell says: the copy is read again and again
    os.chdir(root)
    os.environ["PYTHONPATH"] = str(sources)  # for the processes that tests start
    own = [str(root / "benchmarks"), str(root / "src"), ""]
    sys.path[:] = [str(sources), *(path for path in sys.path if path not in own), str(root)]
    # Else the processes that tests start would import the script that plants, which finds nothing.
    sys.modules["__main__"] = types.ModuleType("__main__")
    import pytest

    status = pytest.main([*PYTEST, *tests])
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    used.write_text(str(sum(usage.ru_utime + usage.ru_stime for usage in usages)))
    sys.exit(int(status))


def _end(process: ForkServerProcess) -> None:
    import signal

    assert process.pid is not None
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
