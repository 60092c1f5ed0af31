"""From an id, or an object, to an environment.

A bare id is looked up among the environments of the core, which run on the device, and then in
Gymnasium. A prefix picks one ecosystem: `gymnax:Breakout-MinAtar`, `envpool:HalfCheetah-v5`; `mdp:`
the finite MDPs: `mdp:frozen_lake`. Any other prefix is a module that registers the environment with
Gymnasium, and is imported: `highway_env:highway-v0`.
"""

import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

import gymnasium
from gymnasium.vector import VectorEnv

from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.envs.spec import TIMEOUT, EnvRow, EnvSpec, Workers, check_timeout, trainable
from logtrick.errors import ConfigError, EnvError, ModuleNotLoadedError, UnknownEnvError
from logtrick.support.names import did_you_mean, reason
from logtrick.support.spaces import in_words

_CORE = {
    "CartPole-v1": "logtrick.envs.classic:CartPole",
    "Acrobot-v1": "logtrick.envs.classic:Acrobot",
    "MountainCar-v0": "logtrick.envs.classic:MountainCar",
    "MountainCarContinuous-v0": "logtrick.envs.classic:MountainCarContinuous",
    "Pendulum-v1": "logtrick.envs.classic:Pendulum",
    "TwoState-v0": "logtrick.envs.twostate:TwoState",
}

_ADAPTERS = {
    "gym": "logtrick.envs.adapters.gymnasium",
    "gymnax": "logtrick.envs.adapters.gymnax",
    "envpool": "logtrick.envs.adapters.envpool",
    "atari": "logtrick.envs.adapters.atari",
    "playground": "logtrick.envs.adapters.playground",
    "craftax": "logtrick.envs.adapters.craftax",
    "sequences": "logtrick.envs.sequences",
    "mdp": "logtrick.envs.finite",
}
"""Prefix -> module with `resolve(name) -> EnvSpec | DeviceEnv` and `rows() -> list[EnvRow]`.

Such a module loads its ecosystem inside `resolve` only, so that listing stays quick. Where its rows
are an example only, it has `names() -> list[str]`, which may load it: all that `resolve` finds."""


def resolve(
    env: Any, *, timeout: float | int = TIMEOUT, kwargs: Mapping[str, Any] | None = None
) -> EnvSpec:
    """Find an environment, by id or from an object, without building it.

    Args:
        env: An id (`"CartPole-v1"`, `"gym:CartPole-v1"`, `"highway_env:highway-v0"`, for which the
            module is imported); a `DeviceEnv`; a `gymnasium.Env`, its class, or a function that
            makes one; a Gymnasium `VectorEnv`; `HostEnvs`; an `EnvSpec`, which is returned as it
            is.
        timeout: Seconds in which one of Gymnasium's, or of the user's own, can be made, to see its
            spaces.
        kwargs: Keyword arguments to make it with, for an id of the core or of Gymnasium, a class
            or a function.

    Returns:
        Its spaces and limits, and how to build it.

    Raises:
        UnknownEnvError: No environment has this id; the nearest ids are named.
        MissingExtraError: What it needs is not installed; the install line is given.
        SpaceError: It has a space that no adapter can serve.
        EnvError: The object is no environment, or it cannot be made; or its module cannot be
            imported.
        ConfigError: It exists already, or its ecosystem makes it without arguments.

    Example:
        >>> from logtrick import envs
        >>> spec = envs.resolve("CartPole-v1")
        >>> spec.id, spec.kind, spec.max_episode_steps
        ('CartPole-v1', 'device', 500)
        >>> envs.resolve("gym:CartPole-v1").kind
        'host'
    """
    timeout, kwargs = check_timeout(timeout), dict(kwargs or {})
    if isinstance(env, str):
        return replace(_resolve_id(env, timeout, kwargs), kwargs=kwargs)
    if kwargs and (not callable(env) or isinstance(env, DeviceEnv | HostEnvs)):
        raise ConfigError(
            f"env_kwargs={kwargs} cannot reach {env!r:.60}, which exists already; pass its id, its "
            "class, or a function that makes it."
        )
    if isinstance(env, EnvSpec):
        return env
    if isinstance(env, DeviceEnv | HostEnvs):
        return _spec_of(env)
    adapter = importlib.import_module(_ADAPTERS["gym"])
    if isinstance(env, VectorEnv):
        spec: EnvSpec = adapter.from_vector(env)
    elif isinstance(env, gymnasium.Env):
        spec = adapter.from_instance(env)
    elif callable(env) and not _is_device_class(env):
        function = getattr(env, "func", env)  # what a functools.partial calls
        name = getattr(function, "__qualname__", type(function).__name__)
        id = f"object:{name.rpartition('.')[2].strip('<>')}"
        make = functools.partial(env, **kwargs) if kwargs else env
        spec = replace(adapter.from_factory(make, id, timeout=timeout), kwargs=kwargs)
    else:
        raise EnvError(
            f"{env!r} is no environment. Pass an id, a logtrick or Gymnasium environment, or a "
            "function that makes a Gymnasium one."
        )
    return spec


def resolve_recorded(
    name: str, *, timeout: float | int = TIMEOUT, kwargs: Mapping[str, Any] | None = None
) -> EnvSpec:
    """Find an environment by an id that came from a file, which must not choose what is imported.

    Args:
        name: the id.
        timeout: as in `resolve`.
        kwargs: as in `resolve`.

    Returns:
        As `resolve`.

    Raises:
        ModuleNotLoadedError: the id names a module that this process has not imported.
        UnknownEnvError, MissingExtraError, SpaceError, EnvError: as in `resolve`.
    """
    if (module := module_of(name)) is not None and module not in sys.modules:
        raise ModuleNotLoadedError(
            f"{name} is registered by the module {module}, which is not imported: a run folder "
            f"causes no import. In Python, import {module} first.",
            module,
        )
    return resolve(name, timeout=timeout, kwargs=kwargs)


def module_of(name: str) -> str | None:
    """The module that an id names, which registers the environment; None where it names none.

    Example:
        >>> module_of("highway_env:highway-v0")
        'highway_env'
        >>> module_of("gym:CartPole-v1")
    """
    prefix, colon, _ = name.partition(":")
    named = colon and prefix not in (*_ADAPTERS, "object")
    return prefix if named and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", prefix) else None


def make(
    env: Any, num_envs: int = 1, *, workers: Workers = "sync", timeout: float | int = TIMEOUT
) -> DeviceEnv | HostEnvs:
    """Find an environment and build it: `resolve(env).build(num_envs, ...)`.

    Args:
        env: what `resolve` takes: an id, or an object.
        num_envs: rows of an environment on the host; one on the device has none, since `jax.vmap`
            makes many of it.
        workers: where the rows on the host run: "sync", all in this process, or "async", each in a
            process of its own.
        timeout: seconds that a row on the host may take to answer.

    Returns:
        The environment.

    Raises:
        UnknownEnvError, MissingExtraError, SpaceError, EnvError: as in `resolve`.

    Example:
        >>> from logtrick import envs
        >>> envs.make("Pendulum-v1").action_space
        Box(-2.0, 2.0, (1,), float32)
    """
    return resolve(env, timeout=timeout).build(num_envs, workers=workers, timeout=timeout)


def list_envs() -> list[EnvRow]:
    """Everything that can be named here, the core's environments first. Nothing is built.

    Example:
        >>> from logtrick import envs
        >>> envs.list_envs()[0].id
        'CartPole-v1'
    """
    rows = [_device_row(_core_env(name)) for name in _CORE]
    for module in _ADAPTERS.values():
        rows += importlib.import_module(module).rows()
    return rows


def _resolve_id(name: str, timeout: float | int, kwargs: Mapping[str, Any]) -> EnvSpec:
    prefix, colon, rest = name.partition(":")
    if not colon:
        core = _core_name(name)
        if core is not None:
            return _spec_of(_core_env(core, kwargs))
        prefix, rest = "gym", name
    if prefix == "object":
        raise UnknownEnvError(
            f"{name!r} was given as a Python object, which only Python can "
            "make again: lt.load(path).evaluate(env=…), lt.resume(path, env=…)."
        )
    module = module_of(name)
    if prefix not in _ADAPTERS and (module is None or not _is_there(module)):
        known = ", ".join(f"{prefix}:" for prefix in _ADAPTERS)
        hint = did_you_mean(prefix, list(_ADAPTERS))
        raise UnknownEnvError(
            f"{name!r}: no ecosystem has this prefix, and no module has this name here. {hint} "
            f"There are {known}, and every module that registers environments with Gymnasium."
        )
    adapter = importlib.import_module(_ADAPTERS["gym" if module else prefix])
    if module is not None:
        return cast(EnvSpec, adapter.resolve(rest, timeout, module, kwargs))
    if kwargs and prefix != "gym":
        raise ConfigError(f"{name}: environments of {prefix}: are made without env_kwargs.")
    try:
        # Gymnasium's are anybody's code; the others are libraries, whose start is no fault.
        of_gym = prefix == "gym"
        found = adapter.resolve(rest, timeout, None, kwargs) if of_gym else adapter.resolve(rest)
    except UnknownEnvError as error:
        where = f"{name}: " if colon else ""
        raise UnknownEnvError(f"{where}{error} {_nearest(name)}") from None
    return found if isinstance(found, EnvSpec) else _spec_of(found)


def _is_there(module: str) -> bool:
    """Whether a module, or the package that it is in, can be imported; nothing is."""
    top = module.partition(".")[0]
    return top in sys.modules or importlib.util.find_spec(top) is not None


def _nearest(name: str) -> str:
    """What may have been meant: of one ecosystem where `name` has its prefix, else of all."""
    prefix, colon, rest = name.rpartition(":")
    ids = [row.id for row in list_envs()]
    if prefix in _ADAPTERS:
        names = getattr(importlib.import_module(_ADAPTERS[prefix]), "names", list)
        ids += [f"{prefix}:{each}" for each in names()]
    near = [id for id in ids if id.startswith(prefix + colon)]
    hint = did_you_mean(rest, near, key=lambda id: id.rpartition(":")[2])
    return f"{hint} `logtrick envs` lists what can be trained here.".lstrip()


def _core_name(name: str) -> str | None:
    """The core's id for `name`, whose version may be left out."""
    for core in _CORE:
        if name in (core, re.sub(r"-v\d+$", "", core)):
            return core
    return None


def _core_env(name: str, kwargs: Mapping[str, Any] = MappingProxyType({})) -> DeviceEnv:
    module, attribute = _CORE[name].split(":")
    kind: type[DeviceEnv] = getattr(importlib.import_module(module), attribute)
    for key, value in kwargs.items():
        if (constant := getattr(kind, key, None)) is None:
            continue  # Python's own words say what is unexpected
        whole = isinstance(constant, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            word = "a whole number" if whole else "a number"
            raise EnvError(f"{name} could not be made: {key}={value!r} must be {word}.")
    try:
        return kind(**kwargs)
    except TypeError as error:
        raise EnvError(f"{name} could not be made: {reason(error)}.") from error


def _is_device_class(env: Any) -> bool:
    return isinstance(env, type) and issubclass(env, DeviceEnv | HostEnvs)


def _spec_of(env: DeviceEnv | HostEnvs) -> EnvSpec:
    """Of an environment that is there already."""
    return EnvSpec(
        id=env.id,
        kind="host" if isinstance(env, HostEnvs) else "device",
        observation_space=env.observation_space,
        action_space=env.action_space,
        max_episode_steps=env.max_episode_steps,
        builder=lambda num_envs, workers, timeout: env,
        num_envs=env.num_envs if isinstance(env, HostEnvs) else None,
    )


def _device_row(env: DeviceEnv) -> EnvRow:
    observation, action = env.observation_space, env.action_space
    ours = trainable(observation, action)
    return EnvRow(env.id, "device", in_words(observation), in_words(action), ours, install="")
