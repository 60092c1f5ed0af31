"""Storm's sound value iteration: `stormpy_exact.py FOLDER GAMMA TOL THREADS`."""

from typing import Any

import numpy as np
import stormpy
from exact_run import Arrays, compete
from stormpy import datastructures, environments, models


def ingest(arrays: Arrays, gamma: float, tol: float, threads: int) -> Any:
    states, actions, branches = arrays["successors"].shape
    pairs = states * actions
    rows = np.repeat(np.arange(pairs), branches).reshape(pairs, branches)
    columns, weights = (
        arrays[name].reshape(rows.shape) for name in ("successors", "probabilities")
    )
    rows, columns, weights = _merged(rows, columns, weights)
    builder = datastructures.SparseMatrixBuilder[float](
        rows=pairs,
        columns=states,
        entries=len(rows),
        has_custom_row_grouping=True,
        row_groups=states,
    )
    groups = np.arange(0, pairs, actions).tolist()
    builder.add_next_values(rows.tolist(), columns.tolist(), weights.tolist(), groups)
    labels = models.StateLabeling(states)
    labels.add_label("init")
    labels.add_label_to_state("init", 0)
    reward = models.SparseRewardModel[float](
        optional_state_action_reward_vector=arrays["rewards"].ravel().tolist()
    )
    return models.SparseMdp[float](
        models.SparseModelComponents[float](
            transition_matrix=builder.build(), state_labeling=labels, reward_models={"r": reward}
        )
    )


def _merged(
    rows: np.ndarray, columns: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns in order, and each only once: what the builder asks for."""
    order = np.argsort(columns, axis=1, kind="stable")
    columns, weights = (np.take_along_axis(array, order, axis=1) for array in (columns, weights))
    weights = weights.copy()
    kept = np.ones(columns.shape, np.bool_)
    for j in reversed(range(1, columns.shape[1])):
        same = columns[:, j] == columns[:, j - 1]
        weights[same, j - 1] += weights[same, j]
        kept[same, j] = False
    return rows[kept], columns[kept], weights[kept]


def solve(model: Any, gamma: float, tol: float, threads: int) -> np.ndarray:
    environment = environments.sound()
    environment.solver().min_max().relative_termination_criterion = False
    environment.solver().min_max().precision = stormpy.Rational(tol)
    formula = stormpy.parse_properties(f'R{{"r"}}max=? [Cdiscount={gamma}]')[0]
    result = stormpy.model_checking(
        model, formula, only_initial_states=False, environment=environment
    )
    return np.array(result.get_value_vector())


compete(ingest, solve)
