"""What there is to draw of an MDP whose states lie on a grid: cells, landmarks, directions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from logtrick.mdp.model import FiniteMDP

#: How much more often than not an action must lead somewhere to have a direction.
LEAST_DRIFT = 1e-3

#: The eight directions, by rows and columns, and how text shows them.
COMPASS = {
    (0, 1): "→",
    (-1, 1): "↗",
    (-1, 0): "↑",
    (-1, -1): "↖",
    (0, -1): "←",
    (1, -1): "↙",
    (1, 0): "↓",
    (1, 1): "↘",
}


@dataclass(frozen=True)
class Gridworld:
    """An MDP's states on its layout."""

    layout: Int32[np.ndarray, "rows columns"]
    """State numbers, −1 where there is a wall."""
    names: tuple[str, ...]
    """Of each state, "" where it has none."""
    idle: Bool[np.ndarray, " S"]
    """States from which nobody ever acts: where episodes end, or where nobody comes."""
    directions: Int[np.ndarray, "A 2"]
    """Where each action leads, in rows and columns; (0, 0) where nowhere in particular."""

    def shades(self, numbers: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """Numbers as shades from 0 to 1; NaN in idle states, whose numbers mean nothing."""
        shown = np.zeros(len(numbers), np.bool_)
        shown[self.layout[self.layout >= 0]] = True
        shown &= ~self.idle
        low, high = numbers[shown].min(initial=np.inf), numbers[shown].max(initial=-np.inf)
        scaled = (numbers - low) / (high - low) if high > low else np.ones(len(numbers))
        return np.where(shown, scaled, np.nan)


def gridworld(mdp: FiniteMDP) -> Gridworld | None:
    """What to draw of an MDP; None where it has no layout.

    Example:
        >>> from logtrick import problems
        >>> lake = gridworld(problems.frozen_lake())
        >>> [COMPASS[tuple(d)] for d in lake.directions.tolist()]  # left, down, right, up
        ['←', '↓', '→', '↑']
        >>> np.flatnonzero(lake.idle).tolist()  # the holes and the goal
        [5, 7, 11, 12, 15]
    """
    if mdp.layout is None:
        return None
    lived_in = mdp.start > 0
    lived_in[mdp.successors[~mdp.terminated & (mdp.probabilities > 0)]] = True
    names = mdp.state_names or ("",) * mdp.num_states
    return Gridworld(mdp.layout, tuple(names), ~lived_in, _directions(mdp, mdp.layout))


def _directions(mdp: FiniteMDP, layout: np.ndarray) -> np.ndarray:
    """The mean of each action's single steps, turned to the nearest of the eight directions.

    Slipping to either side cancels; jumps (a teleport, a new start) are no direction.
    """
    cell = np.full((mdp.num_states, 2), np.nan)
    places = np.argwhere(layout >= 0)
    cell[layout[tuple(places.T)]] = places
    pairs = mdp.outcome_pairs
    moves = cell[mdp.successors] - cell[mdp.pair_states[pairs]]
    with np.errstate(invalid="ignore"):
        single = np.abs(moves).max(axis=1) == 1
    drift = np.zeros((mdp.num_actions, 2))
    weighted = mdp.probabilities[single, None] * moves[single]
    np.add.at(drift, mdp.pair_actions[pairs[single]], weighted)
    size = np.hypot(*drift.T)
    angle = np.round(np.arctan2(drift[:, 0], drift[:, 1]) / (np.pi / 4)) * (np.pi / 4)
    turned = np.round(np.stack([np.sin(angle), np.cos(angle)], axis=1)).astype(int)
    return np.where((size > LEAST_DRIFT)[:, None], turned, 0)


def arrows(
    grid: Gridworld,
    probabilities: Float[np.ndarray, "S A"],
    action_names: Sequence[str] | None,
) -> list[str]:
    """What a policy mostly does in each state, as text; "" in idle states.

    An action at least half as likely as the likeliest is shown: by its arrow, or by its name (its
    number) where it leads nowhere in particular.
    """

    def shown(action: int) -> str:
        arrow = COMPASS.get(tuple(grid.directions[action].tolist()))
        return arrow or (str(action) if action_names is None else action_names[action])

    words = []
    for state, row in enumerate(probabilities):
        likely = [] if grid.idle[state] else np.flatnonzero(row >= 0.5 * row.max()).tolist()
        words.append("".join(map(shown, likely)))
    return words
