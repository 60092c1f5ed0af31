"""Machine code for A = I − γP where the products of `planning` do not suffice.

Residuals are summed with compensation, so that their rounding does not grow with the number of
terms: any number of states may lead to one.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from logtrick.planning.sparse.machine_code import GATHER_AHEAD, fetch_gathered, kernel


@kernel
def imbalance(first, last, block, offsets, columns, weights, gamma, out):
    """The mass of each row above the diagonal less that below it."""
    rows = offsets.size - 1
    for row in range(first * block, min(last * block, rows)):
        balance = 0.0
        for k in range(offsets[row], offsets[row + 1]):
            balance += weights[k] * np.sign(np.int64(columns[k]) - row)
        out[row] = balance


@kernel
def residual(first, last, block, offsets, columns, weights, gamma, b, x, missing, scale):
    """B − (I − γP)x by Neumaier's summation, and |b| + |x| + γP|x|, the scale of its rounding."""
    rows = offsets.size - 1
    stop = np.uint64(columns.size - 1)
    for row in range(first * block, min(last * block, rows)):
        total, lost, size = 0.0, 0.0, 0.0
        for k in range(offsets[row], offsets[row + 1]):
            fetch_gathered(x, columns[min(k + GATHER_AHEAD, stop)])
            term = weights[k] * x[columns[k]]
            new = total + term
            back = new - total
            lost += (total - (new - back)) + (term - back)
            total = new
            size += abs(term)
        missing[row] = (b[row] - x[row]) + gamma * (total + lost)
        scale[row] = abs(b[row]) + abs(x[row]) + gamma * size
