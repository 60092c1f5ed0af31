"""Acrobot: swing the lower end of a double pendulum up by a motor at its elbow."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step


class AcrobotState(NamedTuple):
    """The two joints, and how long the episode is already."""

    joints: Float[Array, "4"]
    """(θ₁, θ₂ [rad], θ̇₁, θ̇₂ [rad/s]); θ₁ = 0 hangs down, θ₂ is relative to the upper link."""
    steps: Int[Array, ""]
    """Steps since the reset."""


@dataclass(frozen=True)
class Acrobot(DeviceEnv):
    """Two links, a torque of −1, 0 or +1 at the joint between: −1 a step until the tip is up.

    The equations of motion are those of Sutton and Barto's book, integrated by one Runge–Kutta
    step (4th order) of `time_step` seconds; then the angles are wrapped to [−π, π] and the speeds
    clipped. The episode terminates, with reward 0, where −cos θ₁ − cos(θ₁ + θ₂) > 1, and is
    truncated after `max_episode_steps`. The start is uniform in ±0.1 in each coordinate. The
    observation is (cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁, θ̇₂).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> env = Acrobot()
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array(2))
        >>> step.obs.shape, float(step.reward), bool(step.terminated)
        ((6,), -1.0, False)

    Source: Sutton (1996); Sutton and Barto (2018), section 11.3 of the first edition; the same
    numbers as Gymnasium's `Acrobot-v1`.
    """

    id: ClassVar[str] = "Acrobot-v1"

    gravity: float = 9.8
    upper_length: float = 1.0
    upper_mass: float = 1.0
    lower_mass: float = 1.0
    upper_centre: float = 0.5
    lower_centre: float = 0.5
    inertia: float = 1.0
    time_step: float = 0.2
    max_upper_speed: float = 4 * math.pi
    max_lower_speed: float = 9 * math.pi
    max_episode_steps: int = 500

    @property
    def observation_space(self) -> spaces.Box:
        """(cos θ₁, sin θ₁, cos θ₂, sin θ₂, θ̇₁, θ̇₂)."""
        high = [1.0, 1.0, 1.0, 1.0, self.max_upper_speed, self.max_lower_speed]
        bound = np.array(high, dtype=np.float32)
        return spaces.Box(-bound, bound, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The torque is the action minus 1."""
        return spaces.Discrete(3)

    def reset(self, key: PRNGKeyArray) -> tuple[AcrobotState, Array]:
        """Start hanging down, nearly at rest."""
        joints = jax.random.uniform(key, (4,), jnp.float32, -0.1, 0.1)
        return AcrobotState(joints, jnp.zeros((), jnp.int32)), _observe(joints)[0]

    def step(self, key: PRNGKeyArray, state: AcrobotState, action: Array) -> Step:
        """Apply the torque for one time step; the key is not used."""
        torque = (action - 1).astype(jnp.float32)
        theta_1, theta_2, speed_1, speed_2 = self._integrate(state.joints, torque)
        joints = jnp.stack(
            [
                _wrap(theta_1),
                _wrap(theta_2),
                jnp.clip(speed_1, -self.max_upper_speed, self.max_upper_speed),
                jnp.clip(speed_2, -self.max_lower_speed, self.max_lower_speed),
            ]
        )
        obs, tip_is_up = _observe(joints)
        steps = state.steps + 1
        return Step(
            state=AcrobotState(joints, steps),
            obs=obs,
            reward=jnp.where(tip_is_up, 0.0, -1.0),
            terminated=tip_is_up,
            truncated=steps >= self.max_episode_steps,
        )

    def _integrate(self, joints: Float[Array, "4"], torque: Array) -> Float[Array, "4"]:
        """One step of the classical Runge–Kutta method."""
        half = self.time_step / 2
        k1 = self._derivative(joints, torque)
        k2 = self._derivative(joints + half * k1, torque)
        k3 = self._derivative(joints + half * k2, torque)
        k4 = self._derivative(joints + self.time_step * k3, torque)
        return joints + self.time_step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def _derivative(self, joints: Float[Array, "4"], torque: Array) -> Float[Array, "4"]:
        """(θ̇₁, θ̇₂, θ̈₁, θ̈₂): the book's equations, with cos(x − π/2) written as sin x."""
        theta_1, theta_2, speed_1, speed_2 = joints
        m1, m2, l1, c1, c2 = (
            self.upper_mass,
            self.lower_mass,
            self.upper_length,
            self.upper_centre,
            self.lower_centre,
        )
        cos_2, sin_2 = jnp.cos(theta_2), jnp.sin(theta_2)
        coupling = m2 * l1 * c2
        d1 = m1 * c1**2 + m2 * (l1**2 + c2**2) + 2 * coupling * cos_2 + 2 * self.inertia
        d2 = m2 * c2**2 + coupling * cos_2 + self.inertia
        phi_2 = m2 * c2 * self.gravity * jnp.sin(theta_1 + theta_2)
        phi_1 = (
            -coupling * speed_2 * (speed_2 + 2 * speed_1) * sin_2
            + (m1 * c1 + m2 * l1) * self.gravity * jnp.sin(theta_1)
            + phi_2
        )
        ratio = d2 / d1
        acceleration_2 = (torque + ratio * phi_1 - coupling * speed_1**2 * sin_2 - phi_2) / (
            m2 * c2**2 + self.inertia - ratio * d2
        )
        acceleration_1 = -ratio * acceleration_2 - phi_1 / d1
        return jnp.stack([speed_1, speed_2, acceleration_1, acceleration_2])


def _wrap(angle: Array) -> Array:
    return angle - 2 * math.pi * jnp.round(angle / (2 * math.pi))


def _observe(joints: Float[Array, "4"]) -> tuple[Float[Array, "6"], Bool[Array, ""]]:
    """The observation, and whether the tip is one link's length above the base."""
    theta_1, theta_2, speed_1, speed_2 = joints
    cos_1, sin_1, cos_2, sin_2 = (
        jnp.cos(theta_1),
        jnp.sin(theta_1),
        jnp.cos(theta_2),
        jnp.sin(theta_2),
    )
    obs = jnp.stack([cos_1, sin_1, cos_2, sin_2, speed_1, speed_2])
    cos_sum = cos_1 * cos_2 - sin_1 * sin_2
    return obs, -cos_1 - cos_sum > 1.0
