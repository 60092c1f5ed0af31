"""Rows of probabilities: how far they may be from summing to one, and how they are divided."""

import numpy as np

from logtrick.support.rounding import EPS

#: How far from one a distribution may sum. Beyond it the numbers are not float64 probabilities.
ROW_SUM_TOLERANCE = 1e-9


def normalised_rows(offsets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rows divided by their sums, where these differ from one by more than rounding.

    A row that sums to 1 + 10⁻⁹ was meant to sum to one. The MDP is the one with this row divided
    by its sum, so that averages and long horizons do not multiply what is left over. A row that is
    off by rounding only is kept as it is, bit for bit.

    Args:
        offsets: entries of row p are `offsets[p]:offsets[p + 1]`.
        weights: the entries.

    Example:
        >>> normalised_rows(np.array([0, 2, 4]), np.array([0.5, 0.5, 0.25, 0.75 + 1e-10])).tolist()
        [0.5, 0.5, 0.249999999975, 0.750000000025]
    """
    sums, lengths = np.add.reduceat(weights, offsets[:-1]), np.diff(offsets)
    off = np.abs(sums - 1) > np.minimum(lengths + 2, 64) * EPS  # sums are pairwise
    if not off.any():
        return weights
    return weights / np.repeat(np.where(off, sums, 1.0), lengths)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Distributions over the last axis, as `normalised_rows` does it."""
    rows = weights.reshape(-1)
    size = weights.shape[-1]
    return normalised_rows(np.arange(0, rows.size + 1, size), rows).reshape(weights.shape)


def defect(sums: np.ndarray, terms: int) -> float:
    """How far rows may be from summing to one, where rounding alone keeps them from it.

    Args:
        sums: the computed sum of each row.
        terms: numbers in a row, at most.

    Returns:
        The largest difference from one, with the rounding of the sums themselves.
    """
    return float(np.abs(sums - 1).max()) + terms * EPS / 2
