"""Krylov iteration with refinement, for linear systems given as functions."""

import abc

import numpy as np

from logtrick.exact import kernels

#: A first try without preconditioner: enough where successors are spread over all states.
FIRST_ITERATIONS = 25
#: Later tries, and how many of them.
ITERATIONS, MOST_ROUNDS = 200, 60


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
        """A x."""

    @abc.abstractmethod
    def sweep(self, b: np.ndarray) -> np.ndarray:
        """M^{-1} b for a regular splitting A = M − N, so that x ← x + M^{-1}(b − A x) converges."""

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Corrections from the Krylov method; sweeps, which cannot fail, where it does not help."""
        x = np.zeros_like(b)
        missing, rounding = self.residual(b, x)
        iterations, sweeps = FIRST_ITERATIONS, 16
        precondition: kernels.Map = _identity
        for _ in range(MOST_ROUNDS):
            size, floor = float(np.linalg.norm(missing)), float(np.linalg.norm(rounding))
            if size <= floor:
                break
            candidate = x + bicgstab(self, precondition, missing, goal=floor, most=iterations)
            better = self.residual(b, candidate)
            if not np.linalg.norm(better[0]) < size / 2:
                if size <= 32 * floor:
                    break
                candidate, sweeps = self._swept(b, x, sweeps), 2 * sweeps
                better = self.residual(b, candidate)
            x, (missing, rounding) = candidate, better
            iterations, precondition = ITERATIONS, self.sweep
        return x

    def _swept(self, b: np.ndarray, x: np.ndarray, times: int) -> np.ndarray:
        for _ in range(times):
            x = x + self.sweep(b - self.apply(x))
        return x


def _identity(x: np.ndarray) -> np.ndarray:
    return x


def bicgstab(
    side: IterativeSide, precondition: kernels.Map, b: np.ndarray, *, goal: float, most: int
) -> np.ndarray:
    """An approximate solution of A x = b by the stabilised bi-conjugate gradient method.

    scipy has the same iteration; here each vector update is one pass over memory, since at 10⁶
    states scipy's cost as much as the products with A. Nothing is promised about the result: the
    caller computes its residual.

    Args:
        side: A.
        precondition: an approximation of A^{-1}, applied on the right.
        b: the right-hand side.
        goal: stop where ‖b − A x‖₂, as the recursion knows it, has fallen to this.
        most: iterations; each takes two products with A.

    Returns:
        The last iterate before convergence, breakdown or the limit.

    Source: van der Vorst (1992).
    """
    x, residual = np.zeros_like(b), b
    shadow, rho, direction = b, float(b @ b), b
    for _ in range(most):
        half = precondition(direction)
        moved = side.apply(half)
        slope = float(shadow @ moved)
        if slope == 0.0 or rho == 0.0:
            break
        alpha = rho / slope
        middle = kernels.combine(-alpha, moved, 0.0, moved, residual)
        rest = precondition(middle)
        image = side.apply(rest)
        size = float(image @ image)
        omega = float(image @ middle) / size if size > 0 else 0.0
        x = kernels.combine(alpha, half, omega, rest, x)
        residual = kernels.combine(-omega, image, 0.0, image, middle)
        rho, old = float(shadow @ residual), rho
        if omega == 0.0 or not float(np.linalg.norm(residual)) > goal:
            break
        beta = rho / old * alpha / omega
        direction = kernels.combine(beta, direction, -beta * omega, moved, residual)
    return x
