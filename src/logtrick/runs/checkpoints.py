"""Checkpoints: a folder of the last few states of a run, none of which a crash can spoil."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from logtrick.errors import CheckpointError, RunError
from logtrick.runs.tree_files import load_tree, save_tree
from logtrick.support.safe_paths import UNFINISHED, Place, SafePath, file_of, one_line_cause


class Restored(NamedTuple):
    """What `CheckpointFolder.latest` found."""

    step: int
    tree: Any
    metadata: dict[str, Any]
    rejected: tuple[str, ...]
    """One sentence for each newer checkpoint that did not verify; tell the user."""


class CheckpointFolder:
    """The last few checkpoints of one run, none of which a crash can spoil.

    A checkpoint is written under a temporary name, fsynced, and renamed to `step-000000123`; only
    then are older ones removed. One writer at a time (see `files.lock_folder`); readers are free.

    Args:
        place: The folder; it is made at the first save. A link is refused.
        keep: How many checkpoints stay.
    """

    # A checkpoint whose step is saved anew is named `.old` until its successor is in place.
    _NAME = re.compile(r"step-([0-9]{9,18})(\.old)?")

    def __init__(self, place: Place, keep: int = 3) -> None:
        if keep < 1:
            raise RunError(f"keep is {keep}; at least one checkpoint has to stay.")
        self._folder = file_of(place)
        self.keep = keep

    @property
    def path(self) -> Path:
        """The folder in which the checkpoints are."""
        return self._folder.path

    def save(self, step: int, tree: Any, metadata: Mapping[str, Any]) -> Path:
        """Save a checkpoint; any of a later step, which it supersedes, is removed.

        Args:
            step: A counter that grows; it names the folder.
            tree: A tree or its `Snapshot`, as for `save_tree`.
            metadata: As for `save_tree`; "step" is added.

        Returns:
            The checkpoint's folder.

        Raises:
            RunError: One line with the cause (no space left, not writable). Earlier checkpoints
                are intact.
        """
        final = self._folder / f"step-{step:09d}"
        with one_line_cause(f"Could not save {final}, earlier checkpoints are intact"):
            self._folder.make_folder()
            for name in self._folder.names():
                if name.startswith(UNFINISHED):
                    (self._folder / name).remove()
            temporary = self._folder / f"{UNFINISHED}{final.name}"
            try:
                save_tree(temporary, tree, {**metadata, "step": step})
            except BaseException:
                temporary.remove()
                raise
            if final.exists():
                self._retire(final)
            temporary.rename(final.name)
            self._folder.sync()
            self._prune(step)
        return final.path

    def _retire(self, path: SafePath) -> None:
        old = self._folder / f"{path.name}.old"
        if old.exists():
            self._discard(old)
        path.rename(old.name)

    def _discard(self, path: SafePath) -> None:
        # Renamed first: a checkpoint whose removal is interrupted must not look like one.
        path.rename(f"{UNFINISHED}removal-{path.name}").remove()

    def _prune(self, step: int) -> None:
        current = [
            path.name
            for found, path in self._newest_first()
            if found <= step and not path.name.endswith(".old")
        ]
        for _, path in self._newest_first():
            if path.name not in current[: self.keep]:
                self._discard(path)

    def _newest_first(self) -> list[tuple[int, SafePath]]:
        """(step, folder) of every checkpoint; a superseded one after its successor."""
        names = self._folder.names()
        matches = [match for name in names if (match := self._NAME.fullmatch(name))]
        matches.sort(key=lambda match: (int(match[1]), match[2] is None), reverse=True)
        return [(int(match[1]), self._folder / match[0]) for match in matches]

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints that are there, verified or not, newest first."""
        return tuple(step for step, _ in self._newest_first())

    def latest(self, like: Any, *, at_most: int | None = None) -> Restored:
        """Load the newest checkpoint that verifies.

        Args:
            like: The structure, as for `load_tree`.
            at_most: Of this step or before it; None: of any.

        Returns:
            Step, tree, metadata, and why newer checkpoints (if any) were passed over.

        Raises:
            CheckpointError: There is none, or none verifies; every reason is listed.
        """
        rejected: list[str] = []
        for step, path in self._newest_first():
            if at_most is not None and step > at_most:
                continue
            try:
                tree, metadata = load_tree(path, like)
                if metadata.get("step") != step:
                    raise CheckpointError(f"{path} holds another step; it was moved there.")
                return Restored(step, tree, metadata, tuple(rejected))
            except CheckpointError as error:
                rejected.append(str(error))
        if not rejected:
            until = "" if at_most is None else f" of step {at_most} or before"
            raise CheckpointError(f"{self.path} holds no checkpoint{until}.")
        raise CheckpointError(f"No checkpoint can be used. {' '.join(rejected)}")
