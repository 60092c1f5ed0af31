"""Trajectories of a finite MDP as rows of pairs and outcomes: all of them, or samples."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from logtrick.errors import EstimatorError
from logtrick.mdp.model import FiniteMDP
from logtrick.rollouts.device import Trajectory

LONGEST = 1 << 14
"""Steps after which a sampled trajectory without a horizon is given up."""


@dataclass(frozen=True)
class Paths:
    """Trajectories [..., T]; rows that follow an end are not valid and hold pair 0, outcome 0."""

    mdp: FiniteMDP
    pairs: Int64[np.ndarray, "*batch T"]
    outcomes: Int64[np.ndarray, "*batch T"]
    valid: Bool[np.ndarray, "*batch T"]

    def __getitem__(self, index: Any) -> "Paths":
        return Paths(self.mdp, self.pairs[index], self.outcomes[index], self.valid[index])

    @property
    def states(self) -> np.ndarray:
        """The state s_t in which each step begins, [..., T]."""
        return self.mdp.pair_states[self.pairs]

    @property
    def successors(self) -> np.ndarray:
        """s'_t, the state really reached."""
        return self.mdp.successors[self.outcomes]

    @property
    def rewards(self) -> Float64[np.ndarray, "*batch T"]:
        """The reward r_t of each step; 0 where there is no step."""
        return np.where(self.valid, self.mdp.rewards[self.outcomes], 0.0)

    @property
    def terminated(self) -> Bool[np.ndarray, "*batch T"]:
        """True where the MDP ended, and where there is no step."""
        return self.mdp.terminated[self.outcomes] | ~self.valid

    @cached_property
    def truncated(self) -> Bool[np.ndarray, "*batch T"]:
        """True at a last step that did not terminate."""
        onwards = np.roll(self.valid, -1, axis=-1)
        onwards[..., -1] = False
        return self.valid & ~onwards & ~self.mdp.terminated[self.outcomes]

    @property
    def lengths(self) -> Float64[np.ndarray, "*batch"]:
        """L, the number of steps of each trajectory."""
        return self.valid.sum(axis=-1).astype(np.float64)

    def taken(self, of_pairs: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, "*batch T"]:
        """The numbers of the pairs (s_t, a_t); 0 where there is no step."""
        return np.where(self.valid, of_pairs[self.pairs], 0.0)

    def chances(self, probabilities: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, "*batch"]:
        """The chance of each trajectory, given the state that it starts in."""
        steps = probabilities[self.pairs] * self.mdp.probabilities[self.outcomes]
        return np.prod(np.where(self.valid, steps, 1.0), axis=-1)

    def trajectory(self, probabilities: Float64[np.ndarray, " P"]) -> Trajectory:
        """As a `Trajectory` of NumPy arrays, float64, under the policy that acted."""
        observations = self.mdp.observations
        rewards = self.rewards
        return Trajectory(
            obs=observations[self.states],
            action=self.mdp.pair_actions[self.pairs],
            reward=rewards,
            next_obs=observations[self.successors],
            terminated=self.terminated,
            truncated=self.truncated,
            valid=self.valid,
            log_prob=self.taken(logarithms(probabilities)),
            step=np.broadcast_to(np.arange(rewards.shape[-1], dtype=np.int32), rewards.shape),
            episode_return=np.cumsum(rewards, axis=-1),
        )


def logarithms(probabilities: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, " P"]:
    """Log π(a|s) of each pair; −∞ at actions that are never taken."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def list_paths(
    mdp: FiniteMDP, probabilities: Float64[np.ndarray, " P"], horizon: int | None, most: int
) -> Paths | None:
    """Every trajectory that a policy can take; None if there are more than `most`."""
    possible, offsets = _possible_outcomes(mdp, probabilities)
    states = np.flatnonzero(mdp.start > 0)
    prefixes = np.zeros((len(states), 0), np.int64)
    complete: list[np.ndarray] = []
    length = count = 0
    while len(states):
        # Without a horizon, a trajectory longer than the number of states can go on for ever.
        choices = offsets[states + 1] - offsets[states]
        if count + choices.sum() > most or (horizon is None and length >= mdp.num_states):
            return None
        source = np.repeat(np.arange(len(states)), choices)
        within = np.arange(len(source)) - np.repeat(np.cumsum(choices) - choices, choices)
        outcomes = possible[offsets[states][source] + within]
        prefixes = np.concatenate([prefixes[source], outcomes[:, None]], axis=1)
        length += 1
        ends = mdp.terminated[outcomes] | (length == horizon)
        complete.append(prefixes[ends])
        count += int(ends.sum())
        prefixes, states = prefixes[~ends], mdp.successors[outcomes[~ends]]
    return _padded(mdp, complete, horizon or length)


def draw_paths(
    mdp: FiniteMDP,
    probabilities: Float64[np.ndarray, " P"],
    starts: Int64[np.ndarray, " n"],
    rng: np.random.Generator,
    horizon: int | None,
) -> Paths:
    """One sampled trajectory from each start; T is the horizon, or else a power of two.

    Raises:
        EstimatorError: a trajectory does not end.
    """
    pairs = mdp.outcome_pairs
    edges = np.concatenate([[0.0], np.cumsum(mdp.probabilities * probabilities[pairs])])
    first = mdp.outcome_offsets[mdp.pair_offsets]
    low, high = edges[first[:-1]], edges[first[1:]]
    rows, states = np.arange(len(starts)), starts
    columns: list[np.ndarray] = []
    while len(rows) and len(columns) != horizon:
        if len(columns) == LONGEST:
            raise EstimatorError(
                f"{len(rows)} of {len(starts)} sampled trajectories have not ended after {LONGEST} "
                "steps: give a horizon"
            )
        draws = low[states] + rng.random(len(states)) * (high[states] - low[states])
        outcomes = np.searchsorted(edges, draws, side="right") - 1
        outcomes = np.clip(outcomes, first[states], first[states + 1] - 1)
        column = np.full(len(starts), -1)
        column[rows] = outcomes
        columns.append(column)
        on = ~mdp.terminated[outcomes]
        rows, states = rows[on], mdp.successors[outcomes[on]]
    padding = (horizon or 1 << (len(columns) - 1).bit_length()) - len(columns)
    table = np.pad(np.stack(columns, axis=1), [(0, 0), (0, padding)], constant_values=-1)
    return _from_outcomes(mdp, table)


def draw_starts(
    mdp: FiniteMDP, rng: np.random.Generator, groups: int, size: int, *, shared: bool
) -> Int64[np.ndarray, " n"]:
    """Start states of `groups` groups, one after another; a group may share its own."""
    count = groups if shared else groups * size
    drawn = rng.choice(mdp.num_states, size=count, p=mdp.start)
    return np.repeat(drawn, size) if shared else drawn


def _possible_outcomes(
    mdp: FiniteMDP, probabilities: Float64[np.ndarray, " P"]
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes with positive chance, and where those of each state begin among them."""
    pairs = mdp.outcome_pairs
    possible = np.flatnonzero((mdp.probabilities > 0) & (probabilities[pairs] > 0))
    counts = np.bincount(mdp.pair_states[pairs[possible]], minlength=mdp.num_states)
    return possible, np.concatenate([[0], np.cumsum(counts)])


def _padded(mdp: FiniteMDP, groups: list[np.ndarray], length: int) -> Paths:
    """Rows of outcomes of different lengths as one array."""
    rows = [
        np.pad(group, [(0, 0), (0, length - group.shape[1])], constant_values=-1)
        for group in groups
    ]
    return _from_outcomes(mdp, np.concatenate(rows))


def _from_outcomes(mdp: FiniteMDP, outcomes: Int64[np.ndarray, "n T"]) -> Paths:
    """Paths from outcomes, −1 where there is no step."""
    valid = outcomes >= 0
    outcomes = np.where(valid, outcomes, 0)
    pairs = np.where(valid, mdp.outcome_pairs[outcomes], 0)
    return Paths(mdp, pairs, outcomes, valid)
