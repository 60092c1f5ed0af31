"""MuJoCo Playground's environments on the device: its inner steps, with a time limit of ours."""

import subprocess
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from logtrick.envs.adapters.jax_library import LibraryEnv, library_rows, strong_tree
from logtrick.envs.protocol import Step
from logtrick.envs.spec import EnvRow
from logtrick.errors import EnvError, UnknownEnvError
from logtrick.support import extras

DM_CONTROL = (
    "AcrobotSwingup",
    "AcrobotSwingupSparse",
    "BallInCup",
    "CartpoleBalance",
    "CartpoleBalanceSparse",
    "CartpoleSwingup",
    "CartpoleSwingupSparse",
    "CheetahRun",
    "FingerSpin",
    "FingerTurnEasy",
    "FingerTurnHard",
    "FishSwim",
    "HopperHop",
    "HopperStand",
    "HumanoidRun",
    "HumanoidStand",
    "HumanoidWalk",
    "PendulumSwingup",
    "PointMass",
    "ReacherEasy",
    "ReacherHard",
    "SwimmerSwimmer6",
    "WalkerRun",
    "WalkerStand",
    "WalkerWalk",
)
"""Its dm_control suite, which comes with its robots; the others fetch theirs at first use."""


@dataclass(frozen=True)
class Playground(LibraryEnv):
    """An environment of MuJoCo Playground, at its default configuration.

    Nothing is wrapped: each episode starts from a fresh draw, which Playground's own wrapper saves
    itself, and `terminated` is the environment's `done` alone. Where observations are a
    dictionary, `state` is the actor's. The observation space is unbounded, because Playground
    declares sizes only. On a CPU the physics run in JAX; Playground's default there, Warp, is made
    for GPUs.

    Attributes:
        name: Playground's name, `CartpoleBalance` say.

    Raises:
        MissingExtraError: Playground is not installed.
        UnknownEnvError: It has no such environment.

    Source: Zakka et al. (2025), MuJoCo Playground, arXiv 2502.08844.
    """

    prefix: ClassVar[str] = "playground"

    @property
    def action_space(self) -> spaces.Space[Any]:
        """[−1, 1] for each actuator, by Playground's convention."""
        return spaces.Box(-1.0, 1.0, (self._made[0].action_size,), np.float32)

    @property
    def max_episode_steps(self) -> int:
        """`episode_length` of its configuration."""
        return int(self._made[1].episode_length)

    def reset(self, key: PRNGKeyArray) -> tuple[Any, Array]:
        """Start an episode."""
        with jax.numpy_rank_promotion("allow"):
            state = self._made[0].reset(key)
        state = strong_tree(state)
        return (state, jnp.zeros((), jnp.int32)), _actors(state.obs)

    def step(self, key: PRNGKeyArray, state: Any, action: Array) -> Step:
        """Take one action. All chance was drawn at the start: `key` is not used."""
        inner, steps = state
        with jax.numpy_rank_promotion("allow"):
            reached = strong_tree(self._made[0].step(inner, action))
        return Step(
            state=(reached, steps + 1),
            obs=_actors(reached.obs),
            reward=reached.reward,
            terminated=reached.done > 0,
            truncated=steps + 1 >= self.max_episode_steps,
        )

    def _make(self) -> tuple[Any, Any]:
        registry = extras.load("mujoco_playground", "playground").registry
        if self.name not in registry.ALL_ENVS:
            raise UnknownEnvError(f"MuJoCo Playground has no environment {self.name!r}.")
        config = registry.get_default_config(self.name)
        if jax.default_backend() == "cpu" and "impl" in config:
            config.impl = "jax"
        try:
            return registry.load(self.name, config), config
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            raise EnvError(
                f"{self.id} could not be made; robots outside the dm_control suite are fetched "
                f"with git at their first use: {error}"
            ) from error


def resolve(name: str) -> Playground:
    """Find Playground's environment `name`."""
    return Playground(name)


def rows() -> list[EnvRow]:
    """The dm_control suite; nothing is made."""
    return library_rows("playground", DM_CONTROL, "mujoco_playground")


def _actors(obs: Any) -> Array:
    return obs["state"] if isinstance(obs, dict) else obs
