"""Craftax on the device: its environments without auto-reset."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from logtrick.envs.adapters.jax_library import LibraryEnv, library_rows, library_step
from logtrick.envs.protocol import Step
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
class Craftax(LibraryEnv):
    """An environment of Craftax, at its default parameters.

    Craftax has one flag for the end of an episode and its time limit. The adapter separates them:
    `terminated` is its end with the limit taken away. The observation space is unbounded, because
    some symbolic entries go beyond the [0, 1] that Craftax declares.

    Attributes:
        name: one of `NAMES`.

    Raises:
        MissingExtraError: Craftax is not installed.
        UnknownEnvError: It has no such environment.

    Source: Matthews et al. (2024), Craftax, arXiv 2402.16801.
    """

    prefix: ClassVar[str] = "craftax"

    @property
    def action_space(self) -> spaces.Space[Any]:
        """A Discrete space of Craftax's actions."""
        return spaces.Discrete(int(self._made[0].num_actions))

    @property
    def max_episode_steps(self) -> int:
        """The parameter `max_timesteps`."""
        return int(self._made[1].max_timesteps)

    def step(self, key: PRNGKeyArray, state: Any, action: Array) -> Step:
        """Take one action."""
        env, params = self._made
        with jax.numpy_rank_promotion("allow"):
            obs, reached, reward, _, _ = env.step_env(key, state, action, params)
            endless = params.replace(max_timesteps=np.iinfo(np.int32).max)
            terminated = env.is_terminal(reached, endless)
        return library_step(
            reached, obs, reward, terminated, reached.timestep >= params.max_timesteps
        )

    def _make(self) -> tuple[Any, Any]:
        module = extras.load("craftax.craftax_env", "craftax")
        if self.name not in NAMES:
            raise UnknownEnvError(f"Craftax has no environment {self.name!r}.")
        env = module.make_craftax_env_from_name(self.name, auto_reset=False)
        return env, env.default_params


def resolve(name: str) -> Craftax:
    """Find Craftax's environment `name`."""
    return Craftax(name)


def rows() -> list[EnvRow]:
    """All four; nothing is made."""
    return library_rows("craftax", NAMES, "craftax")
