"""Discounted (γ < 1) and average criteria: a constant is what v lacks, and spans bound it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt32

from logtrick.errors import ConvergenceError
from logtrick.planning import certificates
from logtrick.planning.certificates import Enclosure, Rounding, below_the_floor
from logtrick.planning.iteration import Followed, Iterate
from logtrick.planning.methods import Method
from logtrick.planning.operators import Backup, Operator

#: Told after each backup: iteration and error bound.
Report = Callable[[int, float], None]


class Found(NamedTuple):
    """What a search ends with."""

    values: Float64[np.ndarray, " S"]
    choice: UInt32[np.ndarray, " S"]
    error_bound: float
    iterations: int
    gain: float | None = None


#: Backups without a better bound after which one may conclude that rounding is in the way.
PATIENCE = 200


@dataclass(frozen=True)
class Criterion:
    """How a residual is read.

    Attributes:
        interval: the constants that bound the answer.
        floor: the least width that float64 allows.
        damping: τ of the aperiodicity transform.
        pinned: True where the constant is the gain, which is no part of v.
    """

    interval: Callable[[Backup, Rounding], Enclosure]
    floor: Callable[[Backup, Rounding], float]
    damping: float = 1.0
    pinned: bool = False

    def largest(self, rounding: Rounding, goal: float) -> float:
        """The size of values at which the floor is half of `goal`; it grows with their size."""
        if not self.pinned:
            return np.inf
        probe = max(1.0, rounding.reward_scale)  # less would be lost beside the rewards' rounding
        least, more = (self.floor(Backup(0.0, 0.0, size, 0), rounding) for size in (0.0, probe))
        return max(0.5 * goal - least, 0.0) / (more - least) * probe

    def goal(self, backup: Backup, interval: Enclosure, tol: float) -> float:
        """The bound that is good enough: tol · max(1, size of the gain, or of the values).

        The values are T v and the middle of the interval; no more is known of them than the
        greatest |T v|, which is why this is what their size is at least.
        """
        size = abs(interval.middle)
        return tol * max(1.0, size if self.pinned else abs(backup.size - size))


DISCOUNTED = Criterion(certificates.discounted, certificates.discounted_floor)
#: τ = 0.9 makes every chain aperiodic; a periodic one then contracts by 0.8 each sweep or slower.
AVERAGE = Criterion(certificates.average, certificates.average_floor, 0.9, True)


def search(
    operator: Operator,
    criterion: Criterion,
    method: Method,
    tol: float,
    values: Float64[np.ndarray, " S"],
    report: Report,
    stuck: Callable[[], None] = lambda: None,
) -> Found:
    """Iterate until the certificate's width is at most tol · max(1, size of what it bounds).

    The width bounds twice the error of T v plus the middle, and it is at least 12u times |T v|:
    the rounding of that last addition is covered.

    Args:
        operator: T.
        criterion: discounted or average.
        method: what happens between two backups.
        tol: for the width, which bounds both V_* − v and what the policy loses, as a share of
            max(1, the largest |V|), or of max(1, |r̄|).
        values: the first v; it is overwritten.
        report: called after each backup.
        stuck: called now and then in a search that takes long; may raise an error that says why.

    Returns:
        Values, policy and bound.

    Raises:
        ConvergenceError: `tol` is below what float64 allows; the floor is named.
    """
    rounding = Rounding.of(operator)
    watch = _Watch(criterion, rounding, tol, stuck)
    choice = np.zeros(operator.num_states, np.uint32)
    spare, followed = np.empty_like(values), Followed(operator)
    for iteration in count(1):
        backup = operator.backup(values, spare, choice)
        interval = criterion.interval(backup, rounding)
        bound, goal = interval.width, criterion.goal(backup, interval, tol)
        report(iteration, bound)
        if bound <= goal:
            break
        watch.look(iteration, backup, bound, goal)
        floating = not criterion.pinned and rounding.least_mass > 1 - 1e-6
        improved = method.improve(
            Iterate(
                operator,
                values,
                spare,
                choice,
                followed,
                backup,
                shift=_missing_constant(criterion, backup, interval, floating),
                damping=criterion.damping,
                pinned=criterion.pinned,
                floating=floating,
                largest=criterion.largest(rounding, goal),
                enough=goal / bound,
            )
        )
        spare, values = values if improved is spare else spare, improved
    if criterion.pinned:
        return Found(values - values[0], choice, bound, iteration, interval.middle)
    spare += interval.middle
    return Found(spare, choice, bound, iteration)


@dataclass
class _Watch:
    """Finds out that `tol` will not be reached, and says why."""

    criterion: Criterion
    rounding: Rounding
    tol: float
    stuck: Callable[[], None]
    best: float = np.inf
    since: int = 0

    def look(self, iteration: int, backup: Backup, bound: float, goal: float) -> None:
        """Raise an error if float64, or the MDP, allows no such bound."""
        self.best, self.since = (bound, 0) if bound < self.best else (self.best, self.since + 1)
        floor = self.criterion.floor(backup, self.rounding)
        known = bound < 0.2 * backup.size or iteration > PATIENCE  # else the floor will still grow
        hopeless, waiting = floor > goal and known, self.since > PATIENCE
        if hopeless or waiting or iteration in (32, 128, 1024):
            self.stuck()
        size = goal / self.tol
        if hopeless:
            raise below_the_floor(self.tol, floor, size)
        if waiting and self.best < 10 * floor:
            raise ConvergenceError(
                f"tol={self.tol:g} is too close to the rounding floor {floor:.2g}: the bound stays "
                f"at {self.best:.2g}, for values up to {size:.3g}; ask for "
                f"tol={2 * self.best / size:.1g} or more"
            )


def _missing_constant(
    criterion: Criterion, backup: Backup, interval: Enclosure, floating: bool
) -> float:
    """What to add to T v in every state: it is then right up to its span.

    Not where episodes end: the constant would be wrong there, and T would carry that on.
    """
    if criterion.pinned:
        return -0.5 * criterion.damping * (backup.low + backup.high)
    return interval.middle if floating else 0.0
