"""Paths inside a folder that never lead out of it, whatever links somebody has put there.

A run folder may come from somebody else, and others may be able to write into it. A link in it
(`tensorboard` → `~/precious`) must not make training read, overwrite or delete what it points to.
So everything below a run folder is reached by a `SafePath`: it walks from the folder down by
descriptors, one name at a time, and follows no link, so that a link which is put there between a
check and a use is not followed either. A file with a second name (a hard link) may be a file
elsewhere, and is refused too. Files are replaced, never written over.

The folder itself may be reached through links: those are the caller's. `openat` and its relatives
with `O_NOFOLLOW` are POSIX: Linux and macOS.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from logtrick.errors import CheckpointError, LogtrickError, RunError

PathLike = str | os.PathLike[str]

UNFINISHED = ".unfinished-"
"""Prefix of temporary names; what a killed writer leaves behind starts with it."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
# O_NONBLOCK: opening a named pipe must not wait for somebody at its other end.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def one_line_cause(action: str) -> Iterator[None]:
    """Turn what the system says inside this block into one line: a RunError naming `action`."""
    try:
        yield
    except LogtrickError:
        raise
    except OSError as error:
        raise RunError(f"{action}: {error.strerror or error}") from error


class SafePath:
    """A path inside a folder, which never leads out of it.

    Args:
        root: The folder; links on the way to it are followed. A relative one is resolved now, so
            that the path stays the same when the process changes its working directory.
        parts: The names below it, one for each folder on the way and the last one.

    Raises:
        RunError: A part that is no plain name.

    Example:
        >>> import tempfile
        >>> folder = SafePath(tempfile.mkdtemp())
        >>> (folder / "note").write(b"kept")
        >>> (folder / "note").read(limit=10), folder.names()
        (b'kept', ['note'])
    """

    __slots__ = ("parts", "root")

    def __init__(self, root: PathLike, *parts: str) -> None:
        for part in parts:
            if part in ("", ".", "..") or "/" in part or "\0" in part:
                raise RunError(f"{part!r} is no name of a file or folder.")
        self.root, self.parts = Path(root).absolute(), parts

    def __truediv__(self, name: str) -> "SafePath":
        return SafePath(self.root, *self.parts, name)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"SafePath({', '.join(map(repr, (str(self.root), *self.parts)))})"

    @property
    def path(self) -> Path:
        """The same as an absolute path, to be shown; who opens it follows links."""
        return self.root.joinpath(*self.parts)

    @property
    def name(self) -> str:
        """The last part of the path: the name of the file or folder."""
        return self.path.name

    # --- looking ----------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether anything has this name, a link included."""
        return self._mode() is not None

    def is_folder(self) -> bool:
        """Whether it is a folder; a link to one is none."""
        mode = self._mode()
        return mode is not None and stat.S_ISDIR(mode)

    def names(self) -> list[str]:
        """The sorted names in this folder; none where it does not exist."""
        with one_line_cause(f"Could not look into {self}"):
            try:
                with self._folder(len(self.parts)) as folder:
                    return sorted(os.listdir(folder))
            except FileNotFoundError:
                return []

    def _mode(self) -> int | None:
        with one_line_cause(f"Could not look at {self}"):
            try:
                if not self.parts:
                    return os.stat(self.root).st_mode
                with self._parent() as (folder, name):
                    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            except (FileNotFoundError, NotADirectoryError):
                return None

    # --- files ------------------------------------------------------------------------------

    def open(self, flags: int) -> int:
        """The descriptor of a regular file that has this name and no other.

        Args:
            flags: As for `os.open`; O_NOFOLLOW and O_NONBLOCK are added.

        Raises:
            OSError: What the system says; or it is a link, no regular file, or has several names.
        """
        with self._parent() as (folder, name):
            try:
                descriptor = os.open(name, flags | _FILE, 0o666, dir_fd=folder)
            except OSError as error:
                raise _link_named(error, folder, name, self.path) from error
        try:
            _refuse_shared(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, limit: int) -> bytes:
        """Read a file whose size is checked before memory is taken for it.

        Args:
            limit: The largest size, in bytes, that the caller can have meant.

        Raises:
            CheckpointError: It is missing, unreadable, a link, not regular, has a second name, or
                is larger than `limit`.
        """
        with cannot_be_read(self):
            return read_whole(self.open(os.O_RDONLY), self, limit)

    def create(self, data: bytes) -> None:
        """Write a new file and fsync it; its folder is the caller's to `sync`."""
        descriptor = self.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            _write(descriptor, data)
        finally:
            os.close(descriptor)

    def write(self, data: bytes) -> None:
        """Write a file of which, after a crash at any moment, the old or the new content is there.

        What has the name, a link say, is replaced and not followed. Writers of one file at the
        same time take turns.

        Raises:
            RunError: The disk is full, or the folder cannot be written; the old file is untouched.
        """
        with one_line_cause(f"Could not write {self}"), self._parent() as (folder, name):
            temporary = f"{UNFINISHED}{name}"
            descriptor = _open_temporary(folder, temporary)
            try:
                _write(descriptor, data)
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            finally:
                os.close(descriptor)  # its lock lasted until the new name was there
            os.fsync(folder)

    # --- names ------------------------------------------------------------------------------

    def make_folder(self) -> None:
        """Make this folder, and the one that everything is in, where they are not there yet."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.parts:
            with self._parent() as (folder, name), contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
        with self._folder(len(self.parts)):  # a link, or a file, that was there is refused
            pass

    def rename(self, name: str) -> "SafePath":
        """Give it another name in its folder, in the place of the file that has it, if any."""
        renamed = SafePath(self.root, *self.parts[:-1], name)
        with self._parent() as (folder, old):
            os.rename(old, name, src_dir_fd=folder, dst_dir_fd=folder)
        return renamed

    def remove(self) -> None:
        """Remove a file, a link or a folder with all that it holds, if it is there.

        Of a link only the link is removed.
        """
        with self._parent() as (folder, name):
            _remove(folder, name)

    def sync(self) -> None:
        """Fsync this folder, so that the names in it survive a power cut."""
        with self._folder(len(self.parts)) as folder:
            os.fsync(folder)

    # --- the way down -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _parent(self) -> Iterator[tuple[int, str]]:
        """(descriptor of the folder that it is in, its name)."""
        if not self.parts:
            raise RunError(f"{self} is the folder itself.")
        with self._folder(len(self.parts) - 1) as folder:
            yield folder, self.parts[-1]

    @contextlib.contextmanager
    def _folder(self, depth: int) -> Iterator[int]:
        """The descriptor of the folder to which the first `depth` names lead."""
        descriptor = os.open(self.root, _FOLDER)
        try:
            for k, part in enumerate(self.parts[:depth]):
                try:
                    inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                except OSError as error:
                    place = self.root.joinpath(*self.parts[: k + 1])
                    raise _link_named(error, descriptor, part, place) from error
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


Place = PathLike | SafePath
"""Where something is: a path of the caller's, or one inside a folder."""


def folder_of(place: Place) -> SafePath:
    """A folder of the caller's, which may be a link."""
    return place if isinstance(place, SafePath) else SafePath(place)


def file_of(place: Place) -> SafePath:
    """A file or folder whose last name is not followed if it is a link."""
    if isinstance(place, SafePath):
        return place
    path = Path(place).absolute()
    return SafePath(path.parent, path.name)


@contextlib.contextmanager
def cannot_be_read(place: Place) -> Iterator[None]:
    """Turn what the system says inside this block into a `CheckpointError`."""
    try:
        yield
    except LogtrickError:
        raise
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{place} cannot be read: {cause}") from error


def read_whole(descriptor: int, place: Place, limit: int) -> bytes:
    """All that a file holds, if that is at most `limit` bytes; the descriptor is closed."""
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise CheckpointError(
                f"{place} holds {size:,} bytes where at most {limit:,} are expected."
            )
        return file.read(size)


def _link_named(error: OSError, folder: int, name: str, place: Path) -> OSError:
    """The error, which says so where a link is the cause."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except (OSError, ValueError):
        return error
    if not stat.S_ISLNK(mode):
        return error
    return OSError(
        errno.ELOOP,
        f"{place} is a link, and could lead out of its folder; put what it points to in its place",
    )


def _refuse_shared(descriptor: int) -> None:
    """Refuse what is no regular file, and a file that has a second name elsewhere."""
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if facts.st_nlink > 1:
        raise OSError(
            errno.EMLINK,
            f"it has {facts.st_nlink} names (hard links), so it may be a file outside the folder; "
            "use a copy of the folder (cp -r)",
        )


def _write(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _open_temporary(folder: int, name: str) -> int:
    """An empty file of this name, which no other writer is at: its descriptor holds a lock."""
    flags = os.O_RDWR | os.O_CREAT | _FILE
    while True:
        try:
            descriptor = os.open(name, flags, 0o666, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EMLINK):
                raise
            _remove(folder, name)
            continue
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            opened = os.fstat(descriptor)
            with contextlib.suppress(FileNotFoundError):  # the writer before us has renamed it
                named = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if os.path.samestat(opened, named):
                    if stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1:
                        os.ftruncate(descriptor, 0)
                        return descriptor
                    _remove(folder, name)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove(folder: int, name: str) -> None:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(name, dir_fd=folder)  # which follows no link either
    else:
        os.unlink(name, dir_fd=folder)
