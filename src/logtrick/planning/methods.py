"""What happens between two backups: five ways to a better v, none of which is trusted.

Each is given v, T v and the policy that is greedy for v, and returns the next v. Whether that is
good enough is for the certificate of the next backup to say.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np

from logtrick.planning.evaluators import Evaluator, by_factorisation, by_krylov
from logtrick.planning.iteration import Iterate
from logtrick.planning.sparse import krylov
from logtrick.planning.sparse import sweep_kernels as kernels
from logtrick.planning.sparse.chains import Vector


class Method(abc.ABC):
    """A way to improve v.

    Attributes:
        follows_policy: True where the greedy policy is followed for more than one step, which at
            γ = 1 needs one that ends.
    """

    follows_policy: ClassVar[bool]

    @abc.abstractmethod
    def improve(self, step: Iterate) -> Vector:
        """The next v; may reuse the memory of `step.backed_up`."""


class ValueIteration(Method):
    """v ← T v (Jacobi): every state at once."""

    follows_policy: ClassVar[bool] = False

    def improve(self, step: Iterate) -> Vector:
        """The next iterate: T v as the backup gave it."""
        return step.shifted()


@dataclass
class GaussSeidel(Method):
    """v ← T v with new values as soon as they are there, a few sweeps between two backups.

    Attributes:
        sweeps: how many.
    """

    sweeps: int = 8
    follows_policy: ClassVar[bool] = False

    def improve(self, step: Iterate) -> Vector:
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

    def improve(self, step: Iterate) -> Vector:
        """The values after m sweeps of the policy."""
        return _sweep(step, self.sweeps)


#: The greatest fraction of a residual that an evaluation may leave. At γ = 1 a policy that is
#: greedy for careless values need not end, and its own values are worse.
LOOSEST, LOOSEST_UNDISCOUNTED = 0.5, 0.05
#: The order of convergence that the fractions of successive policies aim at.
GOLDEN = (1 + 5**0.5) / 2


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

    def improve(self, step: Iterate) -> Vector:
        """Values whose residual for the greedy policy is small."""
        fraction = self._forcing(step)
        if self._wait == 0:
            answer = self.evaluate(step, fraction)
            if answer is not None:
                return answer
            self._wait, self._pause = self._pause, 2 * self._pause
        self._wait -= 1
        return _sweep(step, self.sweeps)

    def _forcing(self, step: Iterate) -> float:
        """The fraction of the spread that the evaluation may leave."""
        loosest = LOOSEST if step.operator.gamma < 1 else LOOSEST_UNDISCOUNTED
        loosest *= 0.1 ** (self._policies // 20)
        gained = 0.9 * (step.spread / self._spread) ** GOLDEN if self._spread else loosest
        kept = 0.9 * self._fraction**GOLDEN
        self._fraction = min(max(gained, kept if kept > 0.1 else 0.0), loosest)
        self._spread, self._policies = step.spread, self._policies + 1
        last = min(0.25 * step.enough, 0.5)  # what would do if this policy were the last
        return max(self._fraction, last, 1e-12)


#: The names of `method=`.
METHODS: dict[str, Callable[[], Method]] = {
    "value_iteration": ValueIteration,
    "gauss_seidel": GaussSeidel,
    "modified_policy_iteration": ModifiedPolicyIteration,
    "policy_iteration": lambda: PolicyIteration(by_factorisation),
    "inexact_policy_iteration": lambda: PolicyIteration(partial(by_krylov, krylov.Preference())),
}


def _sweep(step: Iterate, sweeps: int) -> Vector:
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
