"""Sets of states, however they are named: masks, lists of numbers, labels."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from logtrick.errors import MDPError, ShapeError

Mask = Bool[np.ndarray, " S"]


class Labels(Mapping[str, Any]):
    """Names of sets of states: label -> bool[S], read-only.

    Example:
        >>> labels = Labels({"goal": [2]}, num_states=3)
        >>> labels, labels["goal"].tolist()
        (Labels(goal), [False, False, True])
    """

    def __init__(self, sets: Any, num_states: int) -> None:
        """Check them; `sets` maps names to masks or lists of states, None names nothing."""
        self.num_states = num_states
        given = {} if sets is None else sets
        if not isinstance(given, Mapping):
            raise MDPError(f"labels is {given!r}; a mapping from names to sets of states is needed")
        self._masks: dict[str, Mask] = {}
        for name, states in given.items():
            if not isinstance(name, str):
                raise MDPError(f"labels has the name {name!r}; names are text")
            mask = mask_of(f"the label {name!r}", states, num_states).copy()
            mask.flags.writeable = False
            self._masks[name] = mask

    def __getitem__(self, name: str) -> Mask:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __repr__(self) -> str:
        return f"Labels({', '.join(self)})"


def mask_of(
    what: str,
    states: Any,
    num_states: int,
    labels: Mapping[str, Mask] | None = None,
    source: str = "the MDP",
) -> Mask:
    """One set of states as bool[S].

    Args:
        what: its name in messages.
        states: None or an empty list for no state, bool[S], numbers of states, one number, a label
            or a list of labels.
        num_states: S.
        labels: what labels mean; None where there cannot be any.
        source: whose labels they are.

    Raises:
        MDPError: a label or a state that there is not, or a state named twice.
        ShapeError: a mask of another length, or nothing that names states.

    Example:
        >>> mask_of("terminal", [0, 2], 3).tolist()
        [True, False, True]
    """
    mask = np.zeros(num_states, np.bool_)
    if states is None:
        return mask
    if isinstance(states, set | frozenset | range):
        states = list(states)
    names = [states] if isinstance(states, str) else states
    if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
        for name in names:
            mask |= _labelled(what, name, labels, source)
        return mask
    given = _as_array(what, states)
    if given.dtype == np.bool_:
        if given.shape != (num_states,):
            raise ShapeError(f"{what} has shape {given.shape}, the MDP {num_states} states")
        return given
    mask[_numbers(what, given, num_states)] = True
    return mask


def _labelled(what: str, name: str, labels: Mapping[str, Mask] | None, source: str) -> Mask:
    if labels is None:
        raise MDPError(f"{what} is {name!r}; it is bool[S] or a list of states")
    if name not in labels:
        has = f"it has {sorted(labels)}" if labels else "it has none; give labels={name: states}"
        raise MDPError(f"{what}={name!r}: {source} has no label {name!r}; {has}")
    return labels[name]


def _as_array(what: str, states: Any) -> np.ndarray:
    """Booleans or numbers; not a mixture, which NumPy would take for numbers."""
    try:
        given = np.asarray(states)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{what} names no states: {error}") from error
    if isinstance(states, list | tuple):
        kinds = {isinstance(entry, bool | np.bool_) for entry in states}
        if len(kinds) == 2:
            raise ShapeError(f"{what} mixes booleans and numbers: {states!r}")
    if given.size == 0 and given.ndim == 1:
        return given.astype(np.int64)
    if given.dtype.kind not in "biuf" or given.ndim > 1:
        raise ShapeError(
            f"{what} is {states!r}; bool[S], a list of numbers of states or a label is needed"
        )
    return given


def _numbers(what: str, given: np.ndarray, num_states: int) -> np.ndarray:
    numbers = np.atleast_1d(given)
    whole = (numbers >= 0) & (numbers < num_states)
    whole &= np.where(whole, numbers, 0) == np.where(whole, numbers, 0).astype(np.int64)
    if not whole.all():
        raise MDPError(
            f"{what} names the state {numbers[~whole][0]}; the states are some of 0 ... "
            f"{num_states - 1}"
        )
    found, counts = np.unique(numbers.astype(np.int64), return_counts=True)
    if (counts > 1).any():
        raise MDPError(
            f"{what} names state {found[counts > 1][0]} {counts.max()} times; a mask of states has "
            "booleans, not 0 and 1"
        )
    return found
