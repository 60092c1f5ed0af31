"""The values of one policy, as well as the search asks for: by a Krylov method, or factorised."""

from collections.abc import Callable

import numpy as np

from logtrick.planning.iteration import Iterate
from logtrick.planning.sparse import krylov
from logtrick.planning.sparse.chains import SparseChain, Vector

#: From a step and the fraction of its spread that may remain, to values or None.
Evaluator = Callable[[Iterate, float], Vector | None]

#: Sweeps that leave less than this of a residual are quicker than a Krylov method.
QUICK = 0.95
#: How far sweeps go on, as long as they are quick: a fraction of the tolerance.
FURTHER = 0.25
#: Rounding of float32. A correction is up to 1/(1 − γ) times the residual that asks for it.
SINGLE_ROUNDOFF = 2.0**-24
#: Powers of two that single precision holds with room to spare.
ORDINARY = 60


def by_krylov(preference: krylov.Preference, step: Iterate, fraction: float) -> Vector | None:
    """V_π by BiCGSTAB (Gargiani et al. use GMRES, whose memory grows), or None.

    What is sought is the correction d of v, (I − γP) d = T v − v. A few of its digits are wanted,
    so single precision does where it has them: for P, and for the sweeps. BiCGSTAB would take more
    products if its vectors were rounded, too. The next backup reads P as it is.
    """
    operator = step.operator
    if step.pinned:
        return _pinned_by_krylov(preference, step, fraction * step.spread)
    least = 100 * SINGLE_ROUNDOFF / (1 - operator.gamma) if operator.gamma < 1 else np.inf
    single, unit = least <= 0.1, _unit(step.spread)
    spread = step.spread / unit
    tolerance = (max(fraction, least) if single else fraction) * spread
    chain = step.chain(np.float32 if single else np.float64)
    missing = step.backed_up - step.values
    if unit != 1.0:
        missing /= unit
    correction, residual = _swept_while_quick(
        step, chain, missing.astype(chain.probabilities.dtype), FURTHER * tolerance
    )
    if residual > tolerance:
        answer = krylov.solve(
            chain,
            missing,
            operator.gamma,
            tolerance=tolerance,
            start=correction.astype(np.float64),
            budget=600,
            preference=preference,
        )
        if answer.residual > 0.5 * spread:
            return None
        correction = answer.x
    if unit != 1.0:
        correction = correction.astype(np.float64) * unit
    return np.add(step.values, correction, out=step.backed_up)


def _unit(spread: float) -> float:
    """A power of two by which numbers fit into single precision, and their squares into double."""
    exponent = int(np.frexp(spread)[1])
    return 2.0 ** min(max(exponent, -1000), 1000) if abs(exponent) > ORDINARY else 1.0


def _swept_while_quick(
    step: Iterate, chain: SparseChain, missing: Vector, tolerance: float
) -> tuple[Vector, float]:
    """Sweeps d ← missing + γP d as long as they beat a Krylov method, and the residual of d.

    Where constants float, the middle of the last change is what d lacks everywhere, and half of
    its span the residual.
    """
    gamma, d, other = step.operator.gamma, missing.copy(), np.empty_like(missing)
    last = np.inf
    while True:
        low, high = chain.advance(missing, gamma, d, other)
        d, other = other, d
        residual = 0.5 * gamma * (high - low) if step.floating else gamma * max(high, -low)
        if residual <= tolerance or residual > QUICK * last:
            break
        last = residual
    if step.floating:
        d += 0.5 * (low + high) * gamma / (1 - gamma)
    return d, residual


def _pinned_by_krylov(
    preference: krylov.Preference, step: Iterate, tolerance: float
) -> Vector | None:
    """Bias and gain: the pinned state's value is the gain."""
    start, rewards, unit = step.backed_up, step.rewards, _unit(step.backup.size)
    start += 0.5 * (step.backup.low + step.backup.high) - start[0]
    if unit != 1.0:
        start, rewards = start / unit, rewards / unit
    answer = krylov.solve(
        step.chain(),
        rewards,
        1.0,
        tolerance=tolerance / unit,
        start=start,
        pin=0,
        budget=600,
        preference=preference,
    )
    if unit != 1.0:
        answer = answer._replace(x=answer.x * unit, low=answer.low * unit, high=answer.high * unit)
    return _if_useful(step, answer, 0.5 * step.spread)


def by_factorisation(step: Iterate, fraction: float) -> Vector | None:
    """V_π by scipy's SuperLU, or None."""
    pin = 0 if step.pinned else None
    answer = krylov.factorised(step.chain(), step.rewards, step.operator.gamma, pin)
    return _if_useful(step, answer, max(fraction, 0.5) * step.spread)


def _if_useful(step: Iterate, answer: krylov.Answer | None, residual: float) -> Vector | None:
    """The solution, unless it is none, or so large that the system was singular or nearly so."""
    if answer is None or answer.residual > residual:
        return None
    return answer.x if np.abs(answer.x).max() <= step.largest else None
