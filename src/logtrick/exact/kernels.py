"""Machine code for A = I − γP where the products of `planning` do not suffice.

A = D − γL − γU, D its diagonal and L, U the parts of P below and above it. A symmetric
Gauss–Seidel sweep, M = (D − γL) D^{-1} (D − γU), in blocks of rows that ignore one another, is the
preconditioner. Residuals are summed with compensation, so that their rounding does not grow with
the number of terms: any number of states may lead to one.
"""

# mypy: disable-error-code="no-untyped-def"

import numpy as np

from logtrick.planning.compiling import kernel


@kernel
def diagonal(first, last, block, offsets, columns, weights, gamma, out, lean):
    """D: the diagonal of I − γP; and the mass of U less that of L, row by row."""
    rows = offsets.size - 1
    for row in range(first * block, min(last * block, rows)):
        own, balance = 0.0, 0.0
        for k in range(offsets[row], offsets[row + 1]):
            column = np.int64(columns[k])
            own += weights[k] if column == row else 0.0
            balance += weights[k] * np.sign(column - row)
        out[row] = 1.0 - gamma * own
        lean[row] = balance


@kernel
def sweep(first, last, block, offsets, columns, weights, gamma, diagonal, b, x):
    """M^{-1} b: upwards through the rows of each block, then downwards; x starts as zeros."""
    rows = offsets.size - 1
    for begin in range(first * block, min(last * block, rows), block):
        finish = min(begin + block, rows)
        for row in range(begin, finish):
            total = 0.0
            for k in range(offsets[row], offsets[row + 1]):
                column = np.int64(columns[k])
                total += weights[k] * x[column] if begin <= column < row else 0.0
            x[row] = (b[row] + gamma * total) / diagonal[row]
        for row in range(finish - 1, begin - 1, -1):
            total = 0.0
            for k in range(offsets[row], offsets[row + 1]):
                column = np.int64(columns[k])
                total += weights[k] * x[column] if row < column < finish else 0.0
            x[row] += gamma * total / diagonal[row]


@kernel
def residual(first, last, block, offsets, columns, weights, gamma, b, x, missing, scale):
    """B − (I − γP)x by Neumaier's summation, and |b| + |x| + γP|x|, the scale of its rounding."""
    rows = offsets.size - 1
    for row in range(first * block, min(last * block, rows)):
        total, lost, size = 0.0, 0.0, 0.0
        for k in range(offsets[row], offsets[row + 1]):
            term = weights[k] * x[columns[k]]
            new = total + term
            back = new - total
            lost += (total - (new - back)) + (term - back)
            total = new
            size += abs(term)
        missing[row] = (b[row] - x[row]) + gamma * (total + lost)
        scale[row] = abs(b[row]) + abs(x[row]) + gamma * size
