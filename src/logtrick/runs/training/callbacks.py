"""Callbacks: functions of the user's that are called while a run is trained.

def print_entropy(visit):
    print(visit.steps, visit.rows[-1]["entropy"])
    if visit.rows[-1]["entropy"] < 0.01:
        visit.stop()

lt.train("CartPole-v1", callbacks=[print_entropy])
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from logtrick.runs.run import Run


@dataclass(frozen=True)
class Visit:
    """What a callback sees: training has come to the end of a stretch of whole updates.

    How many updates a stretch has depends on the machine's speed (about 0.25 s), except that one
    always ends where an evaluation is due.
    """

    run: Run
    """The run; its files are written up to the latest checkpoint or further."""
    steps: int
    """Transitions that the slowest seed has learned from."""
    rows: Sequence[Mapping[str, Any]]
    """The rows of `metrics.jsonl` that are new."""
    evaluations: Sequence[Mapping[str, Any]]
    """The rows of `evaluations.jsonl` that are new: none, or one for each seed."""
    _snapshot: Callable[[], tuple[Any, ...]] = field(repr=False)
    _stop: Callable[[], None] = field(repr=False)

    @functools.cached_property
    def models(self) -> tuple[Any, ...]:
        """Policy and value function of each seed as they are now, the caller's to keep.

        To be asked for during the call: when training goes on, its arrays are used up.
        """
        return self._snapshot()

    def stop(self) -> None:
        """End training here. The run is saved, and `resume` can go on with it."""
        self._stop()


Callback = Callable[[Visit], None]
"""What it raises ends training and reaches the caller of `train`, after the state was saved."""
