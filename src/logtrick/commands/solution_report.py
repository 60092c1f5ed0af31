"""How a solved MDP is presented and stored: words, rows, arrays, a picture, a report."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from logtrick.commands import grid_figures
from logtrick.commands.solving import Solved
from logtrick.errors import ConfigError
from logtrick.mdp.gridworlds import gridworld
from logtrick.reports import html as report
from logtrick.reports import plots
from logtrick.reports.html import Html, Section, element
from logtrick.support.files import to_json, write_bytes_atomic

#: States in a report's table, at most.
LISTED = 200

#: Cells of a grid that a report can show: each is an element of the page.
MOST_CELLS = 4096

#: Columns of a grid, at most, whose two pictures stand side by side.
ABREAST = 8


def facts(solved: Solved) -> dict[str, str]:
    """The headline numbers in words, each with the bound on its error."""
    mdp, found, slope = solved.mdp, solved.evaluation, solved.slope
    average = found.kind == "average"
    size = f"{mdp.num_states:,} states, {mdp.num_actions} actions, {mdp.num_outcomes:,} outcomes"
    gamma = "per step" if average else f"γ = {found.gamma:g}"
    if found.horizon is not None:
        gamma += f", {found.horizon:,} step" + "s" * (found.horizon > 1)
    return {
        "mdp": f"{solved.name}: {size}, {gamma}",
        "policy": _policy(solved),
        "r̄" if average else "J": with_error(found.objective, found.objective_error),
        "values": f"{_range(solved.values)}, each ± {found.error_bound:.0e}"
        + (", less the average (bias)" if average else ""),
        "visits": f"{with_error(float(found.visitation.sum()), found.visitation_error)}, "
        f"the sum of {_visits(solved)}",
        "‖∇J‖": f"{with_error(slope.norm, slope.error)}, by {slope.parameters}",
        "time": f"{solved.seconds:.2g} s",
    }


def _visits(solved: Solved) -> str:
    if solved.evaluation.kind == "average":
        return "shares of the time"
    return "expected visits" + ("" if solved.evaluation.gamma == 1 else ", discounted")


def _policy(solved: Solved) -> str:
    if solved.solution is None:
        return solved.source
    s = solved.solution
    method = s.method.replace("_", " ")
    best = "optimal (least)" if s.minimised else "optimal"
    return f"{best} to within {s.error_bound:.0e} ({method}, {s.iterations:,} backups)"


def with_error(value: float, error: float | None) -> str:
    """A number and how far it may be off; 0 where the number is no larger than its error.

    Example:
        >>> with_error(0.1 + 0.2, 1e-15), with_error(1e-17, 1e-15), with_error(0.5, None)
        ('0.3 ± 1e-15', '0 ± 1e-15', '0.5')
    """
    if error is None:
        return f"{value:.10g}"
    return f"{value if abs(value) > error else 0:.10g} ± {error:.0e}"


def _range(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g} … {high:.6g}"


def policy_in_words(solved: Solved, state: int) -> str:
    """What the policy does in a state: the likeliest actions first.

    Example:
        >>> from logtrick import problems
        >>> from logtrick.commands import solving
        >>> policy_in_words(solving.solve("chain", problems.chain(), "uniform"), 0)
        'forward .50, back .50'
    """
    row = solved.probabilities[state]
    likely = np.argsort(-row, kind="stable")[:4].tolist()
    if row[likely[0]] == 1:
        return solved.action_name(likely[0])
    shown = [f"{solved.action_name(a)} {row[a]:.2f}".replace(" 0.", " .") for a in likely if row[a]]
    return ", ".join(shown) + (", …" if row[likely].sum() < 0.995 else "")


def state_rows(solved: Solved, limit: int) -> list[tuple[str, str, str, str]]:
    """(state, value, visits, policy) in words: all in order, or the `limit` most visited ones."""
    found = solved.evaluation
    order = np.arange(solved.mdp.num_states)
    if len(order) > limit:
        order = np.argsort(-found.visitation, kind="stable")[:limit]
    names = solved.mdp.state_names
    return [
        (
            f"{s} {names[s]}".strip() if names else str(s),
            f"{solved.values[s]:.6g}",
            f"{found.visitation[s]:.4g}",
            policy_in_words(solved, s),
        )
        for s in order.tolist()
    ]


def check_output(path: str) -> None:
    """Refuse what cannot be written, before anything is computed.

    Raises:
        ConfigError: an ending that means nothing, or a folder that is not there.
    """
    if Path(path).suffix not in _WRITERS:
        raise ConfigError(f"--out {path}: the name must end in {', '.join(_WRITERS)}")
    if not Path(path).parent.is_dir():
        raise ConfigError(f"--out {path}: no such folder: {Path(path).parent}")


def write(solved: Solved, path: str, *, command: str = "") -> None:
    """Write a solved MDP as arrays, a picture or a report, by the ending of the name.

    Args:
        solved: what to write.
        path: ends in .npz, .json, .png or .html.
        command: the command that solves it again, for the report.

    Raises:
        ConfigError: as `check_output`; or a .png of an MDP that has no grid.
        RunError: it cannot be written.
    """
    check_output(path)
    _WRITERS[Path(path).suffix](solved, Path(path), command)


def _write_npz(solved: Solved, path: Path, command: str) -> None:
    arrays = {name: value for name, value in solved.numbers().items() if value is not None}
    arrays["action_values"] = solved.evaluation.action_values
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes_atomic(path, buffer.getvalue())


def _write_json(solved: Solved, path: Path, command: str) -> None:
    write_bytes_atomic(path, to_json(solved.numbers()))


def _write_png(solved: Solved, path: Path, command: str) -> None:
    grid = gridworld(solved.mdp)
    if grid is None:
        raise ConfigError(
            f"{solved.name} has no layout to draw; --out can also end in .html, .json or .npz"
        )
    words = facts(solved)
    objective = next(f"{name} = {words[name]}" for name in ("J", "r̄") if name in words)
    figure = grid_figures.both(
        solved, grid, title=solved.name, subtitle=f"{words['policy']}; {objective}"
    )
    plots.save_png(figure, path)


def _write_html(solved: Solved, path: Path, command: str) -> None:
    found, words = solved.evaluation, facts(solved)
    sections = [
        Section("", [report.tiles(_headline(solved))]),
        *_drawn(solved),
        Section("States", _listed(solved)),
        Section("How exact", [report.facts(words)]),
    ]
    if command:
        sections.append(Section("Run it again", [report.code(command)]))
    subtitle = f"{words['policy']}, {found.kind}, γ = {found.gamma:g}"
    report.write_report(path, solved.name, sections, subtitle=subtitle)


def _headline(solved: Solved) -> list[tuple[str, str, str]]:
    found, slope = solved.evaluation, solved.slope
    average = found.kind == "average"
    mdp = solved.mdp
    return [
        (
            "Gain r̄" if average else f"Objective J, {found.kind}",
            f"{found.objective:.6g}",
            f"± {found.objective_error:.0e}",
        ),
        (
            "Gradient ‖∇J‖",
            f"{slope.norm if slope.norm > (slope.error or 0) else 0:.6g}",
            f"by {slope.parameters}",
        ),
        ("States", f"{mdp.num_states:,}", f"{mdp.num_actions} actions"),
        ("Time", f"{solved.seconds:.2g} s", "for all numbers and their bounds"),
    ]


def _drawn(solved: Solved) -> list[Section]:
    grid = gridworld(solved.mdp)
    if grid is None or grid.layout.size > MOST_CELLS:
        return []
    captions = (
        ("Values and policy", grid_figures.values, "The stronger the colour, the higher."),
        ("Visits", grid_figures.visits, f"{_visits(solved).capitalize()}."),
    )
    size: Any = "large" if grid.layout.shape[1] <= ABREAST else "wide"
    figures = [
        report.figure(
            plots.to_svg(draw(solved, grid)),
            element("span", element("b", title), words),
            label=f"{title} on the grid",
        )
        for title, draw, words in captions
    ]
    return [Section("", [report.gallery(figures, size=size)])]


def _listed(solved: Solved) -> list[Html]:
    count = solved.mdp.num_states
    head = ("state", "value", "visits", "policy")
    table = report.table(head, state_rows(solved, LISTED), numeric=(1, 2))
    if count <= LISTED:
        return [table]
    return [report.paragraph(f"The {LISTED} most visited of {count:,} states."), table]


_WRITERS: dict[str, Callable[[Solved, Path, str], Any]] = {
    ".npz": _write_npz,
    ".json": _write_json,
    ".png": _write_png,
    ".html": _write_html,
}
