"""The test session is stricter than a user's: see pyproject.toml for the warnings."""

import importlib.metadata
import os
from pathlib import Path

import jax
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook
from packaging.requirements import Requirement

# Imported before the hook: it checks its own types, and the tests want to see its messages.
import logtrick.algorithms.configs  # noqa: F401

# Shapes in annotations are checked in tests only; users pay nothing for them.
install_import_hook("logtrick", "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")

# A commit is judged by the same examples every time; HYPOTHESIS_PROFILE=fresh looks for new ones.
# Nothing here is a test of speed: a slow machine fails no example.
settings.register_profile("commit", derandomize=True, deadline=None)
settings.register_profile("fresh", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "commit"))


CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def pytest_report_header():
    """Which versions differ from the tested ones: the first thing to look at when a test fails."""
    differing = []
    for line in CONSTRAINTS.read_text().splitlines() if CONSTRAINTS.exists() else ():
        pin = None if line.startswith("#") else Requirement(line)
        if pin is None or (pin.marker and not pin.marker.evaluate()):
            continue
        if pin.name == "setuptools":  # Python's own, where an extra has not brought another
            continue
        try:
            installed = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if not pin.specifier.contains(installed, prereleases=True):
            differing.append(f"{pin.name} {installed} (tested: {str(pin.specifier)[2:]})")
    return f"versions: {', '.join(differing) or 'those of constraints.txt'}"


@pytest.fixture(autouse=True)
def no_reports(request, monkeypatch):
    """A report takes a second, which hundreds of small runs cannot wait for; mark `reports`."""
    if "reports" not in request.keywords:
        from logtrick.runs.training import start as entry

        monkeypatch.setattr(entry, "_write_report", lambda run, watcher: None)


ENOUGH_BYTES = 3 * 2**30


@pytest.fixture(autouse=True, scope="module")
def bounded_memory():
    """Thousands of compiled programs would fill the memory of a small machine."""
    yield
    statm = Path("/proc/self/statm")  # on Linux
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    if pages * os.sysconf("SC_PAGE_SIZE") > ENOUGH_BYTES:
        jax.clear_caches()
