"""MDPs made from MDPs."""

import dataclasses

import numpy as np

from logtrick.errors import MDPError
from logtrick.graphs import ancestors
from logtrick.mdp import FiniteMDP

#: Outcomes that `restarting` may add: 100 million take 2 GB.
MOST_OUTCOMES = 100_000_000


def restarting(mdp: FiniteMDP) -> FiniteMDP:
    """Every terminated outcome becomes one outcome for each start state."""
    starts = np.flatnonzero(mdp.start)
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
    probabilities[ends] *= np.tile(mdp.start[starts], num_ends)
    counts = np.add.reduceat(copies, mdp.outcome_offsets[:-1])
    return dataclasses.replace(
        mdp,
        outcome_offsets=_offsets(counts),
        successors=successors,
        probabilities=probabilities,
        rewards=mdp.rewards[source],
        terminated=np.zeros(len(source), np.bool_),
    )


def reaching(mdp: FiniteMDP, states: np.ndarray) -> FiniteMDP:
    """Entering `states` pays 1 and ends; a state that cannot reach them is made terminal."""
    target = np.zeros(mdp.num_states, np.bool_)
    if states.size == 0 or (states < 0).any() or (states >= mdp.num_states).any():
        raise MDPError(f"the states to reach must be some of 0 ... {mdp.num_states - 1}")
    target[states] = True
    own = mdp.pair_states[mdp.outcome_pairs]
    used = (mdp.probabilities > 0) & (~mdp.terminated | target[mdp.successors])
    hopeless = ~ancestors(own[used], mdp.successors[used], target)
    stops = (hopeless | target)[own]
    arrives = target[mdp.successors] & ~stops
    return dataclasses.replace(
        mdp,
        successors=np.where(stops, own, mdp.successors),
        rewards=arrives.astype(np.float64),
        terminated=(mdp.terminated | arrives) & ~stops,
    )


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
