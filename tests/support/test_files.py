"""Atomic writes, guarded reads, and the lock of a folder."""

import os
import resource
import select
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from logtrick.errors import CheckpointError, RunError, RunLockedError
from logtrick.support.files import (
    lock_folder,
    read_regular,
    to_json,
    write_bytes_atomic,
    write_json_atomic,
)


@pytest.fixture
def file_size_limit():
    """Let the kernel refuse writes past a size, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 500, 999])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, file_size_limit, room):
    path = tmp_path / "policy.json"
    write_bytes_atomic(path, b"old")
    file_size_limit(room)
    with pytest.raises(RunError, match=r"^Could not write .*policy.json: File too large$"):
        write_bytes_atomic(path, b"n" * 1000)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["policy.json"]


def test_the_content_is_synced_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    """Without this order a power cut could leave an empty file under the final name."""
    path, calls = tmp_path / "file", []

    def fsync(descriptor):
        target = os.readlink(f"/proc/self/fd/{descriptor}")
        calls.append((os.path.basename(target), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes_atomic(path, b"content")
    assert calls == [(".unfinished-file", False), (tmp_path.name, True)]


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "link").symlink_to(target)
    write_bytes_atomic(tmp_path / "link", b"new")
    assert target.read_text() == "precious"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_json_is_deterministic_and_strict(tmp_path):
    value = {"b": np.float64(0.1), "a": (1, np.int8(2)), "path": tmp_path, "γ": None}
    assert to_json(value).startswith(b'{"b": 0.1, "a": [1, 2], ')
    write_json_atomic(tmp_path / "config.json", value)
    assert (tmp_path / "config.json").read_text().splitlines()[1] == '  "b": 0.1,'
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for bad in (float("nan"), float("inf"), object(), {1, 2}, "\ud800", deep, np.array([np.nan])):
        with pytest.raises(RunError, match="cannot be written as JSON"):
            to_json({"value": bad})


def test_only_regular_files_of_the_expected_size_are_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(CheckpointError, match="5 bytes where at most 4"):
        read_regular(path, 4)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "missing", "nul\0byte"):
        with pytest.raises(CheckpointError):
            read_regular(tmp_path / name, 5)
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_regular("/dev/zero", 5)


# --- the lock ---------------------------------------------------------------------------------

HOLDER = """
    import os, sys, time
    from logtrick.support.files import lock_folder
    with lock_folder(sys.argv[1]):
        if sys.argv[2] == "alone" or os.fork() == 0:
            print(os.getpid(), flush=True)
        time.sleep(60)
"""


def hold(folder, how):
    """A process that holds the folder, and the process id of itself or of its forked worker."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(folder), how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def test_a_second_writer_is_refused_until_the_first_is_killed(tmp_path):
    process, pid = hold(tmp_path, "alone")
    with process:
        with pytest.raises(RunLockedError, match=f"being written by process {pid}"):
            lock_folder(tmp_path).__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait()
        with lock_folder(tmp_path):
            assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_forked_worker_that_outlives_its_parent_holds_no_lock(tmp_path):
    process, worker = hold(tmp_path, "with a worker")
    with process:
        try:
            process.send_signal(signal.SIGKILL)
            process.wait()
            with lock_folder(tmp_path):
                pass
            # Its end of the pipe is open: the worker lives.
            assert select.select([process.stdout], [], [], 0)[0] == []
        finally:
            os.kill(worker, signal.SIGKILL)


def test_two_writers_in_one_process_are_refused_too(tmp_path):
    with lock_folder(tmp_path):
        for _ in range(3):
            with pytest.raises(RunLockedError), lock_folder(tmp_path):
                pass
    with lock_folder(tmp_path):
        pass


def test_the_lock_ends_with_an_exception(tmp_path):
    with pytest.raises(KeyboardInterrupt), lock_folder(tmp_path):
        raise KeyboardInterrupt
    with lock_folder(tmp_path):
        pass


def test_a_folder_that_is_none_cannot_be_locked(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(RunError, match="Could not lock"), lock_folder(path):
            pass
