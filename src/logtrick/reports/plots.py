"""Figures of stored results; nothing is computed here.

Figures are drawn without pyplot, so that no window system is touched and the import stays light.
One hue carries the message, grey the single seeds, and everything also differs in width or dash:
it can be read in print and by colour-blind eyes.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from logtrick.reports.statistics import Curve
from logtrick.support.files import write_bytes_atomic
from logtrick.support.safe_paths import Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each role has its own colour, so that `to_svg` can hand it over to the page's style sheet.
COLORS = {
    "ink": "#1c2330",
    "muted": "#5f6b7a",
    "grid": "#e3e7ec",
    "paper": "#ffffff",
    "seed": "#a9bfd6",
    "line": "#0b5fa5",
    "band": "#cfe1f2",
    "mark": "#c4511a",
}
"""Colours by role; the mark is a vermilion that stays apart from the blue for every eye."""

SHADE = 0.55
"""The share of its hue in the darkest cell of a grid: ink stays readable on it, light or dark."""

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": COLORS["ink"],
    "figure.facecolor": COLORS["paper"],
    "axes.facecolor": "none",
    "axes.edgecolor": COLORS["muted"],
    "axes.labelcolor": COLORS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": COLORS["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": COLORS["muted"],
    "ytick.color": COLORS["muted"],
    "xtick.direction": "out",
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "logtrick",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of the library's figures."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def learning_curve(
    steps: Float[np.ndarray, " U"],
    returns: Float[np.ndarray, "U seeds"],
    curve: Curve,
    *,
    title: str,
    subtitle: str = "",
    threshold: float | None = None,
    size: tuple[float, float] = (7.2, 4.2),
) -> "Figure":
    """Return against steps: each seed thin, the interquartile mean thick, its interval a band.

    Args:
        steps: Steps per seed at each point.
        returns: Each seed's return; NaN where no episode ended.
        curve: What `statistics.curve` makes of `returns`.
        title: What was trained, in a few words.
        subtitle: What lines and band are.
        threshold: A return worth a line: the one at which the task counts as solved.
        size: Width and height in inches.

    Returns:
        A figure for `to_png` or `to_svg`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with styled():
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
        axes = figure.add_subplot()
        _draw(axes, steps, returns, curve)
        if threshold is not None:
            _mark(axes, threshold)
        axes.set_xlabel("Environment steps per seed")
        axes.set_ylabel("Episode return")
        if title:
            _heading(axes, title, subtitle)
        return figure


def panel(
    steps: Float[np.ndarray, " U"],
    values: Float[np.ndarray, "U seeds"],
    curve: Curve,
    *,
    size: tuple[float, float] = (3.5, 2.1),
) -> "Figure":
    """One small diagram of a set: a diagnostic against steps, drawn like `learning_curve`."""
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=size)
        # The same margins in each, so that the diagrams of a set stand in line.
        axes = figure.add_axes((0.155, 0.14, 0.79, 0.81))
        _draw(axes, steps, values, curve, thin=0.6, thick=1.6)
        axes.locator_params(axis="both", nbins=4)
        return figure


def _draw(
    axes: "Axes",
    steps: Float[np.ndarray, " U"],
    values: Float[np.ndarray, "U seeds"],
    curve: Curve,
    *,
    thin: float = 0.7,
    thick: float = 2.2,
) -> None:
    from matplotlib.ticker import FuncFormatter

    if np.isfinite(curve.low).any():
        axes.fill_between(steps, curve.low, curve.high, color=COLORS["band"], linewidth=0)
    if values.shape[1] > 1:
        for seed in values.T:
            known = np.isfinite(seed)  # a gap is bridged, for a lone point would not be seen
            axes.plot(steps[known], seed[known], color=COLORS["seed"], linewidth=thin)
    known = np.isfinite(curve.middle)
    alone = "o" if known.sum() == 1 else ""
    axes.plot(
        steps[known], curve.middle[known], color=COLORS["line"], linewidth=thick, marker=alone
    )
    if not np.isfinite(values).any():
        axes.text(0.5, 0.5, "no values yet", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
    if len(steps):
        axes.set_xlim(0, max(1.0, float(steps[-1])))
    axes.margins(y=0.08)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda x, _: short_number(x)))


def _mark(axes: "Axes", threshold: float) -> None:
    axes.axhline(threshold, color=COLORS["mark"], linewidth=1.1, linestyle=(0, (5, 3)), zorder=1.5)
    # On the left, where a curve that has something to learn is still below.
    axes.annotate(
        f"solved at {threshold:g}",
        (0, threshold),
        xycoords=axes.get_yaxis_transform(),
        xytext=(3, -4),
        textcoords="offset points",
        color=COLORS["mark"],
        fontsize=8.5,
        va="top",
    )


def _heading(axes: "Axes", title: str, subtitle: str) -> None:
    # parse_math: a run's name is text, even with dollar signs in it.
    axes.set_title(title, loc="left", fontsize=12.5, fontweight="bold", pad=24, parse_math=False)
    axes.annotate(
        subtitle,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 10),
        textcoords="offset points",
        color=COLORS["muted"],
        fontsize=9,
        parse_math=False,
    )


def short_number(x: int | float) -> str:
    """A number as an axis shows it.

    Example:
        >>> [short_number(x) for x in (0, -0.05, 500, 25_000, 1_500_000)]
        ['0', '−0.05', '500', '25 k', '1.5 M']
    """
    size, unit = next((s for s in ((1e6, " M"), (1e3, " k")) if abs(x) >= s[0]), (1, ""))
    return f"{x / size:.4g}{unit}".replace("-", "−")


def same_decimals(numbers: Float[np.ndarray, " S"], shown: Bool[np.ndarray, " S"]) -> list[str]:
    """Numbers with as many decimals as three digits of the largest shown one need.

    Example:
        >>> same_decimals(np.array([0.5, 12.345, -3e-9]), np.ones(3, bool))
        ['0.5', '12.3', '0.0']
    """
    largest = float(np.abs(numbers[shown]).max(initial=0.0))
    if largest >= 1e5 or 0 < largest < 1e-2:
        return [f"{x:.1e}" for x in numbers]
    places = max(0, 2 - int(np.floor(np.log10(largest)))) if largest > 0 else 0
    return [f"{x + 0.0 if round(float(x), places) else 0.0:.{places}f}" for x in numbers]


def blend(paper: str, hue: str, shade: float) -> str:
    """A colour between paper and hue on which ink can still be read, for a shade from 0 to 1.

    Example:
        >>> blend("#ffffff", "#000000", 1.0)
        '#737373'
    """
    parts = [(int(paper[k : k + 2], 16), int(hue[k : k + 2], 16)) for k in (1, 3, 5)]
    mixed = (round(p + SHADE * shade * (h - p)) for p, h in parts)
    return "#" + "".join(f"{part:02x}" for part in mixed)


def to_png(figure: "Figure", *, dpi: int = 160) -> bytes:
    """The figure as a PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: "Figure") -> str:
    """The figure as an `<svg>` element for a page; the page's style gives font and colours.

    The page defines a CSS variable for each key of `COLORS` (`--ink`, …), in light and dark.
    """
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for needless in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->"):
        svg = re.sub(needless, "", svg, flags=re.DOTALL)
    # Several figures share a page: only ids that something refers to (they are hashes) may stay.
    used = set(re.findall(r"#(\w+)", svg))
    svg = re.sub(r'(<\w+) id="([^"]*)"', lambda m: m[0] if m[2] in used else m[1], svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg)
    return re.sub(r'style="[^"]*"', _page_style, svg).strip()


def _page_style(style: re.Match[str]) -> str:
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", style[0])
    for role, color in COLORS.items():
        text = text.replace(color, f"var(--{role})")
    return text


def save_png(figure: "Figure", path: Place) -> None:
    """Write the figure as a PNG; a reader finds the old or the new file, whole."""
    write_bytes_atomic(path, to_png(figure))
