"""What rounding to float64 may hide: the constants of the format, and bounds on sums."""

from typing import Any

import numpy as np

#: The distance from 1 to the next float64: twice the largest relative error of an operation.
EPS = float(np.finfo(np.float64).eps)
#: The largest relative error of an operation, u.
UNIT_ROUNDOFF = EPS / 2
#: The smallest float64: twice the largest error of a product that underflows. Sums do not.
TINY = float(np.finfo(np.float64).smallest_subnormal)


def relative_error(terms: Any, slack: float) -> Any:
    """The relative error of a sum of `terms` products, each known up to a share `slack`.

    Args:
        terms: products in a sum, at most: a number, or one for each sum.
        slack: the relative error of the factors.
    """
    return EPS * (terms + 8) + slack


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
