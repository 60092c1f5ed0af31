"""What other processes are at: whether one is stopped."""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PROC = Path("/proc")


def stopped(processes: Sequence[int]) -> set[int]:
    """Those of these processes that are stopped (SIGSTOP, Ctrl-Z, a debugger) and run nothing.

    Linux tells it in `/proc/PID/stat`; elsewhere (macOS) `ps` is asked. Where neither is there,
    none is known to be.

    Args:
        processes: their ids.
    """
    if not processes:
        return set()
    if (_PROC / "self" / "stat").exists():
        return {pid for pid in processes if _state_in_proc(pid) in ("T", "t")}
    command = ["ps", "-o", "pid=,stat=", "-p", ",".join(map(str, processes))]
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        listed = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        lines = [line.split() for line in listed.stdout.splitlines()]
        return {int(pid) for pid, state in lines if state[:1] in ("T", "t")}
    return set()


def _state_in_proc(pid: int) -> str:
    """The letter behind the name, which stands in brackets and may hold some itself."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
