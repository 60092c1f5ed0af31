"""Sparse kernels for A = I − γP and its transpose, compiled with numba.

A = D − γL − γU, D its diagonal and L, U the parts of P below and above it. The preconditioner is
one Gauss–Seidel sweep up and one down, M = (D − γL) D^{-1} (D − γU), in blocks of rows that run in
parallel and ignore one another. With the transpose, rows are scattered instead of gathered, so
that no transpose of P is ever stored. The number of blocks depends on the size alone, never on the
machine.
"""

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from scipy import sparse

Array = np.ndarray
Map = Callable[[Array], Array]

#: Rows in a block of the preconditioner, and the most blocks: below it, one is best.
BLOCK_ROWS, MOST_BLOCKS = 65536, 16

_serial = numba.njit(cache=True, nogil=True)
_parallel = numba.njit(cache=True, nogil=True, parallel=True)


class System(NamedTuple):
    """I − γP: rows of P, which may repeat a column, and the diagonal."""

    offsets: Array
    columns: Array
    weights: Array
    gamma: float
    diagonal: Array
    blocks: Array
    """Row numbers at which the blocks begin, and the end."""


def system(transitions: sparse.csr_array, gamma: float) -> System:
    """Prepare I − γP for the kernels."""
    parts = (transitions.indptr, transitions.indices, transitions.data)
    num_rows = transitions.shape[0]
    count = min(max(num_rows // BLOCK_ROWS, 1), MOST_BLOCKS)
    blocks = np.linspace(0, num_rows, count + 1).astype(np.int64)
    return System(*parts, gamma, 1.0 - gamma * _own(*parts), blocks)


@_parallel
def _own(offsets: Array, columns: Array, weights: Array) -> Array:
    """The diagonal of P."""
    out = np.zeros(len(offsets) - 1)
    for row in numba.prange(len(out)):
        for k in range(offsets[row], offsets[row + 1]):
            out[row] += weights[k] * (columns[k] == row)
    return out


@_parallel
def apply(system: System, x: Array) -> Array:
    """(I − γP) x."""
    out = np.empty_like(x)
    for row in numba.prange(len(x)):
        total = 0.0
        for k in range(system.offsets[row], system.offsets[row + 1]):
            total += system.weights[k] * x[system.columns[k]]
        out[row] = x[row] - system.gamma * total
    return out


def apply_transposed(system: System, x: Array) -> Array:
    """(I − γP)ᵀ x; each thread adds up its own rows."""
    return _apply_transposed(system, x, min(numba.get_num_threads(), len(system.blocks) - 1))


@_parallel
def _apply_transposed(system: System, x: Array, threads: int) -> Array:
    sums = np.zeros((threads, len(x)))
    for thread in numba.prange(threads):
        for row in range(thread * len(x) // threads, (thread + 1) * len(x) // threads):
            for k in range(system.offsets[row], system.offsets[row + 1]):
                sums[thread, system.columns[k]] += system.weights[k] * x[row]
    out = np.empty_like(x)
    for row in numba.prange(len(x)):
        out[row] = x[row] - system.gamma * sums[:, row].sum()
    return out


@_parallel
def sweep(system: System, b: Array) -> Array:
    """M^{-1} b: upwards through the rows of each block, then downwards."""
    x = np.zeros_like(b)
    for block in numba.prange(len(system.blocks) - 1):
        low, high = system.blocks[block], system.blocks[block + 1]
        for row in range(low, high):
            total = 0.0
            for k in range(system.offsets[row], system.offsets[row + 1]):
                column = system.columns[k]
                total += system.weights[k] * x[column] * (low <= column < row)
            x[row] = (b[row] + system.gamma * total) / system.diagonal[row]
        for row in range(high - 1, low - 1, -1):
            total = 0.0
            for k in range(system.offsets[row], system.offsets[row + 1]):
                column = system.columns[k]
                total += system.weights[k] * x[column] * (row < column < high)
            x[row] += system.gamma * total / system.diagonal[row]
    return x


@_parallel
def sweep_transposed(system: System, b: Array) -> Array:
    """M^{-T} b: the same, every row pushed to its columns."""
    x = b.copy()
    for block in numba.prange(len(system.blocks) - 1):
        low, high = system.blocks[block], system.blocks[block + 1]
        for row in range(low, high):
            pushed = system.gamma * x[row] / system.diagonal[row]
            for k in range(system.offsets[row], system.offsets[row + 1]):
                column = system.columns[k]
                if row < column < high:
                    x[column] += system.weights[k] * pushed
        for row in range(high - 1, low - 1, -1):
            x[row] /= system.diagonal[row]
            pushed = system.gamma * x[row]
            for k in range(system.offsets[row], system.offsets[row + 1]):
                column = system.columns[k]
                if low <= column < row:
                    x[column] += system.weights[k] * pushed
    return x


@_parallel
def residual(system: System, b: Array, x: Array) -> tuple[Array, Array]:
    """B − (I − γP)x, and |b| + |x| + γP|x|, its scale; sums are compensated (Neumaier)."""
    out, scale = np.empty_like(b), np.empty_like(b)
    for row in numba.prange(len(b)):
        total, lost, size = 0.0, 0.0, 0.0
        for k in range(system.offsets[row], system.offsets[row + 1]):
            term = system.weights[k] * x[system.columns[k]]
            new = total + term
            back = new - total
            lost += (total - (new - back)) + (term - back)
            total = new
            size += abs(term)
        out[row] = (b[row] - x[row]) + system.gamma * (total + lost)
        scale[row] = abs(b[row]) + abs(x[row]) + system.gamma * size
    return out, scale


@_serial
def residual_transposed(system: System, b: Array, x: Array) -> tuple[Array, Array]:
    """The same for (I − γP)ᵀ; compensated, since any number of rows may meet in a column."""
    total, lost, size = np.zeros_like(b), np.zeros_like(b), np.zeros_like(b)
    for row in range(len(b)):
        for k in range(system.offsets[row], system.offsets[row + 1]):
            column = system.columns[k]
            term = system.weights[k] * x[row]
            new = total[column] + term
            back = new - total[column]
            lost[column] += (total[column] - (new - back)) + (term - back)
            total[column] = new
            size[column] += abs(term)
    gamma = system.gamma
    return (b - x) + gamma * (total + lost), np.abs(b) + np.abs(x) + gamma * size


@_parallel
def combine(a: float, x: Array, b: float, y: Array, z: Array) -> Array:
    """A x + b y + z in one pass over memory."""
    out = np.empty_like(x)
    for row in numba.prange(len(x)):
        out[row] = a * x[row] + b * y[row] + z[row]
    return out
