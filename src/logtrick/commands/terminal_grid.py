"""A gridworld in the terminal: shades where it shows colours, plain numbers where not."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from rich.console import Console, Group, RenderableType
from rich.measure import measure_renderables
from rich.style import Style
from rich.table import Table
from rich.text import Text

from logtrick.commands.solving import Solved
from logtrick.mdp.gridworlds import Gridworld, arrows
from logtrick.reports.plots import COLORS, blend, same_decimals

#: A cell with room for a number, and one with room for an arrow alone, in characters.
NUMBER, ARROW = 6, 2


class _Cell(NamedTuple):
    lines: tuple[str, str, str]
    """What it is called, how much, and where to."""
    style: Style


def pictures(solved: Solved, grid: Gridworld, console: Console) -> RenderableType:
    """Values with the policy, and visits: side by side where there is room."""
    columns = grid.layout.shape[1]
    if columns * ARROW > console.width:
        return Text(f"{columns} columns are more than fit here; --out grid.png draws them.", "dim")
    evaluation, states = solved.evaluation, solved.mdp.num_states
    ways = arrows(grid, solved.probabilities, solved.mdp.action_names)
    colored = console.color_system in ("truecolor", "256") and not console.no_color
    cells = _cells(grid, solved.values, ways, COLORS["line"])
    visits = _cells(grid, evaluation.visitation, [""] * states, COLORS["mark"])
    room, lines = console.width // columns, _lines(cells, colored)
    left = _picture("Values and policy", cells, lines, room, colored)
    beside = _picture("Visits", visits, lines, room, colored)
    widths = [measure_renderables(console, console.options, [p]).maximum for p in (left, beside)]
    if sum(widths) + 3 > console.width:
        below = _picture("Visits", visits, _lines(visits, colored), room, colored)
        return Group(left, "", below)
    side_by_side = Table.grid(padding=(0, 3, 0, 0))
    side_by_side.add_row(left, beside)
    return side_by_side


def _cells(
    grid: Gridworld, numbers: Float[np.ndarray, " S"], below: Sequence[str], hue: str
) -> list[list[_Cell]]:
    shades = grid.shades(numbers)
    written = same_decimals(numbers, np.isfinite(shades))

    def cell(state: int) -> _Cell:
        if state < 0:
            return _Cell(("", "####", ""), Style(color=COLORS["muted"], bgcolor=COLORS["muted"]))
        if np.isnan(shades[state]):
            style = Style(color=COLORS["muted"], bgcolor=COLORS["grid"])
            return _Cell(("", grid.names[state] or "end", ""), style)
        color = blend(COLORS["paper"], hue, float(shades[state]))
        lines = grid.names[state], written[state], below[state]
        return _Cell(lines, Style(color=COLORS["ink"], bgcolor=color))

    return [[cell(state) for state in row] for row in grid.layout.tolist()]


def _lines(cells: list[list[_Cell]], colored: bool) -> list[list[int]]:
    """Which lines of each row's cells to show: the same in all rows, to shade equal squares.

    Without colours, empty lines are left out.
    """
    used = [[k for k in range(3) if any(cell.lines[k] for cell in row)] for row in cells]
    return [sorted(set().union(*used))] * len(cells) if colored else used


def _picture(
    title: str, cells: list[list[_Cell]], lines: list[list[int]], room: int, colored: bool
) -> Text:
    """Cells of one width: room for names and numbers, or else for the arrows alone."""
    wanted = 2 + max(len(line[:8]) for row in cells for cell in row for line in cell.lines)
    width = min(wanted, room) if room >= NUMBER else ARROW
    text = Text()
    text.append(title + "\n", "bold")
    for row, shown in zip(cells, lines, strict=True):
        for k in shown if width > ARROW else [2]:
            for cell in row:
                word = f"{cell.lines[k][: width - 1]:^{width}}"
                text.append(word, cell.style if colored else None)
            text.append("\n")
        if not colored and width > ARROW:
            text.append("\n")
    text.right_crop(1 if colored else 2)
    return text
