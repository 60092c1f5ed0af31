"""A finite horizon: backward induction."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt32

from logtrick.errors import ConvergenceError
from logtrick.planning.certificates import Rounding
from logtrick.planning.operators import Operator
from logtrick.planning.spanning import Report


class Plan(NamedTuple):
    """Values and choices for each time."""

    values: Float64[np.ndarray, "H_plus_one S"]
    choices: UInt32[np.ndarray, "H S"]
    error_bound: float


def backward_induction(operator: Operator, horizon: int, tol: float, report: Report) -> Plan:
    """V_t = T V_{t+1}, from V_H = 0.

    Args:
        operator: T.
        horizon: H, steps to go at t = 0.
        tol: for the bound on every value and on what the policies lose.
        report: called after each step, with the bound so far.

    Returns:
        V_t for t = 0 ... H, the choices for t = 0 ... H − 1, and a bound: only rounding.

    Raises:
        ConvergenceError: rounding adds up to more than `tol`.
    """
    rounding = Rounding.of(operator)
    values = np.zeros((horizon + 1, operator.num_states))
    choices = np.zeros((horizon, operator.num_states), np.uint32)
    error, size = 0.0, 0.0
    for t in reversed(range(horizon)):
        error = error * rounding.gamma * rounding.most_mass + rounding.backup_error(size)
        size = operator.backup(values[t + 1], values[t], choices[t]).size
        report(horizon - t, 2 * error)
    if 2 * error > tol:
        raise ConvergenceError(
            f"tol={tol:g} is below the rounding floor {2 * error:.2g} of {horizon} backups; ask "
            f"for tol={4 * error:.1g} or more"
        )
    return Plan(values, choices, 2 * error)
