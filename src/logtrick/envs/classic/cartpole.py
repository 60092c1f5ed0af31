"""CartPole: keep a pole upright on a cart that can only be pushed left or right."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step


class CartPoleState(NamedTuple):
    """Where the cart and the pole are, and how long the episode is already."""

    position: Float[Array, "4"]
    """(x [m], ẋ [m/s], θ [rad], θ̇ [rad/s]); θ = 0 is upright."""
    steps: Int[Array, ""]
    """Steps since the reset."""


@dataclass(frozen=True)
class CartPole(DeviceEnv):
    """The cart and pole of Barto, Sutton and Anderson: +1 for every step until it falls.

    With the force F = ±`force_magnitude`, the total mass M, the pole's mass m and half length l,

        u = (F + m l θ̇² sin θ) / M
        θ̈ = (g sin θ − u cos θ) / (l (4/3 − m cos² θ / M))
        ẍ = u − m l θ̈ cos θ / M

    integrated by explicit Euler steps of `time_step` seconds. The episode terminates when |x| or
    |θ| leaves its threshold and is truncated after `max_episode_steps`. The start is uniform in
    ±`start_range` in each coordinate. The observation is the position itself.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> env = CartPole()
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array(1))
        >>> obs.shape, float(step.reward), bool(step.terminated), bool(step.truncated)
        ((4,), 1.0, False, False)

    Source: Barto, Sutton and Anderson (1983); the same numbers as Gymnasium's `CartPole-v1`.
    """

    id: ClassVar[str] = "CartPole-v1"

    gravity: float = 9.8
    cart_mass: float = 1.0
    pole_mass: float = 0.1
    half_length: float = 0.5
    force_magnitude: float = 10.0
    time_step: float = 0.02
    position_threshold: float = 2.4
    angle_threshold: float = 12 * math.pi / 180
    start_range: float = 0.05
    max_episode_steps: int = 500

    @property
    def observation_space(self) -> spaces.Box:
        """Twice the thresholds, so that the observation at which the pole fell lies inside."""
        high = [2 * self.position_threshold, np.inf, 2 * self.angle_threshold, np.inf]
        bound = np.array(high, dtype=np.float32)
        return spaces.Box(-bound, bound, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """0 pushes to the left, 1 to the right."""
        return spaces.Discrete(2)

    @property
    def total_mass(self) -> float:
        """M, of the cart with its pole."""
        return self.cart_mass + self.pole_mass

    def reset(self, key: PRNGKeyArray) -> tuple[CartPoleState, Array]:
        """Start near the upright position, nearly at rest."""
        bound = self.start_range
        position = jax.random.uniform(key, (4,), jnp.float32, -bound, bound)
        return CartPoleState(position, jnp.zeros((), jnp.int32)), position

    def step(self, key: PRNGKeyArray, state: CartPoleState, action: Array) -> Step:
        """Push for one time step; the key is not used."""
        position = self._move(state.position, action)
        steps = state.steps + 1
        x, _, theta, _ = position
        fell = (jnp.abs(x) > self.position_threshold) | (jnp.abs(theta) > self.angle_threshold)
        return Step(
            state=CartPoleState(position, steps),
            obs=position,
            reward=jnp.ones((), jnp.float32),
            terminated=fell,
            truncated=steps >= self.max_episode_steps,
        )

    def _move(self, position: Float[Array, "4"], action: Array) -> Float[Array, "4"]:
        _, x_dot, theta, theta_dot = position
        force = jnp.where(action == 1, self.force_magnitude, -self.force_magnitude)
        cos, sin = jnp.cos(theta), jnp.sin(theta)
        m_l = self.pole_mass * self.half_length
        u = (force + m_l * theta_dot**2 * sin) / self.total_mass
        inertia = self.half_length * (4 / 3 - self.pole_mass * cos**2 / self.total_mass)
        theta_acc = (self.gravity * sin - cos * u) / inertia
        x_acc = u - m_l * theta_acc * cos / self.total_mass
        velocity = jnp.stack([x_dot, x_acc, theta_dot, theta_acc])
        return position + self.time_step * velocity
