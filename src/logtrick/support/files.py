"""Files that survive a crash: atomic writes, guarded reads, one writer a folder.

A write is atomic when a reader, after a kill or a power cut at any moment, finds either the old
file or the new one. It takes four steps: write under a temporary name, fsync the file, rename it
over the old one, fsync the folder. Files hold data only; nothing here unpickles or imports.

These functions rely on POSIX (`flock`, `rename`, fsync of folders): Linux and macOS.
"""

import contextlib
import fcntl
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from logtrick.errors import CheckpointError, RunError, RunLockedError
from logtrick.support.safe_paths import UNFINISHED as UNFINISHED
from logtrick.support.safe_paths import PathLike as PathLike
from logtrick.support.safe_paths import (
    Place,
    SafePath,
    cannot_be_read,
    file_of,
    folder_of,
    read_whole,
)
from logtrick.support.safe_paths import one_line_cause as one_line_cause


def write_bytes_atomic(place: Place, data: bytes) -> None:
    """Write a file of which, after a crash at any moment, the old or the new content is there.

    Args:
        place: The file; its folder exists.
        data: The content.

    Raises:
        RunError: The disk is full, or the folder cannot be written; the old file is untouched.
    """
    file_of(place).write(data)


def to_json(value: Any, *, indent: int | None = None) -> bytes:
    r"""Strict JSON, the same bytes for the same value: keys in their order, floats by `repr`.

    Args:
        value: Dictionaries, lists, tuples, strings, numbers (NumPy's included), None.
        indent: Spaces per level; None writes one line.

    Returns:
        UTF-8, closed by a newline.

    Raises:
        RunError: The value holds something that JSON cannot say, NaN and infinity included.

    Example:
        >>> to_json({"lr": 3e-4, "layers": (64, 64)})
        b'{"lr": 0.0003, "layers": [64, 64]}\n'
    """
    try:
        text = json.dumps(value, allow_nan=False, default=_plain, indent=indent, ensure_ascii=False)
        return (text + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(f"This cannot be written as JSON: {error}.") from error


def without_nan(value: Any) -> Any:
    """The same plain data with None, which JSON writes as null, for each NaN or infinity.

    Args:
        value: Mappings, lists, tuples, arrays and numbers; whatever else is returned as it is.

    Example:
        >>> without_nan({"return": [1.0, float("nan")]})
        {'return': [1.0, None]}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """What JSON should say for a value that it does not know: a path, a NumPy number or array."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no number, text, list or dictionary")


def write_json_atomic(place: Place, value: Any) -> None:
    """Write `value` as indented JSON; after a crash the old or the new file is there, whole."""
    write_bytes_atomic(place, to_json(value, indent=2))


def read_regular(place: Place, limit: int) -> bytes:
    """Read a file whose size is checked before memory is taken for it.

    Args:
        place: A regular file. A symlink, a folder, a pipe or a device is refused, not followed;
            inside a folder (`SafePath`) a file with a second name is refused too.
        limit: The largest size, in bytes, that the caller can have meant.

    Raises:
        CheckpointError: The file is missing, unreadable, not regular, or larger than `limit`.
    """
    if isinstance(place, SafePath):
        return place.read(limit)
    # O_NONBLOCK: opening a named pipe must not wait for somebody to write into it.
    with cannot_be_read(place):
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise CheckpointError(f"{place} is not a regular file.")
        return read_whole(descriptor, place, limit)


# --- one writer -----------------------------------------------------------------------------

_held_locks: set[int] = set()


def _forget_inherited_locks() -> None:
    # A forked worker shares its parent's lock, and would keep it alive after the parent's death.
    for descriptor in _held_locks:
        os.close(descriptor)
    _held_locks.clear()


os.register_at_fork(after_in_child=_forget_inherited_locks)


@contextlib.contextmanager
def lock_folder(place: Place, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder as its only writer; the lock ends with the block, or with the process.

    The kernel owns the lock (`flock`), so a killed writer leaves none behind. The file `.lock`
    stays and holds the last writer's process id. Nobody waits for a lock: it is had or refused.

    Args:
        place: An existing folder.
        shared: Hold it together with others who ask for that, which keeps a writer out.

    Raises:
        RunLockedError: Another writer holds it; its process id is named.
        RunError: The folder cannot be written.
    """
    folder = folder_of(place)
    with one_line_cause(f"Could not lock {folder}"):
        descriptor = (folder / ".lock").open(os.O_RDWR | os.O_CREAT)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        with one_line_cause(f"Could not lock {folder}"):
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                writer = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise RunLockedError(
                    f"{folder} is being written by process {writer}. Wait until it has finished, "
                    f"or stop it, or choose another folder."
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        _held_locks.add(descriptor)
        yield
    finally:
        _held_locks.discard(descriptor)
        os.close(descriptor)
