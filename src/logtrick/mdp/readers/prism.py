"""The explicit text files of PRISM and Storm."""

from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from logtrick.errors import MDPError
from logtrick.mdp.checks import start_field
from logtrick.mdp.readers.flat import Transitions, assemble
from logtrick.mdp.readers.prism_rewards import FORMATS, beside, read_rewards
from logtrick.mdp.readers.text_lines import Line, lines_of, number_in, parsed
from logtrick.mdp.state_sets import Labels, mask_of

#: "0 0 0 1" and its newline: no transition is shorter.
BYTES_OF_A_TRANSITION = 8


class _Model(NamedTuple):
    """What a `.tra` says."""

    rows: Transitions
    actions: list[str] | None
    num_states: int
    has_choices: bool


def from_prism_folder(
    tra: Path, *, gamma: float, terminal: Any = None, reward: str | None = None
) -> dict[str, Any]:
    """The fields of a `.tra` with all that lies beside it; see `prism_rewards.beside`."""
    lab, rewards, states = beside(tra, reward)
    names = {} if states is None else {"state_names": _read_states(states)}
    return from_prism(tra, lab, rewards, gamma=gamma, terminal=terminal, **names)


def from_prism(
    tra: str | PathLike[str],
    lab: str | PathLike[str] | None,
    rew: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    gamma: float,
    terminal: Any,
    start: Any = None,
    labels: Any = None,
    **fields: Any,
) -> dict[str, Any]:
    """The fields of the MDP; see `FiniteMDP.from_prism`."""
    model = _read_transitions(Path(tra))
    rows, num_states = model.rows, model.num_states
    sets = _read_labels(Path(lab), num_states) if lab is not None else {}
    known = Labels(sets | dict(labels or {}), num_states)
    paid = rows.rewards
    for path in [rew] if isinstance(rew, str | PathLike) else rew:
        paid = paid + read_rewards(Path(path), rows, num_states, has_choices=model.has_choices)
    rows = rows._replace(rewards=paid)
    stops = mask_of("terminal", terminal, num_states, known, str(lab or tra))
    if start is None:
        initial = sets.get("init", [0])
        if not initial:
            raise MDPError(f"{lab} declares the label init, but no state has it")
        start = np.bincount(initial, minlength=num_states) / len(initial)
    fields |= start_field(start, num_states) | {"gamma": gamma, "labels": known}
    return assemble(rows, stops=stops, actions=model.actions, source=str(tra), **fields)


def _read_transitions(path: Path) -> _Model:
    lines = list(lines_of(path))
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
            column.append(parsed(int, word, path, number))
        columns[3].append(parsed(number_in, values[3], path, number))
        labels.append(words[width] if len(words) > width else "")
    num_states = _check_counts(path, columns, claimed, lines)
    states, choices, successors = (np.array(column, np.int64) for column in columns[:3])
    probabilities = np.array(columns[3], np.float64)
    rows = Transitions(states, choices, successors, probabilities, np.zeros(len(states)))
    return _Model(rows, labels if all(labels) else None, num_states, has_choices)


def _read_header(path: Path, lines: list[Line]) -> tuple[list[int] | None, bool]:
    """PRISM: "states choices transitions"; without choices for a chain. Storm: "mdp", "dtmc"."""
    number, words = lines[0]
    kind = words[0].lower()
    if kind in FORMATS and len(words) == 1:
        return None, kind == "mdp"
    if len(words) not in (2, 3) or kind.isalpha():
        raise MDPError(
            f"{path}, line {number}: a header of states, choices and transitions is needed (of a "
            f"chain: states and transitions), or one of {', '.join(FORMATS)}, not {' '.join(words)}"
        )
    claimed = [parsed(int, word, path, number) for word in words]
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
    for number, words in lines_of(path):
        if words[0].upper() in ("#DECLARATION", "#END"):
            continue
        head = words[0].rstrip(":")
        if "=" in head:
            pairs = (word.partition("=") for word in words)
            names |= {index: name.strip('"') for index, _, name in pairs}
        elif not head.isdigit():
            names |= {name: name for name in words}
        else:
            state = parsed(int, head, path, number)
            if state >= num_states:
                raise MDPError(f"{path}, line {number}: there is no state {state}")
            for word in words[1:]:
                if word not in names:
                    raise MDPError(f"{path}, line {number}: label {word} was not declared")
                sets.setdefault(names[word], []).append(state)
    return {name: sets.get(name, []) for name in names.values()}


def _read_states(path: Path) -> list[str]:
    """PRISM's names of states: "(x,y)", then "0:(1,2)"."""
    names: list[str] = []
    for number, words in list(lines_of(path))[1:]:
        index, colon, values = "".join(words).partition(":")
        if not colon or parsed(int, index, path, number) != len(names):
            raise MDPError(f"{path}, line {number}: state {len(names)} and its values are needed")
        names.append(values)
    return names
