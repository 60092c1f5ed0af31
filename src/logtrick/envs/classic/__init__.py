"""Classic control in JAX: the same physics as Gymnasium's, step for step, thousands at once."""

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
