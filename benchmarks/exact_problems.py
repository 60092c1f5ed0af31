"""The MDPs of `exact.py`, as plain arrays: what every contestant is given.

successors and probabilities are [S, A, K], rewards [S, A]; an episode that ends stays in a state
that pays nothing, because not every contestant knows terminal states.
"""

from pathlib import Path

import numpy as np

ACTIONS, BRANCHES, NEIGHBOURS = 4, 4, 16
HOLES, GOALS = 0.08, 0.002
STRUCTURES = ("uniform", "near-diagonal", "slippery grid")

Arrays = dict[str, np.ndarray]


def make(structure: str, states: int, seed: int = 0) -> Arrays:
    """The arrays of a problem.

    Args:
        structure: "uniform": four random successors anywhere; "near-diagonal": four within 16
            states to either side; "slippery grid": FrozenLake's moves on a square with holes,
            which end the episode, and a few goals, which pay 1 and end it.
        states: how many; of a grid, the nearest square.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    if structure == "slippery grid":
        return _grid(rng, round(states**0.5))
    shape = (states, ACTIONS, BRANCHES)
    if structure == "uniform":
        successors = rng.integers(states, size=shape, dtype=np.int32)
    else:
        steps = rng.integers(-NEIGHBOURS, NEIGHBOURS + 1, size=shape, dtype=np.int32)
        successors = (steps + np.arange(states, dtype=np.int32)[:, None, None]) % states
    weights = rng.random(shape)
    return {
        "successors": np.sort(successors, axis=-1).astype(np.int32),
        "probabilities": weights / weights.sum(axis=-1, keepdims=True),
        "rewards": rng.random(shape[:2]),
    }


def _grid(rng: np.random.Generator, side: int) -> Arrays:
    """Each move goes as meant or to either side, a third each; the border holds."""
    states = side * side
    row, column = np.divmod(np.arange(states), side)
    moves = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])
    reached = [
        np.clip(row + down, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
        for down, right in moves
    ]
    successors = np.stack(
        [np.stack([reached[(a + turn) % 4] for turn in (-1, 0, 1)], axis=-1) for a in range(4)],
        axis=1,
    ).astype(np.int32)
    kind = rng.random(states)
    goals, ends = kind < GOALS, kind < GOALS + HOLES
    rewards = goals[successors].mean(axis=-1)
    successors[ends] = np.flatnonzero(ends).astype(np.int32)[:, None, None]
    rewards[ends] = 0.0
    return {
        "successors": successors,
        "probabilities": np.full(successors.shape, 1 / 3),
        "rewards": rewards,
    }


def save(arrays: Arrays, folder: Path) -> None:
    """One file for each array."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
