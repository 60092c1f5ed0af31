"""The environment on which adapters and critics are tested: its values are known, exactly.

Whoever drops the last observation, swaps it for a fresh one, loses a step, shifts a reward or an
action, or takes the time limit for an end, finds V wrong here.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step


class TwoStateState(NamedTuple):
    """Where the agent is, and how long the episode is already."""

    place: Int[Array, ""]
    """0 or 1."""
    steps: Int[Array, ""]
    """Steps since the reset."""


@dataclass(frozen=True)
class TwoState(DeviceEnv):
    """Two states; the action names the next one; V is `values` under every policy.

    The reward is what makes each single transition satisfy Bellman's equation (V2):

        r = values[s] − γ (1 − terminated) values[a]

    so δ = r + γ (1 − terminated) V(s') − V(s) = 0 in every row, not only on average, and

        V_π(s) = E[Σ_t γ^t r_t] = values[s]   for every π and every `end_probability`

    since the sum telescopes. With the defaults every number is exact in float32. The episode is
    truncated after `max_episode_steps`, which the observation (one-hot) does not show: a critic
    that bootstraps there learns `values`, one that takes the limit for an end does not. It
    terminates with `end_probability` a step; it starts in either state alike.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> env = TwoState()
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array(1))
        >>> gap = step.reward + env.gamma * step.obs @ env.value - obs @ env.value
        >>> float(gap), bool(step.terminated)
        (0.0, False)
    """

    id: ClassVar[str] = "TwoState-v0"

    values: tuple[float, float] = (2.0, 4.0)
    gamma: float = 0.5
    end_probability: float = 0.0
    max_episode_steps: int = 3

    @property
    def value(self) -> Float[Array, "2"]:
        """V, so that `obs @ value` is the value of an observation."""
        return jnp.asarray(self.values, jnp.float32)

    @property
    def observation_space(self) -> spaces.Box:
        """A Box of two numbers: the state, one-hot."""
        return spaces.Box(0.0, 1.0, (2,), np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The next state."""
        return spaces.Discrete(2)

    def reset(self, key: PRNGKeyArray) -> tuple[TwoStateState, Array]:
        """Start in either state, with equal probability."""
        place = jax.random.bernoulli(key).astype(jnp.int32)
        return TwoStateState(place, jnp.zeros((), jnp.int32)), _one_hot(place)

    def step(self, key: PRNGKeyArray, state: TwoStateState, action: Array) -> Step:
        """Go to the state that the action names; the key decides whether this ends the episode."""
        ended = jax.random.bernoulli(key, self.end_probability)
        reached = TwoStateState(jnp.asarray(action, jnp.int32), state.steps + 1)
        follows = jnp.where(ended, 0.0, self.gamma * self.value[reached.place])
        return Step(
            state=reached,
            obs=_one_hot(reached.place),
            reward=self.value[state.place] - follows,
            terminated=ended,
            truncated=reached.steps >= self.max_episode_steps,
        )


class TwoStateGym(gymnasium.Env[np.ndarray, np.int64]):
    """`TwoState` as a Gymnasium environment, with its time limit inside.

    Args:
        twin: The constants.

    Example:
        >>> env = TwoStateGym()
        >>> _, info = env.reset(seed=0)
        >>> obs, reward, terminated, truncated, info = env.step(1)
        >>> obs.tolist(), terminated, truncated
        ([0.0, 1.0], False, False)
    """

    def __init__(self, twin: TwoState | None = None):
        self.twin = TwoState() if twin is None else twin
        self.observation_space = self.twin.observation_space
        self.action_space = self.twin.action_space
        self._place = 0
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """See `TwoState.reset`."""
        super().reset(seed=seed)
        self._place, self._steps = int(self.np_random.integers(2)), 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """See `TwoState.step`."""
        twin = self.twin
        ended = bool(self.np_random.random() < twin.end_probability)
        follows = 0.0 if ended else twin.gamma * twin.values[int(action)]
        reward = twin.values[self._place] - follows
        self._place = int(action)
        self._steps += 1
        return self._observation(), reward, ended, self._steps >= twin.max_episode_steps, {}

    def _observation(self) -> np.ndarray:
        return np.eye(2, dtype=np.float32)[self._place]


def _one_hot(place: Array) -> Float[Array, "2"]:
    return jax.nn.one_hot(place, 2, dtype=jnp.float32)
