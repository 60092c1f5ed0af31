"""MountainCar, with three pushes or a continuous force: rock a weak car out of a valley."""

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step


class MountainCarState(NamedTuple):
    """Where the car is, and how long the episode is already."""

    position: Float[Array, ""]
    velocity: Float[Array, ""]
    steps: Int[Array, ""]
    """Steps since the reset."""


@dataclass(frozen=True)
class _Valley(DeviceEnv):
    """The valley that both cars share: height sin 3x, a wall on the left, a goal on the right.

        ẋ ← clip(ẋ + push − `gravity` · cos 3x, ±`max_speed`),   x ← clip(x + ẋ, min, max)

    and the wall stops the car. The start is at rest, x uniform in [−0.6, −0.4].
    """

    gravity: float = 0.0025
    max_speed: float = 0.07
    min_position: float = -1.2
    max_position: float = 0.6
    goal_velocity: float = 0.0

    @property
    @abc.abstractmethod
    def goal_position(self) -> float:
        """Reached from here on, if at least as fast as `goal_velocity`."""

    @property
    @abc.abstractmethod
    def max_episode_steps(self) -> int:
        """Steps after which an episode is truncated."""

    @property
    def observation_space(self) -> spaces.Box:
        """(x, ẋ)."""
        low = np.array([self.min_position, -self.max_speed], dtype=np.float32)
        high = np.array([self.max_position, self.max_speed], dtype=np.float32)
        return spaces.Box(low, high, dtype=np.float32)

    def reset(self, key: PRNGKeyArray) -> tuple[MountainCarState, Array]:
        """Start at rest near the bottom."""
        position = jax.random.uniform(key, (), jnp.float32, -0.6, -0.4)
        state = MountainCarState(position, jnp.zeros_like(position), jnp.zeros((), jnp.int32))
        return state, _observe(state)

    def _roll(self, state: MountainCarState, push: Array) -> MountainCarState:
        velocity = state.velocity + push - self.gravity * jnp.cos(3 * state.position)
        velocity = jnp.clip(velocity, -self.max_speed, self.max_speed)
        position = state.position + velocity
        velocity = jnp.where(position <= self.min_position, jnp.maximum(velocity, 0), velocity)
        position = jnp.clip(position, self.min_position, self.max_position)
        return MountainCarState(position, velocity, state.steps + 1)

    def _finish(self, reached: MountainCarState, reward: Array, arrived: Array) -> Step:
        return Step(
            state=reached,
            obs=_observe(reached),
            reward=reward,
            terminated=arrived,
            truncated=reached.steps >= self.max_episode_steps,
        )

    def _arrived(self, state: MountainCarState) -> Bool[Array, ""]:
        fast_enough = state.velocity >= self.goal_velocity
        return (state.position >= self.goal_position) & fast_enough


@dataclass(frozen=True)
class MountainCar(_Valley):
    """Push left, not at all, or right: −1 for every step until the goal.

        ẋ ← clip(ẋ + (a − 1) · `force` − `gravity` · cos 3x, ±`max_speed`),   x ← x + ẋ

    The wall on the left stops the car. It terminates at the goal and is truncated after
    `max_episode_steps`. The start is at rest, x uniform in [−0.6, −0.4]. The observation is
    (x, ẋ).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> env = MountainCar()
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array(2))
        >>> step.obs.shape, float(step.reward), bool(step.terminated)
        ((2,), -1.0, False)

    Source: Moore (1990); the same numbers as Gymnasium's `MountainCar-v0`.
    """

    id: ClassVar[str] = "MountainCar-v0"

    force: float = 0.001
    goal_position: float = 0.5
    max_episode_steps: int = 200

    @property
    def action_space(self) -> spaces.Space[Any]:
        """0 pushes to the left, 1 not at all, 2 to the right."""
        return spaces.Discrete(3)

    def step(self, key: PRNGKeyArray, state: MountainCarState, action: Array) -> Step:
        """Push for one time step; the key is not used."""
        reached = self._roll(state, (action - 1) * self.force)
        return self._finish(reached, -jnp.ones((), jnp.float32), self._arrived(reached))


@dataclass(frozen=True)
class MountainCarContinuous(_Valley):
    """Push with a force in [−1, 1]: +100 at the goal, −0.1 a² for every step.

        ẋ ← clip(ẋ + `power` · clip(a, ±1) − `gravity` · cos 3x, ±`max_speed`),   x ← x + ẋ

    The wall on the left stops the car. It terminates at the goal and is truncated after
    `max_episode_steps`. The start is at rest, x uniform in [−0.6, −0.4]. The observation is
    (x, ẋ). As in Gymnasium, an action beyond the bounds costs what it says, though it pushes no
    harder.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> env = MountainCarContinuous()
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array([1.0]))
        >>> step.obs.shape, round(float(step.reward), 3), bool(step.terminated)
        ((2,), -0.1, False)

    Source: the same numbers as Gymnasium's `MountainCarContinuous-v0`.
    """

    id: ClassVar[str] = "MountainCarContinuous-v0"

    power: float = 0.0015
    goal_position: float = 0.45
    max_episode_steps: int = 999

    @property
    def action_space(self) -> spaces.Box:
        """The force, one number in [−1, 1]; its unit is the car's power."""
        return spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, key: PRNGKeyArray, state: MountainCarState, action: Array) -> Step:
        """Push for one time step; the key is not used."""
        reached = self._roll(state, self.power * jnp.clip(action[0], -1.0, 1.0))
        arrived = self._arrived(reached)
        reward = 100.0 * arrived.astype(jnp.float32) - 0.1 * action[0] ** 2
        return self._finish(reached, reward, arrived)


def _observe(state: MountainCarState) -> Float[Array, "2"]:
    return jnp.stack([state.position, state.velocity])
