"""Craftax on the device: its environments without auto-reset."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from logtrick.envs.adapters.jax_arrays import strong
from logtrick.envs.protocol import DeviceEnv, Step
from logtrick.envs.spec import EnvRow
from logtrick.errors import UnknownEnvError
from logtrick.support import extras

NAMES = (
    "Craftax-Symbolic-v1",
    "Craftax-Pixels-v1",
    "Craftax-Classic-Symbolic-v1",
    "Craftax-Classic-Pixels-v1",
)


@dataclass(frozen=True)
class Craftax(DeviceEnv):
    """An environment of Craftax, at its default parameters.

    Craftax has one flag for the end of an episode and its time limit. Both are told apart here:
    `terminated` is its end with the limit taken away.

    Attributes:
        name: one of `NAMES`.

    Raises:
        MissingExtraError: Craftax is not installed.
        UnknownEnvError: It has no such environment.

    Source: Matthews et al. (2024), Craftax, arXiv 2402.16801.
    """

    name: str

    def __post_init__(self) -> None:
        _ = self._made

    @property
    def id(self) -> str:
        """`craftax:` and the name."""
        return f"craftax:{self.name}"

    @cached_property
    def observation_space(self) -> spaces.Space[Any]:
        """A Box of the observations' real shape and dtype."""
        with jax.ensure_compile_time_eval():
            obs = jax.eval_shape(self.reset, jax.random.key(0))[1]
        # Some symbolic entries go beyond the [0, 1] that Craftax declares.
        return spaces.Box(-np.inf, np.inf, obs.shape, obs.dtype)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Discrete."""
        return spaces.Discrete(int(self._made[0].num_actions))

    @property
    def max_episode_steps(self) -> int:
        """The parameter `max_timesteps`."""
        return int(self._made[1].max_timesteps)

    def reset(self, key: PRNGKeyArray) -> tuple[Any, Array]:
        """Start an episode in a fresh world."""
        env, params = self._made
        with jax.numpy_rank_promotion("allow"):
            obs, state = env.reset_env(key, params)
        return jax.tree.map(strong, state), strong(obs)

    def step(self, key: PRNGKeyArray, state: Any, action: Array) -> Step:
        """Take one action."""
        env, params = self._made
        with jax.numpy_rank_promotion("allow"):
            obs, reached, reward, _, _ = env.step_env(key, state, action, params)
            endless = params.replace(max_timesteps=np.iinfo(np.int32).max)
            terminated = env.is_terminal(reached, endless)
        return Step(
            state=jax.tree.map(strong, reached),
            obs=strong(obs),
            reward=jnp.asarray(reward, jnp.float32),
            terminated=jnp.asarray(terminated, bool),
            truncated=jnp.asarray(reached.timestep >= params.max_timesteps, bool),
        )

    @cached_property
    def _made(self) -> tuple[Any, Any]:
        """The environment and its parameters."""
        module = extras.load("craftax.craftax_env", "craftax")
        if self.name not in NAMES:
            raise UnknownEnvError(f"Craftax has no environment {self.name!r}.")
        # The arrays that it builds are constants, even if this runs while jax is tracing.
        with jax.ensure_compile_time_eval():
            env = module.make_craftax_env_from_name(self.name, auto_reset=False)
            return env, env.default_params


def resolve(name: str) -> Craftax:
    """Find Craftax's environment `name`."""
    return Craftax(name)


def rows() -> list[EnvRow]:
    """All four; nothing is made."""
    install = extras.install("craftax", "craftax")
    return [EnvRow(f"craftax:{name}", "device", "", "", True, install) for name in NAMES]
