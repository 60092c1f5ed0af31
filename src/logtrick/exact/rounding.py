"""What float64 may hide: its two constants, and the check that nothing left its range."""

import numpy as np

from logtrick.errors import ConvergenceError

#: The distance from 1 to the next float64: twice the largest relative error of an operation.
EPS = float(np.finfo(np.float64).eps)
#: The smallest float64: twice the largest error of a product that underflows. Sums do not.
TINY = float(np.finfo(np.float64).smallest_subnormal)


def hidden(
    relative: np.ndarray | float, scale: np.ndarray | float, terms: np.ndarray | int
) -> np.ndarray:
    """How much rounding may hide in sums of `terms` products each, underflow included.

    Args:
        relative: the error as a share of the scale.
        scale: the sums of the products' absolute values.
        terms: products in a sum, at most.
    """
    return np.asarray(relative * scale + TINY * (terms + 8))


def require_finite(*numbers: np.ndarray | float) -> None:
    """Refuse numbers that overflowed.

    Raises:
        ConvergenceError: one of them is not finite.
    """
    if not all(np.isfinite(number).all() for number in numbers):
        raise ConvergenceError(
            "the policy's numbers, or the bounds on their errors, are beyond float64: divide the "
            "rewards by a constant"
        )
