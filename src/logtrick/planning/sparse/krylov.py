"""Linear systems of a chain, (I − γP) x = b: by a Krylov method, or factorised.

BiCGSTAB (van der Vorst 1992), first without a preconditioner, then with one, and with the true
residual recomputed after every few digits, so that the answer is as good as float64 allows and
never the recursion's opinion. scipy's version runs its vector operations on one core and one at a
time, which at 10⁶ states costs three times as much.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from logtrick.planning.sparse import sweep_kernels as kernels
from logtrick.planning.sparse.chains import SparseChain, Vector
from logtrick.planning.sparse.threads import num_blocks

#: Digits that the recursion may gain before the true residual is computed again.
REDUCTION = 1e-5
#: Products without preconditioner before a trial: enough where successors are spread out.
PLAIN = 40
#: Products that take as long as one use of the preconditioner: a sweep up and down, which waits at
#: each row for the last.
PRECONDITIONING = 6
#: Products, or what takes as long, of a trial of it: four iterations.
TRIAL = 4 * (2 + 2 * PRECONDITIONING)

#: How much faster than without it the trial must be: paces of a few steps are noisy.
DECISIVE = 3


class Answer(NamedTuple):
    """An approximate solution and how far it is from being one."""

    x: Vector
    low: float
    """min (b + γ P x − x), without rounding"""
    high: float
    """max (b + γ P x − x)"""
    products: int
    """Products with P that it took."""

    @property
    def residual(self) -> float:
        """‖b + γ P x − x‖∞ as computed."""
        return max(self.high, -self.low)


@dataclass
class Preference:
    """Remembers, from one system to the next, whether to precondition.

    Successors that drift one way round are what Gauss–Seidel solves in a sweep or two, and what
    plain BiCGSTAB hardly solves at all. Elsewhere the preconditioner may cost more than it saves.

    Attributes:
        precondition: None where a short trial is to decide.
    """

    precondition: bool | None = None


def solve(
    chain: SparseChain,
    b: Vector,
    gamma: float,
    *,
    tolerance: float,
    start: Vector | None = None,
    pin: int | None = None,
    budget: int = 2000,
    preference: Preference | None = None,
) -> Answer:
    """Solve V2, x = b + γ P x, until the residual is at most `tolerance` in every row.

    ‖x − x_*‖∞ ≤ residual / (1 − γ) for a chain whose rows sum to at most one.

    Args:
        chain: P [S, S]; `chain.transposed()` for the adjoint system, whose b is a start
            distribution and whose answer is the visitation.
        b: r_π for values; its dtype is that of the work and of the answer.
        gamma: γ.
        tolerance: for ‖b + γPx − x‖∞.
        start: a first guess; zero by default.
        pin: with γ = 1 on a recurrent chain, the state whose value is the gain: solves
            x = b − x[pin] + P x (V7), and x[pin] is r̄. The residual is that of this system.
        budget: products with P after which it gives up.
        preference: of an earlier system that was much the same; it is brought up to date.

    Returns:
        The answer with the least residual that was reached; compare `residual` with `tolerance`.

    Example:
        >>> from logtrick.planning.sparse.threads import Team
        >>> ring = SparseChain(np.arange(3, dtype=np.uint64), np.array([1, 0], np.uint32),
        ...              np.ones(2), Team(1))
        >>> solve(ring, np.array([0.0, 1.0]), 0.5, tolerance=1e-12).x.round(6)
        array([0.666667, 1.333333])
    """
    system, preference = _System(chain, b, gamma, pin), preference or Preference()
    x = np.zeros_like(b) if start is None else start.copy()
    best = system.answer(x, np.empty_like(x), 1)
    if preference.precondition is None:
        first, best = best, system.refined(best, tolerance, False, min(PLAIN, budget))
        if best.residual <= tolerance:
            return best
        plain = best
        best = system.refined(best, tolerance, True, min(best.products + TRIAL, budget))
        preference.precondition = _pace(plain, best) > DECISIVE * _pace(first, plain)
    best = system.refined(best, tolerance, preference.precondition, budget)
    if best.residual > tolerance:
        preference.precondition = None
    return best


def _pace(before: Answer, after: Answer) -> float:
    """Digits gained for each product."""
    gained = before.residual / after.residual if 0 < after.residual < np.inf else 1.0
    return math.log10(max(gained, 1.0)) / max(after.products - before.products, 1)


def factorised(
    chain: SparseChain, b: Vector, gamma: float, pin: int | None = None
) -> Answer | None:
    """Solve the same systems by scipy's SuperLU; None where they are singular.

    For a few thousand states, or for graphs with a good elimination order, such as grids.
    """
    rows = chain.rows
    matrix = sparse.eye_array(rows) - gamma * chain.matrix()
    if pin is not None:
        column = (np.arange(rows), np.full(rows, pin))
        matrix = matrix + sparse.csr_array((np.ones(rows), column), (rows, rows))
    try:
        x = linalg.splu(sparse.csc_array(matrix)).solve(b)
    except RuntimeError:
        return None
    if not np.isfinite(x).all():
        return None
    low, high = chain.advance(b, gamma, x, np.empty(rows))
    shift = 0.0 if pin is None else float(x[pin])
    return Answer(x, low - shift, high - shift, 1)


@dataclass
class _System:
    """(I − γP) x = b, or x + x[pin] = b + P x."""

    chain: SparseChain
    b: Vector
    gamma: float
    pin: int | None

    def answer(self, x: Vector, residual: Vector, products: int) -> Answer:
        """Write b − A x into `residual` and say how large it is; NaN counts as infinite."""
        low, high = self.chain.advance(self.b, self.gamma, x, residual)
        shift = self._pinned(x)
        residual -= x
        residual -= shift
        if not np.isfinite(residual.sum()):
            return Answer(x, -np.inf, np.inf, products)
        return Answer(x, low - shift, high - shift, products)

    def refined(self, best: Answer, tolerance: float, precondition: bool, most: int) -> Answer:
        """Corrections, each by its own recursion, as long as they gain a digit."""
        residual = np.empty_like(best.x)
        while best.residual > tolerance and best.products < most:
            x, last = best.x.copy(), best.residual
            self.answer(x, residual, 0)
            target = max(0.5 * tolerance, REDUCTION * last)
            with np.errstate(all="ignore"):  # a recursion that breaks down is found out below
                used = self.bicgstab(x, residual, target, precondition, most - best.products)
                answer = self.answer(x, residual, best.products + used + 2)
            if not answer.residual < last:
                return best._replace(products=answer.products)
            best = answer
            if answer.residual > 0.1 * last:
                break
        return best

    def bicgstab(self, x: Vector, r: Vector, target: float, precondition: bool, budget: int) -> int:
        """Improve x until the recursion's residual r is at most `target`; products used."""
        chain, rows, run = self.chain, self.chain.rows, self.chain.team.run
        shadow, t = np.empty((2, rows), r.dtype)
        p, v = np.zeros((2, rows), r.dtype)
        # r itself may be a left eigenvector (a uniform start), which ends the recursion at once
        dots, sizes = np.empty((2, num_blocks(rows)))
        run(kernels.scatter_weights, rows, rows, r, shadow, dots)
        rho, beta, omega, used = float(dots.sum()), 0.0, 0.0, 0
        while used < budget:
            run(kernels.combine, rows, rows, r, beta, p, -beta * omega, v, p)
            towards = chain.gauss_seidel(self.gamma, p) if precondition else p
            projection, _ = chain.apply(self.gamma, towards, self._pinned(towards), shadow, v)
            alpha = rho / projection if projection else np.inf
            run(kernels.combine, rows, rows, r, -alpha, v, 0.0, v, r)
            onwards = chain.gauss_seidel(self.gamma, r) if precondition else r
            product, square = chain.apply(self.gamma, onwards, self._pinned(onwards), r, t)
            omega = product / square if square else 0.0
            arguments = (alpha, towards, omega, onwards, t, shadow, x, r, dots, sizes)
            run(kernels.descend, rows, rows, *arguments)
            rho, last = float(dots.sum()), rho
            used += 2 + 2 * PRECONDITIONING if precondition else 2
            if not np.isfinite(rho) or sizes.max() <= target or omega == 0.0 or rho == 0.0:
                break
            beta = rho / last * alpha / omega
        return used

    def _pinned(self, x: Vector) -> float:
        return 0.0 if self.pin is None else float(x[self.pin])
