"""logtrick's planning: `logtrick_exact.py FOLDER GAMMA TOL THREADS`."""

import numpy as np
from exact_run import Arrays, compete

from logtrick import planning
from logtrick.mdp.model import FiniteMDP


def ingest(arrays: Arrays, gamma: float, *_: float) -> FiniteMDP:
    states, actions, branches = arrays["successors"].shape
    pairs, outcomes = states * actions, states * actions * branches
    return FiniteMDP(
        pair_offsets=np.arange(0, pairs + 1, actions),
        pair_actions=np.tile(np.arange(actions, dtype=np.int32), states),
        outcome_offsets=np.arange(0, outcomes + 1, branches),
        successors=arrays["successors"].ravel(),
        probabilities=arrays["probabilities"].ravel(),
        rewards=np.repeat(arrays["rewards"].ravel(), branches),
        terminated=np.zeros(outcomes, np.bool_),
        gamma=gamma,
        storage="sparse",
    )


def solve(mdp: FiniteMDP, gamma: float, tol: float, threads: int) -> np.ndarray:
    method = "auto" if mdp.num_states > 500 else "inexact_policy_iteration"
    return planning.solve(mdp, method=method, tol=tol, threads=threads).values


if __name__ == "__main__":
    compete(ingest, solve)
