"""Whose gradient is it? The expected update against ∇J at several θ, and its curl (G4).

At one θ a vector may coincide with anything, so the same multiple of ∇J is wanted at all of them.
An update that is no such multiple is the gradient of some other function exactly if its Jacobian M
is symmetric.

Two numbers are the same if they differ by rounding, and rounding is relative to what was added up:
to the root of the estimate's second moment, and to the terms of ∇J. A mean may be far smaller.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.flow import Flow
from logtrick.auditing.scored import ScoredPolicy
from logtrick.auditing.truth import Truth, truths
from logtrick.exact import Kind

Mean = Callable[[ScoredPolicy], Float64[np.ndarray, " N"]]

ELSEWHERE = 3
"""Other θ at which the update is compared."""
STENCIL = ((1, 8 / 12), (2, -1 / 12))
"""Central differences of fourth order: (steps away, weight)."""
ONE_PARAMETER = "undecidable (one parameter)"
ROUNDED = "undecidable (rounding)"
ZERO = "J discounted (the zero gradient)"
ROUNDING = 1e-11
"""Of a sum in float64, relative to the size of its terms; linear equations add some to 2e-16."""
BLURRED = 1e-2
"""Rounding of a larger part of an update leaves nothing to decide."""
OPERATIONS = 4
"""Roundings that one estimate has gone through, about."""
MOST_DIRECTIONS = 64
"""With more parameters M is taken on so many random directions at most."""


class Verdict(NamedTuple):
    """What the expected update is the gradient of, and how asymmetric its Jacobian is."""

    gradient_of: str
    curl: float


@dataclass(frozen=True)
class Judge:
    """Decides from an expected update that can be computed at any θ.

    Args:
        mean: policy -> expected update.
        resolution: rounding of one estimate, relative.
        directions: with more parameters M is taken on so many random directions.
    """

    mean: Mean
    resolution: float = float(np.finfo(np.float64).eps)
    directions: int = MOST_DIRECTIONS

    @property
    def tolerance(self) -> float:
        """Relative difference below which two means are the same."""
        return max(1e-9, 100 * self.resolution)

    @property
    def step(self) -> float:
        """Of the differences: rounding and the neglected fifth order are then about as large."""
        return self.resolution**0.2

    @property
    def symmetric(self) -> float:
        """Curl below which M counts as symmetric."""
        return max(1e-6, 1e4 * self.resolution**0.8)

    def decide(self, policy: ScoredPolicy, size: float) -> Verdict:
        """The verdict at this policy and around it.

        Args:
            policy: the policy.
            size: √E‖estimate‖² there.
        """
        policies = [policy, *self._others(policy)]
        means = np.concatenate([self.mean(each) for each in policies])
        of_each = [truths(each) for each in policies]
        exact = _together(of_each, "discounted")
        floor = rounding(self.resolution) * max(size * len(policies) ** 0.5, exact.size)
        sizes = float(np.linalg.norm(means)), float(np.linalg.norm(exact.vector))
        if sizes[0] <= floor and sizes[1] <= ROUNDING * exact.size:
            return Verdict(ZERO, float("nan"))
        one = free_directions(policy) < 2  # one and the same update is a multiple of several ∇J
        if floor > BLURRED * max(sizes):
            return Verdict(ONE_PARAMETER if one else ROUNDED, float("nan"))
        name = self._objective(means, of_each, floor, multiples=not one)
        if one:
            return Verdict(name or ONE_PARAMETER, float("nan"))
        if name is not None and sizes[0] <= floor:
            return Verdict(name, float("nan"))
        curl = self.curl(policy, size)
        return Verdict(name or self._any_function(curl, policies[1:], size), curl)

    def _others(self, policy: ScoredPolicy) -> list[ScoredPolicy]:
        rng = np.random.default_rng(0)
        return [policy.nearby(rng) for _ in range(ELSEWHERE)]

    def _any_function(self, curl: float, others: list[ScoredPolicy], size: float) -> str:
        """Of an update that is ∇J of no kind."""
        curls = [curl]
        while not curls[-1] > self.symmetric and others:
            curls.append(self.curl(others.pop(0), size))
        if curls[-1] > self.symmetric:
            return "no function"
        return ROUNDED if np.isnan(curls).any() else "another function"

    def _objective(
        self,
        means: Float64[np.ndarray, " M"],
        of_each: list[dict[Kind, Truth]],
        floor: float,
        *,
        multiples: bool,
    ) -> str | None:
        """The first J whose gradient, or the same multiple of it, is the mean at every θ."""
        kinds = [kind for kind in of_each[0] if all(kind in found for found in of_each)]
        for kind in kinds:
            scale = self._scale(means, _together(of_each, kind), floor)
            if scale == 1 or (scale is not None and multiples):
                return f"J {kind}" if scale == 1 else f"{scale:.6g} × J {kind}"
        return None

    def _scale(self, means: Float64[np.ndarray, " M"], truth: Truth, floor: float) -> float | None:
        """The c with means = c · exact, 0 or 1 where that is meant; None if there is none."""
        exact = truth.vector
        sizes = float(np.linalg.norm(means)), float(np.linalg.norm(exact))
        near = max(self.tolerance * max(sizes), floor, ROUNDING * truth.size)
        if np.linalg.norm(means - exact) <= near:
            return 1.0
        if sizes[1] <= ROUNDING * truth.size:
            return None
        scale = float(means @ exact) / sizes[1] ** 2
        if np.linalg.norm(means - scale * exact) > near:
            return None
        return 0.0 if abs(scale) <= self.tolerance or sizes[0] <= floor else scale

    def curl(self, policy: ScoredPolicy, size: float) -> float:
        """‖M − Mᵀ‖/‖M + Mᵀ‖ in Frobenius' norm; NaN where rounding may be all that is seen of it.

        Args:
            policy: where.
            size: √E‖estimate‖²; a mean errs by `resolution` of it.
        """
        parameters = policy.theta.size
        count = min(parameters, self.directions)
        directions = np.eye(parameters)
        if count < parameters:
            directions = np.random.default_rng(0).normal(size=(parameters, count))
            directions = np.linalg.qr(directions)[0].T
        m = np.stack([directions @ self._along(policy, d) for d in directions], axis=1)
        odd, even = float(np.linalg.norm(m - m.T)), float(np.linalg.norm(m + m.T))
        weights = 2 * sum(abs(weight) for _, weight in STENCIL)
        one_column = OPERATIONS * self.resolution * size * weights / (self.step * policy.scale)
        noise = 2 * np.sqrt(count) * one_column
        if odd > noise:
            return float(odd / even) if even > 0 else float("inf")
        clear = noise <= self.symmetric * max(float(even), float(np.linalg.norm(self.mean(policy))))
        return 0.0 if clear else float("nan")

    def _along(
        self, policy: ScoredPolicy, direction: Float64[np.ndarray, " N"]
    ) -> Float64[np.ndarray, " N"]:
        """The derivative of the mean along a direction."""
        step = self.step * policy.scale
        change = np.zeros_like(direction)
        for steps, weight in STENCIL:
            moved = steps * step * direction
            ahead, behind = policy.at(policy.theta + moved), policy.at(policy.theta - moved)
            change += weight / step * (self.mean(ahead) - self.mean(behind))
        return change


def rounding(resolution: float) -> float:
    """The part of its terms' size below which a sum is 0, if each errs by `resolution`."""
    return max(ROUNDING, 100 * resolution)


def _together(of_each: list[dict[Kind, Truth]], kind: Kind) -> Truth:
    """∇J of one kind at several θ as one vector."""
    found = [truths[kind] for truths in of_each]
    sizes = np.linalg.norm([truth.size for truth in found])
    return Truth(np.concatenate([truth.vector for truth in found]), float(sizes))


def free_directions(policy: ScoredPolicy) -> int:
    """In how many directions θ changes the policy where it gets: the rank of its scores.

    Two logits of one softmax are one direction: every vector field on a line is a gradient.
    """
    flow = Flow.of(policy.mdp, policy.probabilities, policy.scores)
    taken = np.asarray(flow.policy.sum(axis=0)).ravel() > 0  # in states that come to pass
    return int(np.linalg.matrix_rank(flow.scores[taken]))
