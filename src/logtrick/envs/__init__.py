"""Environments: two protocols, the core's own environments, and adapters to other libraries.

An environment is a state that answers an action with an observation, a reward and two flags:
`terminated` (the MDP ended, so the value that follows is 0) and `truncated` (a limit cut the
episode, so the value that follows counts). No environment here resets itself, so the observation
of a step is always the one that was really reached.

`protocol` has the two kinds: `DeviceEnv`, pure functions in JAX, and `HostEnvs`, rows that Python
steps (`host`). `classic`, `twostate`, `sequences` and `finite` are the core's own; `adapters` has
one module for each other library. `catalog` finds an environment by id or from an object
(`resolve`, `make`, `list_envs`), `checking` tests one, and `enumerable` makes one a finite MDP.

Everything is loaded when it is first used: a worker process that steps a Gymnasium environment
loads no jax.
"""

import importlib
from typing import Any

_HOME = {
    "Acrobot": "classic",
    "CartPole": "classic",
    "DeviceEnv": "protocol",
    "EnvReport": "checking.check_env",
    "EnvRow": "spec",
    "EnvSpec": "spec",
    "Enumerable": "protocol",
    "FiniteMDPEnv": "finite",
    "FiniteMDPGym": "finite_gym",
    "Gymnax": "adapters.gymnax",
    "HostEnvs": "protocol",
    "HostStep": "protocol",
    "MountainCar": "classic",
    "MountainCarContinuous": "classic",
    "Outcomes": "protocol",
    "Pendulum": "classic",
    "Sequences": "sequences",
    "Starts": "protocol",
    "Step": "protocol",
    "TwoState": "twostate",
    "TwoStateGym": "twostate",
    "VectorHostEnvs": "host.rows",
    "check_env": "checking.check_env",
    "list_envs": "catalog",
    "enumerate_mdp": "enumerable",
    "make": "catalog",
    "resolve": "catalog",
    "to_gymnasium": "finite_gym",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"logtrick.envs.{_HOME[name]}"), name)
    raise AttributeError(f"module 'logtrick.envs' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
