"""What changes where an MDP restarts at its ends, or pays for reaching a set of states.

Each function returns the fields that are other than before, for `FiniteMDP.replace`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from logtrick.errors import MDPError
from logtrick.mdp.arrays import MDPArrays
from logtrick.mdp.graphs import ancestors
from logtrick.mdp.state_sets import Mask, mask_of

#: Outcomes that `restarting` may add: 100 million take 2 GB.
MOST_OUTCOMES = 100_000_000


def restarting(mdp: MDPArrays, start: Float64[np.ndarray, " S"]) -> dict[str, Any]:
    """Every terminated outcome becomes one outcome for each start state.

    Args:
        mdp: an MDP that ends.
        start: ρ, from which the next episode begins.

    Raises:
        MDPError: there would be more than `MOST_OUTCOMES` outcomes.
    """
    starts = np.flatnonzero(start)
    copies = np.where(mdp.terminated, len(starts), 1)
    if copies.sum() > MOST_OUTCOMES:
        raise MDPError(
            f"{mdp.terminated.sum()} ends × {len(starts)} start states are too many outcomes; "
            "add one state that draws the start, and end there"
        )
    source = np.repeat(np.arange(mdp.num_outcomes), copies)
    ends = mdp.terminated[source]
    num_ends = int(mdp.terminated.sum())
    successors, probabilities = mdp.successors[source], mdp.probabilities[source]
    successors[ends] = np.tile(starts, num_ends)
    probabilities[ends] *= np.tile(start[starts], num_ends)
    counts = np.add.reduceat(copies, mdp.outcome_offsets[:-1])
    return {
        "outcome_offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "successors": successors,
        "probabilities": probabilities,
        "rewards": mdp.rewards[source],
        "terminated": np.zeros(len(source), np.bool_),
        "terminal": None,
    }


def reached(what: str, states: Any, num_states: int, labels: Mapping[str, Mask]) -> Mask:
    """The states to reach as bool[S]: like `mask_of`, but an empty list is refused.

    Args:
        what: its name in messages.
        states: a label, a list of states, or bool[S].
        num_states: S.
        labels: what labels mean.

    Raises:
        MDPError: no such label or state, or an empty list.
    """
    target = mask_of(what, states, num_states, labels)
    if not target.any() and (states is None or np.size(states) == 0):
        raise MDPError(f"{what} names no state; give some of 0 ... {num_states - 1}")
    return target


def reaching(mdp: MDPArrays, target: Bool[np.ndarray, " S"]) -> dict[str, Any]:
    """Entering a target state pays 1 and ends; a state that cannot reach one is made terminal."""
    own = mdp.pair_states[mdp.outcome_pairs]
    used = (mdp.probabilities > 0) & (~mdp.terminated | target[mdp.successors])
    stops = target | ~ancestors(own[used], mdp.successors[used], target)
    arrives = target[mdp.successors] & ~stops[own]
    return {
        "successors": np.where(stops[own], own, mdp.successors),
        "rewards": arrives.astype(np.float64),
        "terminated": (mdp.terminated | arrives) & ~stops[own],
        "terminal": stops,
    }
