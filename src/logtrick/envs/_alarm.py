"""A time limit for environments that are stepped in this process: its alarm clock (SIGALRM).

It rings in what Python runs: loops, sleeps, waits for a lock or a socket. What hangs inside a
library's compiled code is out of its reach, and so is every thread but the main one; Windows has no
such clock. There, and wherever an environment may bring the process down, rows belong in worker
processes.
"""

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TimedOut(Exception):
    """No environment has answered for as long as one may take."""


class AlarmClock:
    """Rings inside a call in which no environment answers for too long; a process has one.

    Environments that are stepped in turn in one call are timed one by one: each that has answered
    says so. One that hangs is found after one to two times the limit.
    """

    def __init__(self) -> None:
        self._answers = self._heard = 0
        self._seconds = 0.0

    def answered(self) -> None:
        """An environment has done what it was asked for."""
        self._answers += 1

    def run(self, call: Callable[[], T], seconds: float) -> T:
        """What `call` returns; raises `TimedOut` inside it if it takes too long."""
        if not _free():
            return call()
        if (handler := signal.getsignal(signal.SIGALRM)) != self._ring:
            if handler != signal.SIG_DFL:
                return call()  # the caller's own, for alarms of theirs
            signal.signal(signal.SIGALRM, self._ring)
        self._heard, self._seconds = self._answers, seconds
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: object) -> None:
        if self._answers == self._heard:
            raise TimedOut(f"did not answer within {self._seconds:g} seconds")
        self._heard = self._answers


def _free() -> bool:
    """Whether there is an alarm clock that rings here, and nobody else has set it."""
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    )


CLOCK = AlarmClock()
