"""Environments: one protocol, the core's own on the device, and one adapter per ecosystem.

`resolve` finds an environment by id or from an object, `make` builds it, `list_envs` lists them.
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
