"""A finite horizon: backward induction."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt32

from logtrick.planning.certificates import Rounding, below_the_floor
from logtrick.planning.operators import Operator
from logtrick.planning.spanning import Report


class HorizonSolution(NamedTuple):
    """Values and choices for each time."""

    values: Float64[np.ndarray, "H_plus_one S"]
    choices: UInt32[np.ndarray, "H S"]
    error_bound: float


def backward_induction(
    operator: Operator,
    horizon: int,
    last: Float64[np.ndarray, " S"],
    tol: float,
    report: Report,
) -> HorizonSolution:
    """V_t = T V_{t+1}, from V_H.

    A value errs by the rounding of its own backup, and by γm times what the next one errs, m being
    the greatest mass that goes on. A policy loses twice that at most: its own values differ from
    those that were computed by as much as V_t does.

    Args:
        operator: T.
        horizon: H, steps to go at t = 0.
        last: V_H.
        tol: for the bound on every value and on what the policies lose, as a share of max(1, the
            largest value).
        report: called after each step, with the bound so far.

    Returns:
        V_t for t = 0 ... H, the choices for t = 0 ... H − 1, and a bound: only rounding.

    Raises:
        ConvergenceError: rounding adds up to more than `tol`.
    """
    rounding = Rounding.of(operator)
    values = np.zeros((horizon + 1, operator.num_states))
    choices = np.zeros((horizon, operator.num_states), np.uint32)
    values[horizon] = last
    error, size = 0.0, float(np.abs(last).max())
    largest = size
    for t in reversed(range(horizon)):
        error = error * rounding.gamma * rounding.most_mass + rounding.backup_error(size)
        size = operator.backup(values[t + 1], values[t], choices[t]).size
        largest = max(largest, size)
        report(horizon - t, 2 * error)
    if not 2 * error <= tol * max(1.0, largest):
        raise below_the_floor(tol, 2 * error, largest, f"after {horizon} backups")
    return HorizonSolution(values, choices, 2 * error)
