"""What a person sees while a run goes on: a bar on a terminal, a few lines elsewhere."""

import math
import time
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from logtrick.runs.folder import shown
from logtrick.runs.latest import LatestEpisodes, together
from logtrick.runs.run import Run
from logtrick.support.terminal import console, say

Rows = list[dict[str, Any]]
VISIBLE_AFTER = 0.5
"""Seconds for which a search may go on without a bar."""


class Observer:
    """Follows a run that is trained. This class prints only notes; subclasses show progress."""

    def begin(self, runs: Sequence[Run], updates_done: int, steps_done: int) -> None:
        """Training starts, or goes on: of one run, or of several side by side."""

    def compiled(self, seconds: float) -> None:
        """Compilation is over; it took this many seconds."""

    def visit(self, rows: Sequence[Rows], steps: int, seconds: float) -> None:
        """New metrics of each run; the steps learned from (the slowest seed's); the seconds run."""

    def evaluated(self, rows: Rows) -> None:
        """An evaluation was played: a row for each seed."""

    def note(self, message: str) -> None:
        """Print a note that the user should read."""
        say(console(stderr=True), message, label="note", style="yellow")

    def end(self, runs: Sequence[Run]) -> None:
        """Training is over, or was interrupted."""


class ProgressBar(Observer):
    """A progress bar with steps per second, the return of the last episodes and the time left.

    The return is that of `Run.final_returns`: it says over how many episodes, and since which
    step, or since when none has ended. Where standard error is no terminal, ten lines over the
    whole run instead.
    """

    def __init__(self) -> None:
        self.console = console(stderr=True)
        self.bar: Progress | None = None
        self.task = TaskID(0)

    def begin(self, runs: Sequence[Run], updates_done: int, steps_done: int) -> None:
        """Draw the empty bar; the first visit comes after compilation."""
        config, path = runs[0].config, runs[0].path
        self.total, self.first, self.lines = config.steps, steps_done, 0
        self.members = config.seeds * len(runs)
        self.start = time.perf_counter()
        self.latest = [
            LatestEpisodes(run.config, run.metrics if steps_done else ()) for run in runs
        ]
        seeds = (
            f", seeds {config.seed}–{config.seed + config.seeds - 1}" if config.seeds > 1 else ""
        )
        if len(runs) > 1:
            seeds += f" of each of {len(runs)} settings, side by side"
            path = path.parent
        where = "on the device" if config.kind == "device" else "on the host"
        again = f", resumed at step {steps_done:,}" if steps_done else ""
        if steps_done >= config.steps or all(run.stopped_early for run in runs):
            again = ", finished before"
        self.console.print(
            f"[bold]{escape(config.env)}[/] ({where}) · {config.algorithm.name} · "
            f"{config.steps:,} steps{seeds}{again}\n[dim]{escape(shown(path))}[/]"
        )
        if self.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[speed]}"),
                TextColumn("return {task.fields[score]}"),
                TimeRemainingColumn(compact=True),
                console=self.console,
            )
            self.task = self.bar.add_task(
                "compiling", total=self.total, completed=steps_done, speed="", score="–"
            )
            self.bar.start()

    def compiled(self, seconds: float) -> None:
        """Print how long compilation took; training starts now."""
        if self.bar is not None:
            self.bar.update(self.task, description="training ")
        self.console.print(f"[dim]compiled in {seconds:.1f} s[/]")

    def visit(self, rows: Sequence[Rows], steps: int, seconds: float) -> None:
        """Move the bar, and write speed and return beside it."""
        for latest, of_run in zip(self.latest, rows, strict=True):
            latest.add(of_run)
        value, of = together([x for latest in self.latest for x in latest.of_seeds()])
        score = f"{value} ({of})" if of else value
        rate = (steps - self.first) * self.members / max(seconds, 1e-9)
        speed = f"{rate:,.0f} steps/s"
        if self.bar is not None:
            done = min(steps, self.total)
            self.bar.update(self.task, completed=done, speed=speed, score=score)
        elif steps * 10 // self.total > self.lines:
            self.lines = steps * 10 // self.total
            percent = min(100, steps * 100 // self.total)
            self.console.print(f"{percent:3d}%  {speed}  return {score}")

    def evaluated(self, rows: Rows) -> None:
        """Print the mean return of the evaluation."""
        mean = sum(row["return"] for row in rows) / len(rows)
        steps = min(row["steps"] for row in rows)
        where = f"{len(rows[0]['returns'])} episodes{' each' if len(rows) > 1 else ''}"
        self.console.print(f"[dim]evaluated at {steps:,}:[/] {mean:.1f} [dim]({where})[/]")

    def note(self, message: str) -> None:
        """Print a note above the bar."""
        say(self.console, message, label="note", style="yellow")

    def end(self, runs: Sequence[Run]) -> None:
        """Stop the bar; it stays on the terminal."""
        if self.bar is not None:
            self.bar.stop()


class BoundBar:
    """A bar for a search that ends when a proved bound is small enough; only on a terminal.

    It fills with the bound's logarithm, from the first finite bound to `tol`.
    """

    def __init__(self, tol: float = 1e-8) -> None:
        self.tol, self.first = tol, math.nan
        self.bar = Progress(
            TextColumn("solving"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            console=console(stderr=True),
            transient=True,
        )
        self.task = self.bar.add_task("", total=None, words="")

    def __enter__(self) -> "BoundBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar.live.is_started:
            self.bar.stop()

    def show(self, found: Any) -> None:
        """Move on; called with what `planning.solve` reports."""
        if not self.bar.console.is_terminal or found.seconds < VISIBLE_AFTER:
            return
        self.bar.start()
        words = f"{found.iteration:,} backups, {found.seconds:.0f} s"
        if 0 < found.error_bound < math.inf:
            words += f", bound {found.error_bound:.0e}"
            self.first = found.error_bound if math.isnan(self.first) else self.first
            whole = math.log(max(self.first, 2 * self.tol) / self.tol)
            done = math.log(self.first / found.error_bound)
            self.bar.update(self.task, total=whole, completed=min(max(done, 0.0), whole))
        self.bar.update(self.task, words=words)
