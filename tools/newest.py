"""Run the core tests with the newest version of every dependency, and say which package broke.

    python tools/newest.py              # with this interpreter; from a checkout
    python tools/newest.py --minutes 5  # the longest search for what broke

constraints.txt keeps other projects' releases away from whoever installs logtrick; this tells us of
them. Where the tests fail with the newest versions, one package after the other is moved alone from
its tested version to its newest (with what it then needs), and the failed tests are run again.

The last lines are the verdict, which `.ci/run` repeats at its end. The status is 0 whatever other
projects have released: their breakage is to be seen, not to stop a commit.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = "@tests/core.txt"
HOLDS_BACK = ("gymnax", "mypy", "ruff", "scipy-stubs")
"""Of the extra `dev`: gymnax forbids new JAX and Gymnasium; the core tests need none of these."""

Versions = dict[str, str]


def main() -> None:
    """Read the arguments, try, and print the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="the longest search")
    parser.add_argument("tests", nargs="*", default=[CORE], help="what pytest is given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        for line in verdict(trial, options.tests, 60 * options.minutes):
            print(f"newest versions, Python {sys.version_info[0]}.{sys.version_info[1]}: {line}")


class Trial:
    """A virtual environment in which packages are moved and tests run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        self.log = ""

    def resolved(self, *options: str) -> Versions:
        """What pip would install into an empty environment."""
        report = self.folder / "report.json"
        self.pip("--dry-run", "--ignore-installed", "--report", str(report), *options, *wanted())
        found = (item["metadata"] for item in json.loads(report.read_text())["install"])
        return {
            normal(data["name"]): data["version"] for data in found if data["name"] != "logtrick"
        }

    def pip(self, *arguments: str) -> None:
        """`pip install`, from the checkout."""
        command = [self.python, "-m", "pip", "install", "--quiet", *arguments]
        subprocess.run(command, check=True, cwd=ROOT)

    def move(self, versions: Versions) -> None:
        """Install exactly these."""
        if versions:
            self.pip("--no-deps", *(f"{name}=={version}" for name, version in versions.items()))

    def versions(self) -> Versions:
        """What is installed now."""
        command = [self.python, "-m", "pip", "list", "--format", "json"]
        listed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        return {normal(item["name"]): item["version"] for item in json.loads(listed)}

    def failures(self, tests: Sequence[str]) -> list[str]:
        """The tests that fail; all that were asked for where pytest did not come so far."""
        cache = self.folder / "cache"
        last = cache / "v" / "cache" / "lastfailed"
        last.unlink(missing_ok=True)
        command = [self.python, "-m", "pytest", "-q", "-o", f"cache_dir={cache}", *tests]
        # Where CI is set pytest shortens nothing; the search reads what the failures say.
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"CI": "true"},
        )
        self.log = done.stdout
        print(self.log if done.returncode else self.log.splitlines()[-1], flush=True)
        if done.returncode == 0:
            return []
        return list(json.loads(last.read_text())) if last.exists() else list(tests)


def verdict(trial: Trial, tests: Sequence[str], seconds: float) -> list[str]:
    """What is to be told, one line for each package that broke."""
    tested, newest = trial.resolved("-c", "constraints.txt"), trial.resolved()
    moved = {name: version for name, version in newest.items() if tested.get(name) != version}
    if not moved:
        return ["the tested versions are the newest; nothing to try"]
    told = ", ".join(f"{name} {tested.get(name)} -> {moved[name]}" for name in sorted(moved))
    trial.pip(*wanted())
    failed = trial.failures(tests)
    if not failed:
        return [f"the core tests pass with {told}"]
    log = trial.log
    trial.move(tested)
    if trial.failures(failed):
        return [f"{shown(failed)} failed with the tested versions too: no package's fault"]

    def fails(name: str) -> tuple[bool, str]:
        """Whether the tests fail with this package alone moved, and what had to move with it."""
        trial.pip(f"{name}=={newest[name]}")
        changed = {n: v for n, v in trial.versions().items() if tested.get(n, v) != v}
        broken = trial.failures(failed)
        trial.move({n: tested[n] for n in changed})
        others = ", ".join(f"{n} {tested[n]} -> {v}" for n, v in changed.items() if n != name)
        return bool(broken), f" (with {others}, which it needs)" if others else ""

    lines = [
        f"BROKEN by {name} {tested.get(name)} -> {newest[name]}{others}: {shown(failed)}"
        for name, others in culprits(
            suspects(moved.keys() & tested, log), fails, time.monotonic() + seconds
        )
    ]
    return lines or [f"BROKEN, {shown(failed)}, by no package alone that was tried of {told}"]


def culprits(
    names: Iterable[str], fails: Callable[[str], tuple[bool, str]], deadline: float
) -> list[tuple[str, str]]:
    """The packages that break the tests when each alone is moved, as far as time allows."""
    found = []
    for name in names:
        if time.monotonic() > deadline:
            break
        broken, others = fails(name)
        if broken:
            found.append((name, others))
    return found


def suspects(moved: Iterable[str], log: str) -> list[str]:
    """The packages that moved, those first that the failures name most often."""
    words = re.findall(r"[a-z0-9-]+", log.lower().replace("_", "-"))
    return sorted(moved, key=lambda name: (-words.count(name), name))


def wanted() -> list[str]:
    """What is installed: this checkout, and what its tests need of the extra `dev`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras, others = [], []
    for line in project["optional-dependencies"]["dev"]:
        name = re.split(r"[^\w-]", line)[0]
        if name == "logtrick":  # logtrick[watch], say
            extras.append(line.partition("[")[2].partition("]")[0])
        elif name not in HOLDS_BACK:
            others.append(line)
    return ["--editable", f".[{','.join(extras)}]", *others]


def normal(name: str) -> str:
    """A package's name as indices write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def shown(tests: Sequence[str]) -> str:
    """The first few tests, and how many there are."""
    more = f" and {len(tests) - 3} more" if len(tests) > 3 else ""
    return ", ".join(tests[:3]) + more


if __name__ == "__main__":
    main()
