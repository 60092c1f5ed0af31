"""The policy gradient: exactly, from samples, and ascended fast, each checked against the others.

Everything named in `__all__` is loaded when it is first used, so that `import logtrick` costs
nothing: no jax, no plotting, no environment package.
"""

import importlib
from typing import Any

_HOME = {
    "A2C": "algorithms.configs",
    "ActorCritic": "policies.actor_critic",
    "CISPO": "algorithms.group_configs",
    "DAPO": "algorithms.group_configs",
    "DrGRPO": "algorithms.group_configs",
    "Evaluation": "runs.config",
    "FiniteMDP": "mdp.model",
    "GRPO": "algorithms.group_configs",
    "GSPO": "algorithms.group_configs",
    "Histories": "exact.histories",
    "IMPALA": "algorithms.configs",
    "LinearPolicy": "policies",
    "LogtrickError": "errors",
    "MLPPolicy": "policies",
    "MLPValue": "policies",
    "NPG": "algorithms.configs",
    "PPO": "algorithms.configs",
    "REINFORCE": "algorithms.configs",
    "REINFORCEPlusPlus": "algorithms.group_configs",
    "RLOO": "algorithms.group_configs",
    "Range": "runs.training.searching",
    "RecurrentPolicy": "policies.recurrent",
    "RecurrentValue": "policies.recurrent",
    "Run": "runs.run",
    "SharedActorCritic": "policies.actor_critic",
    "SoftmaxTable": "policies",
    "TRPO": "algorithms.configs",
    "Trajectory": "rollouts.device",
    "ValueTable": "policies",
    "audit": "auditing.run_audit",
    "check_env": "envs.checking.check_env",
    "load": "runs.run",
    "resume": "runs.training.start",
    "resume_sweep": "runs.training.sweeping",
    "rollout": "rollouts.device",
    "search": "runs.training.searching",
    "sweep": "runs.training.sweeping",
    "train": "runs.training.start",
}
_MODULES = {
    "derivation": "exact.derivation",
    "distributions": "policies.distributions",
    "envs": "envs",
    "errors": "errors",
    "exact": "exact",
    "lessons": "lessons",
    "objectives": "psi.objectives",
    "planning": "planning",
    "policies": "policies",
    "problems": "mdp.problems",
    "psi": "psi",
}

__all__ = sorted([*_HOME, *_MODULES])
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"logtrick.{_MODULES[name]}")
    if name in _HOME:
        return getattr(importlib.import_module(f"logtrick.{_HOME[name]}"), name)
    raise AttributeError(f"module 'logtrick' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
