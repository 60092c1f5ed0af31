"""A finite MDP in Gymnasium's shape, for estimators and trainers that are not ours."""

from typing import Any

import gymnasium
import numpy as np

from logtrick.envs import finite
from logtrick.errors import EnvError
from logtrick.mdp.model import FiniteMDP
from logtrick.support.numbers import checked_whole


class FiniteMDPGym(gymnasium.Env[Any, np.int64]):
    """A finite MDP as a Gymnasium environment; see `to_gymnasium`.

    Args:
        mdp: every state must have every action.
        max_episode_steps: where episodes are cut.
    """

    def __init__(self, mdp: FiniteMDP, max_episode_steps: int) -> None:
        limit = checked_whole("max_episode_steps", max_episode_steps, 1)
        self.mdp, self.max_episode_steps = mdp, limit
        self.observation_space = finite.observation_space(mdp)
        self.action_space = finite.action_space(mdp)
        self._state: int | None = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start in a state drawn from ρ."""
        super().reset(seed=seed)
        self._steps = 0
        return self._arrive(int(self.np_random.choice(self.mdp.num_states, p=self.mdp.start)))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Draw one of the outcomes of (state, action).

        Raises:
            EnvError: before the first reset, or with an action that there is not.
        """
        mdp = self.mdp
        if self._state is None or not self.action_space.contains(action):
            reason = "reset it first" if self._state is None else f"{action!r} is no action of it"
            raise EnvError(f"FiniteMDPGym: {reason}")
        pair = self._state * mdp.num_actions + int(action)
        first, last = mdp.outcome_offsets[pair : pair + 2]
        number = self.np_random.choice(last - first, p=mdp.probabilities[first:last])
        outcome = int(first + number)
        obs, info = self._arrive(int(mdp.successors[outcome]))
        self._steps += 1
        cut = self._steps >= self.max_episode_steps
        return obs, float(mdp.rewards[outcome]), bool(mdp.terminated[outcome]), cut, info

    def _arrive(self, state: int) -> tuple[Any, dict[str, Any]]:
        self._state = state
        obs = self.mdp.observations[state].astype(self.observation_space.dtype)
        return obs, {"state": state}


def to_gymnasium(mdp: FiniteMDP, *, max_episode_steps: int | None = None) -> FiniteMDPGym:
    """A finite MDP as a Gymnasium environment, for estimators and trainers that are not ours.

    `info["state"]` is the state, which observations need not show. An MDP has no time limit; the
    environment cuts (and says `truncated`) where what follows weighs less than a thousandth, after
    1000 steps at the latest.

    Args:
        mdp: every state must have every action.
        max_episode_steps: another time limit.

    Returns:
        A `gymnasium.Env` that passes Gymnasium's own checker.

    Raises:
        SpaceError: a state lacks an action.

    Example:
        >>> from logtrick import problems
        >>> env = to_gymnasium(problems.frozen_lake())
        >>> env.reset(seed=0)
        (np.int64(0), {'state': 0})
    """
    limit = finite.time_limit(mdp.gamma) if max_episode_steps is None else max_episode_steps
    return FiniteMDPGym(mdp, limit)
