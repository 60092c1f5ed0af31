"""The Bellman operator T of an MDP in sparse storage."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, UInt32, UInt64

from logtrick.errors import ConvergenceError
from logtrick.mdp.arrays import frozen
from logtrick.mdp.model import FiniteMDP
from logtrick.planning.sparse import row_kernels
from logtrick.planning.sparse import sweep_kernels as kernels
from logtrick.planning.sparse.chains import SparseChain, Vector, continuing
from logtrick.planning.sparse.threads import Team, num_blocks


class Backup(NamedTuple):
    """What one sweep of T says about v."""

    low: float
    """min (T v − v)"""
    high: float
    """max (T v − v)"""
    size: float
    """max |T v|"""
    changes: int
    """States whose choice changed."""


class Limits(NamedTuple):
    """What no pair exceeds; any choice of the pairs keeps to it too."""

    reward: float
    """the greatest |r| of any outcome: expected rewards carry its rounding"""
    outcomes: int
    """of the longest pair, before any were left out"""
    least_mass: float
    """the least probability with which a pair goes on"""
    most_mass: float
    """the greatest"""
    defect: float
    """how far the probabilities of a pair, ends included, are from summing to one"""


@dataclass(frozen=True)
class Operator:
    """T of an MDP, as the sweeps read it: what ends has no weight.

    Attributes:
        pair_offsets: pairs of state s are `pair_offsets[s]:pair_offsets[s + 1]`.
        outcome_offsets: outcomes of pair p are `outcome_offsets[p]:outcome_offsets[p + 1]`.
        successors: the state that each outcome leads to.
        probabilities: of each outcome.
        rewards: R(s, a) of each pair.
        gamma: γ.
        limits: of the pairs, as far as rounding is concerned.
        team: the threads that share the sweeps.
    """

    pair_offsets: UInt64[np.ndarray, " _S1"]
    outcome_offsets: UInt64[np.ndarray, " _P1"]
    successors: UInt32[np.ndarray, " K"]
    probabilities: Float64[np.ndarray, " K"]
    rewards: Float64[np.ndarray, " P"]
    gamma: float
    limits: Limits
    team: Team

    @classmethod
    def from_mdp(cls, mdp: FiniteMDP, gamma: float, team: Team) -> "Operator":
        """Read a `FiniteMDP`; its arrays are shared where nothing ends, and copied otherwise.

        At γ < 1 outcomes that end stay, with probability 0: rows of one length are swept faster.
        At γ = 1 the graph matters, and they are left out.
        """
        rewards, limits, all_go_on = _read_pairs(mdp, team)
        offsets: Any = mdp.outcome_offsets
        successors, probabilities = mdp.successors, mdp.probabilities
        if not all_go_on and gamma < 1:
            probabilities = np.where(mdp.terminated, 0.0, probabilities)
        elif not all_go_on:
            offsets, successors, probabilities = continuing(mdp)
        return cls(
            frozen(mdp.pair_offsets.view(np.uint64)),
            frozen(offsets.view(np.uint64)),
            frozen(successors.view(np.uint32)),
            frozen(probabilities),
            frozen(rewards),
            gamma,
            limits,
            team,
        )

    @property
    def num_states(self) -> int:
        """S, the number of states."""
        return len(self.pair_offsets) - 1

    @property
    def transitions(self) -> SparseChain:
        """P over pairs: one row for each (s, a)."""
        return SparseChain(self.outcome_offsets, self.successors, self.probabilities, self.team)

    @cached_property
    def pair_states(self) -> UInt32[np.ndarray, " P"]:
        """The state of each pair."""
        counts = np.diff(self.pair_offsets).astype(np.int64)
        return np.repeat(np.arange(self.num_states, dtype=np.uint32), counts)

    def action_values(self, values: Vector) -> Float64[np.ndarray, " P"]:
        """V3: Q(s, a) = R(s, a) + γ Σ P v."""
        pairs = len(self.rewards)
        padded = np.zeros(max(pairs, self.num_states))
        padded[: self.num_states] = values  # `advance` also reads the entry of its own row
        out = np.empty(pairs)
        self.transitions.advance(self.rewards, self.gamma, padded, out)
        return out

    def backup(
        self, values: Vector, out: Vector, choice: UInt32[np.ndarray, " S"], margin: float = 0.0
    ) -> Backup:
        """Compute out = T v; `choice` moves to pairs that are better by more than `margin`.

        Raises:
            ConvergenceError: a value is too large for float64.
        """
        low, high, size = np.empty((3, num_blocks(self.num_states)))
        changes = np.empty(num_blocks(self.num_states), np.int64)
        self.team.run(
            kernels.backup,
            self.num_states,
            len(self.successors),
            *self._arrays,
            values,
            float(margin),
            out,
            choice,
            low,
            high,
            size,
            changes,
        )
        if not np.isfinite(size.max()):
            raise ConvergenceError(
                f"values beyond float64, from rewards up to {self.limits.reward:.3g}: divide the "
                "rewards by a constant"
            )
        return Backup(float(low.min()), float(high.max()), float(size.max()), int(changes.sum()))

    def gauss_seidel(self, values: Vector, out: Vector) -> None:
        """Compute T v with new values as soon as they are there, within blocks of 4096 states."""
        out[:] = values
        work = len(self.successors)
        self.team.run(kernels.gauss_seidel, self.num_states, work, *self._arrays, values, out)

    def pairs(self, choice: UInt32[np.ndarray, "... S"]) -> UInt64[np.ndarray, "... S"]:
        """The pair that each state chooses."""
        return self.pair_offsets[:-1] + choice

    def chain(
        self, choice: UInt32[np.ndarray, " S"]
    ) -> tuple[SparseChain, Float64[np.ndarray, " S"]]:
        """P_π and r_π of a deterministic policy, copied together: a sweep then reads less."""
        rows = self.pairs(choice)
        return self.transitions.take(rows), self.rewards[rows]

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return (
            self.pair_offsets,
            *self.transitions._arrays,
            self.rewards,
            float(self.gamma),
        )


def _read_pairs(mdp: FiniteMDP, team: Team) -> tuple[Float64[np.ndarray, " P"], Limits, bool]:
    """R(s, a), the limits, and whether every outcome has probability and goes on.

    `mdp.pair_rewards` is the same but for rounding. One pass over the outcomes instead of eight, on
    all threads and without their memory, spares a quarter of the first solve at 10⁶ states.
    """
    rewards, found = np.empty(mdp.num_pairs), np.empty((6, num_blocks(mdp.num_pairs)))
    team.run(
        row_kernels.read_pairs,
        mdp.num_pairs,
        mdp.num_outcomes,
        frozen(mdp.outcome_offsets.view(np.uint64)),
        frozen(mdp.probabilities),
        frozen(mdp.rewards),
        frozen(mdp.terminated),
        rewards,
        *found,
    )
    largest, longest, least, most, uneven, stops = found
    limits = Limits(
        float(largest.max()),
        int(longest.max()),
        float(least.min()),
        float(most.max()),
        float(uneven.max()),
    )
    return rewards, limits, not stops.any().item()
