"""How a run is presented: its learning curve and its report."""

import dataclasses
import datetime
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from logtrick.envs.spec import TIMEOUT
from logtrick.reports import html as report
from logtrick.reports import plots
from logtrick.reports.html import Html, Section, element
from logtrick.reports.statistics import Summary
from logtrick.runs.config import RunConfig, given_in_python
from logtrick.runs.folder import CURVE, REPORT, resume_command, shown
from logtrick.runs.latest import FINAL_EPISODES, Latest, no_score, together
from logtrick.runs.record import RunRecord
from logtrick.runs.summaries import Series, run_summary, series, solved_at
from logtrick.runs.tree_files import changed
from logtrick.support.spaces import in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from logtrick.rollouts.filming import Film

DIAGNOSTICS = {
    "episode_length": ("Episode length", "mean over the episodes that ended in an update"),
    "entropy": ("Entropy", "of the policy; it falls as the policy makes up its mind"),
    "explained_variance": (
        "Explained variance",
        "1 − Var(target − V) / Var(target): 1 is a perfect value function, 0 a constant",
    ),
    "approx_kl": ("KL divergence", "from the policy that acted to the updated one, estimated"),
    "clip_fraction": ("Clip fraction", "share of samples whose ratio left 1 ± ε"),
    "policy_loss": ("Policy loss", "the surrogate that is minimised; it need not fall"),
    "value_loss": ("Value loss", "of the learned value function"),
    "grad_norm": ("Gradient norm", "before it is limited"),
}
"""Metrics that are drawn, in this order, if a run has them: title and what they mean."""


def write_run_report(record: RunRecord, *, film: "Film | None" = None) -> Path:
    """Write a run's `learning_curve.png` and `report.html`.

    Args:
        record: what the run's folder holds.
        film: an episode to be shown in the report.

    Returns:
        The report's path.
    """
    summary = run_summary(record)
    title = f"{summary['env']} · {summary['algorithm'].upper()}"
    latest = record.last_episodes
    until = min((x.last_step for x in latest if x.is_old), default=math.inf)
    returns = series(record.metrics, "episode_return", until=until)
    threshold = solved_at(summary["env"])
    seeds = summary["seeds"]
    subtitle = "One seed" if seeds == 1 else f"{_MIDDLE} of {seeds} seeds; thin lines: single seeds"
    png = plots.learning_curve(*returns, title=title, subtitle=subtitle, threshold=threshold)
    plots.save_png(png, record.folder / CURVE)
    state = "finished" if summary["finished"] else "unfinished"
    sections = [
        Section("", [report.tiles(_headline(summary, latest))]),
        Section("Learning curve", [_learning_curve(returns, threshold, latest)]),
        *_evaluations(record),
        *_episode(record, film),
        Section("Which gradient this run ascended", [report.paragraph(_estimand(record))]),
        Section("While it learned", [report.gallery(_diagnostics(record, until))]),
        Section("Seeds", _seeds(latest)),
        Section("Settings", [report.facts(_settings(record))]),
        Section("Made with", [report.facts(_readable(record.config.provenance))]),
        *_resumptions(record),
        Section("Run it again", _again(record)),
    ]
    path = record.folder / REPORT
    report.write_report(path, title, sections, subtitle=f"{record.path.name}, {state}")
    return path.path


_MIDDLE = "Interquartile mean with 95 % bootstrap interval"


def _headline(summary: Mapping[str, Any], latest: Sequence[Latest]) -> list[tuple[str, str, str]]:
    seeds = summary["seeds"]
    several = f"{seeds} seeds" if seeds > 1 else "one seed"
    if summary["score"] is None:
        scores = [("Final return", "–", no_score(latest))]
    else:
        score = Summary(**summary["score"])
        remark = f"mean ± {score.std:.1f} (std), {several}" if seeds > 1 else several
        remark += f", {together(latest)[1]}"
        scores = [("Final return", f"{score.mean:.1f}", remark)]
        if seeds > 1:
            interval = f"95 % interval [{score.low:.1f},\u00a0{score.high:.1f}]"
            scores.append(("Interquartile mean", f"{score.iqm:.1f}", interval))
    speed = summary["steps_per_second"]
    whole = plots.short_number(summary["steps"])
    unfinished = "" if summary["finished"] else f"; {whole} were asked for"
    return [
        *scores,
        ("Steps", plots.short_number(summary["steps_done"]), f"per seed, {several}{unfinished}"),
        (
            "Training",
            _duration(summary["seconds"]),
            f"and {_duration(summary['compile_seconds'])} compiling",
        ),
        ("Speed", f"{speed:,.0f}" if speed else "–", "steps per second, all seeds"),
    ]


def _duration(seconds: float) -> str:
    """A time as a clock would say it.

    Example:
        >>> [_duration(s) for s in (1.24, 75.0, 7300.0)]
        ['1.2 s', '1 min 15 s', '2 h 1 min']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _learning_curve(returns: Series, threshold: float | None, latest: Sequence[Latest]) -> Html:
    caption = "Mean return of the episodes that ended, as training went on."
    if any(x.is_old for x in latest):
        caption += f" It stops where they did: {no_score(latest)}."
    return _curve_figure(returns, threshold, caption, "Episode return against environment steps")


def _curve_figure(returns: Series, threshold: float | None, caption: str, label: str) -> Html:
    def draw(size: tuple[float, float]) -> str:
        drawn: Figure = plots.learning_curve(*returns, title="", threshold=threshold, size=size)
        return plots.to_svg(drawn)

    words: Html | str = caption
    if returns.values.shape[1] > 1:
        keys = [
            element("span", "interquartile mean of the seeds", class_="key line"),
            element("span", "its 95 % bootstrap interval", class_="key band"),
            element("span", "single seeds", class_="key seed"),
        ]
        words = Html(element("div", *keys) + element("div", words))
    return report.figure(draw((8.8, 4.2)), words, label=label, narrow=draw((3.7, 3.1)))


def _evaluations(record: RunRecord) -> list[Section]:
    """The curve of the evaluations, where there were any."""
    rows, config = record.evaluations, record.config.evaluation
    if not rows or config is None:
        return []
    rows = [row | {"episodes": config.episodes} for row in rows]
    actions = "the most probable" if config.greedy else "sampled"
    drawn = _curve_figure(
        series(rows, "return"),
        config.stop_at,
        f"Mean return of {config.episodes} fresh episodes with {actions} actions.",
        "Return of evaluations against environment steps",
    )
    best = {
        f"seed {row['seed']}": f"{row['return']:.2f} at step {row['steps']:,}"
        for row in record.best_evaluations
    }
    words = "The best evaluation of each seed; `best_policy.safetensors` holds these policies."
    return [Section("Evaluations", [drawn, report.paragraph(words), report.facts(best)])]


def _episode(record: RunRecord, film: "Film | None") -> list[Section]:
    if film is None:
        return []
    words = (
        f"One episode of seed {record.config.seed}, return {film.episode_return:.1f}: one episode, "
        "not a score."
    )
    return [Section("An episode", [report.animation(film.gif(), words)])]


def _diagnostics(record: RunRecord, until: float | int) -> list[Html]:
    figures = []
    for name, (title, meaning) in DIAGNOSTICS.items():
        found = series(
            record.metrics, name, until=until if name.startswith("episode_") else math.inf
        )
        of_critic = name in ("explained_variance", "value_loss")
        meant = record.config.algorithm.has_critic or not of_critic
        if meant and np.isfinite(found.values).any():
            caption = element("span", element("b", title), meaning)
            svg = plots.to_svg(plots.panel(*found))
            figures.append(report.figure(svg, caption, label=f"{title} against environment steps"))
    return figures


def _seeds(latest: Sequence[Latest]) -> list[Html]:
    words = (
        "Each seed's final return: the mean over the episodes of its last updates, at least "
        f"{FINAL_EPISODES} of them where there were as many."
    )
    counts = "; ".join(f"seed {x.seed}: {x.measured}" for x in latest if x.is_score)
    words += f" Here: {counts}." if counts else ""
    scores = {f"seed {x.seed}": _of_seed(x) for x in latest}
    return [report.paragraph(words), report.facts(scores)]


def _of_seed(latest: Latest) -> str:
    if not latest.episodes:
        return "no episode ended"
    return latest.missing or f"{latest.episode_return:.2f}"


def _estimand(record: RunRecord) -> str:
    sentence = record.config.algorithm.estimates.strip()
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _settings(record: RunRecord) -> dict[str, Any]:
    config = record.config
    plain = {
        "environment": config.env,
        "where it runs": "on the device" if config.kind == "device" else "on the host",
        "observation space": in_words(config.observation_space),
        "action space": in_words(config.action_space),
        "time limit": config.max_episode_steps,
        "steps per seed": config.steps,
        "first seed": config.seed,
        "seeds": config.seeds,
    }
    return plain | {"algorithm": config.algorithm.name} | dataclasses.asdict(config.algorithm)


def _readable(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " "): value for name, value in provenance.items()}


def _resumptions(record: RunRecord) -> list[Section]:
    """The times at which the run was resumed, if it ever was."""
    before, history = record.config.provenance, {}
    for row in record.resumptions:
        at = f"after update {row['update']:,}, {row['steps']:,} steps per seed"
        time = datetime.datetime.fromisoformat(row["resumed"])
        history[f"{time:%Y-%m-%d %H:%M %Z}"] = (
            f"{at}; {changed(before, row['made_by']) or 'as before'}"
        )
        before = row["made_by"]
    if not history:
        return []
    words = (
        "Training stopped before its end, and went on from a checkpoint: to the same bits as "
        "without the stop where versions, device and environment allow it, else to another sample "
        "of the same experiment."
    )
    return [Section("Resumed", [report.paragraph(words), report.facts(history)])]


def _again(record: RunRecord) -> list[Html]:
    given = given_in_python(record.config)
    return [
        report.paragraph(
            "The same run from the start; bit for bit with the versions and the device above:"
        ),
        report.code(_program(record.config, given)),
        report.paragraph("Its policies on fresh episodes, and its interrupted training:"),
        report.code(_afterwards(record, given)),
    ]


def _program(config: RunConfig, given: Mapping[str, str]) -> str:
    """The Python program that trains the same run again."""
    kind: Any = type(config.algorithm)
    default = kind()
    changed = ", ".join(
        f"{field.name}={getattr(config.algorithm, field.name)!r}"
        for field in dataclasses.fields(kind)
        if getattr(config.algorithm, field.name) != getattr(default, field.name)
    )
    env = "env" if "env" in given else repr(config.env)
    arguments = [
        f"{env}, lt.{kind.__name__}({changed})",
        f"steps={config.steps}, seed={config.seed}, seeds={config.seeds}",
    ]
    if config.env_kwargs:
        arguments.append(f"env_kwargs={dict(config.env_kwargs)!r}")
    if config.workers != "sync":
        arguments.append(f"workers={config.workers!r}")
    if config.timeout != TIMEOUT:
        arguments.append(f"timeout={config.timeout:g}")
    if config.evaluation is not None:
        arguments.append(f"evaluation=lt.{config.evaluation!r}")
    if "policy" in given:
        arguments.append("policy=policy")
    made = "".join(f"{name} = ...  # {what}\n" for name, what in given.items())
    separator = ",\n         "
    return f"import logtrick as lt\n\n{made}lt.train({separator.join(arguments)})"


def _afterwards(record: RunRecord, given: Mapping[str, str]) -> str:
    """The commands that evaluate the run and resume it."""
    path = shown(record.path)
    if not given:
        return f"logtrick eval {shlex.quote(path)}\n{resume_command(record.path, record.config)}"
    loaded = f"{path!r}, policy=policy" if "policy" in given else repr(path)
    env = "env=env" if "env" in given else ""
    return f"lt.load({loaded}).evaluate({env})\n{resume_command(record.path, record.config)}"
