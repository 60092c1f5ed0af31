"""Trajectories per second of a sampled audit: in machine code, and through padded batches.

    python benchmarks/audit.py

Reward-to-go, GAE, n-step and the total return of the short corridor under the uniform policy (12
steps a trajectory on average), the mean and covariance of whose estimate come out. The padded form
is what a function of somebody else gets: arrays [B, T] of whole trajectories, and the same ψ on
them. Rates on the clock suffer from whatever else runs; those in one core's own time do not.
Written to `results/audit.md`; medians of five runs.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

import logtrick as lt
import results
from logtrick.auditing.closed_form import equations
from logtrick.auditing.moment_methods import Padded
from logtrick.auditing.policies import read_policy
from logtrick.auditing.rules import Rule
from logtrick.auditing.settings import Settings
from logtrick.auditing.streaming import sampled_moments
from logtrick.planning.sparse.threads import usable_cores
from logtrick.psi.registry import ESTIMATORS

STREAMED, PADDED = 10_000_000, 1 << 17
ROWS = {row.name: row for row in ESTIMATORS}


def rates(count: int, run: Callable[[], object]) -> tuple[float, float]:
    """Trajectories per second on the clock, and per second of one core's time; medians."""
    run()
    clock, core = [], []
    for _ in range(5):
        start, started = time.perf_counter(), time.process_time()
        run()
        clock.append(time.perf_counter() - start)
        core.append(time.process_time() - started)
    return count / statistics.median(clock), count / statistics.median(core)


def main() -> None:
    mdp = lt.problems.corridor()
    policy = read_policy(mdp, lt.SoftmaxTable(mdp))
    settings = Settings(gamma=mdp.gamma)
    table = []
    for name in ("reward_to_go", "gae", "n_step", "total_return"):
        recursion = equations(name, mdp, policy.probabilities, policy.scores, settings)
        padded = Padded(Rule(ROWS[name], settings), None, None, PADDED, 0)
        exact = recursion.moments()
        streamed = sampled_moments(recursion, STREAMED, 0)
        error = np.abs(streamed.mean - exact.mean) / np.sqrt(np.diag(exact.covariance) / STREAMED)
        row: dict[str, float | str] = {"ψ": name}
        row[f"{usable_cores()} threads"], row["one core's time"] = rates(
            STREAMED, lambda r=recursion: sampled_moments(r, STREAMED, 0)
        )
        row["padded batches"], row["padded, one core's time"] = rates(
            PADDED, lambda p=padded: p.measure(policy)
        )
        row["error of the mean, in standard errors"] = float(error.max())
        table.append(row)
        print(row, flush=True)
    results.write("audit", (__doc__ or "").strip() + "\n\nTrajectories per second:", table)


if __name__ == "__main__":
    main()
