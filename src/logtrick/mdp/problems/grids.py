"""Gridworlds, those of Gymnasium among them."""

from typing import Any

import numpy as np

from logtrick.mdp.model import FiniteMDP

MOVES = {"up": (-1, 0), "right": (0, 1), "down": (1, 0), "left": (0, -1)}


def example_3_5_grid(*, gamma: float = 0.9) -> FiniteMDP:
    """A 5 × 5 grid: leaving A pays 10 and leads to A', leaving B pays 5; bumping costs 1.

    Source: Sutton & Barto (2018), example 3.5.
    """
    special = {(0, 1): ((4, 1), 10.0), (0, 3): ((2, 3), 5.0)}
    layout = np.arange(25, dtype=np.int32).reshape(5, 5)
    names = [""] * 25
    for name, at in (("A", (0, 1)), ("A'", (4, 1)), ("B", (0, 3)), ("B'", (2, 3))):
        names[int(layout[at])] = name
    table = []
    for cell in np.ndindex(5, 5):
        choices = []
        for move in MOVES.values():
            target, reward = special.get(cell, (_step(layout, cell, move), 0.0))
            bumped = cell not in special and target == cell
            choices.append([(1.0, int(layout[target]), -1.0 if bumped else reward, False)])
        table.append(choices)
    return FiniteMDP.from_outcomes(
        table,
        gamma=gamma,
        start=np.full(25, 0.04),
        action_names=tuple(MOVES),
        layout=layout,
        state_names=names,
    )


def frozen_lake(*, gamma: float = 0.99, **kwargs: Any) -> FiniteMDP:
    """Gymnasium's FrozenLake-v1; slippery unless `is_slippery=False`.

    Args:
        gamma: γ.
        **kwargs: `map_name`, `desc`, `is_slippery` … as for `gymnasium.make`.
    """
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", gamma=gamma, **kwargs)
    return mdp.replace(action_names=("left", "down", "right", "up"))


def cliff_walking(*, gamma: float = 1.0, **kwargs: Any) -> FiniteMDP:
    """Gymnasium's CliffWalking-v1: −1 a step, −100 and back to the start over the cliff."""
    mdp = FiniteMDP.from_gymnasium("CliffWalking-v1", gamma=gamma, **kwargs)
    names = [*[""] * 36, "start", *["cliff"] * 10, "goal"]
    return mdp.replace(action_names=("up", "right", "down", "left"), state_names=names)


def taxi(*, gamma: float = 1.0, **kwargs: Any) -> FiniteMDP:
    """Gymnasium's Taxi-v4: fetch the passenger and bring it to its destination."""
    mdp = FiniteMDP.from_gymnasium("Taxi-v4", gamma=gamma, **kwargs)
    return mdp.replace(action_names=("down", "up", "right", "left", "pick up", "drop off"))


def salad_and_poison(*, slip: float = 0.2, gamma: float = 0.9) -> FiniteMDP:
    """A garden that never ends (I5): salad pays 1, poison −1, and after either one starts again.

    The grid of Russell & Norvig (4 × 3, one wall); a step slips to either side with `slip`/2.
    """
    layout = np.array([[0, 1, 2, 3], [4, -1, 5, 6], [7, 8, 9, 10]], np.int32)
    pays, home = {3: 1.0, 6: -1.0}, 7
    table = []
    for cell in map(tuple, np.argwhere(layout >= 0).tolist()):
        state = int(layout[cell])
        choices = []
        for index in range(4):
            moves = [list(MOVES.values())[(index + turn) % 4] for turn in (0, 1, 3)]
            ways = zip((1 - slip, slip / 2, slip / 2), moves, strict=True)
            outcomes = [
                (weight, int(layout[_step(layout, cell, move)]), 0.0, False)
                for weight, move in ways
            ]
            choices.append([(1.0, home, pays[state], False)] if state in pays else outcomes)
        table.append(choices)
    names = [""] * 11
    names[3], names[6], names[home] = "salad", "poison", "home"
    return FiniteMDP.from_outcomes(
        table,
        gamma=gamma,
        start=home,
        action_names=tuple(MOVES),
        layout=layout,
        state_names=names,
    )


def _step(layout: np.ndarray, cell: tuple[int, ...], move: tuple[int, int]) -> tuple[int, ...]:
    """The cell that a move leads to; the same one at a wall or the edge."""
    target = (cell[0] + move[0], cell[1] + move[1])
    inside = all(0 <= at < size for at, size in zip(target, layout.shape, strict=True))
    return target if inside and layout[target] >= 0 else cell
