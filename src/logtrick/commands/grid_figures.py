"""Figures of a solved gridworld: values with the policy's arrows, and visits."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from logtrick.commands.solving import Solved
from logtrick.mdp.gridworlds import Gridworld
from logtrick.reports.plots import COLORS, SHADE, same_decimals, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Beyond so many columns or rows cells are too small for text; beyond the second, for arrows.
MOST_WRITTEN, MOST_ARROWS = 16, 64

#: A cell's side in inches, between these; a picture's longest side, if it can.
SMALLEST, LARGEST, SIDE = 0.12, 0.8, 7.0

#: The least width, in inches, of a picture with a title.
WORDS = 5.6


def values(solved: Solved, grid: Gridworld) -> "Figure":
    """Values as shades, the policy as arrows."""
    figure, (axes,) = _figure(grid, 1, edge=0.02)
    _values(axes, solved, grid)
    return figure


def visits(solved: Solved, grid: Gridworld) -> "Figure":
    """Visits as shades."""
    figure, (axes,) = _figure(grid, 1, edge=0.02)
    _shade(axes, grid, solved.evaluation.visitation, "mark", 0.0)
    return figure


def both(solved: Solved, grid: Gridworld, *, title: str, subtitle: str) -> "Figure":
    """Values and visits in one picture, under a title."""
    figure, (left, right) = _figure(grid, 2, headroom=0.85)
    _values(left, solved, grid)
    _shade(right, grid, solved.evaluation.visitation, "mark", 0.0)
    width, height = figure.get_size_inches()
    with styled():
        for axes, words in ((left, "Values and policy"), (right, "Visits")):
            axes.set_title(words, loc="left", fontsize=9.5, color=COLORS["muted"], pad=5)
        for words, below, size, role in ((title, 0.16, 13, "ink"), (subtitle, 0.42, 9, "muted")):
            weight = "bold" if role == "ink" else "normal"
            at = 0.2 / width, 1 - below / height
            figure.text(
                *at, words, fontsize=size, fontweight=weight, color=COLORS[role], va="top",
                parse_math=False,
            )  # fmt: skip
    return figure


def _figure(
    grid: Gridworld, count: int, *, headroom: float = 0.0, edge: float = 0.2
) -> "tuple[Figure, Sequence[Axes]]":
    """Empty axes of the grid's shape, side by side, or one below the other if it is wide."""
    from matplotlib.figure import Figure

    rows, columns = grid.layout.shape
    cell = float(np.clip(SIDE / max(rows, columns), SMALLEST, LARGEST))
    stacked = columns * count * cell > 1.6 * SIDE
    across, down = (1, count) if stacked else (count, 1)
    gap = 0.45
    width = across * columns * cell + (across - 1) * gap + 2 * edge
    width = max(width, WORDS if headroom else 0.0)
    height = down * rows * cell + (down - 1) * gap + 2 * edge + headroom
    with styled():
        figure = Figure(figsize=(width, height))
        axes = []
        for number in range(count):
            at, below = (0, number) if stacked else (number, 0)
            left = edge + at * (columns * cell + gap)
            bottom = edge + (down - 1 - below) * (rows * cell + gap)
            box = (left / width, bottom / height, columns * cell / width, rows * cell / height)
            axes.append(figure.add_axes(box))
    for each in axes:
        each.set(xlim=(0, columns), ylim=(rows, 0))
        each.axis("off")
    return figure, axes


def _values(axes: "Axes", solved: Solved, grid: Gridworld) -> None:
    written = max(grid.layout.shape) <= MOST_WRITTEN
    _shade(axes, grid, solved.values, "line", 0.13 if written else 0.0)
    if max(grid.layout.shape) <= MOST_ARROWS:
        _arrows(axes, solved, grid, 0.22 if written else 0.0)


def _shade(
    axes: "Axes",
    grid: Gridworld,
    numbers: Float[np.ndarray, " S"],
    hue: str,
    raised: float,
) -> None:
    """A square for each cell: a share of the hue, grey where nobody acts, dark for a wall.

    The share is the square's opacity, so that a page may exchange hue and paper (see `to_svg`).
    """
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    shades = grid.shades(numbers)
    written = same_decimals(numbers, np.isfinite(shades))
    size = _text_size(axes, grid)
    with styled():
        for row, column, state in _places(grid):
            if state < 0:
                face = to_rgba(COLORS["muted"], 0.75)
            elif np.isnan(shades[state]):
                face = to_rgba(COLORS["grid"], 0.8)
            else:
                face = to_rgba(COLORS[hue], SHADE * float(shades[state]))
            axes.add_patch(
                Rectangle((column, row), 1, 1, facecolor=face, edgecolor=COLORS["grid"], lw=0.8)
            )
            if state < 0 or max(grid.layout.shape) > MOST_WRITTEN:
                continue
            idle = bool(np.isnan(shades[state]))
            name = grid.names[state] or ("end" if idle else "")
            middle = column + 0.5, row + 0.5 - (0 if idle else raised)
            if idle:
                axes.text(
                    *middle, name, fontsize=0.85 * size, color=COLORS["muted"], ha="center",
                    va="center", parse_math=False,
                )  # fmt: skip
                continue
            axes.text(*middle, written[state], fontsize=size, ha="center", va="center")
            axes.text(
                column + 0.06, row + 0.05, name, fontsize=0.62 * size, color=COLORS["muted"],
                va="top", parse_math=False,
            )  # fmt: skip


def _arrows(axes: "Axes", solved: Solved, grid: Gridworld, lowered: float) -> None:
    """An arrow for each action that leads somewhere, as long as it is likely."""
    tails, ways = [], []
    for row, column, state in _places(grid):
        if state < 0 or grid.idle[state]:
            continue
        table = solved.probabilities[state]
        sure = table.max() > 0.95
        for action in np.flatnonzero((table > 0.05 * table.max()) & grid.directions.any(axis=1)):
            way = grid.directions[action] / np.hypot(*grid.directions[action])
            way = way * (0.36 if sure else 0.2) * table[action] / table.max()
            tails.append((row + 0.5 + lowered, column + 0.5) - sure * way / 2)
            ways.append(way)
    if not tails:
        return
    (y, x), (v, u) = np.transpose(tails), np.transpose(ways)
    with styled():
        axes.quiver(
            x, y, u, v, angles="xy", scale_units="xy", scale=1, units="x", width=0.026,
            headwidth=4.5, headlength=4, headaxislength=3.6, minlength=0.1, color=COLORS["ink"],
        )  # fmt: skip


def _places(grid: Gridworld) -> Iterator[tuple[int, int, int]]:
    for (row, column), state in np.ndenumerate(grid.layout):
        yield row, column, int(state)


def _text_size(axes: "Axes", grid: Gridworld) -> float:
    """Points, so that six characters fit into a cell."""
    side = axes.get_window_extent().width / axes.figure.dpi / grid.layout.shape[1]
    return float(min(10.5, 72 * side / 4.2))
