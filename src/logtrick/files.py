"""Files that survive a crash: atomic writes, guarded reads, one writer a folder.

A write is atomic when a reader, after a kill or a power cut at any moment, finds either the old
file or the new one. It takes four steps: write under a temporary name, fsync the file, rename it
over the old one, fsync the folder. Files hold data only; nothing here unpickles or imports.

These functions rely on POSIX (`flock`, `rename`, fsync of folders): Linux and macOS.
"""

import contextlib
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from logtrick.errors import CheckpointError, LogtrickError, RunError, RunLockedError

PathLike = str | os.PathLike[str]

UNFINISHED = ".unfinished-"
"""Prefix of temporary names; what a killed writer leaves behind starts with it."""


@contextlib.contextmanager
def one_line_cause(action: str) -> Iterator[None]:
    """Turn what the system says inside this block into one line: a RunError naming `action`."""
    try:
        yield
    except LogtrickError:
        raise
    except OSError as error:
        raise RunError(f"{action}: {error.strerror or error}") from error


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and fsync it; its folder is the caller's to fsync."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Fsync a folder, so that the names in it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes_atomic(path: PathLike, data: bytes) -> None:
    """Write a file of which, after a crash at any moment, the old or the new content is there.

    Args:
        path: The file; its folder exists.
        data: The content.

    Raises:
        RunError: The disk is full, or the folder cannot be written; the old file is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f"{UNFINISHED}{path.name}")
    with one_line_cause(f"Could not write {path}"):
        try:
            temporary.unlink(missing_ok=True)
            write_durably(temporary, data)
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


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


def _plain(value: Any) -> Any:
    """What JSON should say for a value that it does not know: a path, a NumPy number or array."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no number, text, list or dictionary")


def write_json_atomic(path: PathLike, value: Any) -> None:
    """Write `value` as indented JSON; after a crash the old or the new file is there, whole."""
    write_bytes_atomic(path, to_json(value, indent=2))


def read_regular(path: PathLike, limit: int) -> bytes:
    """Read a file whose size is checked before memory is taken for it.

    Args:
        path: A regular file. A symlink, a folder, a pipe or a device is refused, not followed.
        limit: The largest size, in bytes, that the caller can have meant.

    Raises:
        CheckpointError: The file is missing, unreadable, not regular, or larger than `limit`.
    """
    # O_NONBLOCK: opening a named pipe must not wait for somebody to write into it.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise CheckpointError(f"{path} is not a regular file.")
            if facts.st_size > limit:
                raise CheckpointError(
                    f"{path} holds {facts.st_size:,} bytes where at most {limit:,} are expected."
                )
            return file.read(facts.st_size)
    except LogtrickError:
        raise
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path} cannot be read: {cause}") from error


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all it holds; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# --- one writer -----------------------------------------------------------------------------

_held_locks: set[int] = set()


def _forget_inherited_locks() -> None:
    # A forked worker shares its parent's lock, and would keep it alive after the parent's death.
    for descriptor in _held_locks:
        os.close(descriptor)
    _held_locks.clear()


os.register_at_fork(after_in_child=_forget_inherited_locks)


@contextlib.contextmanager
def lock_folder(path: PathLike) -> Iterator[None]:
    """Hold a folder as its only writer; the lock ends with the block, or with the process.

    The kernel owns the lock (`flock`), so a killed writer leaves none behind. The file `.lock`
    stays and holds the last writer's process id.

    Args:
        path: An existing folder.

    Raises:
        RunLockedError: Another writer holds it; its process id is named.
        RunError: The folder cannot be written.
    """
    path = Path(path)
    with one_line_cause(f"Could not lock {path}"):
        descriptor = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        with one_line_cause(f"Could not lock {path}"):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                writer = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise RunLockedError(
                    f"{path} is being written by process {writer}. Wait until it has finished, "
                    f"or stop it, or choose another folder."
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        _held_locks.add(descriptor)
        yield
    finally:
        _held_locks.discard(descriptor)
        os.close(descriptor)
