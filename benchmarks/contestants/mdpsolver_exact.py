"""MDPSolver's modified policy iteration: `mdpsolver_exact.py FOLDER GAMMA TOL THREADS`."""

from typing import Any

import mdpsolver
import numpy as np
from exact_run import Arrays, compete


def ingest(arrays: Arrays, gamma: float, tol: float, threads: int) -> Any:
    model = mdpsolver.model()
    model.mdp(
        discount=gamma,
        rewards=arrays["rewards"].tolist(),
        tranMatProbs=arrays["probabilities"].tolist(),
        tranMatColumns=arrays["successors"].tolist(),
    )
    return model


def solve(model: Any, gamma: float, tol: float, threads: int) -> np.ndarray:
    model.solve(algorithm="mpi", tolerance=tol, parallel=threads > 1)
    return np.array(model.getValueVector())


compete(ingest, solve)
