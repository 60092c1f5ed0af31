"""Is this checkout slower than another one? `python benchmarks/pairs.py OTHER --pairs 15`.

OTHER is a second checkout, of an earlier commit say: `git worktree add ../before v0.1.0`. Both run
in this environment, in turn, so that a machine whose speed drifts slows both.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scipy import stats

import results

PROTOCOL = (
    "Whole processes in pairs, this checkout and the other one in turn, and each first in every "
    "second pair; one pair before them, which is not counted, fills the caches of compiled "
    "programs. The ratio is this one's seconds over the other's: its median, and the interval that "
    "covers the median with 95 % (exact, from the order of the ratios). CPU is user and system "
    "time together. A slowdown of 5 % is excluded where the interval ends below 1.05."
)
COMMANDS = {
    "import logtrick": ["-c", "import logtrick as lt; lt.train, lt.PPO, lt.FiniteMDP"],
    "logtrick --help": ["-m", "logtrick", "--help"],
    "train CartPole-v1, 300,000 steps": (
        ["-m", "logtrick", "train", "CartPole-v1", "--steps", "300000", "--out", "{folder}"]
    ),
    "train gym:CartPole-v1, 20,000 steps": (
        ["-m", "logtrick", "train", "gym:CartPole-v1", "--steps", "20000", "--out", "{folder}"]
    ),
    "solve 200,000 states": [
        "-c",
        "from logtrick import planning, problems; "
        "planning.solve(problems.garnet(200_000, 4, 8, seed=0, gamma=0.999), tol=1e-8)",
    ],
    "evaluate 20,000 states": [
        "-c",
        "import numpy as np; from logtrick import exact, problems; "
        "mdp = problems.garnet(20_000, 4, 8, seed=0, gamma=0.99); "
        "exact.evaluate(mdp, np.full((20_000, 4), 0.25))",
    ],
}


def seconds(checkout: Path, arguments: Sequence[str], cache: str) -> tuple[float, float]:
    """(CPU, wall) of one process."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "XDG_CACHE_HOME": cache}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *(word.format(folder=folder) for word in arguments)]
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\n{said.decode()}")
        return used.ru_utime + used.ru_stime, wall


def compared(other: Path, arguments: Sequence[str], pairs: int) -> dict[str, str]:
    """The row of a command: the ratios of CPU and of wall time."""
    this = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        sides = [(this, one), (other, two)]
        found: list[tuple[tuple[float, float], tuple[float, float]]] = []
        for n in range(pairs + 1):
            taken = {
                checkout: seconds(checkout, arguments, cache)
                for checkout, cache in (sides if n % 2 else sides[::-1])
            }
            found.append((taken[this], taken[other]))
    row = {}
    for k, kind in enumerate(("CPU", "wall")):
        ratios = [a[k] / b[k] for a, b in found[1:]]
        low, high = stats.quantile_test(ratios, p=0.5).confidence_interval()
        row[f"{kind} s"] = f"{statistics.median(a[k] for a, _ in found[1:]):.2f}"
        row[f"ratio of {kind}"] = f"{statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--pairs", type=int, default=15, help="at least 6")
    parser.add_argument("--only", default="", help="measure the rows that contain this text")
    options = parser.parse_args()
    if options.pairs < 6:
        parser.error("--pairs: fewer than 6 have no interval at 95 %")
    if not (options.other / "src" / "logtrick").is_dir():
        parser.error(f"{options.other} is no checkout: it has no src/logtrick")
    commits = {
        name: subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for name, folder in (("this", Path(__file__).parent), ("other", options.other))
    }  # fmt: skip
    rows = {row["what"]: row for row in results.rows("pairs")}
    for what, arguments in COMMANDS.items():
        if options.only in what:
            rows[what] = {
                "what": what,
                **compared(options.other.resolve(), arguments, options.pairs),
                "pairs": options.pairs,
                "commit": commits["this"],
                "against": commits["other"],
            }
            print(rows[what], flush=True)
            known = [rows[name] for name in COMMANDS if name in rows]
            results.write("pairs", PROTOCOL, known)


if __name__ == "__main__":
    main()
