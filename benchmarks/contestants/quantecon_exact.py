"""QuantEcon's modified policy iteration: `quantecon_exact.py FOLDER GAMMA TOL THREADS`."""

import numpy as np
from exact_run import Arrays, compete
from quantecon.markov import DiscreteDP
from scipy import sparse


def ingest(arrays: Arrays, gamma: float, tol: float, threads: int) -> DiscreteDP:
    states, actions, branches = arrays["successors"].shape
    pairs = states * actions
    offsets = np.arange(0, pairs * branches + 1, branches)
    parts = (arrays["probabilities"].ravel(), arrays["successors"].ravel(), offsets)
    transitions = sparse.csr_matrix(parts, (pairs, states))
    transitions.sum_duplicates()
    state, action = np.divmod(np.arange(pairs), actions)
    return DiscreteDP(arrays["rewards"].ravel(), transitions, gamma, state, action)


def solve(model: DiscreteDP, gamma: float, tol: float, threads: int) -> np.ndarray:
    return model.solve("modified_policy_iteration", epsilon=tol, max_iter=10**6).v


compete(ingest, solve)
