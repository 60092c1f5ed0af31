"""The arrays under a finite MDP: frozen views, and what is derived from them once."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy import sparse

if TYPE_CHECKING:
    from logtrick.mdp import FiniteMDP


def frozen(array: Any, dtype: Any) -> np.ndarray:
    """A read-only view, so that nobody changes an MDP after it was checked."""
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


def absorbing_and_paying_nothing(mdp: "FiniteMDP") -> Bool[np.ndarray, " S"]:
    """True where every outcome that has probability goes back to the state itself and pays 0.

    Outcomes that are flagged as terminated say themselves where the episode ends: a last step that
    happens to pay nothing is a step all the same.
    """
    first = mdp.outcome_offsets[mdp.pair_offsets]
    own = np.repeat(np.arange(mdp.num_states, dtype=np.int32), np.diff(first))
    busy = (mdp.successors != own) | (mdp.rewards != 0) | mdp.terminated
    busy &= mdp.probabilities > 0
    return ~np.logical_or.reduceat(busy, first[:-1])


def continuation(mdp: "FiniteMDP") -> sparse.csr_array:
    """See `FiniteMDP.continuation`."""
    shape = (mdp.num_pairs, mdp.num_states)
    if _is_already_continuation(mdp):
        parts = (mdp.probabilities, mdp.successors, _narrow(mdp.outcome_offsets))
        return sparse.csr_array(parts, shape, copy=False)
    goes_on = ~mdp.terminated & (mdp.probabilities > 0)
    counts = np.add.reduceat(goes_on, mdp.outcome_offsets[:-1], dtype=np.int64)
    offsets = _narrow(np.concatenate([[0], np.cumsum(counts)]))
    matrix = sparse.csr_array((mdp.probabilities[goes_on], mdp.successors[goes_on], offsets), shape)
    matrix.sum_duplicates()
    return matrix


def _is_already_continuation(mdp: "FiniteMDP") -> bool:
    """True where the outcomes are that matrix as they stand, so that it needs no memory."""
    if mdp.terminated.any() or not (mdp.probabilities > 0).all():
        return False
    increases = np.diff(mdp.successors) > 0
    increases[mdp.outcome_offsets[1:-1] - 1] = True
    return bool(increases.all())


def _narrow(offsets: np.ndarray) -> np.ndarray:
    """int32 where it suffices: scipy gives offsets and columns one type, the wider of the two."""
    return offsets.astype(np.int32 if offsets[-1] < 2**31 else np.int64)


def transitions(mdp: "FiniteMDP") -> Float64[np.ndarray, "S A S"]:
    """See `FiniteMDP.dense_transitions`."""
    table = np.zeros((mdp.num_states, mdp.num_actions, mdp.num_states))
    pairs = np.repeat(np.arange(mdp.num_pairs), np.diff(mdp.outcome_offsets))
    where = (mdp.pair_states[pairs], mdp.pair_actions[pairs], mdp.successors)
    np.add.at(table, where, mdp.probabilities)
    return table
