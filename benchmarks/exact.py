"""Optimal values of large sparse MDPs beside QuantEcon, MDPSolver, pymdptoolbox and Storm.

    python benchmarks/exact.py [--python PYTHON] [--states 10000 100000 1000000] [--limit 140]
        [--successors uniform near-diagonal] [--gammas .99] [--systems logtrick quantecon]

PYTHON is an interpreter that has the others: quantecon, mdpsolver, pymdptoolbox, stormpy. One that
cannot run is left out, and the table says so. Rows that are not measured again stay as they are.
`exact_speeds.py` measures single sweeps, policy evaluation, gradients and ten million states.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import exact_problems
import results

HERE = Path(__file__).parent / "contestants"
sys.path.append(str(HERE))
from logtrick_exact import ingest  # noqa: E402  a module of that folder

from logtrick.mdp.model import FiniteMDP  # noqa: E402
from logtrick.planning import certificates  # noqa: E402
from logtrick.planning.operators import Operator  # noqa: E402
from logtrick.planning.sparse.threads import Team  # noqa: E402

SYSTEMS = ("logtrick", "quantecon", "mdpsolver", "mdptoolbox", "stormpy")
#: Contestants that can use more than one thread.
PARALLEL = ("logtrick", "mdpsolver")
#: Seconds beyond which a run is not repeated.
LONG = 20.0
#: Attempts, each with a smaller tolerance, until the certificate is met.
ATTEMPTS = 3
PROTOCOL = (
    "V_* of random MDPs with 4 actions (seeded; `exact_problems.py`): four uniform successors, "
    "four within 16 states to either side, or FrozenLake's three slippery moves on a square grid "
    "with 8 % holes and .2 % goals. Every answer is judged by one sweep and one bound, computed "
    "apart from the contestants: the span bound on |T v + c - V_*|, rounding included, must be at "
    "most 5e-7 (at gamma = .99 a span of 5e-9 in T v - v). A contestant whose answer misses it is "
    "run again with its tolerance divided by what it missed. Seconds of wall clock, the best of "
    "three rounds, in which contestants take turns (one round where it takes 20 s); `ingest` is "
    "from NumPy arrays to the contestant's own model, `solve` from there to the values; "
    "compilation is left out by a first solve of 20 states (`start`). The others' best methods: "
    "modified policy iteration of QuantEcon and MDPSolver, value iteration of pymdptoolbox "
    "(without its checks, "
    "which need S x S numbers), sound value iteration of Storm. A contestant is stopped after the "
    "time limit, which counts everything. The last columns say how many times as long as "
    "logtrick's own `solve` on one thread and on all."
)


def certified(mdp: FiniteMDP, values: np.ndarray) -> float:
    """V5's bound for somebody's values: how far T v, shifted by a constant, is from V_*."""
    with Team() as team:
        operator = Operator.from_mdp(mdp, mdp.gamma, team)
        backed_up, choice = np.empty(len(values)), np.zeros(len(values), np.uint32)
        backup = operator.backup(np.ascontiguousarray(values, np.float64), backed_up, choice)
        return certificates.discounted(backup, certificates.Rounding.of(operator)).width


def attempt(
    command: list[str], folder: Path, gamma: float, tol: float, threads: int, limit: float
) -> dict[str, Any] | str:
    """The times of one run, or why there are none."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    arguments = [*command, str(folder), str(gamma), str(tol), str(threads)]
    try:
        run = subprocess.run(
            arguments, capture_output=True, text=True, timeout=limit, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return f"> {limit:.0f} s"
    if run.returncode:
        return "failed: " + (run.stderr.strip().splitlines() or [f"exit {run.returncode}"])[-1]
    return json.loads(run.stdout.splitlines()[-1])


class Contest:
    """One problem, and the tolerance that each contestant needs for the certificate."""

    def __init__(self, folder: Path, mdp: FiniteMDP, tol: float, limit: float) -> None:
        self.folder, self.mdp, self.tol, self.limit = folder, mdp, tol, limit
        self.needed: dict[str, float] = {}

    def run(self, name: str, command: list[str], threads: int) -> dict[str, Any] | str:
        """Run until the bound is met."""
        for _ in range(ATTEMPTS):
            tol = self.needed.get(name, self.tol)
            row = attempt(command, self.folder, self.mdp.gamma, tol, threads, self.limit)
            if isinstance(row, str):
                return row
            row["bound"] = certified(self.mdp, np.load(self.folder / "values.npy"))
            if row["bound"] <= self.tol:
                return row
            self.needed[name] = 0.7 * tol * self.tol / row["bound"]
        return f"bound {row['bound']:.1e} missed the tolerance {self.tol:.1e}"


def contest(
    commands: dict[str, list[str]], problem: Contest, rounds: int
) -> dict[tuple[str, int], dict[str, Any] | str]:
    """The best times of each contestant and number of threads."""
    cores = os.cpu_count() or 1
    taken: dict[tuple[str, int], dict[str, Any] | str] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            for threads in sorted({1, cores} if name in PARALLEL else {1}):
                best = taken.get((name, threads))
                if isinstance(best, str) or (best is not None and best["solve"] > LONG):
                    continue
                row = problem.run(name, command, threads)
                if best is None or isinstance(row, str) or row["solve"] < best["solve"]:
                    taken[name, threads] = row
    return taken


def rows_of(
    setting: dict[str, Any], taken: dict[tuple[str, int], dict[str, Any] | str]
) -> list[dict[str, Any]]:
    """Table rows: the times, or why there are none."""
    rows = []
    for (name, threads), row in taken.items():
        shared = {**setting, "system": name, "threads": threads}
        if isinstance(row, str):
            rows.append({**shared, "solve (s)": row})
            continue
        times = {f"{part} (s)": row[part] for part in ("start", "ingest", "solve")}
        rows.append({**shared, **times, "certified bound": row["bound"]})
    return rows


def problem_of(row: dict[str, Any]) -> tuple[int, int, float]:
    return row["states"], exact_problems.STRUCTURES.index(row["successors"]), row["gamma"]


def contestant_of(row: dict[str, Any]) -> tuple[int, int]:
    return SYSTEMS.index(row["system"]), row["threads"]


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The latest row of each contestant, in order, with how many times as long as logtrick's."""
    latest = {(*problem_of(row), *contestant_of(row)): row for row in rows}
    ordered = [latest[place] for place in sorted(latest)]
    for _, group in itertools.groupby(ordered, problem_of):
        same = list(group)
        own = {row["threads"]: row["solve (s)"] for row in same if row["system"] == "logtrick"}
        for row in same if own else ():
            known = row["system"] != "logtrick" and not isinstance(row["solve (s)"], str)
            for threads, label in ((min(own), "one thread"), (max(own), "all threads")):
                times = f"{row['solve (s)'] / own[threads]:.1f} x" if known else ""
                row[f"logtrick is, {label}"] = times
    return ordered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the others")
    parser.add_argument("--states", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--successors", nargs="+", default=exact_problems.STRUCTURES)
    parser.add_argument("--gammas", type=float, nargs="+", default=[0.99, 0.999])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--tol", type=float, default=5e-7)
    parser.add_argument("--limit", type=float, default=140.0, help="seconds for one run")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    commands = {
        name: [
            sys.executable if name == "logtrick" else options.python,
            str(HERE / f"{name}_exact.py"),
        ]
        for name in options.systems
    }
    rows = results.rows("exact")
    for states, structure in itertools.product(options.states, options.successors):
        arrays = exact_problems.make(structure, states)
        with tempfile.TemporaryDirectory() as folder:
            exact_problems.save(arrays, Path(folder))
            for gamma in options.gammas:
                problem = Contest(Path(folder), ingest(arrays, gamma), options.tol, options.limit)
                setting = {"states": states, "successors": structure, "gamma": gamma}
                rows = compared(rows + rows_of(setting, contest(commands, problem, options.rounds)))
                print(results.write("exact", PROTOCOL, rows).read_text(), flush=True)


if __name__ == "__main__":
    main()
