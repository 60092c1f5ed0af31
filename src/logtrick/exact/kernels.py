"""Sparse kernels for A = I − γP and its transpose, in machine code.

A = D − γL − γU, D its diagonal and L, U the parts of P below and above it. The preconditioner is
one Gauss–Seidel sweep up and one down, M = (D − γL) D^{-1} (D − γU), in blocks of rows that ignore
one another. With the transpose, rows are pushed to their columns, so that no transpose of P is
ever stored. How many blocks there are depends on the size alone, never on the machine.

Each kernel does the blocks `first ... last`; a few threads share them.
"""

import inspect
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
from scipy import sparse

Map = Callable[[np.ndarray], np.ndarray]

#: Rows of a block of the preconditioner, and the most blocks: below it, one is best.
BLOCK_ROWS, MOST_BLOCKS = 65536, 16


class System(NamedTuple):
    """I − γP: rows of P, which may repeat a column, and the diagonal of I − γP."""

    offsets: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    gamma: float
    diagonal: np.ndarray
    blocks: np.ndarray
    """Row numbers at which the blocks begin, and the end."""


def system(transitions: sparse.csr_array, gamma: float) -> System:
    """Prepare I − γP for the kernels."""
    num_rows = transitions.shape[0]
    count = min(max(num_rows // BLOCK_ROWS, 1), MOST_BLOCKS)
    return System(
        transitions.indptr,
        transitions.indices,
        transitions.data,
        gamma,
        1.0 - gamma * transitions.diagonal(),
        np.linspace(0, num_rows, count + 1).astype(np.int64),
    )


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code, kept on disk where a folder is writable, that runs without the global lock."""
    plain = inspect.unwrap(function)  # a type checker's wrapper cannot be compiled
    try:
        return numba.njit(cache=True, nogil=True)(plain)
    except RuntimeError:  # numba found no folder to write to
        return numba.njit(nogil=True)(plain)


def _share(kernel: Callable[..., Any], system: System, *arrays: np.ndarray) -> None:
    """Run a kernel over all blocks, on as many threads as there are cores."""
    count = len(system.blocks) - 1
    threads = min(count, os.cpu_count() or 1)
    if threads == 1:
        kernel(0, count, system, *arrays)
        return
    ends = np.linspace(0, count, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        shares = itertools.pairwise(ends)
        pending = [pool.submit(kernel, *share, system, *arrays) for share in shares]
    for share in pending:
        share.result()


def sweep(system: System, b: np.ndarray) -> np.ndarray:
    """M^{-1} b."""
    x = np.zeros_like(b)
    _share(_sweep, system, b, x)
    return x


def sweep_transposed(system: System, b: np.ndarray) -> np.ndarray:
    """M^{-T} b."""
    x = b.copy()
    _share(_sweep_transposed, system, x)
    return x


def residual(system: System, b: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """B − (I − γP)x, and |b| + |x| + γP|x|, its scale; sums are compensated (Neumaier)."""
    missing, scale = np.empty_like(b), np.empty_like(b)
    _share(_residual, system, b, x, missing, scale)
    return missing, scale


def residual_transposed(
    system: System, b: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same for (I − γP)ᵀ; compensated, since any number of rows may meet in a column."""
    total, lost, size = np.zeros_like(b), np.zeros_like(b), np.zeros_like(b)
    _push(system, x, total, lost, size)
    gamma = system.gamma
    return (b - x) + gamma * (total + lost), np.abs(b) + np.abs(x) + gamma * size


@_compiled
def combine(a: float, x: np.ndarray, b: float, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A x + b y + z in one pass over memory."""
    out = np.empty_like(x)
    for row in range(len(x)):
        out[row] = a * x[row] + b * y[row] + z[row]
    return out


@_compiled
def _sweep(first: int, last: int, system: System, b: np.ndarray, x: np.ndarray) -> None:
    for block in range(first, last):
        low, high = system.blocks[block], system.blocks[block + 1]
        for row in range(low, high):
            total = 0.0
            for k in range(system.offsets[row], system.offsets[row + 1]):
                column = system.columns[k]
                total += system.weights[k] * x[column] if low <= column < row else 0.0
            x[row] = (b[row] + system.gamma * total) / system.diagonal[row]
        for row in range(high - 1, low - 1, -1):
            total = 0.0
            for k in range(system.offsets[row], system.offsets[row + 1]):
                column = system.columns[k]
                total += system.weights[k] * x[column] if row < column < high else 0.0
            x[row] += system.gamma * total / system.diagonal[row]


@_compiled
def _sweep_transposed(first: int, last: int, system: System, x: np.ndarray) -> None:
    for block in range(first, last):
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


@_compiled
def _residual(
    first: int,
    last: int,
    system: System,
    b: np.ndarray,
    x: np.ndarray,
    missing: np.ndarray,
    scale: np.ndarray,
) -> None:
    for row in range(system.blocks[first], system.blocks[last]):
        total, lost, size = 0.0, 0.0, 0.0
        for k in range(system.offsets[row], system.offsets[row + 1]):
            term = system.weights[k] * x[system.columns[k]]
            new = total + term
            back = new - total
            lost += (total - (new - back)) + (term - back)
            total = new
            size += abs(term)
        missing[row] = (b[row] - x[row]) + system.gamma * (total + lost)
        scale[row] = abs(b[row]) + abs(x[row]) + system.gamma * size


@_compiled
def _push(
    system: System, x: np.ndarray, total: np.ndarray, lost: np.ndarray, size: np.ndarray
) -> None:
    for row in range(len(x)):
        for k in range(system.offsets[row], system.offsets[row + 1]):
            column = system.columns[k]
            term = system.weights[k] * x[row]
            new = total[column] + term
            back = new - total[column]
            lost[column] += (total[column] - (new - back)) + (term - back)
            total[column] = new
            size[column] += abs(term)
