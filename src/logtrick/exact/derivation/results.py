"""What a derivation is made of, and how it reads as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Reading = Literal["start", "stationary", "average"]

#: A step is exact where its residual is below this, and shown as 0 below that.
EXACT, ROUNDING = 1e-8, 1e-13
#: A sum is 0 if it is smaller than this part of its terms.
NOTHING = 1e-11


@dataclass(frozen=True)
class Line:
    """One line of the derivation."""

    name: str
    """D1 … D7"""
    formula: str
    vector: Float[np.ndarray, " n"]
    """Its value: a vector shaped like the flat parameters."""
    factor: float
    """What the previous line is multiplied by here: a normaliser, 1 where there is none."""
    residual: float
    """‖line − factor · previous‖ / ‖factor · previous‖; 0 for D1."""
    angle: float
    """Degrees between the line and the true gradient; NaN where one is 0 but for rounding."""
    why: str
    """What makes the step from the previous line exact, or what it drops."""


@dataclass(frozen=True)
class Identity:
    """An equation that holds whatever the policy."""

    name: str
    """I1 … I5"""
    formula: str
    residual: float
    """Left less right side, relative to the right; for I5, max_s |(1 − γ)V_γ − r̄| at γ = .999999.
    NaN where a term does not exist here."""
    note: str


@dataclass(frozen=True)
class Derivation:
    """The derivation on one MDP, for one policy and one reading."""

    reading: Reading
    gamma: float
    truth: Float[np.ndarray, " n"]
    """∇J_γ with the reading "start", ∇r̄ with the others."""
    lines: tuple[Line, ...]
    identities: tuple[Identity, ...]
    normaliser: float
    """Between D7, a sum over time, and D6, one expectation: Σ_s η_γ(s), 1/(1 − γ), or 1."""
    dropped: float
    """The share of the true gradient that the loose step leaves out, where the weights are d_π."""
    sentence: str
    """Where the printed derivation is loose, and why the end is right all the same."""

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """(line, formula, norm, residual of the step, angle, why) as words for a table."""
        return [
            (
                line.name,
                line.formula,
                f"{np.linalg.norm(line.vector):.6g}",
                "" if line is self.lines[0] else share(line.residual),
                degrees(line.angle),
                line.why,
            )
            for line in self.lines
        ]

    def identity_rows(self) -> list[tuple[str, str, str, str]]:
        """(name, equation, residual, note) as words for a table."""
        return [(i.name, i.formula, _residual(i.residual), i.note) for i in self.identities]

    def text(self) -> str:
        """Everything as plain text."""
        head = ("line", "value", "norm", "residual", "angle", "from the line before")
        out = [f'reading "{self.reading}", γ = {self.gamma:g}', ""]
        out += aligned([head, *self.rows()])
        out += ["", f"D7 = {self.normaliser:.6g} × D6", ""]
        out += aligned(self.identity_rows())
        return "\n".join([*out, "", self.sentence])


def _residual(value: float) -> str:
    if np.isnan(value):
        return "–"
    return "0" if value < ROUNDING else f"{value:.1g}"


def share(value: float) -> str:
    """A residual: 0 where it is rounding, a percentage where it is not."""
    if value < EXACT:
        return "0" if value < ROUNDING else f"{value:.0e}"
    return f"{100 * value:.3g} %"


def degrees(value: float) -> str:
    """An angle: 0 where it is rounding, a dash where there is none."""
    return "–" if np.isnan(value) else f"{value:.3g}°" if value > EXACT else "0°"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words as lines in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def relative(found: np.ndarray, truth: np.ndarray, size: float = 0.0) -> float:
    """‖found − truth‖ / ‖truth‖, of vectors whose terms are of a size; 0 where both are rounding.

    Where the truth alone is 0 but for rounding, the difference over the size of the terms.
    """
    apart, length = float(np.linalg.norm(found - truth)), float(np.linalg.norm(truth))
    if length > NOTHING * size:
        return apart / length
    return 0.0 if apart <= NOTHING * size else apart / (size or 1.0)


def angle(
    vector: np.ndarray, truth: np.ndarray, size: float = 0.0, size_of_truth: float = 0.0
) -> float:
    """Degrees between two vectors, accurate for small angles too.

    NaN where one of them is 0 but for the rounding of its terms, whose sizes are given.
    """
    sizes = float(np.linalg.norm(vector)), float(np.linalg.norm(truth))
    if sizes[0] <= NOTHING * size or sizes[1] <= NOTHING * size_of_truth:
        return float("nan")
    u, v = vector / sizes[0], truth / sizes[1]
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))
