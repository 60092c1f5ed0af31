"""Rewards in the explicit text files of PRISM and Storm, and the files beside a `.tra`."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from logtrick.errors import MDPError
from logtrick.mdp.readers.flat import Transitions
from logtrick.mdp.readers.text_lines import lines_of, number_in, parsed, raw_lines

#: What files of rewards end in: PRISM's states and transitions, and Storm's for either.
ENDINGS = (".srew", ".trew", ".rew")
#: The first words of Storm's files.
FORMATS = ("mdp", "dtmc")
#: How PRISM names a reward structure in the first lines of its files.
_STRUCTURE = re.compile(r'#\s*Reward structure\s+"?([^"\n]+?)"?\s*$', re.IGNORECASE)


def read_rewards(
    path: Path, rows: Transitions, num_states: int, *, has_choices: bool
) -> Float64[np.ndarray, " K"]:
    """What each transition pays.

    Args:
        path: lines "state reward"; "state choice successor reward", or "state successor reward"
            where states have no choices. PRISM's header with the number of lines is checked.
        rows: the transitions.
        num_states: S.
        has_choices: False for a chain.

    Raises:
        MDPError: naming the line.
    """
    found = _Rewards(path, rows, num_states, has_choices)
    claimed, listed = None, 0
    for number, words in lines_of(path):
        if words[0].startswith("#") or (listed == 0 and words[0].lower() in FORMATS):
            continue
        if listed == 0 and claimed is None and words[0] == str(num_states) and len(words) > 1:
            claimed = parsed(int, words[-1], path, number)  # no state has the number S
            continue
        listed += 1
        found.add(number, words)
    if claimed is not None and claimed != listed:
        raise MDPError(f"{path} has {listed} rewards, its header claims {claimed}: truncated?")
    return found.pays


class _Rewards:
    """The rewards read so far."""

    def __init__(self, path: Path, rows: Transitions, num_states: int, has_choices: bool) -> None:
        self.path, self.num_states, self.has_choices = path, num_states, has_choices
        self.choices = int(rows.choices.max(initial=0)) + 1
        self.pays = np.zeros(len(rows.states))
        self.by_state = np.argsort(rows.states, kind="stable")
        self.states = rows.states[self.by_state]
        keys = (rows.states * self.choices + rows.choices) * num_states + rows.successors
        self.by_key = np.argsort(keys, kind="stable")
        self.keys = keys[self.by_key]
        self.seen: set[tuple[float, ...]] = set()

    def add(self, number: int, words: list[str]) -> None:
        """One line."""
        *where, reward = [parsed(number_in, word, self.path, number) for word in words]
        if len(where) == 2 and not self.has_choices:
            where.insert(1, 0.0)
        here = f"{self.path}, line {number}"
        if tuple(where) in self.seen:
            raise MDPError(f"{here}: {' '.join(words[:-1])} has a reward already")
        self.seen.add(tuple(where))
        if len(where) == 1:
            paying = self._where(where[0], self.states, self.by_state)
            if where[0] not in range(self.num_states) or (reward != 0 and not len(paying)):
                raise MDPError(f"{here}: there is no state {words[0]} that goes on")
        elif len(where) == 3 and where[1] < self.choices:
            key = (where[0] * self.choices + where[1]) * self.num_states + where[2]
            paying = self._where(key, self.keys, self.by_key)
            if not (len(paying) and 0 <= where[2] < self.num_states and where[1] >= 0):
                raise MDPError(f"{here}: there is no transition {' '.join(words[:-1])}")
        else:
            form = "state choice successor" if self.has_choices else "state successor"
            raise MDPError(
                f"{here}: no reward of a state or a transition; lines are 'state reward' or "
                f"'{form} reward'"
            )
        self.pays[paying] += reward

    def _where(self, key: float, keys: np.ndarray, order: np.ndarray) -> np.ndarray:
        low, high = (np.searchsorted(keys, key, side) for side in ("left", "right"))
        return order[low:high]


class Beside(NamedTuple):
    """The files that belong to a `.tra`."""

    lab: Path | None
    rewards: list[Path]
    states: Path | None


def beside(tra: Path, reward: str | None = None) -> Beside:
    """Find the labels, the rewards and the names of states that were exported with a `.tra`.

    Args:
        tra: "w.tra". Beside it are looked for "w.lab", "w.sta" and the rewards "w.srew", "w.trew"
            and "w.rew"; of several reward structures "w1.srew" (PRISM's way) or "w.time.rew".
        reward: which structure: the name that PRISM writes into the file, what follows "w" in the
            files' names, or the name of one file. Not needed where there is only one.

    Raises:
        MDPError: there are several structures and none is chosen, or none has this name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("w.tra", "w.lab", "w.srew", "w.trew", "other.srew"):
        ...         Path(folder, name).touch()
        ...     [path.name for path in beside(Path(folder, "w.tra")).rewards]
        ['w.srew', 'w.trew']
    """
    structures = _structures(tra)
    if reward is not None:
        rewards = _chosen(tra, structures, reward)
    elif len(structures) > 1:
        raise MDPError(
            f"beside {tra} lie several rewards, {_listing(structures)}; say which with reward="
        )
    else:
        rewards = next(iter(structures.values()), [])
    endings = {path.suffix for path in rewards}
    if ".rew" in endings and len(endings) > 1:
        names = " and ".join(path.name for path in rewards)
        raise MDPError(
            f"beside {tra} lie {names}, which may say the same twice; say which with reward=, the "
            "name of the file, or give them all to FiniteMDP.from_prism"
        )
    lab, states = tra.with_suffix(".lab"), tra.with_suffix(".sta")
    return Beside(lab if lab.exists() else None, rewards, states if states.exists() else None)


def _structures(tra: Path) -> dict[str, list[Path]]:
    """The files of each reward structure, by what their names have in between."""
    found: dict[str, list[Path]] = {}
    stem = re.escape(tra.stem)
    endings = "|".join(re.escape(ending) for ending in ENDINGS)
    ours = re.compile(rf"{stem}(\d+|\.[^.]+?)??(\.state|\.trans)?(?:{endings})")
    for path in sorted(tra.parent.iterdir()) if tra.parent.is_dir() else []:
        match = ours.fullmatch(path.name)
        between = "" if match is None else match[1] or ""
        of_another = between and path.with_name(f"{tra.stem}{between}.tra").exists()
        if match is not None and path.is_file() and not of_another:
            found.setdefault(between.removeprefix("."), []).append(path)
    return found


def _chosen(tra: Path, structures: dict[str, list[Path]], reward: str) -> list[Path]:
    for path in (tra.with_name(Path(reward).name), Path(reward)):
        if path.suffix in ENDINGS and path.is_file():
            return [path]
    for name, paths in structures.items():
        if reward in (name, *map(_declared, paths)):
            return paths
    there = _listing(structures) if structures else "none"
    raise MDPError(f"beside {tra} lies no reward {reward!r}; there is {there}")


def _listing(structures: dict[str, list[Path]]) -> str:
    """Names of structures with their files."""
    words = []
    for name, paths in structures.items():
        title = next(filter(None, map(_declared, paths)), name)
        files = ", ".join(path.name for path in paths)
        words.append(f"{title!r} ({files})" if title else files)
    return ", ".join(words)


def _declared(path: Path) -> str | None:
    """The name of the structure in the comments above the numbers."""
    for _, text in raw_lines(path):
        if not text.startswith("#"):
            return None
        if match := _STRUCTURE.match(text):
            return match[1]
    return None
