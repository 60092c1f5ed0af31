"""Sides from which linear systems are solved, and the iteration for those known by products."""

import abc
from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator, bicgstab

#: Rounds of correction, and iterations of the Krylov method in each.
MOST_ROUNDS, ITERATIONS = 60, 200


class Side(abc.ABC):
    """A = I − γP, or its transpose: one side from which systems are solved."""

    @abc.abstractmethod
    def solve(self, b: np.ndarray) -> np.ndarray:
        """An approximation of A^{-1} b, as good as float64 allows if possible."""

    @abc.abstractmethod
    def residual(self, b: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """B − A x, and how much rounding may hide in each of its entries."""


class IterativeSide(Side):
    """A side that is known by its products alone."""

    @abc.abstractmethod
    def apply(self, x: np.ndarray) -> np.ndarray:
        """The product A x with the matrix of this side, [S]."""

    @abc.abstractmethod
    def sweep(self, b: np.ndarray) -> np.ndarray:
        """M^{-1} b for a regular splitting A = M − N, so that x ← x + M^{-1}(b − A x) converges."""

    def first_guess(self, b: np.ndarray) -> np.ndarray:
        """Where the corrections start."""
        return np.zeros_like(b)

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Corrections by a preconditioned Krylov method, and sweeps where it does not help.

        Sweeps cannot fail: P is non-negative and the series Σ γ^t P^t converges. The method squares
        its numbers, so b is first brought to a size of one, by a power of two: nothing is rounded.
        """
        exponent = int(np.frexp(np.abs(b).max(initial=0.0))[1])
        return np.ldexp(self._solve(np.ldexp(b, -exponent)), exponent)

    def _solve(self, b: np.ndarray) -> np.ndarray:
        """The same for numbers of about one."""
        x = self.first_guess(b)
        missing, rounding = self.residual(b, x)
        sweeps = 16
        for _ in range(MOST_ROUNDS):
            size, floor = float(np.linalg.norm(missing)), float(np.linalg.norm(rounding))
            if size <= floor:
                break
            candidate = x + self._correction(missing, floor)
            better = self.residual(b, candidate)
            if not np.linalg.norm(better[0]) < size / 2:
                if size <= 32 * floor:
                    break
                candidate, sweeps = self._swept(b, x, sweeps), 2 * sweeps
                better = self.residual(b, candidate)
            x, (missing, rounding) = candidate, better
        return x

    def _correction(self, missing: np.ndarray, goal: float) -> np.ndarray:
        """A^{-1} of what is missing, approximately; nothing is promised about it."""
        square = (len(missing),) * 2
        with np.errstate(all="ignore"):  # a breakdown is found out by the residual
            found, _ = bicgstab(
                _operator(square, self.apply),
                missing,
                rtol=0.0,
                atol=goal,
                maxiter=ITERATIONS,
                M=_operator(square, self.sweep),
            )
        return np.where(np.isfinite(found), found, 0.0)

    def _swept(self, b: np.ndarray, x: np.ndarray, times: int) -> np.ndarray:
        for _ in range(times):
            x = x + self.sweep(b - self.apply(x))
        return x


def _operator(
    shape: tuple[int, int], product: Callable[[np.ndarray], np.ndarray]
) -> LinearOperator:
    return LinearOperator(shape, matvec=product, dtype=np.float64)
