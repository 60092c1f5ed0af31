"""Bounds that hold for the exact numbers, computed in float64 with its rounding included.

A backup T v(s) is a maximum of sums R + γ Σ p v with at most n outcomes. In any order of summation
and with or without fused multiplication, it is computed to within

    ((n + 6) u + d) (|r|max + γ m |v|max) + (n + 6) η

where u = 2⁻⁵³, η = 2⁻¹⁰⁷⁴ and m is the greatest mass that goes on (Higham 2002, section 3.1): n for
the sum, which covers the expected rewards too, 2 for γ and the last addition, 2 for p and γ that
are themselves rounded, so that the bound also holds for the MDP whose decimals were meant, 1 for
T v − v, and 1 for adding this bound to it. d is what the probabilities of a pair lack to sum to
one, so that the bound also holds for the MDP with every row divided by its sum. A product that
underflows errs by η/2.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from logtrick.errors import ConvergenceError
from logtrick.planning.operators import Backup, Operator
from logtrick.support.rounding import TINY, UNIT_ROUNDOFF


class Enclosure(NamedTuple):
    """Constants between which something lies in every state."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far apart they are, rounded up."""
        return (self.high - self.low) * (1 + 2 * UNIT_ROUNDOFF)

    @property
    def middle(self) -> float:
        """The number halfway between the two constants."""
        return 0.5 * (self.low + self.high)


@dataclass(frozen=True)
class Rounding:
    """What is known about the error of one backup.

    Attributes:
        terms: n + 6.
        defect: d, with the rounding of its own sum.
        reward_scale: greatest |r|.
        gamma: γ.
        least_mass: the least probability of going on, rounded down.
        most_mass: the greatest, rounded up.
    """

    terms: int
    defect: float
    reward_scale: float
    gamma: float
    least_mass: float
    most_mass: float

    @classmethod
    def of(cls, operator: Operator) -> "Rounding":
        """The model for this operator."""
        limits, terms = operator.limits, operator.limits.outcomes + 6
        defect = limits.defect + 2 * UNIT_ROUNDOFF
        slack = terms * UNIT_ROUNDOFF + defect
        return cls(
            terms,
            defect,
            limits.reward,
            operator.gamma,
            max(limits.least_mass * (1 - slack), 0.0),
            limits.most_mass * (1 + slack),
        )

    def backup_error(self, size: float) -> float:
        """Bound on |computed T v − T v| in any state, where |v| ≤ size."""
        magnitude = self.reward_scale + self.gamma * self.most_mass * size
        relative = 1.01 * (self.terms * UNIT_ROUNDOFF + self.defect)
        return relative * magnitude + self.terms * TINY

    def residual(self, backup: Backup) -> tuple[Enclosure, float]:
        """Where the exact T v − v lies in every state, and the error of T v itself."""
        size = backup.size + max(abs(backup.low), abs(backup.high))
        error = self.backup_error(size)
        return Enclosure(backup.low - error, backup.high + error), error


def discounted(backup: Backup, rounding: Rounding) -> Enclosure:
    """V5, the span bound: T v + low ≤ V_π ≤ V_* ≤ T v + high for the greedy policy π, γ < 1.

    With δ = T v − v in [a, b], V_* − T v ≤ b γm/(1 − γm), m being the greatest mass that goes on
    where b > 0 and the least where b < 0; below likewise (Puterman 1994, section 6.6.3; the masses
    make it hold where episodes end).
    """
    difference, error = rounding.residual(backup)
    return Enclosure(
        -_discounted_sum(-difference.low, rounding) - error,
        _discounted_sum(difference.high, rounding) + error,
    )


def discounted_floor(backup: Backup, rounding: Rounding) -> float:
    """The least width that V5 can reach: float64 cannot represent a smaller residual of V_*.

    The size of V_* is at least what the present bound leaves of |T v|.
    """
    present = discounted(backup, rounding)
    size = max(backup.size - max(abs(present.low), abs(present.high)), 0.0)
    noise = UNIT_ROUNDOFF * size
    return discounted(Backup(-noise, noise, size, 0), rounding).width


def _discounted_sum(bound: float, rounding: Rounding) -> float:
    """Σ_{t≥1} (γm)^t · bound, rounded up."""
    mass = rounding.most_mass if bound > 0 else rounding.least_mass
    ratio = rounding.gamma * mass
    if ratio >= 1:
        return math.inf
    factor, slack = ratio / (1 - ratio), 8 * UNIT_ROUNDOFF / (1 - ratio)
    return bound * factor + abs(bound) * factor * slack + TINY


def average(backup: Backup, rounding: Rounding) -> Enclosure:
    """V7: min (T v − v) ≤ r̄_π ≤ r̄_* ≤ max (T v − v) for the greedy policy π.

    Rows that do not sum to one exactly are read as if they did: the error of a backup covers it.
    """
    return rounding.residual(backup)[0]


def average_floor(backup: Backup, rounding: Rounding) -> float:
    """The least width that V7 can reach at values of this size."""
    noise = UNIT_ROUNDOFF * backup.size
    return average(Backup(-noise, noise, backup.size, 0), rounding).width


def below_the_floor(
    tol: float, floor: float, size: float, where: str = "at best here"
) -> Exception:
    """The error where float64 does not allow tol · max(1, size), and a tolerance that it does."""
    if not math.isfinite(floor):
        return ConvergenceError(
            f"tol={tol:g} is below the rounding floor: float64 certifies no bound here, for values "
            f"up to {size:.3g}; divide the rewards by a constant if they are large, or use a "
            "smaller gamma"
        )
    return ConvergenceError(
        f"tol={tol:g} is below the rounding floor: float64 certifies {floor:.2g} {where}, for "
        f"values up to {size:.3g}; ask for tol={2 * floor / max(1.0, size):.1g} or more (tol is "
        "relative to values above 1)"
    )
