"""(I − γP)^{-1} and its transpose, with a bound on the error of every solution.

P is non-negative. Let w ≥ 0 satisfy w − γPw ≥ 1. There is one iff Σ γ^t P^t converges, and the
constant 1/(1 − γ · largest row sum) will do where that is positive. Then, with r the residual of
an approximation x,

    |x − (I − γP)^{-1} b|   ≤ w · max|r|     state by state     (V6; V5 where w is constant)
    ‖x − (I − γP)^{-T} b‖₁  ≤ wᵀ|r|

Residuals are computed in float64; what their own rounding may hide is added to |r|, and so is what
a relative error of `slack` in each entry of P changes: the bounds hold for every such P. (Rows are
distributions up to rounding, and products of probabilities are rounded.)
"""

import math
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import linalg, sparse

from logtrick.errors import ConvergenceError
from logtrick.exact.iterative_side import Side
from logtrick.support.rounding import EPS, hidden, relative_error

#: Nearer to one than this, w is solved for: the constant would be large, and often needlessly.
CONTRACTION = 1 - 1e-5


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


class Certified(NamedTuple):
    """An array and what its error is at most."""

    array: np.ndarray
    bound: float
    """The largest error of an entry; for visits, the sum of the errors of all entries."""


class Resolvent:
    """Solves with I − γP and certifies.

    Args:
        forward: makes the side I − γP when it is first needed.
        transposed: makes its transpose.
        row_sums: of P, as computed.
        gamma: γ.
        excess: how far the true sums may exceed these, as a share of them.
    """

    def __init__(
        self,
        forward: Callable[[], Side],
        transposed: Callable[[], Side],
        row_sums: np.ndarray,
        gamma: float,
        excess: float,
    ) -> None:
        self._make_forward, self._make_transposed = forward, transposed
        most = float(row_sums.max()) * (1 + excess)
        self.weights = self._weights(most * gamma * (1 + 4 * EPS), len(row_sums))

    @cached_property
    def forward(self) -> Side:
        """The side I − γP, which is made when it is first needed."""
        return self._make_forward()

    @cached_property
    def transposed(self) -> Side:
        """The transposed side (I − γP)ᵀ, likewise."""
        return self._make_transposed()

    def _weights(self, contraction: float, num_states: int) -> np.ndarray:
        """W of the certificate."""
        ones = np.ones(num_states)
        if contraction < CONTRACTION:
            return ones * ((1 + 1e-9) / (1 - contraction))  # 1 − c is rounded by EPS/10⁻⁵ at most
        with np.errstate(all="ignore"):
            weights = self.forward.solve(ones)
            missing, rounding = self.forward.residual(ones, weights)
        least = float((1 - missing - rounding).min())
        if not (least > 0 and (weights >= 0).all()):
            raise ConvergenceError(
                f"from state {int(np.argmax(missing + rounding))} an episode lasts too long for "
                "float64: no finite bound on its length could be certified"
            )
        return weights / least

    def values(self, b: np.ndarray, error: float = 0.0) -> Certified:
        """(I − γP)^{-1} b, where each entry of b is known up to `error`.

        Raises:
            ConvergenceError: the numbers are too large for float64.
        """
        with np.errstate(all="ignore"):
            x = self.forward.solve(b)
            missing, rounding = self.forward.residual(b, x)
            largest = float((np.abs(missing) + rounding).max()) + error
            bound = float(self.weights.max()) * largest * (1 + 4 * EPS)
        require_finite(x, bound)
        return Certified(x, bound)

    def visits(self, b: np.ndarray, error: float = 0.0) -> Certified:
        """(I − γP)^{-T} b, where each entry of b is known up to `error` times its size.

        Raises:
            ConvergenceError: the numbers are too large for float64.
        """
        with np.errstate(all="ignore"):
            x = self.transposed.solve(b)
            missing, rounding = self.transposed.residual(b, x)
            errors = np.abs(missing) + rounding + error * np.abs(b)
            bound = math.fsum((self.weights * errors).tolist()) * (1 + 4 * EPS)
        require_finite(x, bound)
        return Certified(x, bound)


def dense(transitions: sparse.csr_array, gamma: float, slack: float) -> Resolvent:
    """From LU factors of the whole matrix, whose entries are known up to `slack`."""
    matrix = np.eye(transitions.shape[0]) - gamma * transitions.toarray()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)  # the certificate finds it out
        factors = linalg.lu_factor(matrix, overwrite_a=True, check_finite=False)
    per_row = np.diff(transitions.indptr).max(initial=0)
    per_column = np.bincount(transitions.indices, minlength=transitions.shape[1])
    return Resolvent(
        lambda: _DenseSide(factors, 0, transitions, per_row, gamma, slack),
        lambda: _DenseSide(factors, 1, transitions.T, per_column, gamma, slack),
        transitions.sum(axis=1),
        gamma,
        EPS * per_row + slack,
    )


class _DenseSide(Side):
    """LU factors, and residuals from the sparse rows: sums of few terms round little."""

    def __init__(
        self,
        factors: tuple[np.ndarray, np.ndarray],
        trans: Literal[0, 1],
        matrix: Any,
        terms: Any,
        gamma: float,
        slack: float,
    ) -> None:
        self.factors, self.trans, self.gamma = factors, trans, gamma
        self.matrix, self.terms = matrix, np.asarray(terms)
        self.relative = relative_error(self.terms, slack)

    def solve(self, b: np.ndarray) -> np.ndarray:
        x = linalg.lu_solve(self.factors, b, trans=self.trans, check_finite=False)
        missing, _ = self.residual(b, x)
        return x + linalg.lu_solve(self.factors, missing, trans=self.trans, check_finite=False)

    def residual(self, b: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = np.abs(b) + np.abs(x) + self.gamma * (self.matrix @ np.abs(x))
        return (b - x) + self.gamma * (self.matrix @ x), hidden(self.relative, scale, self.terms)
