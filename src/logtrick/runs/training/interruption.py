"""Ctrl-C and SIGTERM: the first asks a process to finish its work, a second one ends it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from logtrick.runs.folder import resume_command
from logtrick.runs.run import Run


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop; it has finished its updates and saved a checkpoint."""

    def __init__(self, run: Run, command: str | None = None) -> None:
        command = command or resume_command(run.path, run.config)
        super().__init__(f"Interrupted; to resume: {command}")
        self.run = run


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Set an event at the first Ctrl-C or SIGTERM; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signals = signal.SIGINT, signal.SIGTERM
    before = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in signals:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
