"""Gymnasium's environments, and the user's own in its shape: found by id, or given as objects."""

import functools
import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs import registration
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id
from gymnasium.vector import SyncVectorEnv

from logtrick.envs.host import vector as _vector
from logtrick.envs.host.alarm import CLOCK, TimedOut, close_safely
from logtrick.envs.host.distinct_rows import Factory, Fresh, refuse_shared
from logtrick.envs.host.rows import VectorHostEnvs
from logtrick.envs.host.vector import RowsFailed, Vector
from logtrick.envs.host.worker import in_new_worlds
from logtrick.envs.spec import LONGER, TIMEOUT, EnvRow, EnvSpec, Workers, from_zero
from logtrick.errors import EnvError, LogtrickError, MissingExtraError, SpaceError, UnknownEnvError
from logtrick.support.names import did_you_mean, reason
from logtrick.support.spaces import SINGLE, named_parts

_EXTRAS = {"box2d": "Box2D", "mujoco": "mujoco"}
"""Gymnasium's extras whose folder has the same name, and the module that each brings."""
_REMEMBERS = "gymnasium.envs.box2d.bipedal_walker:"
"""Entry points of environments that seeds do not fix: see `NewWorld`."""
_REGISTERED_BY: dict[str, str] = {}
"""The id of an environment -> the module whose import registered it; none of Gymnasium's own."""


def import_module(module: str) -> None:
    """Import a module that registers environments with Gymnasium, and keep which ones these are.

    Args:
        module: its name, such as "highway_env".

    Raises:
        EnvError: it cannot be imported; its own error is named.
    """
    known = set(gymnasium.registry)
    try:
        importlib.import_module(module)
    except Exception as error:
        raise EnvError(f"The module {module} could not be imported: {reason(error)}.") from error
    for name in gymnasium.registry.keys() - known:
        _REGISTERED_BY.setdefault(name, module)


def resolve(
    name: str,
    timeout: float = TIMEOUT,
    module: str | None = None,
    kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> EnvSpec:
    """Find an environment that is registered with Gymnasium.

    Args:
        name: its id, such as "CartPole-v1".
        timeout: seconds in which it must have been built.
        module: the module that registers it, which is imported here; None: none is imported.
        kwargs: what `gymnasium.make` is given beside the name.

    Returns:
        Its spaces and limits, and how to build it.

    Raises:
        UnknownEnvError: Gymnasium has no such environment, or has withdrawn it.
        MissingExtraError: Something that it needs is not installed.
        SpaceError: It has a space that cannot be adapted.
        EnvError: The module cannot be imported.
    """
    if module is not None:
        import_module(module)
    registered = _registered(name, module)
    # Gymnasium's own checker would only warn; `CheckedEnv` refuses.
    given = {"disable_env_checker": True, **kwargs}
    make = functools.partial(gymnasium.make, registered, **given)
    if str(registered.entry_point).startswith(_REMEMBERS):
        make = functools.partial(in_new_worlds, make)
    id = f"{module or _REGISTERED_BY.get(registered.id, 'gym')}:{registered.id}"
    deterministic = not registered.nondeterministic
    return from_factory(make, id, deterministic=deterministic, timeout=timeout)


def rows() -> list[EnvRow]:
    """Everything in Gymnasium's registry; nothing is made."""
    return [
        EnvRow(f"gym:{name}", "host", "", "", None, _install(registered.entry_point))
        for name, registered in gymnasium.registry.items()
        if not _is_withdrawn(registered.entry_point)
    ]


def from_factory(
    make: Factory, id: str, *, deterministic: bool = True, timeout: float = TIMEOUT
) -> EnvSpec:
    """The environments that `make` makes, one a call; the first has `timeout` seconds for it."""
    make = Fresh(make, id)
    probe = _probe(make, id, timeout)
    limit = _time_limit(probe)
    close_safely(probe.close, id, timeout)

    def build(num_envs: int, workers: Workers, timeout: float) -> VectorHostEnvs:
        vectorise = _vector.sync_vector if workers == "sync" else _vector.async_vector
        try:
            vector = vectorise(make, num_envs, timeout)
        except RowsFailed as failure:
            raise _not_built(id, failure, workers) from failure
        except Exception as error:
            raise _not_made(id, error) from error
        return VectorHostEnvs(
            vector, id=id, max_episode_steps=limit, deterministic=deterministic, timeout=timeout
        )

    return _spec(id, probe.observation_space, probe.action_space, limit, build)


def from_instance(env: gymnasium.Env[Any, Any]) -> EnvSpec:
    """One environment that the caller made, and will close."""
    id = f"object:{type(env.unwrapped).__name__}"
    _check_spaces(env, id)
    limit = _time_limit(env)

    def build(num_envs: int, workers: Workers, timeout: float) -> VectorHostEnvs:
        if workers == "async":
            raise EnvError(
                f"{id}: an environment that exists already cannot move to another process. Pass a "
                "function that makes it."
            )
        vector = _vector.sync_vector(lambda: _Lent(env), num_envs, timeout)
        return VectorHostEnvs(vector, id=id, max_episode_steps=limit, timeout=timeout, owned=False)

    return _spec(id, env.observation_space, env.action_space, limit, build, num_envs=1)


def from_vector(vector: Vector) -> EnvSpec:
    """A vector environment that the caller made, and will close."""
    id = f"object:{type(vector.unwrapped).__name__}"
    if isinstance(vector.unwrapped, SyncVectorEnv):
        refuse_shared(vector.unwrapped.envs, id)
    # EnvPool's have a specification of another kind, which says nothing here.
    known = vector.spec if isinstance(vector.spec, registration.EnvSpec) else None
    limit = None if known is None else known.max_episode_steps
    nondeterministic = known is not None and known.nondeterministic

    def build(num_envs: int, workers: Workers, timeout: float) -> VectorHostEnvs:
        return VectorHostEnvs(
            vector,
            id=id,
            max_episode_steps=limit,
            deterministic=not nondeterministic,
            timeout=timeout,
            owned=False,
        )

    observation_space, action_space = vector.single_observation_space, vector.single_action_space
    return _spec(id, observation_space, action_space, limit, build, num_envs=vector.num_envs)


class _Lent(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment that only its owner closes; Gymnasium 1.1 closes what it collects."""

    def close(self) -> None:
        """Leave it open."""


def _spec(
    id: str,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    limit: int | None,
    build: Callable[[int, Workers, float], VectorHostEnvs],
    num_envs: int | None = None,
) -> EnvSpec:
    _refuse_unknown(id, "observation", observation_space)
    _refuse_unknown(id, "action", action_space)
    return EnvSpec(
        id=id,
        kind="host",
        observation_space=from_zero(observation_space),
        action_space=from_zero(action_space),
        max_episode_steps=limit,
        builder=build,
        num_envs=num_envs,
    )


def _refuse_unknown(id: str, name: str, space: spaces.Space[Any]) -> None:
    """Refuse a space with a part that no policy can serve, and name a wrapper that does help."""
    unknown = [(where, part) for where, part, _ in _parts(space) if not isinstance(part, SINGLE)]
    if not unknown:
        return
    where, part = unknown[0]
    kind = f"{type(part).__name__}{where}"
    raise SpaceError(
        f"{id}: its {name} space has the part {part} ({kind}), and only Box, Discrete, "
        "MultiDiscrete, MultiBinary and Dict and Tuple spaces of them can be served. Pass a "
        f"function that makes it inside a wrapper: {_wrapper(name, space)}."
    )


def _parts(space: spaces.Space[Any]) -> list[tuple[str, spaces.Space[Any], Any]]:
    return list(named_parts(space, _like(space)))


def _like(space: Any) -> Any:
    """Something of the structure of a space, for what walks through both."""
    if isinstance(space, spaces.Dict):
        return {key: _like(part) for key, part in space.items()}
    return tuple(map(_like, space)) if isinstance(space, spaces.Tuple) else None


def _wrapper(name: str, space: spaces.Space[Any]) -> str:
    """The call of Gymnasium's wrapper after which the space can be served."""
    if name == "action":
        return "gymnasium.wrappers.TransformAction(env, function, action_space)"
    served: list[str] = []
    if isinstance(space, spaces.Dict):
        served = [
            key
            for key, part in space.items()
            if all(isinstance(leaf, SINGLE) for _, leaf, _ in _parts(part))
        ]
    if served:
        return f"gymnasium.wrappers.FilterObservation(env, {served})"
    return "gymnasium.wrappers.TransformObservation(env, function, observation_space)"


def _registered(name: str, module: str | None) -> Any:
    if ":" in name:
        # Gymnasium would import what stands before the colon, and an id may come from a file.
        raise UnknownEnvError(
            f"{name!r} names a module. Without gym: before it, logtrick imports that module."
        )
    try:
        namespace, base, version = parse_env_id(name)
        if version is None and name not in gymnasium.registry:
            name = get_env_id(namespace, base, find_highest_version(namespace, base))
        return gymnasium.spec(name)
    except gymnasium.error.DeprecatedEnv as error:
        raise UnknownEnvError(f"Gymnasium has withdrawn {name!r}: {error}") from None
    except gymnasium.error.Error:
        if module is not None:
            raise UnknownEnvError(_not_registered(name, module)) from None
        raise UnknownEnvError(f"No environment is called {name!r}. {_elsewhere(name)}") from None


def _not_registered(name: str, module: str) -> str:
    own = sorted(
        each
        for each, registered in gymnasium.registry.items()
        if _REGISTERED_BY.get(each) == module
        or re.match(rf"{re.escape(module)}[.:]", str(registered.entry_point))
    )
    if not own:
        return f"The module {module} registers no environment with Gymnasium."
    some = ", ".join(own[:8]) + (", …" if len(own) > 8 else "")
    return f"The module {module} registers no {name!r}. {did_you_mean(name, own)} It has {some}."


_ATARI = re.compile(r"(?P<old>ALE/)?(?P<game>[A-Z]\w*?)(?P<kind>NoFrameskip|Deterministic)?-v\d+")


def _elsewhere(name: str) -> str:
    """Where an environment that Gymnasium does not have may be."""
    found = _ATARI.fullmatch(name)
    if found is not None and (found["old"] or found["kind"]):
        game = re.sub(r"(?<!^)(?=[A-Z])", "_", found["game"]).lower()
        return f"Atari's games are called otherwise here: `logtrick train atari:{game}`."
    return (
        "What another package registers is found by the package's name: "
        f"`logtrick train PACKAGE:{name}`."
    )


def _not_built(id: str, failure: RowsFailed, workers: Workers) -> EnvError:
    what = ", ".join(f"environment {row}" for row in failure.rows)
    what = what or ("a worker process" if workers == "async" else "an environment")
    error = EnvError(f"{id}: {what} {failure.what}.")
    error.add_note(LONGER)
    return error


def _probe(make: Factory, id: str, timeout: float) -> gymnasium.Env[Any, Any]:
    try:
        env = CLOCK.run(make, timeout)
    except TimedOut as error:
        late = RowsFailed([], _vector.unbuilt(timeout))
        raise _not_built(id, late, "sync") from error
    except Exception as error:
        raise _not_made(id, error) from error
    if not isinstance(env, gymnasium.Env):
        kind = f"{type(env).__module__}.{type(env).__qualname__}"
        raise EnvError(f"{id}: what was made is a {kind}, and no gymnasium.Env.")
    _check_spaces(env, id)
    return env


def _check_spaces(env: gymnasium.Env[Any, Any], id: str) -> None:
    for name in ("observation_space", "action_space"):
        if not isinstance(space := getattr(env, name, None), spaces.Space):
            raise EnvError(f"{id}: its {name} is {space!r}, and no space of Gymnasium's.")


def _not_made(id: str, error: Exception) -> LogtrickError:
    if isinstance(error, LogtrickError):
        return error
    if isinstance(error, gymnasium.error.DependencyNotInstalled | ImportError):
        return MissingExtraError(f"{id} needs something that is not installed: {error}")
    return EnvError(f"{id} could not be made: {reason(error)}.")


def _time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    if env.spec is not None and env.spec.max_episode_steps is not None:
        return int(env.spec.max_episode_steps)
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            return int(env._max_episode_steps)
        env = env.env
    return None


def _is_withdrawn(entry_point: Any) -> bool:
    """Whether all that would be made is Gymnasium's message that the environment has moved."""
    return callable(entry_point) and entry_point.__module__.startswith("gymnasium.")


def _install(entry_point: Any) -> str:
    """The command that installs what a built-in environment lacks; empty where nothing."""
    folders = entry_point.split(".") if isinstance(entry_point, str) else []
    if folders[:2] != ["gymnasium", "envs"]:
        return ""
    module = _EXTRAS.get(folders[2].split(":")[0])
    if module is None:
        return ""
    if importlib.util.find_spec(module) is not None:
        is_old = folders[-1].startswith("pusher_v4") and _major_version(module) >= 3
        return 'pip install "mujoco<3"' if is_old else ""
    return f'pip install "gymnasium[{folders[2].split(":")[0]}]"'


def _major_version(module: str) -> int:
    return int(importlib.metadata.version(module).partition(".")[0])
