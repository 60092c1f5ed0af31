"""Tables and JSON that the commands print."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from logtrick.exact.derivation import Derivation
from logtrick.reports.statistics import summarise
from logtrick.runs.folder import resume_command, shown
from logtrick.runs.latest import no_score, together
from logtrick.runs.run import Run, Scores
from logtrick.runs.summaries import run_summary
from logtrick.runs.sweeps import Sweep
from logtrick.support.files import without_nan
from logtrick.support.terminal import console, say


def print_json(value: Any) -> None:
    """Print plain data as JSON; NaN is null."""
    print(json.dumps(without_nan(value), indent=2, allow_nan=False))


def run_table(run: Run) -> None:
    """Print the scores and times of a run."""
    record = run.record
    summary, latest = run_summary(record), record.last_episodes
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    state = "finished" if summary["finished"] else "unfinished"
    if summary["stopped_early"]:
        state = f"stopped at its score, after {summary['steps_done']:,} steps"
    table.add_row("run", escape(f"{shown(run.path)} ({state})"))
    if (score := summary["score"]) is None:
        table.add_row("return", f"– ({escape(no_score(latest))})")
    else:
        seeds = f"{summary['seeds']} seed{'s' if summary['seeds'] > 1 else ''}"
        table.add_row(
            "return",
            f"[bold]{score['mean']:.1f}[/] mean of the last {together(latest)[1]}, {seeds}",
        )
        if score["n"] > 1:
            table.add_row("", _interval(score))
    if best := record.best_evaluations:
        values = (f"{row['return']:.1f} at step {row['steps']:,}" for row in best)
        table.add_row("evaluated", f"best {', '.join(values)}")
    speed = summary["steps_per_second"]
    if speed:
        table.add_row(
            "time",
            f"{summary['seconds']:.1f} s training ({speed:,.0f} steps/s), "
            f"{summary['compile_seconds']:.1f} s compiling",
        )
    table.add_row("report", escape(shown(run.path / "report.html")))
    if not summary["finished"]:
        table.add_row("resume", escape(resume_command(run.path, run.config)))
    console().print(table, soft_wrap=True)


def evaluation_table(run: Run, scores: Scores, *, greedy: bool) -> None:
    """Print the returns of evaluation episodes."""
    how = "the most probable actions" if greedy else "sampled actions"
    table = Table(title=f"{escape(run.config.env)}, {how}, {scores.returns.shape[1]} episodes each")
    for name in ("seed", "return", "± std", "min", "max", "length"):
        table.add_column(name, justify="right")
    for s, (returns, lengths) in enumerate(zip(scores.returns, scores.lengths, strict=True)):
        numbers = (returns.mean(), returns.std(), returns.min(), returns.max(), lengths.mean())
        table.add_row(str(run.config.seed + s), *(f"{x:.1f}" for x in numbers))
    to = console()
    to.print(table)
    if len(scores.returns) > 1:
        score = summarise(scores.returns.mean(axis=1))._asdict()
        to.print(f"mean {score['mean']:.1f} · {_interval(score)}")


def sweep_table(found: Sweep) -> None:
    """Print a sweep's points, the best first."""
    rows, names = found.results, list(found.settings["values"])
    table = Table(title=f"{escape(found.settings['base']['env'])}, final returns")
    for name in ("point", *names, "mean ± std", "IQM", "95 % interval", "episodes"):
        table.add_column(name, justify="right", no_wrap=name == "point")
    for row in rows:
        settings = (escape(str(row[name])) for name in names)
        if row["iqm"] is None:
            why = "diverged" if row["diverged_or_unfinished"] else row["no_score"]
            table.add_row(row["point"], *settings, escape(why), "–", "–", "–")
            continue
        std = "" if row["std"] is None else f" ± {row['std']:.1f}"
        ends = "–" if row["low"] is None else f"[{row['low']:.1f}, {row['high']:.1f}]"
        scores = f"{row['mean']:.1f}{std}", f"{row['iqm']:.1f}", escape(ends)
        of = f"{row['episodes']:,} since step {row['since_step']:,}"
        table.add_row(row["point"], *settings, *scores, of)
    to = console()
    to.print(table)
    to.print(
        f"[dim]{escape(shown(found.path))}: results.json, results.md, and a run folder each[/]",
        soft_wrap=True,
    )


def envs_table(rows: Sequence[Any], filter_: str) -> None:
    """Print the environments."""
    to = console()
    if not rows:
        say(to, f"No environment here has {filter_!r} in its id.")
        return
    table = Table()
    table.add_column("id", no_wrap=True)
    table.add_column("on", no_wrap=True)
    table.add_column("observations → actions")
    table.add_column("trainable")
    words = {True: "yes", False: "no", None: "?"}
    lines = list(dict.fromkeys(row.install for row in rows if row.install))
    for row in rows:
        can = f"after [{lines.index(row.install) + 1}]" if row.install else words[row.trainable]
        spaces = f"{row.observation} → {row.action}" if row.observation else ""
        table.add_row(row.id, row.kind, spaces, escape(can))
    to.print(table)
    if any(row.trainable is None and not row.install for row in rows):
        to.print("[dim]?  known once it is made: logtrick train ID says so[/]")
    for number, line in enumerate(lines, 1):
        to.print(f"[dim]{escape(f'[{number}] {line}')}[/]")


def presets_table(rows: Sequence[Mapping[str, Any]], filter_: str) -> None:
    """Print the presets, and what was reached with them."""
    to = console()
    if not rows:
        say(to, f"No preset's environment has {filter_!r} in its name.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("environment", "algo"):
        table.add_column(title, no_wrap=True)
    for title in ("steps", "seeds", "IQM [95 % interval]"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        seeds, reached = "", "–"
        if (score := row["reached"]) is not None:
            seeds = str(score["seeds"])
            reached = f"{score['iqm']:.1f} [{score['low']:.1f}, {score['high']:.1f}]"
        steps = f"{row['steps'] / 1e6:g} M"
        cells = row["environment"], row["algorithm"]["name"], steps, seeds, reached
        table.add_row(*map(escape, cells))
    to.print(table)
    to.print(
        "\n[dim]Training returns over each seed's last 100 episodes or more; –: not measured.\n"
        "A short name is an id without prefix and version: logtrick train hopper.[/]",
        soft_wrap=True,
    )


def derivation_tables(name: str, source: str, found: Derivation) -> None:
    """Print the seven lines, the five identities, and what they come to."""
    to = console()
    head = f"{name}, {source} policy, γ = {found.gamma:g}, reading {found.reading!r}"
    lines, identities = (Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1)) for _ in range(2))
    for title in ("line", "value", "norm", "off", "angle", "from the line before"):
        lines.add_column(title, no_wrap=title != "from the line before")
    for line in found.rows():
        lines.add_row(*map(escape, line))
    for title in ("", "identity", "off", "what it says"):
        identities.add_column(title, no_wrap=title != "what it says")
    for identity in found.identity_rows():
        identities.add_row(*map(escape, identity))
    normaliser = f"D7, a sum over time, is {found.normaliser:.6g} × D6, one expectation."
    for part in (escape(head), lines, normaliser, identities, escape(found.sentence)):
        to.print(part)


def _interval(score: dict[str, Any]) -> str:
    """The interquartile mean of several seeds with its interval, in words."""
    return (
        f"IQM {score['iqm']:.1f}, 95 % bootstrap interval [{score['low']:.1f}, {score['high']:.1f}]"
    )
