"""A team of threads that share the blocks of a kernel."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from logtrick.support.numbers import checked_whole

#: Rows in a block. Results do not depend on the number of threads, only on this.
BLOCK = 4096
#: Multiplications below which a second thread costs more (50 µs) than it saves.
SHARED_WORK = 200_000


class Team:
    """Threads that live as long as a `with` block: a process may fork before and after it.

    Args:
        threads: how many; None takes every core that this process may use.
        tick: called after each kernel, on the thread that asked for it.
    """

    def __init__(self, threads: Any = None, tick: Callable[[], None] = lambda: None) -> None:
        if threads is not None:
            threads = checked_whole("threads", threads, 1)
        self.threads, self._tick = threads or usable_cores(), tick
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Team":
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads - 1, "logtrick-planning")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def run(
        self,
        kernel: Callable[..., Any],
        rows: int,
        work: int,
        *arguments: Any,
        block: int = BLOCK,
    ) -> None:
        """Call `kernel(first, last, block, *arguments)` so that all blocks of `rows` are done."""
        blocks = -(-rows // block)
        shares = 1
        if self._pool is not None and work >= SHARED_WORK:
            shares = min(self.threads, blocks)
        ends = [blocks * share // shares for share in range(shares + 1)]
        own, *others = itertools.pairwise(ends)
        pending = [
            self._pool.submit(kernel, first, last, block, *arguments)
            for first, last in others
            if self._pool is not None
        ]
        kernel(*own, block, *arguments)
        for other in pending:
            other.result()
        self._tick()


def num_blocks(rows: int) -> int:
    """Blocks that hold so many rows."""
    return -(-rows // BLOCK)


def usable_cores() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
