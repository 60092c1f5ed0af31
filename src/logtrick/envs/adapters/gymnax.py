"""gymnax's environments as device environments: its inner steps, which do not reset themselves."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import jax
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from logtrick.envs.adapters.jax_library import LibraryEnv, library_rows, library_step
from logtrick.envs.protocol import Step
from logtrick.envs.spec import EnvRow
from logtrick.errors import ConfigError, EnvError, SpaceError, UnknownEnvError
from logtrick.support import extras

NAMES = (
    "CartPole-v1",
    "Pendulum-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Asterix-MinAtar",
    "Breakout-MinAtar",
    "Freeway-MinAtar",
    "Seaquest-MinAtar",
    "SpaceInvaders-MinAtar",
    "Catch-bsuite",
    "DeepSea-bsuite",
    "MemoryChain-bsuite",
    "UmbrellaChain-bsuite",
    "DiscountingChain-bsuite",
    "MNISTBandit-bsuite",
    "SimpleBandit-bsuite",
    "FourRooms-misc",
    "MetaMaze-misc",
    "PointRobot-misc",
    "BernoulliBandit-misc",
    "GaussianBandit-misc",
    "Reacher-misc",
    "Swimmer-misc",
    "Pong-misc",
    "FrozenLake-misc",
)
"""What gymnax 1.0.1 has. Listed here because importing gymnax takes seconds."""
DOWNLOADS = "MNISTBandit-bsuite"
"""The one that fetches data from the network, and so fails where there is none."""
_BEYOND = ("GaussianBandit-misc", "MemoryChain-bsuite", "MetaMaze-misc")
"""Whose observations leave the bounds that gymnax 1.0.1 declares: rewards and contexts do."""


@dataclass(frozen=True)
class Gymnax(LibraryEnv):
    """An environment of gymnax, at its default parameters or with some of them changed.

    gymnax's `step` resets the environment at an end; this calls the `step_env` inside it, so the
    observation is always the one that was reached. `terminated` is gymnax's natural end, and
    `truncated` its time limit.

    Attributes:
        name: gymnax's id, `Breakout-MinAtar` say.
        params: (name, value) of the parameters that are changed.

    Raises:
        MissingExtraError: gymnax is not installed.
        UnknownEnvError: gymnax has no such environment.
        ConfigError: The environment has no such parameter.

    Example:
        >>> import jax
        >>> env = Gymnax("Catch-bsuite", params=(("max_steps_in_episode", 7),))
        >>> state, obs = env.reset(jax.random.key(0))
        >>> env.id, obs.shape, env.max_episode_steps
        ('gymnax:Catch-bsuite', (10, 5), 7)

    Source: Lange (2022), gymnax.
    """

    prefix: ClassVar[str] = "gymnax"

    params: tuple[tuple[str, int | float], ...] = ()

    @cached_property
    def observation_space(self) -> spaces.Space[Any]:
        """What gymnax declares, with the dtype that its observations really have."""
        env, params = self._made
        if self.name in _BEYOND:
            return super().observation_space
        with jax.ensure_compile_time_eval():
            return _space(env.observation_space(params), self._observed.dtype, self.id)

    @cached_property
    def action_space(self) -> spaces.Space[Any]:
        """What gymnax declares."""
        env, params = self._made
        with jax.ensure_compile_time_eval():
            space = env.action_space(params)
            return _space(space, space.dtype, self.id)

    @property
    def max_episode_steps(self) -> int:
        """The parameter `max_steps_in_episode`."""
        return int(self._made[1].max_steps_in_episode)

    def step(self, key: PRNGKeyArray, state: Any, action: Array) -> Step:
        """Take one action."""
        env, params = self._made
        with jax.numpy_rank_promotion("allow"):
            obs, reached, reward, terminated, _ = env.step_env(key, state, action, params)
            truncated = env.is_truncated(reached, params)
        return library_step(reached, obs, reward, terminated, truncated)

    def _make(self) -> tuple[Any, Any]:
        gymnax = extras.load("gymnax", "gymnax")
        if self.name not in gymnax.registered_envs:
            raise UnknownEnvError(f"gymnax has no environment {self.name!r}.")
        try:
            env, params = gymnax.make(self.name)
        except OSError as error:
            raise EnvError(f"gymnax:{self.name} needs data that it cannot load: {error}") from error
        unknown = [name for name, _ in self.params if not hasattr(params, name)]
        if unknown:
            raise ConfigError(f"gymnax:{self.name} has no parameter {unknown[0]!r}.")
        return env, params.replace(**dict(self.params))


def resolve(name: str) -> Gymnax:
    """Find gymnax's environment `name`."""
    return Gymnax(name)


def rows() -> list[EnvRow]:
    """All that gymnax has of its own; nothing is made."""
    found = {row.id: row for row in library_rows("gymnax", NAMES, "gymnax")}
    downloads = found[f"gymnax:{DOWNLOADS}"]
    images = "images that gymnax downloads once it is made"
    found[downloads.id] = replace(
        downloads, observation=images, action="Discrete(10)", trainable=None
    )
    return list(found.values())


def _space(space: Any, dtype: Any, id: str) -> spaces.Space[Any]:
    kind = type(space).__name__
    if kind == "Discrete":
        return spaces.Discrete(int(space.n))
    if kind != "Box":
        raise SpaceError(f"{id}: it has a {kind} space, and only Box and Discrete can be served.")
    low, high = (np.broadcast_to(bound, space.shape) for bound in (space.low, space.high))
    return spaces.Box(low.astype(dtype), high.astype(dtype), dtype=np.dtype(dtype))
