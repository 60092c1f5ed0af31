"""MDPs made from MDPs."""

import copy
import dataclasses
from typing import Any

import numpy as np

from logtrick.errors import ConfigError, MDPError
from logtrick.mdp import checks as validation
from logtrick.mdp.arrays import owned
from logtrick.mdp.graphs import ancestors
from logtrick.mdp.model import TRANSITIONS, FiniteMDP
from logtrick.mdp.state_sets import mask_of

#: Outcomes that `restarting` may add: 100 million take 2 GB.
MOST_OUTCOMES = 100_000_000


def replaced(mdp: FiniteMDP, changes: dict[str, Any]) -> FiniteMDP:
    """The MDP of what `mdp` was told, with some of it changed."""
    fields = {field.name: field.default for field in dataclasses.fields(mdp) if field.init}
    del fields["_told"]
    if unknown := sorted(changes.keys() - fields.keys()):
        raise ConfigError(f"an MDP has no field {unknown[0]!r}; it has {', '.join(fields)}")
    for name, value in changes.items():
        if value is None and fields[name] is not dataclasses.MISSING:
            changes[name] = fields[name]  # what was given is taken back
    told = {name: getattr(mdp, name) for name in fields} | mdp._told.told | changes
    if changes.keys() & TRANSITIONS:
        return FiniteMDP(**{name: value for name, value in told.items() if value is not None})
    new = copy.copy(mdp)  # its transitions were checked already
    new.__dict__.clear()
    new.__dict__.update(told, _told=mdp._told)
    for name, dtype in (("rewards", np.float64), ("terminated", np.bool_)):
        if name in changes:
            object.__setattr__(new, name, owned(name, changes[name], dtype))
    validation.check_outcome_fields(new)
    new._fill_in(like=mdp)
    new._keep_derived(mdp)
    return new


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
    return mdp.replace(
        outcome_offsets=_offsets(counts),
        successors=successors,
        probabilities=probabilities,
        rewards=mdp.rewards[source],
        terminated=np.zeros(len(source), np.bool_),
        terminal=None,
        start=mdp.start,
    )


def reaching(mdp: FiniteMDP, states: Any) -> FiniteMDP:
    """Entering `states` pays 1 and ends; a state that cannot reach them is made terminal."""
    target = mask_of("reaching", states, mdp.num_states, mdp.labels)
    if not target.any() and (states is None or np.size(states) == 0):
        raise MDPError(f"reaching names no state; give some of 0 ... {mdp.num_states - 1}")
    own = mdp.pair_states[mdp.outcome_pairs]
    used = (mdp.probabilities > 0) & (~mdp.terminated | target[mdp.successors])
    stops = target | ~ancestors(own[used], mdp.successors[used], target)
    arrives = target[mdp.successors] & ~stops[own]
    return mdp.replace(
        successors=np.where(stops[own], own, mdp.successors),
        rewards=arrives.astype(np.float64),
        terminated=(mdp.terminated | arrives) & ~stops[own],
        terminal=stops,
        start=mdp.start,
    )


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
