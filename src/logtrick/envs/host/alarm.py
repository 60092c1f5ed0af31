"""A time limit for environments: how long they have not answered while this process ran.

Time is counted in slices, waits on the monotonic clock (`CLOCK_MONOTONIC`, which on Linux stands
still while the machine is suspended). A process that is stopped (Ctrl-Z, a debugger, a container's
pause) waits no slice, and when it is continued the one that it was in is over: whatever the length
of the stop, it counts as one slice, an eighth of the limit at most. A clock that goes on in the
meantime, an alarm set for the whole limit say, would take a stopped process for a hung environment.

In this process a thread counts, and rings the main thread by a signal (SIGURG, which nobody's
default action minds; another one where an environment has taken it). It interrupts what Python
runs: loops, sleeps, waits for a lock or a socket. What hangs inside a library's compiled code is
out of its reach, and so is every thread but the main one; Windows has no such signals. There, and
wherever an environment may bring the process down, rows belong in worker processes.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
SLICES = 8
"""Slices in a limit, at least."""
LONGEST_SLICE = 1.0
"""Seconds."""
_SIGNALS = ("SIGURG", "SIGVTALRM")
"""In the order in which they are taken."""
log = logging.getLogger("logtrick")
"""What nobody asked for and somebody should read."""


class TimedOut(Exception):
    """No environment has answered for as long as one may take."""


def slice_of(limit: float) -> float:
    """The seconds of one slice."""
    return min(limit / SLICES, LONGEST_SLICE)


def unanswered(limit: float) -> str:
    """What is said of an environment that hangs."""
    return f"did not answer within {limit:g} seconds"


class AlarmClock:
    """Rings inside a call in which no environment answers for too long; a process has one.

    Environments that are stepped in turn in one call are timed one by one: each that has answered
    says so.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._warned = False
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start anew, in a process that has no thread of ours."""
        self._thread: threading.Thread | None = None
        self._answers = self._calls = 0
        self._call: tuple[int, float] | None = None
        """(number, limit) of the call that is under way."""
        self._due: Any = None
        """The call that it rings for, and the answers in it so far."""
        self._limit = 0.0
        self._other_limit = threading.Event()
        self._lost = False

    def answered(self) -> None:
        """An environment has done what it was asked for."""
        self._answers += 1

    def run(self, call: Callable[[], T], limit: float) -> T:
        """What `call` returns; raises `TimedOut` inside it if it takes too long."""
        if threading.current_thread() is not threading.main_thread() or not self._can_ring():
            return call()
        around = self._call
        self._calls += 1
        self._call = self._calls, limit
        if limit != self._limit:
            self._limit = limit
            self._other_limit.set()
        try:
            return call()
        finally:
            self._call = around

    def _can_ring(self) -> bool:
        """Whether there is a signal for us; the thread that sends it is started."""
        if self._thread is not None and not self._lost:
            return True
        if not hasattr(signal, "pthread_kill"):
            return False
        self._signal = self._take_signal()
        if self._signal is None:
            self._say_silenced()
            return False
        self._lost = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="logtrick-alarm", daemon=True)
            self._thread.start()
        return True

    def _take_signal(self) -> int | None:
        """A signal that nobody else handles, with our handler in its place."""
        for name in _SIGNALS:
            number = getattr(signal, name)
            handler = signal.getsignal(number)
            if handler == self._ring:
                return int(number)
            if handler in (signal.SIG_DFL, signal.SIG_IGN):
                signal.signal(number, self._ring)
                return int(number)
        return None

    def _watch(self) -> None:
        """Count the slices in which nobody answered, in a thread of its own."""
        heard, slices = None, 0
        while True:
            if self._other_limit.wait(slice_of(self._limit)):
                self._other_limit.clear()
                heard = None
                continue
            self._look_for_handler()
            call, now = self._call, (self._call, self._answers)
            if call is None or now != heard:
                heard, slices = now, 0
                continue
            slices += 1
            if slices * slice_of(call[1]) >= call[1] and self._signal is not None:
                slices, self._due = 0, now
                if self._lost:
                    self._say_silenced()
                else:
                    signal.pthread_kill(threading.main_thread().ident or 0, self._signal)

    def _look_for_handler(self) -> None:
        """See whether somebody, an environment say, has taken our signal."""
        if not self._lost and self._signal is not None:
            self._lost = signal.getsignal(self._signal) != self._ring

    def _say_silenced(self) -> None:
        if not self._warned:
            log.warning(
                "Somebody else, an environment say, handles %s, so an environment that hangs in "
                'this process is not noticed; workers="async" (--workers async) puts each in a '
                "process of its own.",
                " and ".join(_SIGNALS),
            )
        self._warned = True

    def _ring(self, number: int, frame: object) -> None:
        due, self._due = self._due, None
        if due is not None and due == (self._call, self._answers):
            raise TimedOut(unanswered(due[0][1]))


CLOCK = AlarmClock()


def close_safely(close: Callable[[], object], what: str, limit: float) -> None:
    """Close what is no longer needed: a fault is logged and stops nothing, for the work is done."""
    try:
        CLOCK.run(close, limit)
    except (Exception, SystemExit) as error:
        hangs = isinstance(error, TimedOut)
        fault = str(error) if hangs else f"raised {type(error).__name__}: {error}"
        log.warning("%s: its close %s; nothing of the run is lost.", what, fault)
