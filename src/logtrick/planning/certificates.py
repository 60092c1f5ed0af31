"""Bounds that hold for the exact numbers, computed in float64 with its rounding included.

A backup T v(s) is a maximum of sums R + γ Σ p v with at most n outcomes. In any order of summation
and with or without fused multiplication, it is computed to within (n + 5) u (|R|max + γ m |v|max),
where u = 2⁻⁵³ and m is the greatest mass that goes on (Higham 2002, section 3.1): n for the sum,
which covers the expected rewards too, 2 for γ and the last addition, 2 for p and γ that are
themselves rounded, so that the bound also holds for the MDP whose decimals were meant, and 1 for
T v − v.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from logtrick.planning.operators import Backup, Operator

#: Half the distance from 1 to the next float64.
UNIT_ROUNDOFF = 2.0**-53


class Interval(NamedTuple):
    """Constants between which something lies in every state."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far apart they are."""
        return self.high - self.low

    @property
    def middle(self) -> float:
        """Their mean."""
        return 0.5 * (self.low + self.high)


@dataclass(frozen=True)
class Rounding:
    """What is known about the error of one backup.

    Attributes:
        terms: n + 5.
        reward_scale: greatest |r|.
        gamma: γ.
        least_mass: the least probability of going on, rounded down.
        most_mass: the greatest, rounded up.
    """

    terms: int
    reward_scale: float
    gamma: float
    least_mass: float
    most_mass: float

    @classmethod
    def of(cls, operator: Operator) -> "Rounding":
        """The model for this operator."""
        limits, terms = operator.limits, operator.limits.outcomes + 5
        slack = terms * UNIT_ROUNDOFF
        return cls(
            terms,
            limits.reward,
            operator.gamma,
            max(limits.least_mass * (1 - slack), 0.0),
            limits.most_mass * (1 + slack),
        )

    def backup_error(self, size: float) -> float:
        """Bound on |computed T v − T v| in any state, where |v| ≤ size."""
        magnitude = self.reward_scale + self.gamma * self.most_mass * size
        return 1.01 * self.terms * UNIT_ROUNDOFF * magnitude

    def residual(self, backup: Backup) -> tuple[Interval, float]:
        """Where the exact T v − v lies in every state, and the error of T v itself."""
        size = backup.size + max(abs(backup.low), abs(backup.high))
        error = self.backup_error(size)
        return Interval(backup.low - error, backup.high + error), error


def discounted(backup: Backup, rounding: Rounding) -> Interval:
    """V5, the span bound: T v + low ≤ V_π ≤ V_* ≤ T v + high for the greedy policy π, γ < 1.

    With δ = T v − v in [a, b], V_* − T v ≤ b γm/(1 − γm), m being the greatest mass that goes on
    where b > 0 and the least where b < 0; below likewise (Puterman 1994, section 6.6.3; the masses
    make it hold where episodes end).
    """
    difference, error = rounding.residual(backup)
    return Interval(
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
    slack = 4 * UNIT_ROUNDOFF / (1 - ratio)
    return bound * ratio / (1 - ratio) + abs(bound) * ratio / (1 - ratio) * slack


def average(backup: Backup, rounding: Rounding) -> Interval:
    """V7: min (T v − v) ≤ r̄_π ≤ r̄_* ≤ max (T v − v) for the greedy policy π.

    Rows that do not sum to one exactly are read as if they did.
    """
    difference, _ = rounding.residual(backup)
    size = backup.size + max(abs(backup.low), abs(backup.high))
    defect = max(rounding.most_mass - 1, 1 - rounding.least_mass) * size
    return Interval(difference.low - defect, difference.high + defect)


def average_floor(backup: Backup, rounding: Rounding) -> float:
    """The least width that V7 can reach at values of this size."""
    noise = UNIT_ROUNDOFF * backup.size
    return average(Backup(-noise, noise, backup.size, 0), rounding).width
