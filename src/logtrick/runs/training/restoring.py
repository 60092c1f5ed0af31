"""The state of what is trained side by side, saved in each run's folder and put together again."""

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from logtrick.runs.checkpoints import Restored
from logtrick.runs.training.recording import Recorder
from logtrick.runs.tree_files import changed, provenance

Note = Callable[[str], None]
"""Shows the user a message."""


def save(recorders: Sequence[Recorder], updates: int, state: Any, loop: Any) -> None:
    """Save each run's part of the state in its folder.

    Args:
        recorders: the recorder of each run.
        updates: how many were made.
        state: the training state of all members, runs × seeds.
        loop: the `Loop`, for its models and host environments.
    """
    host = loop.host
    arrays = host.state() if host is not None and host.envs.replayable else None
    for recorder in recorders:
        own = state if len(recorders) == 1 else _part(state, recorder.members)
        recorder.save(updates, own, loop.program.model, arrays)


def restore(recorders: Sequence[Recorder], state: Any, loop: Any, note: Note) -> tuple[int, Any]:
    """Go back to the newest checkpoints, logs and host environments too.

    Args:
        recorders: the recorder of each run.
        state: of the structure to be restored.
        loop: the `Loop`.
        note: called with what the user should know.

    Returns:
        (updates made, state).
    """
    found = _common_checkpoints(recorders, state)
    for recorder, restored in zip(recorders, found, strict=True):
        _note_differences(restored, note)
        recorder.cut_back(restored)
    if loop.host is not None:
        if "host" in found[0].tree:
            loop.host.restore(found[0].tree["host"])
        else:
            note(
                "These environments cannot replay an episode from a seed, so fresh episodes were "
                "started: the run continues, but not bit for bit."
            )
            # Beyond all that can have been played, so that none comes a second time.
            loop.host.start_over((found[0].step + 1) * (loop.program.num_steps + 1))
    states = [restored.tree["state"] for restored in found]
    joined = states[0]
    if len(states) > 1:
        joined = jax.tree.map(lambda *x: jnp.concatenate(x), *states)
    return found[0].step, joined


def resumption(updates: int, steps: int) -> dict[str, Any]:
    """A row of `timings.jsonl` that says when a run went on, from where, and under which versions.

    It stays as long as work that was done after it does: the logs are cut back at the next resume.

    Args:
        updates: made before.
        steps: learned from before, by the slowest seed.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"resumed": now, "update": updates, "steps": steps, "made_by": provenance()}


def _common_checkpoints(recorders: Sequence[Recorder], state: Any) -> list[Restored]:
    """Each run's newest checkpoint of a step of which all have one: a kill may come between."""
    at_most: int | None = None
    while True:
        found = [r.latest(_part(state, r.members), at_most) for r in recorders]
        steps = {restored.step for restored in found}
        if len(steps) == 1:
            return found
        at_most = min(steps)


def _note_differences(restored: Restored, note: Note) -> None:
    """Say what differs from when the checkpoint was saved, and which ones were damaged."""
    for reason in restored.rejected:
        note(f"A checkpoint was passed over: {reason}")
    if differences := changed(restored.metadata["made_by"], provenance()):
        note(
            f"This run was saved under other conditions ({differences}). It continues from the "
            "same state, but its numbers may differ from those of an uninterrupted run."
        )


def _part(state: Any, members: slice) -> Any:
    """Some members of what is trained side by side."""
    return jax.tree.map(lambda x: x[members], state)
