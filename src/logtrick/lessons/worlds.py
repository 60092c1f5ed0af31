"""The world that the lessons are set in: the garden, or an MDP that somebody brings."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from logtrick import exact
from logtrick.errors import ConfigError, MDPError
from logtrick.lessons.garden import FEATURES, garden
from logtrick.mdp.model import FiniteMDP

#: More states than this are too small to read on a phone; more actions, to choose from.
MOST_STATES, MOST_ACTIONS = 64, 8

_WAYS = {"up": 0, "north": 0, "right": 1, "east": 1, "down": 2, "south": 2, "left": 3, "west": 3}


@dataclass(frozen=True)
class World:
    """An MDP that the pages about values, policies and the derivation can show."""

    mdp: FiniteMDP
    """As it was given: its episodes may end."""
    continuing: FiniteMDP
    """The MDP for averages: the same if no episode ends, else each end leads back to a start."""
    is_garden: bool
    """Whether the words about snail, salad and poison fit."""

    @property
    def restarts(self) -> bool:
        """Whether episodes end, so that `continuing` differs from `mdp`."""
        return self.mdp is not self.continuing

    @cached_property
    def allowed(self) -> Bool[np.ndarray, "S A"]:
        """Which actions each state has, [S, A]."""
        found = np.zeros((self.mdp.num_states, self.mdp.num_actions), np.bool_)
        found[self.mdp.pair_states, self.mdp.pair_actions] = True
        return found

    @cached_property
    def uniform(self) -> Float[np.ndarray, "S A"]:
        """Every action that a state has, equally often."""
        return self.allowed / self.allowed.sum(axis=1, keepdims=True)

    @cached_property
    def features(self) -> Float[np.ndarray, "S A 2"]:
        """f(s, a) of the logits f · θ: two knobs for the policy, whatever the MDP.

        The garden's compass, and its like for other numbers of actions: directions that go evenly
        round. Two actions lie on one line, so a second knob has nothing to do; there the first
        belongs to the even states and the second to the odd ones.
        """
        states, actions = self.allowed.shape
        if self.is_garden:
            return np.broadcast_to(np.asarray(FEATURES, np.float64), (states, actions, 2))
        if actions == 2:
            found = np.zeros((states, 2, 2))
            for state in range(states):
                found[state, :, state % 2] = 1.0, -1.0
            return found
        angles = 2 * math.pi * np.arange(actions) / actions
        compass = np.round(np.column_stack([np.sin(angles), np.cos(angles)]), 15)
        return np.broadcast_to(compass, (states, actions, 2))

    def policy(self, theta: Any) -> tuple[Float[np.ndarray, "S A"], Float[np.ndarray, "S A 2"]]:
        """π(a|s) and ∇log π(a|s) of the softmax of f · θ over the actions that a state has."""
        weights = np.where(self.allowed, np.exp(self.features @ np.asarray(theta, float)), 0.0)
        table = weights / weights.sum(axis=1, keepdims=True)
        mean = np.einsum("sa,sak->sk", table, self.features)
        return table, np.where(self.allowed[:, :, None], self.features - mean[:, None], 0.0)

    def plain(self, *, continuing: bool = False, gamma: float | None = None) -> dict[str, Any]:
        """What a script reads; see `plain`."""
        mdp = self.continuing if continuing else self.mdp
        return {
            **plain(mdp),
            "features": self.features.tolist(),
            "gamma": self.mdp.gamma if gamma is None else gamma,
            "restarts": self.restarts,
            "garden": self.is_garden,
        }


def world(mdp: FiniteMDP | None = None) -> World:
    """The world of the lessons.

    Args:
        mdp: in the garden's place; None for the garden.

    Raises:
        ConfigError: it is no `FiniteMDP`.
        MDPError: the pages cannot show it: γ = 1, too many states or actions, nothing to choose, or
            more than one closed class of states.

    Example:
        >>> from logtrick import problems
        >>> world(problems.corridor(gamma=0.9)).restarts
        True
    """
    if mdp is None:
        own = garden()
        return World(own, own, is_garden=True)
    if not isinstance(mdp, FiniteMDP):
        raise ConfigError(
            f"mdp is a {type(mdp).__name__}; the lessons take a FiniteMDP, such as "
            "logtrick.problems.frozen_lake()"
        )
    _check(mdp)
    continuing = mdp.restarting() if mdp.pair_ends.any() else mdp
    found = World(mdp, continuing, is_garden=False)
    exact.stationary_distribution(continuing, found.uniform)  # refuses two closed classes
    return found


def _check(mdp: FiniteMDP) -> None:
    if mdp.num_states > MOST_STATES or mdp.num_actions > MOST_ACTIONS:
        raise MDPError(
            f"{mdp.num_states} states and {mdp.num_actions} actions are too many to draw: the "
            f"lessons show at most {MOST_STATES} states and {MOST_ACTIONS} actions; take a smaller "
            "problem of the same kind"
        )
    if mdp.gamma == 1:
        raise MDPError(
            "the lessons discount, and this MDP has γ = 1; give another γ: mdp.replace(gamma=0.9), "
            "or --gamma 0.9 on the command line"
        )
    if np.bincount(mdp.pair_states).max() == 1:
        raise MDPError(
            "every state has one action only, so there is nothing to choose and no gradient; the "
            "lessons need a state with two"
        )


def plain(mdp: FiniteMDP) -> dict[str, Any]:
    """An MDP as JSON: outcomes[s][a] = [[p, s', r, ends], ...], ρ, names and cells.

    An action that a state does not have gets no outcomes. States without a layout are laid in rows.

    Example:
        >>> from logtrick import problems
        >>> plain(problems.two_state_loop())["outcomes"][0]
        [[[1.0, 1, 0.0, False]], [[1.0, 0, 0.0, False]]]
    """
    outcomes: list[list[Any]] = [
        [[] for _ in range(mdp.num_actions)] for _ in range(mdp.num_states)
    ]
    columns = (mdp.probabilities, mdp.successors, mdp.rewards, mdp.terminated)
    rows = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    pairs = zip(mdp.pair_states.tolist(), mdp.pair_actions.tolist(), strict=True)
    for pair, (state, action) in enumerate(pairs):
        own = slice(mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1])
        outcomes[state][action] = rows[own]
    return {
        "outcomes": outcomes,
        "start": mdp.start.tolist(),
        "names": _names(mdp),
        "cells": _cells(mdp),
        "moves": _moves(mdp),
        "ways": _ways(mdp),
    }


def _cells(mdp: FiniteMDP) -> list[list[int]]:
    """[row, column] of each state."""
    if mdp.layout is None:
        columns = min(mdp.num_states, max(4, math.ceil(math.sqrt(mdp.num_states))))
        return [list(divmod(state, columns)) for state in range(mdp.num_states)]
    places = np.argwhere(mdp.layout >= 0)
    found = np.zeros((mdp.num_states, 2), np.int64)
    found[mdp.layout[tuple(places.T)]] = places
    return found.tolist()


def _names(mdp: FiniteMDP) -> list[str]:
    if mdp.state_names is not None:
        return list(mdp.state_names)
    return (
        [""] * mdp.num_states
        if mdp.layout is not None
        else [f"s{s}" for s in range(mdp.num_states)]
    )


def _moves(mdp: FiniteMDP) -> list[str]:
    if mdp.action_names is not None:
        return list(mdp.action_names)
    return [f"action {a}" for a in range(mdp.num_actions)]


def _ways(mdp: FiniteMDP) -> list[int] | None:
    """Where each action goes on the grid, 0 up … 3 left; None where actions are no directions."""
    ways = [_WAYS.get(name.lower(), -1) for name in mdp.action_names or ()]
    return ways if mdp.layout is not None and sorted(ways) == [0, 1, 2, 3] else None
