"""What rounding to float64 may hide: the constants of the format, and bounds on sums."""

import numpy as np

#: The distance from 1 to the next float64: twice the largest relative error of an operation.
EPS = float(np.finfo(np.float64).eps)
#: The largest relative error of an operation, u.
UNIT_ROUNDOFF = EPS / 2
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
