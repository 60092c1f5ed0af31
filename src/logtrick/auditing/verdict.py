"""Whose gradient is it? The expected update against ∇J at several θ, and its curl (G4).

At one θ a vector may coincide with anything, so the same multiple of ∇J is wanted at all of them.
An update that is no such multiple is the gradient of some other function exactly if its Jacobian M
is symmetric.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.flow import Flow
from logtrick.auditing.policies import ScoredPolicy
from logtrick.auditing.truth import gradients

Mean = Callable[[ScoredPolicy], Float64[np.ndarray, " N"]]

ELSEWHERE = 3
"""Other θ at which the update is compared."""
STENCIL = ((1, 8 / 12), (2, -1 / 12))
"""Central differences of fourth order: (steps away, weight)."""
ONE_PARAMETER = "undecidable (one parameter)"
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

    def decide(self, policy: ScoredPolicy) -> Verdict:
        """The verdict at this policy and around it."""
        others = self._others(policy)
        if free_directions(policy) < 2:  # one and the same update is a multiple of several ∇J
            name = self._objective([policy, *others], multiples=False)
            return Verdict(name or ONE_PARAMETER, float("nan"))
        curl = self.curl(policy)
        name = self._objective([policy, *others], multiples=True)
        if name is None:
            turns = curl > self.symmetric or any(self.curl(p) > self.symmetric for p in others)
            name = "no function" if turns else "another function"
        return Verdict(name, curl)

    def _others(self, policy: ScoredPolicy) -> list[ScoredPolicy]:
        rng = np.random.default_rng(0)
        return [policy.nearby(rng) for _ in range(ELSEWHERE)]

    def _objective(self, policies: list[ScoredPolicy], *, multiples: bool) -> str | None:
        """The first J whose gradient, or the same multiple of it, is the mean at every θ."""
        means = np.concatenate([self.mean(policy) for policy in policies])
        of_each = [gradients(policy) for policy in policies]
        kinds = [kind for kind in of_each[0] if all(kind in found for found in of_each)]
        for kind in kinds:
            exact = np.concatenate([found[kind] for found in of_each])
            scale = self._scale(means, exact)
            if scale == 1 or (scale is not None and multiples):
                return f"J {kind}" if scale == 1 else f"{scale:.6g} × J {kind}"
        return None

    def _scale(
        self, means: Float64[np.ndarray, " M"], exact: Float64[np.ndarray, " M"]
    ) -> float | None:
        """The c with means = c · exact, 0 or 1 where that is meant; None if there is none."""
        sizes = float(np.linalg.norm(means)), float(np.linalg.norm(exact))
        near = self.tolerance * max(sizes)
        if np.linalg.norm(means - exact) <= near:
            return 1.0
        scale = float(means @ exact) / sizes[1] ** 2 if sizes[1] > 0 else 0.0
        if np.linalg.norm(means - scale * exact) > near:
            return None
        return 0.0 if abs(scale) <= self.tolerance else scale

    def curl(self, policy: ScoredPolicy) -> float:
        """‖M − Mᵀ‖/‖M + Mᵀ‖ in Frobenius' norm; 0 where M = 0."""
        size = policy.theta.size
        count = min(size, self.directions)
        directions = np.eye(size)
        if count < size:
            directions = np.linalg.qr(np.random.default_rng(0).normal(size=(size, count)))[0].T
        m = np.stack([directions @ self._along(policy, d) for d in directions], axis=1)
        odd, even = np.linalg.norm(m - m.T), np.linalg.norm(m + m.T)
        rounding = self.resolution / self.step * np.linalg.norm(self.mean(policy))
        if odd <= rounding * count:
            return 0.0
        return float(odd / even) if even > 0 else float("inf")

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


def free_directions(policy: ScoredPolicy) -> int:
    """In how many directions θ changes the policy where it gets: the rank of its scores.

    Two logits of one softmax are one direction: every vector field on a line is a gradient.
    """
    flow = Flow.of(policy.mdp, policy.probabilities, policy.scores)
    taken = np.asarray(flow.policy.sum(axis=0)).ravel() > 0  # in states that come to pass
    return int(np.linalg.matrix_rank(flow.scores[taken]))
