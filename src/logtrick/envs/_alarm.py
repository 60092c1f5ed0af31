"""A time limit for environments that are stepped in this process: its alarm clock (SIGALRM).

It rings in what Python runs: loops, sleeps, waits for a lock or a socket. What hangs inside a
library's compiled code is out of its reach, and so is every thread but the main one; Windows has no
such clock. There, and wherever an environment may bring the process down, rows belong in worker
processes.
"""

import math
import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LOOK_SECONDS = 1.0
"""How long it is taken for granted, between two steps, whose the alarm is: asking is not cheap."""


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
        self.look_again()

    def answered(self) -> None:
        """An environment has done what it was asked for."""
        self._answers += 1

    def look_again(self) -> None:
        """See whose the alarm is before the next call."""
        self._looked = -math.inf

    def run(self, call: Callable[[], T], seconds: float) -> T:
        """What `call` returns; raises `TimedOut` inside it if it takes too long."""
        if not _here() or not self._ours():
            return call()
        before = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
        if before[0]:  # somebody else's: it goes on
            signal.setitimer(signal.ITIMER_REAL, *before)
            return call()
        self._heard, self._seconds = self._answers, seconds
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _ours(self) -> bool:
        """Whether the alarm rings here, and for nobody else."""
        if (now := time.monotonic()) - self._looked < LOOK_SECONDS:
            return True
        handler = signal.getsignal(signal.SIGALRM)
        if handler == signal.SIG_DFL:
            signal.signal(signal.SIGALRM, self._ring)
        elif handler != self._ring:
            return False  # the caller's own, for alarms of theirs
        self._looked = now
        return True

    def _ring(self, number: int, frame: object) -> None:
        if self._answers == self._heard:
            raise TimedOut(f"did not answer within {self._seconds:g} seconds")
        self._heard = self._answers


def _here() -> bool:
    """Whether there is an alarm clock that rings in this thread."""
    main = threading.current_thread() is threading.main_thread()
    return main and hasattr(signal, "setitimer")


CLOCK = AlarmClock()
