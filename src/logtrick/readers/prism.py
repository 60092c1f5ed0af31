"""The explicit text files of PRISM and Storm."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from logtrick.errors import MDPError
from logtrick.mdp import FiniteMDP
from logtrick.readers.flat import Transitions, assemble
from logtrick.validation import start_field

Line = tuple[int, list[str]]

#: "0 0 0 1" and its newline: no transition is shorter.
BYTES_OF_A_TRANSITION = 8


def from_prism(
    tra: str | PathLike[str],
    lab: str | PathLike[str] | None,
    rew: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    gamma: float,
    terminal: str | None,
    start: Any = None,
    **fields: Any,
) -> FiniteMDP:
    """See `FiniteMDP.from_prism`."""
    rows, labels, num_states = _read_transitions(Path(tra))
    sets = _read_labels(Path(lab), num_states) if lab is not None else {}
    for path in [rew] if isinstance(rew, str | PathLike) else rew:
        rows = rows._replace(rewards=rows.rewards + _read_rewards(Path(path), rows, num_states))
    stops = np.zeros(num_states, np.bool_)
    if terminal is not None:
        if terminal not in sets:
            raise MDPError(f"{lab} has no label {terminal!r}; it has {sorted(sets)}")
        stops[sets[terminal]] = True
    if start is None:
        initial = sets.get("init", [0])
        if not initial:
            raise MDPError(f"{lab} declares the label init, but no state has it")
        start = np.bincount(initial, minlength=num_states) / len(initial)
    fields |= start_field(start, num_states) | {"gamma": gamma}
    return assemble(rows, stops=stops, labels=labels, source=str(tra), **fields)


def _lines(path: Path) -> Iterator[Line]:
    """Numbered lines as words; comments and empty lines are left out."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                words = text.split()
                if words and not words[0].startswith("//") and words[0] != "#":
                    yield number, words
    except UnicodeDecodeError as error:
        raise MDPError(f"{path} is not a text file: {error}") from error
    except OSError as error:
        raise MDPError(f"{path} cannot be read: {error.strerror}") from error


def _read_transitions(path: Path) -> tuple[Transitions, list[str] | None, int]:
    lines = list(_lines(path))
    if not lines:
        raise MDPError(f"{path} is empty")
    claimed, has_choices = _read_header(path, lines)
    width = 4 if has_choices else 3
    columns: list[list[Any]] = [[], [], [], []]
    labels = []
    for number, words in lines[1:]:
        if len(words) < width:
            raise MDPError(f"{path}, line {number}: {width} columns are needed: {' '.join(words)}")
        values = words[:width] if has_choices else [words[0], "0", *words[1:width]]
        for column, word in zip(columns[:3], values[:3], strict=True):
            column.append(_parsed(int, word, path, number))
        columns[3].append(_parsed(_number, values[3], path, number))
        labels.append(words[width] if len(words) > width else "")
    num_states = _check_counts(path, columns, claimed, lines)
    states, choices, successors = (np.array(column, np.int64) for column in columns[:3])
    probabilities = np.array(columns[3], np.float64)
    rows = Transitions(states, choices, successors, probabilities, np.zeros(len(states)))
    return rows, labels if all(labels) else None, num_states


def _read_header(path: Path, lines: list[Line]) -> tuple[list[int] | None, bool]:
    """PRISM: "states choices transitions"; without choices for a chain. Storm: "mdp", "dtmc"."""
    number, words = lines[0]
    if words[0] in ("mdp", "dtmc"):
        return None, words[0] == "mdp"
    if len(words) not in (2, 3):
        raise MDPError(
            f"{path}, line {number}: a header of states, choices and transitions is needed, not "
            f"{' '.join(words)}"
        )
    claimed = [_parsed(int, word, path, number) for word in words]
    room = path.stat().st_size // BYTES_OF_A_TRANSITION + 1
    if max(claimed) > room or claimed[0] < 1:
        raise MDPError(
            f"{path}, line {number}: the header claims {' '.join(words)}, but the file has room "
            f"for {room} transitions at most"
        )
    return claimed, len(claimed) == 3


def _check_counts(
    path: Path, columns: list[list[Any]], claimed: list[int] | None, lines: list[Line]
) -> int:
    """The number of states, after indices, header and lines were compared."""
    transitions = len(columns[0])
    highest = max([*columns[0], *columns[2]], default=-1)
    num_states = highest + 1 if claimed is None else claimed[0]
    named = num_states if claimed is not None else min(num_states, 2 * transitions)
    listed = Counter(columns[0])
    for (number, _), state, choice, successor in zip(lines[1:], *columns[:3], strict=True):
        if not (0 <= state < named and 0 <= successor < named):
            raise MDPError(
                f"{path}, line {number}: state {state}, choice {choice}, successor {successor}; "
                f"the states are 0 ... {named - 1}"
            )
        if not 0 <= choice < listed[state]:
            raise MDPError(
                f"{path}, line {number}: choice {choice} of state {state}, which has "
                f"{listed[state]} transitions; choices are numbered from 0"
            )
    if claimed is not None and transitions != claimed[-1]:
        raise MDPError(
            f"{path} has {transitions} transitions, its header claims {claimed[-1]}: truncated?"
        )
    return num_states


def _read_labels(path: Path, num_states: int) -> dict[str, list[int]]:
    """Label -> states; PRISM's `0="init"` and Storm's `#DECLARATION` are both understood."""
    names: dict[str, str] = {}
    sets: dict[str, list[int]] = {}
    for number, words in _lines(path):
        if words[0] in ("#DECLARATION", "#END"):
            continue
        head = words[0].rstrip(":")
        if "=" in head:
            pairs = (word.partition("=") for word in words)
            names |= {index: name.strip('"') for index, _, name in pairs}
        elif not head.isdigit():
            names |= {name: name for name in words}
        else:
            state = _parsed(int, head, path, number)
            if state >= num_states:
                raise MDPError(f"{path}, line {number}: there is no state {state}")
            for word in words[1:]:
                if word not in names:
                    raise MDPError(f"{path}, line {number}: label {word} was not declared")
                sets.setdefault(names[word], []).append(state)
    return {name: sets.get(name, []) for name in names.values()}


def _read_rewards(path: Path, rows: Transitions, num_states: int) -> np.ndarray:
    """What each transition pays: "state reward" or "state choice successor reward"."""
    pays = np.zeros(len(rows.states))
    choices = int(rows.choices.max(initial=0)) + 1
    keys = (rows.states * choices + rows.choices) * num_states + rows.successors
    order = np.argsort(keys, kind="stable")
    for number, words in _lines(path):
        if words[0].startswith("#") or words[0] == str(num_states):
            continue  # a header: no state has this number
        *where, reward = [_parsed(_number, word, path, number) for word in words]
        if len(where) == 1:
            paying = rows.states == where[0]
            if where[0] not in range(num_states) or (reward != 0 and not paying.any()):
                raise MDPError(f"{path}, line {number}: there is no state {words[0]} that goes on")
            pays[paying] += reward
            continue
        if len(where) != 3 or where[1] >= choices:
            raise MDPError(f"{path}, line {number}: no reward of a state or a transition")
        key = (where[0] * choices + where[1]) * num_states + where[2]
        low, high = (np.searchsorted(keys[order], key, side) for side in ("left", "right"))
        if low == high:
            raise MDPError(f"{path}, line {number}: there is no transition {' '.join(words[:3])}")
        pays[order[low:high]] += reward
    return pays


def _number(word: str) -> float:
    """A decimal, or a fraction such as 1/3."""
    value = float(Fraction(word)) if "/" in word else float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return value


def _parsed(parse: Callable[[str], Any], word: str, path: Path, number: int) -> Any:
    try:
        return parse(word)
    except (ValueError, ZeroDivisionError) as error:
        raise MDPError(f"{path}, line {number}: {word!r} is not a number") from error
