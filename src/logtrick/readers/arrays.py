"""Arrays and scipy sparse matrices."""

from typing import Any

import numpy as np
from scipy import sparse

from logtrick.errors import MDPError, ShapeError
from logtrick.mdp import FiniteMDP
from logtrick.validation import as_numbers, start_field


def from_arrays(
    P: Any,
    R: Any,
    *,
    gamma: float,
    start: Any = None,
    terminal: Any = None,
    available: Any = None,
    **labels: Any,
) -> FiniteMDP:
    """See `FiniteMDP.from_arrays`."""
    matrix, num_actions = _as_rows(P)
    num_states = matrix.shape[1]
    ends = _as_mask(terminal, num_states)
    has = np.ones((num_states, num_actions), np.bool_)
    if available is not None:
        has = as_numbers("available", available, np.bool_).copy()
        if has.shape != (num_states, num_actions):
            raise ShapeError(f"available has shape {has.shape}, not {(num_states, num_actions)}")
    rewards = _outcome_rewards(R, matrix, num_actions)
    keep = (has & ~ends[:, None]).ravel()
    has[ends] = False
    has[ends, 0] = True
    fields = labels | start_field(start, num_states) | {"gamma": gamma}
    return _assemble(matrix, rewards, has, keep, fields)


def _as_rows(P: Any) -> tuple[sparse.csr_array, int]:
    """P as CSR over rows s·A + a, and A."""
    if sparse.issparse(P):
        given: Any = P
        matrix: Any = sparse.csr_array(given, copy=True)
        matrix.data = as_numbers("P", matrix.data, np.float64)
        num_rows, num_states = matrix.shape
        if num_states == 0 or num_rows % num_states:
            raise ShapeError(
                f"a sparse P is [S·A, S]; {num_rows} rows are no multiple of {num_states} states"
            )
        matrix.sum_duplicates()
        return matrix, num_rows // num_states
    dense = as_numbers("P", P, np.float64)
    if dense.ndim != 3 or dense.shape[0] != dense.shape[2] or dense.size == 0:
        raise ShapeError(
            f"P has shape {dense.shape}; [S, A, S'] is needed (move the axis of actions with "
            "np.swapaxes where it comes first)"
        )
    num_states, num_actions, _ = dense.shape
    return sparse.csr_array(dense.reshape(num_states * num_actions, num_states)), num_actions


def _as_mask(terminal: Any, num_states: int) -> np.ndarray:
    mask = np.zeros(num_states, np.bool_)
    if terminal is None:
        return mask
    given = np.asarray(terminal)
    if given.dtype == np.bool_ and given.shape != (num_states,):
        raise ShapeError(f"terminal has shape {given.shape}, the MDP {num_states} states")
    if given.dtype != np.bool_ and ((given < 0) | (given >= num_states)).any():
        raise MDPError(f"terminal states must be some of 0 ... {num_states - 1}: {given}")
    mask[given] = True
    return mask


def _outcome_rewards(R: Any, matrix: sparse.csr_array, num_actions: int) -> np.ndarray:
    """The reward of each nonzero of P."""
    num_rows, num_states = matrix.shape
    row_of = np.repeat(np.arange(num_rows), np.diff(matrix.indptr))
    if sparse.issparse(R):
        given: Any = R
        if given.shape != matrix.shape:
            raise ShapeError(f"a sparse R has shape {given.shape}, P {matrix.shape}")
        paid = sparse.csr_array(given)[row_of, matrix.indices]
        return as_numbers("R", paid, np.float64).ravel()
    table = as_numbers("R", R, np.float64)
    if table.shape == (num_states,):
        return table[row_of // num_actions]
    if table.shape == (num_states, num_actions):
        return table.ravel()[row_of]
    if table.shape == (num_states, num_actions, num_states):
        return table.reshape(num_rows, num_states)[row_of, matrix.indices]
    raise ShapeError(
        f"R has shape {table.shape}; [S, A], [S, A, S'] or [S] with S = {num_states} and "
        f"A = {num_actions} is needed"
    )


def _assemble(
    matrix: sparse.csr_array,
    rewards: np.ndarray,
    has: np.ndarray,
    keep: np.ndarray,
    fields: dict[str, Any],
) -> FiniteMDP:
    """The rows to keep, and one idle outcome for each terminal state."""
    rows = np.flatnonzero(has)
    idle = ~keep[rows]
    counts = np.where(idle, 1, np.diff(matrix.indptr)[rows])
    if (counts == 0).any():
        state, action = divmod(int(rows[np.argmax(counts == 0)]), has.shape[1])
        raise MDPError(
            f"state {state}, action {action}: the probabilities are all 0, so they do not sum to "
            "1; name missing actions with available= and ends with terminal="
        )
    offsets = np.concatenate([[0], np.cumsum(counts)])
    stays = np.zeros(offsets[-1], np.bool_)
    stays[offsets[:-1][idle]] = True
    read = np.repeat(keep, np.diff(matrix.indptr))
    successors = np.empty(len(stays), np.int32)
    probabilities, pays = np.ones(len(stays)), np.zeros(len(stays))
    successors[stays] = rows[idle] // has.shape[1]
    successors[~stays] = matrix.indices[read]
    probabilities[~stays], pays[~stays] = matrix.data[read], rewards[read]
    return FiniteMDP(
        pair_offsets=np.concatenate([[0], np.cumsum(has.sum(1))]),
        pair_actions=(rows % has.shape[1]).astype(np.int32),
        outcome_offsets=offsets,
        successors=successors,
        probabilities=probabilities,
        rewards=pays,
        terminated=np.zeros(len(stays), np.bool_),  # idle states are found to be terminal
        **fields,
    )
