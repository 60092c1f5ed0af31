"""One process's work on runs: the visits between chunks of training.

At every visit the metrics are written, progress is shown, and now and then the whole state is
saved. A run that was killed at any moment goes on from its latest checkpoint and ends with the
same bits as if nothing had happened.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from logtrick.envs import EnvSpec
from logtrick.errors import ConfigError, NonFiniteError
from logtrick.runs.config import RunConfig
from logtrick.runs.record import has_reached
from logtrick.runs.run import Run
from logtrick.runs.training.callbacks import Callback, Visit
from logtrick.runs.training.interruption import Interrupted, stop_on_signal
from logtrick.runs.training.progress import Observer, Rows
from logtrick.runs.training.recording import Recorder
from logtrick.runs.training.restoring import restore, resumption, save
from logtrick.support.safe_paths import Place

VISIT_SECONDS = 0.25
"""How long the device is left alone between two visits, about."""

_EVALUATION = 0x6576616C
"""Keeps the seeds of evaluations apart from those of training ("eval" in ASCII)."""


class Session:
    """One process's work on one run, or on several side by side.

    Args:
        configs: the configuration of each run. Several differ only in the numbers of their
            algorithms, and are on a device environment, without evaluations or callbacks.
        spec: the environment that the runs are trained on.
        observer: gets every visit, and shows progress.
        checkpoint_seconds: seconds between two checkpoints.
        callbacks: the user's functions, each called at every visit.
        policy: a user's own, where the run is trained with one.

    Raises:
        ConfigError: checkpoints that would never come.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        spec: EnvSpec,
        observer: Observer,
        checkpoint_seconds: float,
        callbacks: Sequence[Callback] = (),
        policy: Any = None,
    ) -> None:
        from logtrick.runs.training.side_by_side import loop_of
        from logtrick.support.programs import use_compilation_cache

        _check(checkpoint_seconds, callbacks)
        use_compilation_cache()
        self.config = config = configs[0]
        self.observer, self.callbacks = observer, callbacks
        self.checkpoint_seconds = checkpoint_seconds
        self.policy = policy
        self.evaluator = _evaluator(config, spec)
        self.loop = loop_of(configs, spec, policy)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.close()
        if self.evaluator is not None:
            self.evaluator.close()

    def run(self, paths: Sequence[Place]) -> list[Run]:
        """Train to the end from the latest checkpoint, or from the start.

        Args:
            paths: the run folders, one for each configuration.
        """
        with contextlib.ExitStack() as stack:
            seeds = self.config.seeds
            self.recorders = [
                stack.enter_context(Recorder(path, place * seeds, self.policy))
                for place, path in enumerate(paths)
            ]
            self.recorder = self.recorders[0]
            interrupted = stack.enter_context(stop_on_signal())
            self.stop = threading.Event()
            state = self._restore()
            found = [recorder.run for recorder in self.recorders]
            self.observer.begin(found, self.updates, _slowest(state))
            try:
                self._train(state, interrupted)
            finally:
                self.observer.end(found)
        if interrupted.is_set():
            raise Interrupted(found[0])
        return found

    def _train(self, state: Any, interrupted: threading.Event) -> None:
        loop, limit = self.loop, 1
        compiling, training, saved = 0.0, 0.0, time.perf_counter()
        evaluations = self._evaluate(state)  # one that a killed process owed
        while not self._is_over(state) and not self.stop.is_set() and not interrupted.is_set():
            begin, compiled = time.perf_counter(), loop.compile_seconds
            state, metrics = loop.advance(state, min(limit, self._updates_to_evaluation(state)))
            seconds = time.perf_counter() - begin - (loop.compile_seconds - compiled)
            training += seconds
            if loop.compile_seconds > compiling:
                self._time({"compile_seconds": loop.compile_seconds - compiling})
                compiling = loop.compile_seconds
                self.observer.compiled(compiling)
            made = len(metrics["steps"])
            rows = self._record(metrics, seconds, training)
            limit = max(1, min(4 * limit, int(made * VISIT_SECONDS / max(seconds, 1e-9))))
            with self._saving_what_there_is(state):
                evaluations += self._evaluate(state)
                self._call_back(state, rows, evaluations)
            evaluations = []
            if time.perf_counter() - saved > self.checkpoint_seconds and not self._is_over(state):
                self._save(state)
                saved = time.perf_counter()
        self._save(state)

    def _is_over(self, state: Any) -> bool:
        last = self.recorder.last_evaluation
        return self.loop.is_done(state) or has_reached(last, self.config.evaluation)

    def _record(self, metrics: dict[str, np.ndarray], seconds: float, total: float) -> Rows:
        """Write what the last updates measured; stop at a number that is not finite."""
        finite, active = metrics.pop("finite"), metrics.pop("active")
        diverged, first_bad = metrics.pop("diverged", None), metrics.pop("first_bad", None)
        bad = np.argwhere(~finite.all(axis=2))
        good = len(finite) if not len(bad) else int(bad[0, 0])
        columns = {name: values.tolist() for name, values in metrics.items()}
        begin = self.updates + 1
        rows = [recorder.record(columns, active[:good], begin) for recorder in self.recorders]
        self.updates += good
        steps = int(metrics["steps"][-1].min())
        self._time({"update": self.updates, "steps": steps, "seconds": seconds})
        self.observer.visit(rows, steps, total)
        if diverged is not None and first_bad is not None:
            for u, member in np.argwhere(diverged):
                self._say_diverged(begin + int(u), int(member), int(first_bad[u, member]))
        if len(bad):
            update, s = bad[0]
            self._refuse_to_go_on(int(s), int(np.argmin(finite[update, s])))
        return rows[0]

    def _time(self, row: dict[str, Any]) -> None:
        for recorder in self.recorders:
            recorder.time(row)

    def _say_diverged(self, update: int, member: int, array: int) -> None:
        place, s = divmod(member, self.config.seeds)
        self.observer.note(
            f"{self.recorders[place].path.name}, seed {self.config.seed + s}: update {update} "
            f"produced NaN or infinity; the first array that went bad is: {self.loop.arrays[array]}"
            ". This seed is not trained further; the others continue."
        )

    def _refuse_to_go_on(self, s: int, array: int) -> None:
        raise NonFiniteError(
            f"Update {self.updates + 1} of seed {self.config.seed + s} produced NaN or infinity; "
            f"the first array that went bad is: {self.loop.arrays[array]}. Training has stopped. "
            f"The last good checkpoint, {self._last_checkpoint()}, is kept. A smaller learning "
            "rate, a gradient norm limit (max_grad_norm) or a look at the environment's rewards "
            "may help."
        )

    def _last_checkpoint(self) -> str:
        steps = self.recorder.checkpoints.steps()
        return f"update {steps[0]}" if steps else "the start (none was needed yet)"

    # --- evaluations and callbacks --------------------------------------------------------------

    def _updates_to_evaluation(self, state: Any) -> int:
        """Updates that can be made without passing the one after which an evaluation is due."""
        if (evaluation := self.config.evaluation) is None:
            return 2**31 - 1
        at_most = self.config.algorithm.num_envs * self.loop.program.num_steps  # in one update
        missing = evaluation.every - _slowest(state) % evaluation.every
        return -(-missing // at_most)

    def _evaluate(self, state: Any) -> Rows:
        """Play the evaluation that is due, if one is."""
        if self.evaluator is None or not self._is_due(state):
            return []
        import jax

        begin = time.perf_counter()
        params = jax.device_get(state.params)
        # Fresh episodes every time, the same ones when this update is made again.
        entropy = (self.config.seed, self.updates, _EVALUATION)
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)
        returns, lengths = self.evaluator.play(self._models(params), seed)
        steps = np.asarray(state.steps)
        rows = self.recorder.evaluated(self.updates, steps, returns, lengths, params)
        seconds = time.perf_counter() - begin
        self.recorder.time({"update": self.updates, "evaluation_seconds": seconds})
        self.observer.evaluated(rows)
        return rows

    def _is_due(self, state: Any) -> bool:
        """Whether an evaluation belongs to this state and was not played yet."""
        assert self.config.evaluation is not None
        every = self.config.evaluation.every
        last = self.recorder.last_evaluation
        if last and last[0]["update"] == self.updates:
            return False
        before = min((row["steps"] for row in last), default=0)
        return self.loop.is_done(state) or _slowest(state) // every > before // every

    def _models(self, params: Any) -> tuple[Any, ...]:
        """Each seed's model, with arrays [seeds, …] of NumPy."""
        import jax

        model = self.loop.program.model(params)
        return tuple(jax.tree.map(lambda x, s=s: x[s], model) for s in range(self.config.seeds))

    def _call_back(self, state: Any, rows: Rows, evaluations: Rows) -> None:
        import jax

        if not self.callbacks:
            return

        def snapshot() -> tuple[Any, ...]:
            return self._models(jax.device_get(state.params))

        run, steps = self.recorder.run, _slowest(state)
        visit = Visit(run, steps, rows, evaluations, snapshot, self.stop.set)
        for callback in self.callbacks:
            callback(visit)

    @contextmanager
    def _saving_what_there_is(self, state: Any) -> Iterator[None]:
        """Nothing is lost where an evaluation or a callback raises."""
        try:
            yield
        except BaseException:
            self._save(state)
            raise

    # --- saving and restoring -------------------------------------------------------------------

    def _save(self, state: Any) -> None:
        save(self.recorders, self.updates, state, self.loop)

    def _restore(self) -> Any:
        """The state to go on from, with the logs cut back to it."""
        state = self.loop.initial()
        self.updates = 0
        if all(recorder.checkpoints.steps() for recorder in self.recorders):
            self.updates, state = restore(self.recorders, state, self.loop, self.observer.note)
            if self.updates and not self._is_over(state):
                self._time(resumption(self.updates, _slowest(state)))
            return state
        for recorder in self.recorders:
            recorder.cut_back(None)
        self._save(state)
        return state


def _check(seconds: Any, callbacks: Any) -> None:
    if not isinstance(seconds, int | float | np.number) or not seconds >= 0:
        raise ConfigError(f"checkpoint_seconds={seconds!r}; it must be a number, at least 0.")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise ConfigError(f"callbacks={callbacks!r:.200}; give a list of functions.")


def _slowest(state: Any) -> int:
    """Transitions that the slowest seed has learned from."""
    return int(np.asarray(state.steps).min())


def _evaluator(config: RunConfig, spec: EnvSpec) -> Any:
    """The `Evaluator` that plays the run's evaluations; None if it has none."""
    from logtrick.rollouts.evaluation import Evaluator

    if (evaluation := config.evaluation) is None:
        return None
    if spec.num_envs is not None:
        raise ConfigError(
            f"{spec.id} was given as an object, and evaluation needs environments of its own: pass "
            "a function that makes one."
        )
    return Evaluator(
        spec,
        evaluation.episodes,
        greedy=evaluation.greedy,
        max_steps=evaluation.max_steps,
        workers=config.workers,
        timeout=config.timeout,
    )
