"""Random MDPs."""

import numpy as np

from logtrick.errors import ConfigError
from logtrick.mdp.arrays import frozen
from logtrick.mdp.model import FiniteMDP


def garnet(
    num_states: int = 100,
    num_actions: int = 4,
    branching: int = 3,
    *,
    seed: int = 0,
    window: int | None = None,
    ends: float = 0.0,
    gamma: float = 0.95,
) -> FiniteMDP:
    """A random MDP: each pair leads to a few random states and pays a standard normal reward.

    Args:
        num_states: S.
        num_actions: A.
        branching: distinct successors of each pair; their probabilities split [0, 1] at random.
        seed: of the generator.
        window: successors lie in the `window` states that follow (round the circle); anywhere if
            None.
        ends: the chance of each outcome to end the episode.
        gamma: γ.

    Source: Archibald, McKinnon & Thomas (1995); Bhatnagar et al. (2009).
    """
    reach = num_states if window is None else window
    if not 1 <= branching <= reach <= num_states:
        raise ConfigError(f"branching {branching} does not fit {reach} successors")
    rng = np.random.default_rng(seed)
    num_pairs = num_states * num_actions
    cuts = np.sort(rng.random((num_pairs, branching - 1)), axis=1)
    splits = np.diff(cuts, axis=1, prepend=0.0, append=1.0)
    steps = _distinct(rng, num_pairs, branching, reach)
    if window is not None:
        steps += np.repeat(np.arange(num_states), num_actions)[:, None]
        steps = np.sort(steps % num_states, axis=1)
    num_outcomes = num_pairs * branching
    rewards = np.repeat(rng.standard_normal(num_pairs), branching)
    terminated = rng.random(num_outcomes) < ends if ends > 0 else np.zeros(num_outcomes, np.bool_)
    return FiniteMDP(
        pair_offsets=np.arange(0, num_pairs + 1, num_actions),
        pair_actions=np.tile(np.arange(num_actions, dtype=np.int32), num_states),
        outcome_offsets=np.arange(0, num_outcomes + 1, branching),
        successors=frozen(steps.astype(np.int32).ravel()),
        probabilities=frozen(splits.ravel()),
        rewards=frozen(rewards),
        terminated=frozen(terminated),
        start=np.full(num_states, 1 / num_states),
        gamma=gamma,
    )


def _distinct(rng: np.random.Generator, rows: int, count: int, below: int) -> np.ndarray:
    """int64[rows, count] increasing numbers less than `below`, by redrawing rows that repeat."""
    if count > below // 2:
        ranks = np.argsort(rng.random((rows, below)), axis=1)
        return np.sort(ranks[:, :count], axis=1)
    numbers = np.sort(rng.integers(below, size=(rows, count)), axis=1)
    repeated = np.arange(rows)
    while True:
        repeated = repeated[(np.diff(numbers[repeated], axis=1) == 0).any(axis=1)]
        if repeated.size == 0:
            return numbers
        numbers[repeated] = np.sort(rng.integers(below, size=(repeated.size, count)), axis=1)
