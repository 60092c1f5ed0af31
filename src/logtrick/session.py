"""One process's work on one run: the visits between chunks of training.

At every visit the metrics are written, progress is shown, and now and then the whole state is
saved. A run that was killed at any moment goes on from its latest checkpoint and ends with the
same bits as if nothing had happened.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from logtrick import runs
from logtrick.checkpoints import CheckpointFolder
from logtrick.envs import EnvSpec
from logtrick.errors import NonFiniteError
from logtrick.logs import AppendLog
from logtrick.progress import Observer
from logtrick.run_config import RunConfig
from logtrick.runs import Run
from logtrick.tree_files import FromMetadata, made_by

VISIT_SECONDS = 0.25
"""How long the device is left alone between two visits, about."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop; it has finished what it was at and saved a checkpoint."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"Interrupted; to go on: logtrick train --resume {run.path}")
        self.run = run


class Session:
    """One process's work on one run."""

    def __init__(
        self,
        config: RunConfig,
        spec: EnvSpec,
        observer: Observer,
        checkpoint_seconds: float,
        policy: Any = None,
    ) -> None:
        from logtrick.algorithms.loop import Loop
        from logtrick.compilation import use_compilation_cache

        use_compilation_cache()
        self.config, self.observer = config, observer
        self.checkpoint_seconds = checkpoint_seconds
        self.policy = policy
        self.loop = Loop(
            config.algorithm,
            spec,
            seed=config.seed,
            num_seeds=config.seeds,
            steps=config.steps,
            workers=config.workers,
            policy=policy,
        )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()

    def run(self, path: Path) -> Run:
        """Train to the end from the latest checkpoint, or from the start."""
        run = Run(path, policy=self.policy)
        self.checkpoints = CheckpointFolder(path / runs.CHECKPOINTS)
        with (
            AppendLog(path / runs.METRICS) as self.metrics,
            AppendLog(path / runs.TIMINGS) as self.timings,
            _stop_on_signal() as stop,
        ):
            state = self._restore(path)
            self.updates, steps = int(np.max(state.updates)), int(np.min(state.steps))
            self.observer.begin(run, self.updates, steps)
            try:
                self._train(path, state, stop)
            finally:
                self.observer.end(run)
        if stop.is_set():
            raise Interrupted(run)
        return run

    def _train(self, path: Path, state: Any, stop: threading.Event) -> None:
        loop, limit = self.loop, 1
        told, training, saved = 0.0, 0.0, time.perf_counter()
        while not loop.is_done(state) and not stop.is_set():
            begin, compiled = time.perf_counter(), loop.compile_seconds
            state, metrics = loop.advance(state, limit)
            seconds = time.perf_counter() - begin - (loop.compile_seconds - compiled)
            training += seconds
            if loop.compile_seconds > told:
                self.timings.append([{"compile_seconds": loop.compile_seconds - told}])
                told = loop.compile_seconds
                self.observer.compiled(told)
            made = len(metrics["steps"])
            self._record(metrics, seconds, training)
            limit = max(1, min(4 * limit, int(made * VISIT_SECONDS / max(seconds, 1e-9))))
            if time.perf_counter() - saved > self.checkpoint_seconds and not loop.is_done(state):
                self._save(path, state)
                saved = time.perf_counter()
        self._save(path, state)

    def _record(self, metrics: dict[str, np.ndarray], seconds: float, total: float) -> None:
        """Write what the last updates measured; stop at a number that is not finite."""
        finite, active = metrics.pop("finite"), metrics.pop("active")
        bad = np.argwhere(~finite.all(axis=2))
        good = len(finite) if not len(bad) else int(bad[0, 0])
        columns = {name: values.tolist() for name, values in metrics.items()}
        rows = [
            {"update": self.updates + u + 1, "seed": self.config.seed + s}
            | {name: values[u][s] for name, values in columns.items()}
            for u in range(good)
            for s in range(self.config.seeds)
            if active[u, s]
        ]
        self.metrics.append(rows)
        self.updates += good
        steps = int(metrics["steps"][-1].min())
        self.timings.append([{"update": self.updates, "steps": steps, "seconds": seconds}])
        self.observer.visit(rows, steps, total)
        if len(bad):
            update, s = bad[0]
            first = self.loop.arrays[int(np.argmin(finite[update, s]))]
            raise NonFiniteError(
                f"Update {self.updates + 1} of seed {self.config.seed + s} produced NaN or "
                f"infinity; the first array that went bad is: {first}. Training has stopped. The "
                f"last good checkpoint, {self._last_checkpoint()}, is kept. A smaller learning "
                "rate, a gradient norm limit (max_grad_norm) or a look at the environment's "
                "rewards may help."
            )

    def _last_checkpoint(self) -> str:
        steps = self.checkpoints.steps()
        return f"update {steps[0]}" if steps else "the start (none was needed yet)"

    def _save(self, path: Path, state: Any) -> None:
        """Save the state, and the policies in it; the log up to here belongs to it."""
        self.metrics.sync()
        tree = {"state": state}
        sizes = {"metrics_bytes": self.metrics.size, "timings_bytes": self.timings.size}
        metadata: dict[str, Any] = {**sizes}
        if self.loop.host is not None and self.loop.host.envs.replayable:
            tree["host"] = self.loop.host.state()
            metadata["host"] = {k: [str(v.dtype), *v.shape] for k, v in tree["host"].items()}
        self.checkpoints.save(self.updates, tree, metadata)
        runs.write_policy(path, self.config, self.loop.program.model(state.params))

    def _restore(self, path: Path) -> Any:
        """The state to go on from, with the logs cut back to it."""
        state = self.loop.initial()
        if not self.checkpoints.steps():
            self.metrics.truncate_to(0)
            self.timings.truncate_to(0)
            self._save_first(path, state)
            return state

        def like(metadata: dict[str, Any]) -> dict[str, Any]:
            host = metadata.get("host")
            empty = host and {k: np.empty(shape, dtype) for k, (dtype, *shape) in host.items()}
            return {"state": state} | ({"host": empty} if empty else {})

        restored = self.checkpoints.latest(FromMetadata(like))
        for reason in restored.rejected:
            self.observer.note(f"A checkpoint was passed over: {reason}")
        now, then = made_by(), restored.metadata["made_by"]
        if changed := [k for k in now if now[k] != then.get(k)]:
            differences = ", ".join(f"{k} {then.get(k)} → {now[k]}" for k in changed)
            self.observer.note(
                f"This run was saved under other conditions ({differences}). It goes on from the "
                "same state, but what follows need not be what would have followed there."
            )
        self.metrics.truncate_to(restored.metadata["metrics_bytes"])
        self.timings.truncate_to(restored.metadata["timings_bytes"])
        self.timings.append([{"resumed_at": restored.step}])
        if self.loop.host is not None:
            if "host" in restored.tree:
                self.loop.host.restore(restored.tree["host"])
            else:
                self.observer.note(
                    "These environments cannot replay an episode from a seed, so fresh episodes "
                    "were started: the run goes on, but not bit for bit."
                )
        return restored.tree["state"]

    def _save_first(self, path: Path, state: Any) -> None:
        self.updates = 0
        self._save(path, state)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
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
