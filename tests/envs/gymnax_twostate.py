"""The two-state environment as somebody would write it for gymnax."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

gymnax = pytest.importorskip("gymnax", reason="an optional extra")

from flax import struct  # noqa: E402
from gymnax.environments import environment, spaces  # noqa: E402


@struct.dataclass
class State(environment.EnvState):
    place: Any
    time: Any


@struct.dataclass
class Params(environment.EnvParams):
    max_steps_in_episode: int = 3


class GymnaxTwoState(environment.Environment):
    def __init__(self, twin):
        self.twin = twin

    @property
    def default_params(self):
        return Params(max_steps_in_episode=self.twin.max_episode_steps)

    def step_env(self, key, state, action, params):
        twin = self.twin
        ended = jax.random.bernoulli(key, twin.end_probability)
        follows = jnp.where(ended, 0.0, twin.gamma * twin.value[action])
        reward = twin.value[state.place] - follows
        state = State(place=action, time=state.time + 1)
        return self._one_hot(state), state, reward, ended, {}

    def reset_env(self, key, params):
        state = State(place=jax.random.bernoulli(key).astype(jnp.int32), time=0)
        return self._one_hot(state), state

    def _one_hot(self, state):
        return jax.nn.one_hot(state.place, 2)

    def action_space(self, params):
        return spaces.Discrete(2)

    def observation_space(self, params):
        return spaces.Box(0.0, 1.0, (2,))


def register(twin):
    """Register it with gymnax, once; its name."""
    name = f"TwoState-{twin.end_probability}"
    if name not in gymnax.registered_envs:
        gymnax.register(name, lambda: GymnaxTwoState(twin))
    return name
