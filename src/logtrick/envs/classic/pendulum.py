"""Pendulum: swing a pendulum up with a motor that is too weak to lift it."""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step


class PendulumState(NamedTuple):
    """The pendulum's angle and speed, and how long the episode is already."""

    theta: Float[Array, ""]
    """rad; 0 is upright. Gymnasium lets it grow; here it stays near [−π, π], where float32 is
    exact to 1e-7 however often the pendulum went round."""
    theta_dot: Float[Array, ""]
    """rad/s."""
    steps: Int[Array, ""]
    """Steps since the reset."""


@dataclass(frozen=True)
class Pendulum(DeviceEnv):
    """A rod that hangs down and shall stand: the reward is minus the squared distance from it.

        r = −(θ² + 0.1 θ̇² + 0.001 u²),   θ in [−π, π), before the step
        θ̈ = 3g/(2l) sin θ + 3/(m l²) u,   |u| ≤ `max_torque`, |θ̇| ≤ `max_speed`

    integrated by semi-implicit Euler steps of `time_step` seconds. It never terminates and is
    truncated after `max_episode_steps`. The start is uniform: θ in ±π, θ̇ in ±1. The observation
    is (cos θ, sin θ, θ̇).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> env = Pendulum()
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array([0.5]))
        >>> step.obs.shape, bool(step.reward <= 0), bool(step.terminated)
        ((3,), True, False)

    Source: the same numbers as Gymnasium's `Pendulum-v1`.
    """

    id: ClassVar[str] = "Pendulum-v1"

    gravity: float = 10.0
    mass: float = 1.0
    length: float = 1.0
    time_step: float = 0.05
    max_speed: float = 8.0
    max_torque: float = 2.0
    max_episode_steps: int = 200

    @property
    def observation_space(self) -> spaces.Box:
        """(cos θ, sin θ, θ̇)."""
        bound = np.array([1.0, 1.0, self.max_speed], dtype=np.float32)
        return spaces.Box(-bound, bound, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Box:
        """The torque; what is beyond the bounds counts as the bound."""
        return spaces.Box(-self.max_torque, self.max_torque, (1,), np.float32)

    def reset(self, key: PRNGKeyArray) -> tuple[PendulumState, Array]:
        """Start at any angle, turning slowly."""
        unit = jax.random.uniform(key, (2,), jnp.float32, -1.0, 1.0)
        state = PendulumState(math.pi * unit[0], unit[1], jnp.zeros((), jnp.int32))
        return state, _observe(state)

    def step(self, key: PRNGKeyArray, state: PendulumState, action: Array) -> Step:
        """Turn for one time step; the key is not used."""
        theta = jnp.remainder(state.theta + math.pi, 2 * math.pi) - math.pi
        torque = jnp.clip(action[0], -self.max_torque, self.max_torque)
        cost = theta**2 + 0.1 * state.theta_dot**2 + 0.001 * torque**2
        acceleration = (
            3 * self.gravity / (2 * self.length) * jnp.sin(theta)
            + 3 / (self.mass * self.length**2) * torque
        )
        theta_dot = state.theta_dot + self.time_step * acceleration
        theta_dot = jnp.clip(theta_dot, -self.max_speed, self.max_speed)
        reached = PendulumState(theta + self.time_step * theta_dot, theta_dot, state.steps + 1)
        return Step(
            state=reached,
            obs=_observe(reached),
            reward=-cost,
            terminated=jnp.zeros((), bool),
            truncated=reached.steps >= self.max_episode_steps,
        )


def _observe(state: PendulumState) -> Float[Array, "3"]:
    return jnp.stack([jnp.cos(state.theta), jnp.sin(state.theta), state.theta_dot])
