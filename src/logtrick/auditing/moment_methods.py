"""Three ways to the moments of an estimate: closed form, enumeration, sampling."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.closed_form import equations
from logtrick.auditing.enumeration import Enumeration, OnPaths
from logtrick.auditing.moments import Moments
from logtrick.auditing.paths import Paths, draw_paths, draw_starts
from logtrick.auditing.scored import Actor, Runner, ScoredPolicy
from logtrick.auditing.settings import Settings
from logtrick.auditing.streaming import sampled_moments
from logtrick.mdp.model import FiniteMDP

TOGETHER = 1 << 14
"""Sampled trajectories that are in memory at once."""


class Measured(NamedTuple):
    """Mean and covariance of one estimate (from a group of G trajectories, where there are)."""

    moments: Moments
    estimates: int | None
    """How many were sampled; None where the moments are exact."""


@runtime_checkable
class MomentMethod(Protocol):
    """How the moments at a policy are found."""

    @property
    def name(self) -> str:
        """The name of the method: closed form, enumeration or sampling."""

    def measure(self, policy: ScoredPolicy) -> Measured:
        """The moments at the policy."""


class ClosedForm:
    """The moments from linear equations over states."""

    name = "closed form"

    def __init__(self, mdp: FiniteMDP, psi: str, settings: Settings) -> None:
        self._equations = lambda policy: equations(
            psi, mdp, policy.probabilities, policy.scores, settings
        )

    def measure(self, policy: ScoredPolicy) -> Measured:
        """The exact mean [N] and covariance [N, N] of one estimate."""
        return Measured(self._equations(policy).moments(), None)

    def mean(self, policy: ScoredPolicy) -> Float64[np.ndarray, " N"]:
        """The expected estimate [N], without its covariance."""
        return self._equations(policy).mean()


@dataclass(frozen=True)
class Enumerated:
    """Every trajectory, or every group of them."""

    listed: Enumeration
    estimator: OnPaths
    actor: Actor | None
    """Who acts; None is the policy itself."""
    name = "enumeration"

    def measure(self, policy: ScoredPolicy) -> Measured:
        """The exact mean [N] and covariance [N, N] of one estimate."""
        moments = self.listed.moments(self.estimator, policy, self.actor or policy)
        return Measured(moments, None)

    def mean(self, policy: ScoredPolicy) -> Float64[np.ndarray, " N"]:
        """The expected estimate [N], without its covariance."""
        return self.listed.mean(self.estimator, policy, self.actor or policy)


@dataclass(frozen=True)
class Streamed:
    """Trajectories simulated in machine code, none stored."""

    mdp: FiniteMDP
    psi: str
    settings: Settings
    samples: int
    key: int
    name = "sampling"

    def measure(self, policy: ScoredPolicy) -> Measured:
        """The mean [N] and the covariance [N, N] of the sampled estimates."""
        endless = replace(self.settings, horizon=None)
        recursion = equations(self.psi, self.mdp, policy.probabilities, policy.scores, endless)
        moments = sampled_moments(recursion, self.samples, self.key, horizon=self.settings.horizon)
        return Measured(moments, self.samples)


@dataclass(frozen=True)
class Padded:
    """Batches [B, T] of sampled trajectories, for what needs whole trajectories at once."""

    estimator: OnPaths
    actor: Actor | None
    horizon: int | None
    samples: int
    key: int
    name = "sampling"

    def measure(self, policy: ScoredPolicy) -> Measured:
        """Sample mean and covariance; each chunk has its own counter-based random stream."""
        actor, size = self.actor or policy, self.estimator.group_size
        groups = max(1, min(TOGETHER, self.samples) // size)
        chunks = -(-self.samples // (groups * size))
        estimates_of = self.estimator.at(policy)
        total, squares = np.zeros(policy.theta.size), np.zeros((policy.theta.size,) * 2)
        for chunk in range(chunks):
            rng = np.random.Generator(np.random.Philox(key=[self.key, chunk]))
            estimates = estimates_of(
                sampled_groups(actor, self.estimator, groups, rng, self.horizon)
            )
            total += estimates.sum(axis=0)
            squares += estimates.T @ estimates
        count = chunks * groups
        mean = total / count
        covariance = (squares / count - np.outer(mean, mean)) * (count / max(count - 1, 1))
        return Measured(Moments(mean, covariance), count)


def sampled_groups(
    actor: Actor,
    estimator: OnPaths,
    groups: int,
    rng: np.random.Generator,
    horizon: int | None,
) -> Paths:
    """Groups of trajectories [U, G, T] that the actor takes."""
    size = estimator.group_size
    starts = draw_starts(actor.mdp, rng, groups, size, shared=estimator.same_start)
    paths = draw_paths(actor.mdp, actor.probabilities, starts, rng, horizon)
    shape = (groups, size, paths.valid.shape[-1])
    return Paths(
        paths.mdp, paths.pairs.reshape(shape), paths.outcomes.reshape(shape),
        paths.valid.reshape(shape),
    )  # fmt: skip


def sampled_batches(
    estimator: OnPaths,
    policy: ScoredPolicy,
    actor: Actor,
    batches: int,
    batch_size: int,
    key: int,
    horizon: int | None,
) -> Float64[np.ndarray, "U N"]:
    """The estimates of some sampled batches of B trajectories (of one group at least)."""
    groups = max(1, batch_size // estimator.group_size)
    rng = np.random.Generator(np.random.Philox(key=[key, 2**32]))
    paths = sampled_groups(actor, estimator, batches * groups, rng, horizon)
    estimates = estimator.at(policy)(paths)
    return estimates.reshape(batches, groups, -1).mean(axis=1)


@dataclass(frozen=True)
class Foreign:
    """Somebody else's estimator: a function of the policy and a batch of trajectories."""

    runner: Runner
    group_size: int
    same_start: bool
    actor: Actor | None
    symmetric = False
    """Its trajectories are enumerated in every order: what it does with them is its own affair."""

    def at(self, policy: ScoredPolicy) -> Callable[[Paths], Float64[np.ndarray, "U N"]]:
        """The estimates of batches of trajectories [U, G, T]."""
        acting = (self.actor or policy).probabilities
        return lambda paths: self.runner(policy, paths.trajectory(acting))
