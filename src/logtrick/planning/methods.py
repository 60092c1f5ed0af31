"""What happens between two backups: five ways to a better v, none of which is trusted.

Each is given v, T v and the policy that is greedy for v, and returns the next v. Whether that is
good enough is for the certificate of the next backup to say.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from jaxtyping import UInt32

from logtrick.planning import kernels, krylov
from logtrick.planning.chains import Chain, Vector
from logtrick.planning.following import Followed
from logtrick.planning.operators import Backup, Operator

Choice = UInt32[np.ndarray, " S"]


@dataclass(frozen=True)
class Step:
    """One backup and what it found.

    Attributes:
        operator: T.
        values: v.
        backed_up: T v.
        choice: the greedy policy.
        followed: its chain.
        backup: the extremes of T v − v.
        shift: a constant that is known to be missing from T v (the middle of V5's interval).
        damping: τ of the aperiodicity transform v + τ (T v − v); 1 leaves T as it is.
        pinned: True where one state's value stands for the gain (V7).
        floating: True where T(v + c) = T v + γc for constants c: nothing ends, and γ < 1.
        largest: values beyond this size could not be certified to the tolerance that is wanted.
        enough: the fraction of the present spread that the certificate would accept.
    """

    operator: Operator
    values: Vector
    backed_up: Vector
    choice: Choice
    followed: Followed
    backup: Backup
    shift: float = 0.0
    damping: float = 1.0
    pinned: bool = False
    floating: bool = False
    largest: float = np.inf
    enough: float = 0.0

    @property
    def spread(self) -> float:
        """How far v is from solving the optimality equation, up to a constant where one is free."""
        low, high = self.backup.low, self.backup.high
        return high - low if self.pinned or self.floating else max(high, -low)

    @property
    def rewards(self) -> Vector:
        """r_π of the greedy policy."""
        return self.operator.rewards[self.operator.pairs(self.choice)]

    def chain(self, dtype: Any = np.float64) -> Chain:
        """P_π of the greedy policy."""
        return self.followed.chain(self.choice, dtype)

    def shifted(self) -> Vector:
        """Compute v + τ (T v − v) + shift in the memory of T v."""
        out, tau = self.backed_up, self.damping
        if tau == 1.0 and self.shift == 0.0:
            return out
        if tau != 1.0:
            out *= tau
            out += (1 - tau) * self.values
        out += self.shift
        return out


class Method(abc.ABC):
    """A way to improve v.

    Attributes:
        follows_policy: True where the greedy policy is followed for more than one step, which at
            γ = 1 needs one that ends.
    """

    follows_policy: ClassVar[bool]

    @abc.abstractmethod
    def improve(self, step: Step) -> Vector:
        """The next v; may reuse the memory of `step.backed_up`."""


class ValueIteration(Method):
    """v ← T v (Jacobi): every state at once."""

    follows_policy: ClassVar[bool] = False

    def improve(self, step: Step) -> Vector:
        """T v itself."""
        return step.shifted()


@dataclass
class GaussSeidel(Method):
    """v ← T v with new values as soon as they are there, a few sweeps between two backups.

    Attributes:
        sweeps: how many.
    """

    sweeps: int = 8
    follows_policy: ClassVar[bool] = False

    def improve(self, step: Step) -> Vector:
        """The values after some sweeps."""
        values, other = step.shifted(), np.empty_like(step.values)
        for _ in range(self.sweeps):
            step.operator.gauss_seidel(values, other)
            values, other = other, values
        return values


@dataclass
class ModifiedPolicyIteration(Method):
    """v ← T_π^m T v: m sweeps of the greedy policy cost little more than m/A backups.

    Puterman and Shin (1978).

    Attributes:
        sweeps: m.
    """

    sweeps: int = 20
    follows_policy: ClassVar[bool] = True

    def improve(self, step: Step) -> Vector:
        """The values after m sweeps of the policy."""
        return _sweep(step, self.sweeps)


#: Sweeps that leave less than this of a residual are quicker than a Krylov method.
QUICK = 0.95
#: How far sweeps go on, as long as they are quick: a fraction of the tolerance.
FURTHER = 0.25
#: The greatest fraction of a residual that an evaluation may leave. At γ = 1 a policy that is
#: greedy for careless values need not end, and its own values are worse.
LOOSEST, LOOSEST_UNDISCOUNTED = 0.5, 0.05
#: The order of convergence that the fractions of successive policies aim at.
GOLDEN = (1 + 5**0.5) / 2
#: Rounding of float32. A correction is up to 1/(1 − γ) times the residual that asks for it.
SINGLE_ROUNDOFF = 2.0**-24
#: From a step and the fraction of its spread that may remain, to values or None.
Evaluator = Callable[[Step, float], Vector | None]


@dataclass
class PolicyIteration(Method):
    """v ≈ V_π, only as well as the present policy deserves (Howard 1960).

    The inner residual is brought to a fraction of the outer one, as in inexact Newton methods
    (Gargiani et al. 2023): less where the last policies gained much, since then the present one
    is likely to be nearly the last (Eisenstat and Walker 1996, choice 2), and a tenth of it after
    every 20 policies, which makes this exact policy iteration in the limit. An evaluation that
    fails is not used: sweeps of T_π take its place, where the chain hardly mixes in any direction
    or has several closed classes.

    Attributes:
        evaluate: solves the policy's system, or returns None.
        sweeps: how many replace an evaluation that failed.
    """

    evaluate: Evaluator
    sweeps: int = 50
    follows_policy: ClassVar[bool] = True
    _policies: int = field(default=0, repr=False)
    _fraction: float = field(default=0.0, repr=False)
    _spread: float = field(default=0.0, repr=False)
    _wait: int = field(default=0, repr=False)
    _pause: int = field(default=1, repr=False)

    def improve(self, step: Step) -> Vector:
        """Values whose residual for the greedy policy is small."""
        fraction = self._forcing(step)
        if self._wait == 0:
            answer = self.evaluate(step, fraction)
            if answer is not None:
                return answer
            self._wait, self._pause = self._pause, 2 * self._pause
        self._wait -= 1
        return _sweep(step, self.sweeps)

    def _forcing(self, step: Step) -> float:
        """The fraction of the spread that the evaluation may leave."""
        loosest = LOOSEST if step.operator.gamma < 1 else LOOSEST_UNDISCOUNTED
        loosest *= 0.1 ** (self._policies // 20)
        gained = 0.9 * (step.spread / self._spread) ** GOLDEN if self._spread else loosest
        kept = 0.9 * self._fraction**GOLDEN
        self._fraction = min(max(gained, kept if kept > 0.1 else 0.0), loosest)
        self._spread, self._policies = step.spread, self._policies + 1
        last = min(0.25 * step.enough, 0.5)  # what would do if this policy were the last
        return max(self._fraction, last, 1e-12)


def by_krylov(preference: krylov.Preference, step: Step, fraction: float) -> Vector | None:
    """V_π by BiCGSTAB (Gargiani et al. use GMRES, whose memory grows), or None.

    What is sought is the correction d of v, (I − γP) d = T v − v. A few of its digits are wanted,
    so single precision does where it has them: for P, and for the sweeps. (BiCGSTAB itself takes
    twice as many products where its vectors are rounded.) The next backup reads P as it is.
    """
    operator = step.operator
    if step.pinned:
        return _pinned_by_krylov(preference, step, fraction * step.spread)
    least = 100 * SINGLE_ROUNDOFF / (1 - operator.gamma) if operator.gamma < 1 else np.inf
    single = least <= 0.1
    tolerance = (max(fraction, least) if single else fraction) * step.spread
    chain = step.chain(np.float32 if single else np.float64)
    missing = step.backed_up - step.values
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
        if answer.residual > 0.5 * step.spread:
            return None
        correction = answer.x
    return np.add(step.values, correction, out=step.backed_up)


def _swept_while_quick(
    step: Step, chain: Chain, missing: Vector, tolerance: float
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


def _pinned_by_krylov(preference: krylov.Preference, step: Step, tolerance: float) -> Vector | None:
    """Bias and gain: the pinned state's value is the gain."""
    start = step.backed_up
    start += 0.5 * (step.backup.low + step.backup.high) - start[0]
    answer = krylov.solve(
        step.chain(),
        step.rewards,
        1.0,
        tolerance=tolerance,
        start=start,
        pin=0,
        budget=600,
        preference=preference,
    )
    return _if_useful(step, answer, 0.5 * step.spread)


def by_factorisation(step: Step, fraction: float) -> Vector | None:
    """V_π by scipy's SuperLU, or None."""
    pin = 0 if step.pinned else None
    answer = krylov.factorised(step.chain(), step.rewards, step.operator.gamma, pin)
    return _if_useful(step, answer, max(fraction, 0.5) * step.spread)


def _if_useful(step: Step, answer: krylov.Answer | None, residual: float) -> Vector | None:
    """The solution, unless it is none, or so large that the system was singular or nearly so."""
    if answer is None or answer.residual > residual:
        return None
    return answer.x if np.abs(answer.x).max() <= step.largest else None


#: The names of `method=`.
METHODS: dict[str, Callable[[], Method]] = {
    "value_iteration": ValueIteration,
    "gauss_seidel": GaussSeidel,
    "modified_policy_iteration": ModifiedPolicyIteration,
    "policy_iteration": lambda: PolicyIteration(by_factorisation),
    "inexact_policy_iteration": lambda: PolicyIteration(partial(by_krylov, krylov.Preference())),
}


def _sweep(step: Step, sweeps: int) -> Vector:
    """T v, then `sweeps` times v + τ (T_π v − v)."""
    chain, rewards, values, tau = step.chain(), step.rewards, step.shifted(), step.damping
    other = np.empty_like(values)
    run, rows = chain.team.run, chain.rows
    for _ in range(sweeps):
        low, high = chain.advance(rewards, step.operator.gamma, values, other)
        if tau != 1.0:
            run(kernels.combine, rows, rows, other, tau - 1, other, 1 - tau, values, other)
        if step.pinned:
            other -= tau * 0.5 * (low + high)
        values, other = other, values
    return values
