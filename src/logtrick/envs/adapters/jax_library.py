"""What the adapters of JAX libraries share: gymnax, Craftax and MuJoCo Playground.

Such a library has pure functions for a reset and a step that does not reset itself. The arrays that
it returns may have weak types, and its code may rely on rank promotion; neither leaves this room.
"""

import abc
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step
from logtrick.envs.spec import EnvRow
from logtrick.support import extras


@dataclass(frozen=True)
class LibraryEnv(DeviceEnv):
    """An environment of a JAX library, behind the device protocol.

    Attributes:
        name: by which the library knows it.
    """

    name: str

    prefix: ClassVar[str]
    """In front of the name in an id."""

    def __post_init__(self) -> None:
        _ = self._made  # what is wrong with it is said where it is named

    @property
    def id(self) -> str:
        """The prefix and the name."""
        return f"{self.prefix}:{self.name}"

    @cached_property
    def observation_space(self) -> spaces.Space[Any]:
        """An unbounded Box of the real shape and dtype of an observation."""
        obs = self._observed
        return spaces.Box(-np.inf, np.inf, obs.shape, obs.dtype)

    @property
    def _observed(self) -> jax.ShapeDtypeStruct:
        """The shape and dtype of an observation, as the library really returns it."""
        with jax.ensure_compile_time_eval():
            obs: jax.ShapeDtypeStruct = jax.eval_shape(self.reset, jax.random.key(0))[1]
        return obs

    def reset(self, key: PRNGKeyArray) -> tuple[Any, Array]:
        """Start an episode: (state, observation)."""
        env, params = self._made
        with jax.numpy_rank_promotion("allow"):
            obs, state = env.reset_env(key, params)
        return strong_tree(state), strong(obs)

    @cached_property
    def _made(self) -> tuple[Any, Any]:
        """The library's environment, and its parameters or its configuration."""
        # The arrays that it builds are constants, even if this runs while jax is tracing.
        with jax.ensure_compile_time_eval():
            return self._make()

    @abc.abstractmethod
    def _make(self) -> tuple[Any, Any]:
        """Make what `_made` keeps."""


def library_step(state: Any, obs: Any, reward: Any, terminated: Any, truncated: Any) -> Step:
    """What a library's step returned, as arrays of the dtypes that a `Step` has."""
    return Step(
        state=strong_tree(state),
        obs=strong(obs),
        reward=jnp.asarray(reward, jnp.float32),
        terminated=jnp.asarray(terminated, bool),
        truncated=jnp.asarray(truncated, bool),
    )


def strong(leaf: Any) -> Array:
    """As an array without a weak type, for which jax would compile everything once more."""
    array = jnp.asarray(leaf)
    return jax.lax.convert_element_type(array, array.dtype)


def strong_tree(tree: Any) -> Any:
    """`strong` for every leaf of a pytree."""
    return jax.tree.map(strong, tree)


def library_rows(prefix: str, names: Iterable[str], module: str) -> list[EnvRow]:
    """One line of `logtrick envs` for each name; nothing is made.

    Args:
        prefix: of the ids, which is the name of the extra that installs the library.
        names: of the environments.
        module: what is imported.
    """
    install = extras.install(module, prefix)
    return [EnvRow(f"{prefix}:{name}", "device", "", "", True, install) for name in names]
