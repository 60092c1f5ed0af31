"""UMB files, through the reader of their inventors, `umbi`.

Only the index and the types are umbi's; plain numbers are read as arrays. The sizes that the index
claims are compared with the sizes of the archive's members before anything of that size is made.
"""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from logtrick.errors import MDPError, MissingExtraError
from logtrick.mdp.checks import start_field
from logtrick.mdp.readers.flat import Transitions, assemble
from logtrick.mdp.state_sets import Labels, mask_of

#: An archive that unpacks to more than this is refused.
MOST_BYTES = 32 * 2**30


def from_umb(
    path: str | PathLike[str],
    *,
    gamma: float,
    reward: str | None,
    terminal: Any,
    start: Any = None,
    labels: Any = None,
    **fields: Any,
) -> dict[str, Any]:
    """The fields of the MDP; see `FiniteMDP.from_umb`."""
    file = _UmbFile(Path(path))
    system = file.system
    choice_states = file.owners("state-to-choices.bin", system.num_states, system.num_choices)
    choices = np.arange(system.num_choices) - np.searchsorted(choice_states, choice_states)
    branch_choices = file.owners("choice-to-branches.bin", system.num_choices, system.num_branches)
    rows = Transitions(
        states=choice_states[branch_choices],
        choices=choices[branch_choices],
        successors=file.integers("branch-to-target.bin", system.num_branches, system.num_states),
        probabilities=file.probabilities(),
        rewards=file.rewards(reward, choice_states, branch_choices),
    )
    known = Labels(file.propositions() | dict(labels or {}), system.num_states)
    if isinstance(terminal, str) and terminal not in known:
        raise MDPError(f"{path} has no {terminal!r}; it has {sorted(known)}")
    stops = mask_of("terminal", terminal, system.num_states, known, str(path))
    if start is None and system.num_initial_states > 0:
        initial = file.bits("state-is-initial.bin", system.num_states)
        start = initial / max(initial.sum(), 1)
    if system.observations_apply_to == "states":
        seen = file.integers(
            "observations/states/values.bin", system.num_states, system.num_observations
        )
        fields.setdefault("observations", seen.astype(np.int32))
    actions = file.action_labels(branch_choices)
    fields |= start_field(start, system.num_states) | {"gamma": gamma, "labels": known}
    return assemble(rows, stops=stops, actions=actions, source=str(path), **fields)


class _UmbFile:
    """An opened UMB archive whose index has been checked against its members."""

    def __init__(self, path: Path) -> None:
        try:
            import umbi.binary
            import umbi.tar
            from umbi.umb.index import UmbIndex
        except ImportError as error:
            raise MissingExtraError(
                'UMB files are read by umbi: pip install "logtrick[umb]"'
            ) from error
        self.path = path
        self.binary = umbi.binary
        sizes, index = self._members()
        try:
            self.index = UmbIndex.from_json(index)
        except Exception as error:  # umbi and marshmallow raise many kinds
            raise MDPError(f"{path}: index.json is not a UMB index: {error}") from error
        self.system: Any = self.index.transition_system
        self._check_system()
        self._check_sizes(sizes)
        self.archive = umbi.tar.TarCoder(path)

    def _members(self) -> tuple[dict[str, int], Any]:
        """The sizes of the archive's members, and index.json."""
        try:
            with tarfile.open(self.path, "r:*") as archive:
                sizes: dict[str, int] = {}
                for member in archive:
                    sizes[member.name] = member.size
                    if sum(sizes.values()) > MOST_BYTES:
                        raise MDPError(f"{self.path} unpacks to more than {MOST_BYTES} bytes")
                reader = archive.extractfile("index.json")
                return sizes, json.loads(reader.read()) if reader else None
        except FileNotFoundError as error:
            raise MDPError(f"{self.path} cannot be read: {error.strerror}") from error
        except (tarfile.TarError, EOFError, KeyError, ValueError, OSError) as error:
            raise MDPError(f"{self.path} is not a UMB file, or it is cut off: {error}") from error

    def _check_system(self) -> None:
        system = self.system
        if system.time != "discrete" or system.num_players > 1:
            raise MDPError(
                f"{self.path} is a model of {system.num_players} players in {system.time} time; "
                "an MDP has one player and discrete time"
            )
        kind = system.branch_probability_type
        if kind is not None and "interval" in str(kind.type):
            raise MDPError(f"{self.path} has intervals for probabilities, an MDP numbers")
        if system.observations_apply_to == "branches" or system.observation_probability_type:
            raise MDPError(
                f"{self.path} has observations that branches or chance decide; here each state has "
                "one observation"
            )

    def _check_sizes(self, sizes: dict[str, int]) -> None:
        system = self.system
        needed = {
            "state-to-choices.bin": 8 * (system.num_states + 1),
            "choice-to-branches.bin": 8 * (system.num_choices + 1),
            "branch-to-target.bin": 8 * system.num_branches,
        }
        same = {"state-to-choices.bin": system.num_states == system.num_choices}
        same["choice-to-branches.bin"] = system.num_choices == system.num_branches
        for name, size in needed.items():
            if name not in sizes and same.get(name) and "branch-to-target.bin" in sizes:
                continue  # one each: the file may be left out
            if sizes.get(name) != size:
                raise MDPError(
                    f"{self.path}: the header claims {system.num_states} states, "
                    f"{system.num_choices} choices and {system.num_branches} branches, but {name} "
                    f"has {sizes.get(name, 0)} bytes instead of {size}"
                )

    def integers(self, name: str, count: int, below: int, kind: str = "<u8") -> np.ndarray:
        """A vector of `count` numbers less than `below`."""
        data = self._bytes(name)
        values = np.frombuffer(data, kind, len(data) // np.dtype(kind).itemsize)
        if len(values) != count or (values >= below).any():
            raise MDPError(f"{self.path}: {name} does not hold {count} numbers less than {below}")
        return values.astype(np.int64)

    def owners(self, name: str, owners: int, owned: int) -> np.ndarray:
        """The owner of each item, from offsets; one each where the file is left out."""
        if name not in self.archive:
            return np.arange(owned)
        offsets = self.integers(name, owners + 1, owned + 1)
        counts = np.diff(offsets)
        if offsets[0] != 0 or offsets[-1] != owned or (counts < 0).any():
            raise MDPError(f"{self.path}: {name} does not increase from 0 to {owned}")
        return np.repeat(np.arange(owners), counts)

    def numbers(self, name: str, kind: Any, count: int) -> np.ndarray:
        """A vector of doubles, integers or rationals, as float64."""
        data = self._bytes(name)
        with self._reading(name):
            if kind.type == "double":
                values = np.frombuffer(data, "<f8").astype(np.float64)
            else:
                values = np.array([float(x) for x in self.binary.bytes_to_vector(data, kind)])
        if len(values) != count:
            raise MDPError(f"{self.path}: {name} holds {len(values)} numbers instead of {count}")
        return values

    def bits(self, name: str, count: int) -> np.ndarray:
        """A vector of flags, padded at the end."""
        flags = np.unpackbits(np.frombuffer(self._bytes(name), np.uint8), bitorder="little")
        if len(flags) < count:
            raise MDPError(f"{self.path}: {name} holds {len(flags)} flags instead of {count}")
        return flags[:count].astype(np.bool_)

    def probabilities(self) -> np.ndarray:
        """Of each branch; 1 where the model has none."""
        kind = self.system.branch_probability_type
        if kind is None:
            return np.ones(self.system.num_branches)
        return self.numbers("branch-to-probability.bin", kind, self.system.num_branches)

    def rewards(
        self, name: str | None, choice_states: np.ndarray, branch_choices: np.ndarray
    ) -> np.ndarray:
        """What each branch pays: its own reward, its choice's and its state's."""
        named: dict[str, Any] = (self.index.annotations or {}).get("rewards") or {}
        pays = np.zeros(self.system.num_branches)
        if not named and name is None:
            return pays
        if name is None and len(named) > 1:
            raise MDPError(f"{self.path} has the rewards {sorted(named)}; say which with reward=")
        name = name if name is not None else next(iter(named))
        if name not in named:
            raise MDPError(f"{self.path} has no reward {name!r}; it has {sorted(named)}")
        owners = {
            "states": (choice_states[branch_choices], self.system.num_states),
            "choices": (branch_choices, self.system.num_choices),
            "branches": (np.arange(len(pays)), len(pays)),
        }
        annotation = named[name]
        if not annotation.applies_to or annotation.probability_type:
            raise MDPError(
                f"{self.path}: the reward {name!r} is random, or of nothing; it must be one number "
                "for each state, choice or branch"
            )
        for level in annotation.applies_to:
            owner, count = owners[level]
            path = f"annotations/rewards/{name}/{level}/values.bin"
            pays += self.numbers(path, annotation.type, count)[owner]
        return pays

    def propositions(self) -> dict[str, np.ndarray]:
        """Where each atomic proposition about states holds, bool[S]."""
        named = (self.index.annotations or {}).get("aps") or {}
        return {
            name: self.bits(f"annotations/aps/{name}/states/values.bin", self.system.num_states)
            for name, annotation in named.items()
            if "states" in (annotation.applies_to or ["states"])
        }

    def action_labels(self, branch_choices: np.ndarray) -> list[str] | None:
        """The action label of each branch's choice, where choices have labels."""
        folder = "actions/choices"
        if f"{folder}/strings.bin" not in self.archive:
            return None
        mapping = f"{folder}/string-mapping.bin"
        with self._reading(f"{folder}/strings.bin"):
            names = self.archive.read_strings(f"{folder}/strings.bin", filename_csr=mapping)
        path = f"{folder}/values.bin"
        numbers = self.integers(path, self.system.num_choices, len(names), "<u4")
        return [names[number] for number in numbers[branch_choices]]

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """What umbi and NumPy raise on bytes that are not what the index says."""
        try:
            yield
        except (ValueError, TypeError, AssertionError, ArithmeticError, KeyError) as error:
            raise MDPError(f"{self.path}: {name} does not hold what it should: {error}") from error

    def _bytes(self, name: str) -> bytes:
        if name not in self.archive:
            raise MDPError(f"{self.path} has no {name}")
        return bytes(self.archive[name])
