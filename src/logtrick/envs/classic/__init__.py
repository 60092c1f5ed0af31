"""Classic control in JAX: CartPole, Acrobot, MountainCar and Pendulum.

The physics are Gymnasium's, with the same numbers step for step, as pure functions that `jax.vmap`
runs for thousands of environments at once. Each is a frozen dataclass whose fields are the physical
constants.
"""

from logtrick.envs.classic.acrobot import Acrobot, AcrobotState
from logtrick.envs.classic.cartpole import CartPole, CartPoleState
from logtrick.envs.classic.mountain_car import (
    MountainCar,
    MountainCarContinuous,
    MountainCarState,
)
from logtrick.envs.classic.pendulum import Pendulum, PendulumState

__all__ = [
    "Acrobot",
    "AcrobotState",
    "CartPole",
    "CartPoleState",
    "MountainCar",
    "MountainCarContinuous",
    "MountainCarState",
    "Pendulum",
    "PendulumState",
]
