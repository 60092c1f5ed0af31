"""Linear systems of a chain, (I − γP) x = b: by a Krylov method, or factorised.

BiCGSTAB (van der Vorst 1992) with the true residual recomputed after every few digits, so that the
answer is as good as float64 allows and never the recursion's opinion. scipy's version runs its
vector operations on one core and one at a time, which at 10⁶ states costs three times as much.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from logtrick.planning import kernels
from logtrick.planning.chains import Chain, Vector
from logtrick.planning.threads import num_blocks

#: Digits that the recursion may gain before the true residual is computed again.
REDUCTION = 1e-5


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


def solve(
    chain: Chain,
    b: Vector,
    gamma: float,
    *,
    tolerance: float,
    start: Vector | None = None,
    pin: int | None = None,
    budget: int = 2000,
) -> Answer:
    """Solve V2, x = b + γ P x, until the residual is at most `tolerance` in every row.

    ‖x − x_*‖∞ ≤ residual / (1 − γ) for a chain whose rows sum to at most one.

    Args:
        chain: P [S, S]; `chain.transposed()` for the adjoint system, whose b is a start
            distribution and whose answer is the visitation.
        b: float64[S], r_π for values.
        gamma: γ.
        tolerance: for ‖b + γPx − x‖∞.
        start: a first guess; zero by default.
        pin: with γ = 1 on a recurrent chain, the state whose value is the gain: solves
            x = b − x[pin] + P x (V7), and x[pin] is r̄. The residual is that of this system.
        budget: products with P after which it gives up.

    Returns:
        The answer with the least residual that was reached; compare `residual` with `tolerance`.

    Example:
        >>> from logtrick.planning.threads import Team
        >>> ring = Chain(np.arange(3, dtype=np.uint64), np.array([1, 0], np.uint32),
        ...              np.ones(2), Team(1))
        >>> solve(ring, np.array([0.0, 1.0]), 0.5, tolerance=1e-12).x.round(6)
        array([0.666667, 1.333333])
    """
    x = np.zeros(chain.rows) if start is None else start.copy()
    best = Answer(x, -np.inf, np.inf, 0)
    residual = np.empty(chain.rows)
    products, sound = 0, True
    while sound:
        low, high = chain.advance(b, gamma, x, residual)
        shift = 0.0 if pin is None else float(x[pin])
        products += 1
        answer = Answer(x, low - shift, high - shift, products)
        if answer.residual >= best.residual:
            break
        gained = answer.residual < 0.1 * best.residual
        if answer.residual <= tolerance or products >= budget or not gained:
            return answer
        best = answer._replace(x=x.copy())
        np.subtract(residual, x + shift, out=residual)
        target = max(0.5 * tolerance, REDUCTION * answer.residual)
        with np.errstate(all="ignore"):  # a recursion that breaks down is found out below
            used, sound = _bicgstab(chain, gamma, x, residual, target, pin, budget - products)
        products += used
    return best._replace(products=products)


def factorised(chain: Chain, b: Vector, gamma: float, pin: int | None = None) -> Answer | None:
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


def _bicgstab(
    chain: Chain,
    gamma: float,
    x: Vector,
    r: Vector,
    target: float,
    pin: int | None,
    budget: int,
) -> tuple[int, bool]:
    """Improve x in place until the recursion's residual is at most `target`.

    Returns the products used, and False where the recursion broke down and spoilt x.
    """
    run, rows = chain.team.run, chain.rows
    shadow, p, v, t = r.copy(), np.zeros(rows), np.zeros(rows), np.empty(rows)
    dots, sizes = np.empty((2, num_blocks(rows)))
    rho, beta, omega = float(shadow @ r), 0.0, 0.0
    for products in range(2, budget + 2, 2):
        run(kernels.combine, rows, rows, r, beta, p, -beta * omega, v, p)
        projection, _ = chain.apply(gamma, p, 0.0 if pin is None else float(p[pin]), shadow, v)
        alpha = rho / projection if projection else np.inf
        run(kernels.combine, rows, rows, r, -alpha, v, 0.0, v, r)
        product, square = chain.apply(gamma, r, 0.0 if pin is None else float(r[pin]), r, t)
        omega = product / square if square else 0.0
        run(kernels.descend, rows, rows, alpha, p, omega, r, t, shadow, x, r, dots, sizes)
        rho_next = float(dots.sum())
        if not np.isfinite(rho_next):
            return products, False
        if sizes.max() <= target or omega == 0.0 or rho_next == 0.0:
            return products, True
        beta = rho_next / rho * alpha / omega
        rho = rho_next
    return budget, True
