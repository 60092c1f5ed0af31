"""pymdptoolbox's value iteration: `mdptoolbox_exact.py FOLDER GAMMA TOL THREADS`.

Its other methods make dense S × S matrices of the policy. So do its check of the transitions, and
a search for the number of sweeps takes a loop over columns: both are left out here, or nothing
beyond 10⁴ states would fit.
"""

import numpy as np
from exact_run import Arrays, compete
from mdptoolbox import util
from mdptoolbox.mdp import ValueIteration
from scipy import sparse

util.check = lambda *_: None
ValueIteration._boundIter = lambda *_: None


def ingest(arrays: Arrays, gamma: float, tol: float, threads: int) -> ValueIteration:
    states, actions, branches = arrays["successors"].shape
    offsets = np.arange(0, states * branches + 1, branches)
    matrices = []
    for action in range(actions):
        probabilities = arrays["probabilities"][:, action].ravel()
        parts = (probabilities, arrays["successors"][:, action].ravel(), offsets)
        matrices.append(sparse.csr_matrix(parts, (states, states)))
        matrices[-1].sum_duplicates()
    return ValueIteration(matrices, arrays["rewards"], gamma, tol, 10**9)


def solve(model: ValueIteration, gamma: float, tol: float, threads: int) -> np.ndarray:
    model.run()
    return np.array(model.V)


compete(ingest, solve)
