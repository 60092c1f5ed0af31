"""The mean and covariance of an estimate over every group of trajectories, none sampled."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64

from logtrick.auditing.moments import Moments
from logtrick.auditing.paths import Paths, list_paths
from logtrick.auditing.scored import Actor, ScoredPolicy
from logtrick.mdp.model import FiniteMDP

CHUNK = 16384
"""Groups whose estimates are in memory at once."""


@runtime_checkable
class OnPaths(Protocol):
    """An estimator of groups of trajectories: a registered rule, or somebody else's function."""

    @property
    def group_size(self) -> int:
        """G, the trajectories that one estimate is made of."""

    @property
    def same_start(self) -> bool:
        """Whether they all start in the same state."""

    @property
    def symmetric(self) -> bool:
        """Whether their order makes no difference."""

    def at(self, policy: ScoredPolicy) -> Any:
        """Paths [U, G, T] -> estimates [U, N], the policy at its parameters."""


@dataclass(frozen=True)
class Enumeration:
    """Every group of G trajectories, as rows of numbers of paths."""

    paths: Paths
    members: Int64[np.ndarray, "U G"]
    orders: Float64[np.ndarray, " U"]
    """In how many orders the same group can be drawn, all counted in this row."""
    same_start: bool = True
    """Whether the trajectories of a group share a start state; else each has its own."""

    def moments(self, estimator: OnPaths, policy: ScoredPolicy, actor: Actor) -> Moments:
        """Of the estimate from one group.

        Args:
            estimator: the estimator.
            policy: whose gradient is estimated.
            actor: who draws the trajectories, the policy itself if on-policy.
        """
        mean, second = np.zeros(policy.theta.size), np.zeros((policy.theta.size,) * 2)
        for chance, estimates in self._estimates(estimator, policy, actor):
            mean += chance @ estimates
            second += (estimates.T * chance) @ estimates
        return Moments(mean, second - np.outer(mean, mean))

    def mean(
        self, estimator: OnPaths, policy: ScoredPolicy, actor: Actor
    ) -> Float64[np.ndarray, " N"]:
        """The expected estimate [N], without its covariance."""
        return sum(c @ estimates for c, estimates in self._estimates(estimator, policy, actor))

    def _estimates(
        self, estimator: OnPaths, policy: ScoredPolicy, actor: Actor
    ) -> Iterator[tuple[Float64[np.ndarray, " u"], Float64[np.ndarray, "u N"]]]:
        paths = self.paths
        chances = paths.chances(actor.probabilities)
        starts = paths.mdp.start[paths.states[:, 0]]
        estimates_of = estimator.at(policy)
        for first in range(0, len(self.members), CHUNK):
            members = self.members[first : first + CHUNK]
            drawn = members[:, :1] if self.same_start else members
            chance = np.prod(starts[drawn], axis=1) * np.prod(chances[members], axis=1)
            yield chance * self.orders[first : first + CHUNK], estimates_of(paths[members])


def enumerate_groups(
    mdp: FiniteMDP,
    estimator: OnPaths,
    actor: Actor,
    horizon: int | None,
    most: int,
) -> Enumeration | None:
    """All groups of trajectories, or None if there are more than `most`."""
    paths = list_paths(mdp, actor.probabilities, horizon, most)
    if paths is None:
        return None
    size, starts = estimator.group_size, paths.states[:, 0]
    groups = [np.arange(len(starts))]
    if estimator.same_start:
        groups = [np.flatnonzero(starts == s) for s in np.unique(starts)]
    counts = [
        comb(len(g) + size - 1, size) if estimator.symmetric else len(g) ** size for g in groups
    ]
    if sum(counts) > most:
        return None
    members = np.concatenate([_tuples(g, size, estimator.symmetric) for g in groups])
    orders = _orders(members) if estimator.symmetric else np.ones(len(members))
    return Enumeration(paths, members, orders, estimator.same_start)


def _tuples(paths: Int64[np.ndarray, " M"], size: int, symmetric: bool) -> np.ndarray:
    """All G-tuples of paths; of those that differ in order only one, the sorted, if symmetric."""
    rows = np.zeros((1, 0), np.int64)
    for _ in range(size):
        least = rows[:, -1] if symmetric and rows.shape[1] else np.zeros(len(rows), np.int64)
        counts = len(paths) - least
        source = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = np.concatenate([rows[source], (least[source] + within)[:, None]], axis=1)
    return paths[rows]


def _orders(members: Int64[np.ndarray, "U G"]) -> Float64[np.ndarray, " U"]:
    """G!/Π(repetitions)! of sorted rows."""
    orders, run = np.ones(len(members)), np.ones(len(members))
    for i in range(1, members.shape[1]):
        run = np.where(members[:, i] == members[:, i - 1], run + 1, 1)
        orders *= (i + 1) / run
    return orders
