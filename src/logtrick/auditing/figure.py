"""The cloud of sampled gradients around the exact arrow."""

import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from logtrick.errors import ConfigError
from logtrick.support.files import write_bytes_atomic

BATCHES = 200
"""Points in the cloud."""
INK, CLOUD = "#1c2330", "#a9bfd6"
ARROWS = (("#c4511a", "--"), ("#0b5fa5", "-"))
"""Colour and line of the first arrow, and of the second."""


def kind_of(path: str | PathLike[str]) -> str:
    """The format that a figure's name asks for.

    Raises:
        ConfigError: it ends in none of .png, .svg and .pdf.
    """
    kind = Path(path).suffix.removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ConfigError(f"{path}: a figure is a .png, .svg or .pdf")
    return kind


def cloud(
    path: str | PathLike[str],
    points: Float64[np.ndarray, "U k"],
    arrows: Mapping[str, Float64[np.ndarray, " k"]],
    title: str,
    label: str,
) -> None:
    """Write the figure.

    Args:
        path: ends in .png, .svg or .pdf.
        points: the estimates of U batches in the plane, k = 2, or 1 where there is one parameter.
        arrows: two vectors in that plane, by name.
        title: of the figure.
        label: of the points.

    Raises:
        ConfigError: another ending.
        RunError: the file cannot be written.
    """
    kind = kind_of(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(*_both(points), s=6, color=CLOUD, label=label)
    for (name, vector), (color, style) in zip(arrows.items(), ARROWS, strict=True):
        tip = _both(vector[None])
        axes.annotate(
            "", (tip[0][0], tip[1][0]), (0, 0),
            arrowprops={"arrowstyle": "->", "color": color, "linestyle": style, "linewidth": 2},
        )  # fmt: skip
        axes.plot(*tip, marker="o", markersize=4, color=color, linestyle=style, label=name)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.axvline(0, color=INK, linewidth=0.5)
    axes.set_xlabel("first principal axis of the covariance")
    axes.set_ylabel("second")
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format=kind, dpi=150)
    write_bytes_atomic(path, data.getvalue())


def _both(points: Float64[np.ndarray, "n k"]) -> tuple[np.ndarray, np.ndarray]:
    """Two coordinates; the second is 0 where there is only one."""
    return points[:, 0], points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))
