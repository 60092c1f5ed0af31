"""From an id, or an object, to an environment.

A bare id is looked up among the environments of the core, which run on the device, and then in
Gymnasium. A prefix picks one ecosystem: `gymnax:Breakout-MinAtar`, `gym:CartPole-v1`.
"""

import difflib
import importlib
import re
from dataclasses import dataclass
from typing import Any, Literal

from gymnasium import spaces

from logtrick.envs.protocol import DeviceEnv, EnvSpec, HostEnvs, Workers
from logtrick.errors import EnvError, UnknownEnvError

_CORE = {
    "CartPole-v1": "logtrick.envs.classic:CartPole",
    "Acrobot-v1": "logtrick.envs.classic:Acrobot",
    "MountainCar-v0": "logtrick.envs.classic:MountainCar",
    "MountainCarContinuous-v0": "logtrick.envs.classic:MountainCarContinuous",
    "Pendulum-v1": "logtrick.envs.classic:Pendulum",
}


@dataclass(frozen=True)
class EnvRow:
    """One line of `logtrick envs`."""

    id: str
    """What to type, prefix included."""
    kind: Literal["device", "host"]
    """Where it runs: compiled on the device, or in Python on the host."""
    observation: str
    """The observation space; empty where it is only known once made."""
    action: str
    """The action space; empty where it is only known once made."""
    trainable: bool | None
    """Whether today's policies can serve its spaces; None where that is only known once made."""


def resolve(env: Any) -> EnvSpec:
    """Find an environment, by id or from an object, without building it.

    Args:
        env: An id (`"CartPole-v1"`, `"gym:CartPole-v1"`), a `DeviceEnv`, `HostEnvs`, or an
            `EnvSpec`, which is returned as it is.

    Returns:
        Its spaces and limits, and how to build it.

    Raises:
        UnknownEnvError: No environment has this id; the nearest ids are named.
        MissingExtraError: The ecosystem behind the prefix is not installed.
        EnvError: The object is no environment.

    Example:
        >>> from logtrick import envs
        >>> spec = envs.resolve("CartPole-v1")
        >>> spec.id, spec.kind, spec.max_episode_steps
        ('CartPole-v1', 'device', 500)
    """
    if isinstance(env, str):
        return _resolve_id(env)
    if isinstance(env, EnvSpec):
        return env
    if isinstance(env, DeviceEnv):
        return _device_spec(env)
    raise EnvError(f"A {type(env).__name__} is no environment: pass an id or an environment.")


def make(
    env: Any, num_envs: int = 1, *, workers: Workers = "sync", timeout: float = 60.0
) -> DeviceEnv | HostEnvs:
    """Find an environment and build it: `resolve(env).build(num_envs, ...)`.

    Example:
        >>> from logtrick import envs
        >>> envs.make("Pendulum-v1").action_space
        Box(-2.0, 2.0, (1,), float32)
    """
    return resolve(env).build(num_envs, workers=workers, timeout=timeout)


def list_envs() -> list[EnvRow]:
    """Everything that can be named here, the core's environments first.

    Example:
        >>> from logtrick import envs
        >>> envs.list_envs()[0].id
        'CartPole-v1'
    """
    return [_device_row(_load(name)) for name in _CORE]


def _resolve_id(name: str) -> EnvSpec:
    core = _core_name(name)
    if core is None:
        raise _unknown(name)
    return _device_spec(_load(core))


def _core_name(name: str) -> str | None:
    """The core's id for `name`, whose version may be left out."""
    for core in _CORE:
        if name in (core, re.sub(r"-v\d+$", "", core)):
            return core
    return None


def _load(core: str) -> DeviceEnv:
    module, attribute = _CORE[core].split(":")
    env: DeviceEnv = getattr(importlib.import_module(module), attribute)()
    return env


def _device_spec(env: DeviceEnv) -> EnvSpec:
    return EnvSpec(
        id=env.id,
        kind="device",
        observation_space=env.observation_space,
        action_space=env.action_space,
        max_episode_steps=env.max_episode_steps,
        builder=lambda num_envs, workers, timeout: env,
    )


def _device_row(env: DeviceEnv) -> EnvRow:
    observation, action = env.observation_space, env.action_space
    trainable = isinstance(action, spaces.Discrete | spaces.Box)
    return EnvRow(env.id, "device", str(observation), str(action), trainable)


def _unknown(name: str) -> UnknownEnvError:
    nearest = difflib.get_close_matches(name, list(_CORE), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(nearest)}? " if nearest else ""
    return UnknownEnvError(
        f"No environment is called {name!r}. {hint}`logtrick envs` lists what can be trained here."
    )
