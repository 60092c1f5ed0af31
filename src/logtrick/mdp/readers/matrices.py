"""Arrays and scipy sparse matrices."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.mdp.arrays import frozen
from logtrick.mdp.checks import start_field
from logtrick.mdp.row_sums import ROW_SUM_TOLERANCE
from logtrick.mdp.state_sets import Labels, mask_of
from logtrick.support.numbers import as_numbers


class _Rows(NamedTuple):
    """P as CSR over rows s·A + a."""

    matrix: sparse.csr_array
    num_actions: int
    actions_first: bool
    """How it was given, and so must R be where it has as many axes."""


def from_arrays(
    P: Any,
    R: Any,
    *,
    gamma: float,
    start: Any = None,
    terminal: Any = None,
    available: Any = None,
    actions_first: Any = None,
    labels: Any = None,
    **fields: Any,
) -> dict[str, Any]:
    """The fields of the MDP; see `FiniteMDP.from_arrays`."""
    if actions_first is not None:
        actions_first = bool(as_numbers("actions_first", actions_first, np.bool_))
    matrix, num_actions, first = rows = _as_rows(P, actions_first)
    num_states = matrix.shape[1]
    sets = Labels(labels, num_states)
    ends = mask_of("terminal", terminal, num_states, sets)
    has = _actions_of(available, num_states, num_actions)
    keep = (has & ~ends[:, None]).ravel()
    rewards = _outcome_rewards(R, rows)
    if not (first or actions_first is False or sparse.issparse(P)) and num_states == num_actions:
        _check_axes(rows, R, keep.reshape(has.shape))
    _refuse_infeasible(R, rewards, rows, keep)
    has[ends] = False
    has[ends, 0] = True
    fields |= start_field(start, num_states) | {"gamma": gamma, "labels": sets}
    if ends.any():
        fields |= {"terminal": ends, "_unread": frozen(ends.copy())}
    return _assemble(matrix, rewards, has, keep, fields)


def _as_rows(P: Any, actions_first: bool | None) -> _Rows:
    if sparse.issparse(P):
        return _stacked(P, bool(actions_first))
    matrices = _list_of_sparse("P", P)
    if matrices is not None:
        if actions_first is False:
            raise ConfigError(
                "a list of sparse matrices has one [S, S] for each action, so the actions come "
                "first; leave actions_first=False out"
            )
        return _Rows(_of_actions(matrices), len(matrices), True)
    dense = as_numbers("P", P, np.float64)
    if dense.ndim == 3 and actions_first:
        dense = np.swapaxes(dense, 0, 1)
    if dense.ndim != 3 or dense.shape[0] != dense.shape[2] or dense.size == 0:
        shape = as_numbers("P", P, np.float64).shape
        raise ShapeError(f"P has shape {shape}; {_what_is_needed(shape, actions_first)}")
    num_states, num_actions, _ = dense.shape
    matrix = sparse.csr_array(dense.reshape(num_states * num_actions, num_states))
    return _Rows(matrix, num_actions, bool(actions_first))


def _what_is_needed(shape: tuple[int, ...], actions_first: bool | None) -> str:
    if actions_first:
        return "with actions_first=True, [A, S, S'] is needed"
    hint = ""
    if len(shape) == 3 and shape[1] == shape[2]:
        hint = (
            " (its actions come first: say actions_first=True, or move the axis with "
            "np.swapaxes(P, 0, 1))"
        )
    return f"[S, A, S'] is needed{hint}"


def _stacked(P: Any, actions_first: bool) -> _Rows:
    """One sparse matrix, whose rows are the pairs."""
    if P.ndim != 2:
        raise ShapeError(f"a sparse P is [S·A, S]; it has shape {P.shape}")
    matrix: Any = sparse.csr_array(P, copy=True)
    matrix.data = as_numbers("P", matrix.data, np.float64)
    num_rows, num_states = matrix.shape
    if num_states == 0 or num_rows == 0 or num_rows % num_states:
        raise ShapeError(
            f"a sparse P is [S·A, S]; {num_rows} rows are no multiple of {num_states} states"
        )
    matrix.sum_duplicates()
    if actions_first:
        matrix = _by_states(matrix)
    return _Rows(matrix, num_rows // num_states, actions_first)


def _by_states(matrix: Any) -> Any:
    """Rows a·S + s in the order s·A + a."""
    num_states = matrix.shape[1]
    return sparse.csr_array(matrix[np.arange(matrix.shape[0]).reshape(-1, num_states).T.ravel()])


def _list_of_sparse(name: str, given: Any) -> list[Any] | None:
    """The matrices, where `given` is a list that has a sparse one; None where it has not."""
    objects = isinstance(given, np.ndarray) and given.dtype == np.object_ and given.ndim == 1
    if not (objects or isinstance(given, list | tuple)):
        return None
    if not any(sparse.issparse(matrix) for matrix in given):
        return None
    numbers: list[Any] = [
        m if sparse.issparse(m) else as_numbers(name, m, np.float64) for m in given
    ]
    shapes = {matrix.shape for matrix in numbers}
    shape = min(shapes)
    if len(shapes) > 1 or len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(
            f"{name} is a list of sparse matrices of the shapes {sorted(shapes)}; one [S, S] for "
            "each action is needed"
        )
    return [sparse.csr_array(matrix) for matrix in numbers]


def _of_actions(matrices: list[Any]) -> Any:
    """One [S, S] for each action, as rows s·A + a."""
    return _stacked(sparse.vstack(matrices), True).matrix


def _actions_of(available: Any, num_states: int, num_actions: int) -> np.ndarray:
    has = np.ones((num_states, num_actions), np.bool_)
    if available is not None:
        has = as_numbers("available", available, np.bool_).copy()
        if has.shape != (num_states, num_actions):
            raise ShapeError(f"available has shape {has.shape}, not {(num_states, num_actions)}")
    return has


def _check_axes(rows: _Rows, R: Any, keep: np.ndarray) -> None:
    """P [S, S, S] reads as [S, A, S'] and as [A, S, S']; say so where that makes a difference."""
    size = len(keep)
    table = rows.matrix.toarray().reshape(size, size, size)
    proper = np.abs(table.sum(2) - 1) <= ROW_SUM_TOLERANCE
    as_states_first, as_actions_first = (proper | ~keep).all(), (proper.T | ~keep).all()
    hint = "say actions_first=True if P is [A, S, S'] and actions_first=False if it is [S, A, S']"
    if as_actions_first and not as_states_first:
        state, action = np.argwhere(~(proper | ~keep))[0]
        raise MDPError(
            f"P has shape {table.shape} and was read as [S, A, S'], in which the probabilities of "
            f"state {state}, action {action} do not sum to 1; as [A, S, S'] all of them do: {hint}"
        )
    given = None if sparse.issparse(R) else np.asarray(R)
    same = np.array_equal(table, np.swapaxes(table, 0, 1))
    if same and given is not None and given.ndim == 3 and given.shape == table.shape:
        same = np.array_equal(given, np.swapaxes(given, 0, 1))
    if as_states_first and as_actions_first and not same:
        warnings.warn(
            f"P has shape {table.shape}, with as many actions as states, and is read as "
            f"[S, A, S']; it could be [A, S, S'], too: {hint}",
            UserWarning,
            stacklevel=4,
        )


def _outcome_rewards(R: Any, rows: _Rows) -> np.ndarray:
    """The reward of each nonzero of P."""
    matrix, num_actions, actions_first = rows
    num_rows, num_states = matrix.shape
    row_of = np.repeat(np.arange(num_rows), np.diff(matrix.indptr))
    matrices = _list_of_sparse("R", R)
    if sparse.issparse(R) or matrices is not None:
        given: Any = R
        if matrices is not None:
            given = _of_actions(matrices)
        elif actions_first and given.shape == matrix.shape:
            given = _by_states(sparse.csr_array(given))
        if given.shape != matrix.shape:
            raise ShapeError(f"a sparse R has shape {given.shape}, P {matrix.shape}")
        paid = sparse.csr_array(given)[row_of, matrix.indices]
        return as_numbers("R", paid, np.float64).ravel()
    table = as_numbers("R", R, np.float64)
    if table.shape == (num_states,):
        return table[row_of // num_actions]
    if table.shape == (num_states, num_actions):
        return table.ravel()[row_of]
    full = (num_actions, num_states) if actions_first else (num_states, num_actions)
    if table.shape == (*full, num_states):
        table = np.swapaxes(table, 0, 1) if actions_first else table
        return table.reshape(num_rows, num_states)[row_of, matrix.indices]
    axes = "[A, S, S']" if actions_first else "[S, A, S']"
    raise ShapeError(
        f"R has shape {table.shape}; [S, A], {axes} or [S] with S = {num_states} and "
        f"A = {num_actions} is needed"
    )


def _refuse_infeasible(R: Any, rewards: np.ndarray, rows: _Rows, keep: np.ndarray) -> None:
    """R = −∞ is how some write that a state lacks an action."""
    matrix, num_actions, _ = rows
    row_of = np.repeat(np.arange(len(keep)), np.diff(matrix.indptr))
    minus = keep[row_of] & np.isneginf(rewards)
    if not minus.any():
        return
    state, action = divmod(int(row_of[np.argmax(minus)]), num_actions)
    hint = "leave it out with available=, bool[S, A]"
    if not sparse.issparse(R) and np.shape(R) == (matrix.shape[1], num_actions):
        hint = "say available=np.isfinite(R)"
    raise MDPError(
        f"state {state}, action {action} pays -inf; if that means that the state lacks the action, "
        f"{hint}"
    )


def _assemble(
    matrix: sparse.csr_array,
    rewards: np.ndarray,
    has: np.ndarray,
    keep: np.ndarray,
    fields: dict[str, Any],
) -> dict[str, Any]:
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
    return dict(
        pair_offsets=np.concatenate([[0], np.cumsum(has.sum(1))]),
        pair_actions=(rows % has.shape[1]).astype(np.int32),
        outcome_offsets=offsets,
        successors=frozen(successors),
        probabilities=frozen(probabilities),
        rewards=frozen(pays),
        terminated=np.zeros(len(stays), np.bool_),
        **fields,
    )
