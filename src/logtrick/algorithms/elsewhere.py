"""What settings are called elsewhere: a name of Stable-Baselines3, CleanRL … and the one here.

No JAX here, so that the command line can say it at once.
"""

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable
from typing import ParamSpec, TypeVar

from logtrick.errors import ConfigError
from logtrick.support.names import unknown_name

P = ParamSpec("P")
R = TypeVar("R")

_OF_TRAINING = {
    "total_timesteps": "steps",
    "num_timesteps": "steps",
    "timesteps": "steps",
    "num_seeds": "seeds",
    "env_id": "env",
    "tensorboard_log": "tensorboard",
    "callback": "callbacks",
    "eval_freq": "evaluation=lt.Evaluation(every=…)",
    "eval_every": "evaluation=lt.Evaluation(every=…)",
    "n_eval_episodes": "evaluation=lt.Evaluation(every=…, episodes=…)",
    "eval_episodes": "evaluation=lt.Evaluation(every=…, episodes=…)",
    "stop_at": "evaluation=lt.Evaluation(every=…, stop_at=…)",
    "verbose": "progress",
    "progress_bar": "progress",
    "log_dir": "out",
    "save_path": "out",
}
"""Arguments of `lt.train`, flags of `logtrick train`."""
_OF_EVALUATIONS = {
    "eval_freq": "every",
    "eval_every": "every",
    "eval_interval": "every",
    "n_eval_episodes": "episodes",
    "eval_episodes": "episodes",
    "num_episodes": "episodes",
    "deterministic": "greedy",
    "max_episode_steps": "max_steps",
    "reward_threshold": "stop_at",
}
"""Fields of `lt.Evaluation`."""
_FLAGS = {
    "eval_freq": "eval_every",
    "eval_interval": "eval_every",
    "n_eval_episodes": "eval_episodes",
}
"""Flags of `logtrick train` that are called otherwise than the arguments of `lt.train`."""
_OF_ALGORITHMS = {
    "n_steps": "num_steps",
    "rollout_fragment_length": "num_steps",
    "rollout_length": "num_steps",
    "unroll_length": "num_steps",
    "n_envs": "num_envs",
    "num_workers": "num_envs",
    "n_epochs": "epochs",
    "update_epochs": "epochs",
    "num_epochs": "epochs",
    "num_sgd_iter": "epochs",
    "num_updates_per_batch": "epochs",
    "ppo_epochs": "epochs",
    "batch_size": "minibatches (their number: num_envs × num_steps / batch_size)",
    "minibatch_size": "minibatches (their number: num_envs × num_steps / minibatch_size)",
    "sgd_minibatch_size": "minibatches (their number: num_envs × num_steps / sgd_minibatch_size)",
    "train_batch_size": "num_envs × num_steps",
    "num_minibatches": "minibatches",
    "n_minibatches": "minibatches",
    "lr": "learning_rate",
    "actor_lr": "learning_rate",
    "anneal_lr": 'schedule ("linear")',
    "lr_schedule": "schedule",
    "ent_coef": "entropy_coef",
    "entropy_cost": "entropy_coef",
    "entropy_coeff": "entropy_coef",
    "entropy_coefficient": "entropy_coef",
    "vf_coef": "value_coef",
    "vf_loss_coeff": "value_coef",
    "value_loss_coef": "value_coef",
    "gae_lambda": "lambda_",
    "lam": "lambda_",
    "lambda": "lambda_",
    "discount": "gamma",
    "discounting": "gamma",
    "discount_factor": "gamma",
    "clip_range": "clip_eps",
    "clip_coef": "clip_eps",
    "clip_param": "clip_eps",
    "clip_ratio": "clip_eps",
    "clipping_epsilon": "clip_eps",
    "clip_range_vf": "value_clip_eps",
    "vf_clip_param": "value_clip_eps",
    "clip_vloss": "value_clip_eps",
    "kl_coeff": "kl_coef",
    "kl_target": "target_kl",
    "target_kl_div": "target_kl",
    "grad_clip": "max_grad_norm",
    "max_gradient_norm": "max_grad_norm",
    "clip_grad_norm": "max_grad_norm",
    "normalize_advantage": 'normalise ("minibatch", "batch" or "none")',
    "norm_adv": 'normalise ("minibatch", "batch" or "none")',
    "normalise_advantage": 'normalise ("minibatch", "batch" or "none")',
    "normalize": "normalise",
    "normalize_observations": 'observations ("normalised")',
    "norm_obs": 'observations ("normalised")',
    "normalize_env": 'observations ("normalised"; beside it: rewards)',
    "norm_reward": 'rewards ("normalised")',
    "reward_scaling": 'rewards ("normalised")',
    "rms_prop_eps": "optimizer_eps",
    "adam_eps": "optimizer_eps",
    "use_rms_prop": 'optimizer ("rmsprop")',
    "optimiser": "optimizer",
    "policy_kwargs": "hidden (beside it: activation, trunk and memory)",
    "net_arch": "hidden",
    "hidden_sizes": "hidden",
    "fcnet_hiddens": "hidden",
    "activation_fn": "activation",
    "num_generations": "group_size",
    "cliprange": "clip_eps",
    "delta": "max_kl",
    "trust_region": "max_kl",
    "cg_max_steps": "cg_iterations",
    "line_search_max_iter": "line_search_steps",
    "action_distribution": "distribution",
    "use_gae": 'psi ("gae")',
}
"""Fields of the algorithms' configurations."""

_OWNERS: dict[str, str] = {}
"""Every setting of an algorithm -> the class that an example names; see `register`."""


def register(owner: str, settings: Iterable[str]) -> None:
    """Make the settings of a configuration known; of several owners the first one stays.

    Args:
        owner: the name of the class, such as "PPO".
        settings: the names of its fields.
    """
    for name in settings:
        _OWNERS.setdefault(name, owner)


def meant(name: str, known: Collection[str]) -> str:
    """Which setting of ours a name from elsewhere means, and where it is given; empty where none.

    Args:
        name: in upper or lower case, - or _.
        known: the names that can be given where it was.

    Example:
        >>> import logtrick.algorithms.configs  # it registers its settings
        >>> meant("ent_coef", ["entropy_coef"])
        'Here it is entropy_coef.'
        >>> meant("total-timesteps", ["entropy_coef"])
        'Here it is steps, an argument of lt.train: lt.train(env, lt.PPO(), steps=…).'
        >>> meant("CLIP_COEF", ["steps"])
        'Here it is clip_eps, a setting of an algorithm: lt.train(env, lt.PPO(clip_eps=…)).'
        >>> meant("colour", ["gamma"])
        ''
    """
    name = name.lower().replace("-", "_")
    if (field := _OF_EVALUATIONS.get(name)) in known:
        return f"Here it is {field}."
    words = _OF_ALGORITHMS.get(name) or _OF_TRAINING.get(name) or (name if _is_ours(name) else "")
    if not words:
        return ""
    field = re.split(r"[ =]", words)[0]
    if field in known:
        return f"Here it is {words}."
    if field in _OWNERS:
        return f"Here it is {words}, a setting of an algorithm: {_example(field)}."
    given = words if "=" in words else f"{field}=…"
    return f"Here it is {field}, an argument of lt.train: lt.train(env, lt.PPO(), {given})."


def flag_meant(name: str, known: Collection[str]) -> str:
    """The same for a flag of the command line, all of which stand side by side.

    Example:
        >>> flag_meant("total-timesteps", ["steps"])
        'Here it is --steps.'
    """
    field = name.lower().replace("-", "_")
    if field in known or f"{field}_" in known:
        return ""
    ours = _FLAGS.get(field) or _OF_ALGORITHMS.get(field) or _OF_TRAINING.get(field, "")
    flag = re.split(r"[ =]", ours)[0]
    return f"Here it is --{flag.strip('_').replace('_', '-')}." if flag in known else ""


def refuse_unknown(owner: str, name: str, known: Collection[str]) -> None:
    """Raise for a setting that `owner` does not have.

    Raises:
        ConfigError: always; it names the one that was meant.
    """
    saying = f"{owner} has no setting"
    if hint := meant(name, known):
        raise ConfigError(f"{saying} {name!r}. {hint}")
    raise ConfigError(unknown_name(saying, name, known))


def known_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """A function that says of an unknown argument which one was meant, as a `ConfigError`."""
    known = [*inspect.signature(function).parameters]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                refuse_unknown(f"lt.{function.__name__}", name, known)
        return function(*args, **kwargs)

    return checked


def _is_ours(name: str) -> bool:
    return name in _OWNERS or name in ("steps", "seed", "seeds", "out", "workers")


def _example(field: str) -> str:
    return f"lt.train(env, lt.{_OWNERS[field]}({field}=…))"
