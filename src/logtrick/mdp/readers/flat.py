"""From a flat list of transitions, as files hold them, to the fields of a finite MDP."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from logtrick.errors import MDPError
from logtrick.mdp.arrays import frozen

#: How far a printed row may be from one: six digits are what files carry at least.
PRINTED_ROW_TOLERANCE = 1e-5

#: More labels than this, and actions are the numbers of the choices: tables [S, A] stay small.
MOST_ACTION_NAMES = 64


class Transitions(NamedTuple):
    """One row for each transition, in any order."""

    states: np.ndarray
    choices: np.ndarray
    """The number of the choice within its state."""
    successors: np.ndarray
    probabilities: np.ndarray
    """As printed: `assemble` divides each row by its sum."""
    rewards: np.ndarray


def assemble(
    transitions: Transitions,
    *,
    stops: np.ndarray,
    actions: Sequence[str] | None,
    source: str,
    **fields: Any,
) -> dict[str, Any]:
    """Sort transitions into pairs and outcomes.

    Args:
        transitions: the rows.
        stops: bool[S], the states that end the episode. A state without transitions does too.
        actions: the action label of each row, or None.
        source: the file, for messages.
        **fields: `gamma`, `start` and the other fields of the MDP.

    Returns:
        The fields of the MDP.
    """
    stops = stops | (np.bincount(transitions.states, minlength=len(stops)) == 0)
    idle = np.flatnonzero(stops)
    keep = ~stops[transitions.states]
    rows = Transitions(*(column[keep] for column in transitions))
    taken, names = _actions(rows, None if actions is None else np.array(actions)[keep])
    nothing, ones = np.zeros(len(idle)), np.ones(len(idle))
    states = np.concatenate([rows.states, idle])
    numbers = np.concatenate([taken, nothing]).astype(np.int32)
    order = np.lexsort((numbers, states))
    states, numbers = states[order], numbers[order]
    new = (np.diff(states, prepend=-1) != 0) | (np.diff(numbers, prepend=-1) != 0)
    first = np.flatnonzero(new)
    probabilities = np.concatenate([rows.probabilities, ones])[order]
    return dict(
        pair_offsets=np.concatenate([[0], np.cumsum(np.bincount(states[first]))]),
        pair_actions=numbers[first],
        outcome_offsets=np.append(first, len(states)),
        successors=frozen(np.concatenate([rows.successors, idle])[order].astype(np.int32)),
        probabilities=frozen(_normalised(probabilities, first, states, numbers, source)),
        rewards=frozen(np.concatenate([rows.rewards, nothing])[order]),
        terminated=np.zeros(len(states), np.bool_),
        terminal=stops if stops.any() else None,
        _unread=stops,
        action_names=names,
        **fields,
    )


def _actions(
    rows: Transitions, labels: np.ndarray | None
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Labels where they are few and tell a state's choices apart, else the choices' numbers."""
    if labels is None or len(labels) == 0:
        return rows.choices, None
    names, numbers = np.unique(labels, return_inverse=True)
    choices = np.unique(np.stack([rows.states, rows.choices]), axis=1).shape[1]
    distinct = np.unique(np.stack([rows.states, numbers]), axis=1).shape[1]
    if len(names) > MOST_ACTION_NAMES or distinct < choices:
        return rows.choices, None
    return numbers, tuple(map(str, names))


def _normalised(
    probabilities: np.ndarray,
    first: np.ndarray,
    states: np.ndarray,
    actions: np.ndarray,
    source: str,
) -> np.ndarray:
    sums = np.add.reduceat(probabilities, first)
    off = ~(np.abs(sums - 1) <= PRINTED_ROW_TOLERANCE)
    if off.any():
        row = int(np.argmax(off))
        raise MDPError(
            f"{source}: the probabilities of state {states[first[row]]}, choice "
            f"{actions[first[row]]} sum to {sums[row]:.12g}, not 1"
        )
    return probabilities / np.repeat(sums, np.diff(np.append(first, len(probabilities))))
