"""What the audit knows of a policy: π(a|s) and ∇log π(a|s) on the pairs of an MDP, in float64.

The rest of this room sees a `ScoredPolicy` and a flat vector of parameters θ. So another kind of
policy needs a subclass of it and nothing else.
"""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from logtrick.mdp.model import FiniteMDP
from logtrick.rollouts.device import Trajectory


@runtime_checkable
class Runner(Protocol):
    """Calls somebody else's estimator on many batches of trajectories."""

    batched: bool
    """Whether many batches at once cost little more than one."""
    resolution: float
    """The rounding of one number that comes back: 2e-16 for float64, 1e-7 for float32."""

    def __call__(
        self, policy: "ScoredPolicy", trajectories: Trajectory
    ) -> Float64[np.ndarray, "U N"]:
        """One gradient for each of U batches; the arrays of `trajectories` are [U, B, T]."""

    def once(self, policy: "ScoredPolicy", batch: Trajectory) -> list[Any]:
        """What the Python code does in one call on one batch [B, T]: its trace, or its numbers."""

    def numbers(self, policy: "ScoredPolicy", batch: Trajectory) -> list[Any]:
        """The numbers of one call on one batch [B, T], nothing compiled."""


@dataclass(frozen=True)
class Table:
    """The probabilities of a policy that is not estimated."""

    mdp: FiniteMDP
    probabilities: Float64[np.ndarray, " P"]
    """π(a|s) of each pair, 0 where it never takes the action."""


class ScoredPolicy(abc.ABC):
    """A policy on a finite MDP as the audit reads it. Arrays follow the MDP's pairs (s, a)."""

    mdp: FiniteMDP
    theta: Float64[np.ndarray, " N"]
    """The parameters, flat."""

    @property
    @abc.abstractmethod
    def probabilities(self) -> Float64[np.ndarray, " P"]:
        """π(a|s) of each pair."""

    @property
    @abc.abstractmethod
    def scores(self) -> Float64[np.ndarray, "P N"]:
        """∇log π(a|s) of each pair; 0 where π(a|s) = 0."""

    @abc.abstractmethod
    def at(self, theta: Float64[np.ndarray, " N"]) -> "ScoredPolicy":
        """The same policy with other parameters."""

    @abc.abstractmethod
    def unravel(self, vector: Float64[np.ndarray, " N"]) -> Any:
        """A flat vector in the shape of the policy's parameters."""

    def shaped(self, vector: Float64[np.ndarray, " N"]) -> Any:
        """A flat vector as the user's policy is shaped."""
        return self.unravel(vector)

    @abc.abstractmethod
    def runner(self, estimator: Callable[..., Any]) -> Runner:
        """What calls `estimator(policy, trajectories)` with this kind of policy."""

    def nearby(self, rng: np.random.Generator) -> "ScoredPolicy":
        """The policy at parameters some way off, at random."""
        return self.at(self.theta + 0.5 * rng.normal(size=self.theta.shape))

    @property
    def scale(self) -> float:
        """The size of a change of θ that is still small; finite differences step a part of it."""
        return 1.0


Actor = Table | ScoredPolicy
"""Who draws the trajectories, or is compared with: only its probabilities are looked at."""
