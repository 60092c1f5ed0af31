"""The cloud of sampled gradients around the exact arrow."""

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from logtrick.errors import ConfigError
from logtrick.support.files import write_bytes_atomic

if TYPE_CHECKING:
    from logtrick.auditing.report import Report

BATCHES = 200
INK, CLOUD, EXACT, MEAN = "#1c2330", "#a9bfd6", "#0b5fa5", "#c4511a"


def cloud(report: "Report", path: str | PathLike[str]) -> None:
    """Write the figure.

    The plane is that of the two largest principal axes of the covariance. Points are the estimates
    of sampled batches, arrows ∇J and the expected update, all projected on the plane.

    Args:
        report: of an audit.
        path: ends in .png, .svg or .pdf.

    Raises:
        ConfigError: another ending.
        RunError: the file cannot be written.
        EstimatorError: trajectories that never end cannot be sampled; give a horizon.
    """
    kind = Path(path).suffix.removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise ConfigError(f"{path}: a figure is a .png, .svg or .pdf")
    from matplotlib.figure import Figure

    plane = np.linalg.eigh(report.covariance)[1][:, ::-1][:, :2]
    points = report.draw(batches=BATCHES, batch_size=report.batch_size) @ plane
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(*_both(points), s=6, color=CLOUD, label=f"batches of {report.batch_size}")
    for vector, color, style, name in (
        (report.flat.mean, MEAN, "--", "expected update"),
        (report.flat.gradient, EXACT, "-", "∇J"),
    ):
        tip = _both((vector @ plane)[None])
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
    axes.set_title(f"{report.estimator}: gradient of {report.gradient_of}", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format=kind, dpi=150)
    write_bytes_atomic(path, data.getvalue())


def _both(points: Float64[np.ndarray, "n k"]) -> tuple[np.ndarray, np.ndarray]:
    """Two coordinates; the second is 0 where there is only one."""
    return points[:, 0], points[:, 1] if points.shape[1] > 1 else np.zeros(len(points))
