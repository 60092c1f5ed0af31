"""How near the sparse kernels are to the machine; what evaluation, gradients and size cost.

python benchmarks/exact_speeds.py [--parts sweeps evaluation start size]

Rows of other parts stay as they were.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import exact_problems
import results

sys.path.append(str(Path(__file__).parent / "contestants"))
from logtrick_exact import ingest

from logtrick import exact, planning
from logtrick.mdp.model import FiniteMDP
from logtrick.planning.operators import Operator
from logtrick.planning.sparse.machine_code import kernel
from logtrick.planning.sparse.threads import Team
from logtrick.policies import SoftmaxTable
from logtrick.policies.distributions import Categorical

PROTOCOL = (
    "A million states with 4 actions and 4 successors (`exact_problems.py`), all threads, the "
    "best of seven. `sweep`: one backup T v, bytes being every array that it must read or write "
    "once (12 an outcome, 16 a pair, 28 a state); `triad`: a = b + s c on 3 x 160 MB, 24 bytes an "
    "entry; `gather probe`: the sums of v over the same successors, without probabilities, "
    "rewards, pairs or maxima. `evaluation`: V_pi of a random stochastic policy, certified to "
    "1e-10. `gradient`: of J for a softmax table and for a policy of 8 features, against J itself. "
    "`start`: a process that solves 1000 states, with the kernels' machine code on disk and "
    "without. `size`: ten million states to a certified 1e-6, with the process's greatest memory."
)
GAMMA = 0.99


@kernel
def triad(first, last, block, a, b, c, s):  # type: ignore[no-untyped-def]
    for i in range(first * block, min(last * block, a.size)):
        a[i] = b[i] + s * c[i]


@kernel
def gather(first, last, block, offsets, successors, v, out):  # type: ignore[no-untyped-def]
    for s in range(np.uint64(first * block), np.uint64(min(last * block, out.size))):
        total = 0.0
        for k in range(offsets[s], offsets[s + np.uint64(1)]):
            total += v[successors[k]]
        out[s] = total


class LinearInFeatures(eqx.Module):
    """A policy of somebody's own."""

    weights: jax.Array

    def __call__(self, observation: Any) -> Categorical:
        """Logits that are linear in the features, squashed."""
        return Categorical(jnp.tanh(self.weights @ observation))


def best_of(times: int, function: Callable[[], Any]) -> float:
    """Seconds of the fastest call, after a first one."""
    function()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def sweeps(states: int) -> list[dict[str, Any]]:
    with Team() as team:
        a, b, c = np.zeros((3, 20_000_000))
        seconds = best_of(7, lambda: team.run(triad, len(a), len(a), a, b, c, 2.0))
        bandwidth = 24 * len(a) / seconds
        rows = [{"part": "triad", "seconds": seconds, "GB/s": bandwidth / 1e9}]
        return rows + [sweep(s, states, team, bandwidth) for s in ("near-diagonal", "uniform")]


def sweep(structure: str, states: int, team: Team, bandwidth: float) -> dict[str, Any]:
    """One backup beside the triad and beside the gather alone."""
    operator = Operator.from_mdp(ingest(exact_problems.make(structure, states), GAMMA), GAMMA, team)
    v, out, choice = np.ones(states), np.empty(states), np.zeros(states, np.uint32)
    seconds = best_of(7, lambda: operator.backup(v, out, choice))
    outcomes = len(operator.successors)
    moved = 12 * outcomes + 16 * len(operator.rewards) + 28 * states
    arguments = (operator.outcome_offsets[operator.pair_offsets], operator.successors, v, out)
    probe = best_of(7, lambda: team.run(gather, states, outcomes, *arguments))
    return {
        "part": "sweep",
        "successors": structure,
        "seconds": seconds,
        "GB/s": moved / seconds / 1e9,
        "share of the triad": moved / seconds / bandwidth,
        "share of the gather probe": probe / seconds,
    }


def evaluation(states: int) -> list[dict[str, Any]]:
    return [row for s in ("uniform", "near-diagonal") for row in evaluations(s, states)]


def evaluations(structure: str, states: int) -> list[dict[str, Any]]:
    """Values, and gradients beside the objective."""
    mdp = ingest(exact_problems.make(structure, states), GAMMA)
    table = np.random.default_rng(1).random((states, 4))
    table /= table.sum(axis=1, keepdims=True)
    tol = 1e-10 / float(exact.state_values(mdp, table).max())
    seconds = best_of(2, lambda: exact.state_values(mdp, table, tol=tol))
    features = np.random.default_rng(2).normal(size=(states, 8)).astype(np.float32)
    seen = mdp.replace(observations=features)
    own = LinearInFeatures(jnp.full((4, 8), 0.1))
    return [
        {"part": "evaluation", "successors": structure, "seconds": seconds},
        gradient("softmax table", structure, mdp, SoftmaxTable(mdp)),
        gradient("own policy", structure, seen, own),
    ]


def gradient(name: str, structure: str, mdp: FiniteMDP, policy: Any) -> dict[str, Any]:
    """The gradient's time, and how many times the objective's that is."""
    value = best_of(2, lambda: exact.objective(mdp, policy))
    seconds = best_of(2, lambda: exact.policy_gradient(mdp, policy))
    return {
        "part": f"gradient, {name}",
        "successors": structure,
        "seconds": seconds,
        "times the value": seconds / value,
    }


START = (
    "import time; begin = time.perf_counter()\n"
    "from logtrick import planning, problems\n"
    "mdp = problems.garnet(1000, gamma=0.9)\n"
    "planning.solve(mdp); print(time.perf_counter() - begin)"
)


def start(_: int) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        for name in ("start, nothing on disk", "start, machine code on disk"):
            run = subprocess.run(
                [sys.executable, "-c", START],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            )
            rows.append({"part": name, "seconds": float(run.stdout)})
    return rows


def size(states: int) -> list[dict[str, Any]]:
    mdp = ingest(exact_problems.make("uniform", 10 * states), GAMMA)
    begin = time.perf_counter()
    solution = planning.solve(mdp, tol=1e-6)
    return [
        {
            "part": f"size: {10 * states:,} states",
            "successors": "uniform",
            "seconds": time.perf_counter() - begin,
            "certified bound": solution.error_bound,
            "peak GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
    ]


PARTS = {"sweeps": sweeps, "evaluation": evaluation, "start": start, "size": size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--states", type=int, default=10**6)
    options = parser.parse_args()
    rows = {(row["part"], row.get("successors")): row for row in results.rows("exact_speeds")}
    for part in options.parts:
        rows |= {(row["part"], row.get("successors")): row for row in PARTS[part](options.states)}
        table = list(rows.values())
        print(results.write("exact_speeds", PROTOCOL, table).read_text(), flush=True)


if __name__ == "__main__":
    main()
