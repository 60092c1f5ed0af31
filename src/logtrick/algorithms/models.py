"""The policy and the value function that an algorithm's settings ask for."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.normalisation import Normalised
from logtrick.errors import ConfigError
from logtrick.policies import MLPPolicy, MLPValue
from logtrick.policies.actor_critic import ActorCritic, SharedActorCritic
from logtrick.policies.distributions import Categorical, Distribution
from logtrick.policies.memory import call, initial_carry
from logtrick.policies.recurrent import RecurrentPolicy, RecurrentValue
from logtrick.support.spaces import over_leaves

_OTHER_LIBRARIES = ("torch", "tensorflow", "keras", "flax", "haiku", "stable_baselines3")
"""Whose modules are no Equinox modules, though they can be called."""


def build_model(
    algorithm: Algorithm,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    seed: int,
    policy: Any = None,
) -> Any:
    """The policy and the value function that an algorithm trains.

    Args:
        algorithm: the configuration.
        observation_space: of the environment.
        action_space: of the environment.
        seed: of the initial weights.
        policy: a user's own, in the place of the algorithm's: a module, or a function
            (observation_space, action_space, seed) that makes one. A module with `state_value` and
            `policy` is taken as the whole model; to any other the algorithm's value function is
            added.

    Raises:
        ConfigError: the policy is none, or does not fit the algorithm.
        SpaceError: spaces that cannot be served.
    """
    if policy is None:
        model = _networks(algorithm, observation_space, action_space, seed)
    else:
        model = _with_policy(algorithm, policy, observation_space, action_space, seed)
    if algorithm.observations == "normalised":
        return Normalised(model, observation_space, images=algorithm.images)
    return model


def _networks(
    algorithm: Algorithm, observation_space: Any, action_space: Any, seed: int
) -> ActorCritic | SharedActorCritic:
    common: dict[str, Any] = {
        "hidden": algorithm.hidden,
        "activation": algorithm.activation,
        "images": algorithm.images,
    }
    of_actions = {"distribution": algorithm.distribution, "action_scale": algorithm.action_scale}
    acting = {**common, **of_actions}
    memory: dict[str, Any] = {"cell": algorithm.memory, "width": algorithm.memory_width}
    if algorithm.trunk == "shared":
        return SharedActorCritic(observation_space, action_space, **acting, **memory, key=seed)
    policy_seed, value_seed = map(int, np.random.SeedSequence(seed).generate_state(2))
    policy: Any
    if algorithm.memory == "none":
        policy = MLPPolicy(observation_space, action_space, **acting, key=policy_seed)
    else:
        policy = RecurrentPolicy(
            observation_space, action_space, **acting, **memory, key=policy_seed
        )
    return ActorCritic(policy, _value(algorithm, observation_space, value_seed))


def _value(algorithm: Algorithm, observation_space: Any, seed: int) -> Any:
    """V_φ with the algorithm's settings; None where it learns none."""
    common: dict[str, Any] = {
        "hidden": algorithm.hidden,
        "activation": algorithm.activation,
        "images": algorithm.images,
        "key": seed,
    }
    if not algorithm.has_critic:
        return None
    if algorithm.memory == "none":
        return MLPValue(observation_space, **common)
    return RecurrentValue(
        observation_space, cell=algorithm.memory, width=algorithm.memory_width, **common
    )


def _with_policy(
    algorithm: Algorithm, policy: Any, observation_space: Any, action_space: Any, seed: int
) -> Any:
    """A user's policy beside the algorithm's value function."""
    module = policy
    if not isinstance(policy, eqx.Module):
        _refuse_foreign(policy)
        if callable(policy):
            module = _made(policy, observation_space, action_space, seed)
            _refuse_foreign(module)
    if not callable(module):
        raise ConfigError(
            f"policy={module!r:.200} cannot be called on an observation. Pass an Equinox module "
            "that returns a distribution, or a function (observation_space, action_space, seed) "
            "that makes one."
        )
    if not jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array)):
        raise ConfigError(f"policy={module!r:.200} has no floating-point arrays to be trained.")
    if not hasattr(module, "state_value"):
        value_seed = int(np.random.SeedSequence(seed).generate_state(2)[1])
        module = ActorCritic(module, _value(algorithm, observation_space, value_seed))
    carry = initial_carry(module.policy)
    obs = jax.tree.map(np.asarray, observation_space.sample())
    answer, _ = jax.eval_shape(lambda o, c: call(module.policy, o, c), obs, carry)
    if not isinstance(answer, Distribution):
        raise ConfigError(
            f"policy={type(module.policy).__name__} answered an observation with "
            f"{type(answer).__name__}; a policy returns a distribution of logtrick.distributions."
        )
    mode = jax.eval_shape(lambda o, c: call(module.policy, o, c)[0].mode, obs, carry)
    if not _fits(answer, mode, action_space):
        raise ConfigError(
            f"policy={type(module.policy).__name__} answered an observation with a "
            f"{type(answer).__name__} whose actions do not fit the action space {action_space}."
        )
    if initial_carry(module) is not None and algorithm.num_envs % algorithm.minibatches:
        raise ConfigError(
            f"{type(algorithm).__name__}: minibatches={algorithm.minibatches} must divide "
            f"num_envs={algorithm.num_envs}: the policy has a memory, and minibatches are then "
            "made of whole sequences, one of each environment."
        )
    return module


def _refuse_foreign(policy: Any) -> None:
    """Refuse what other libraries take for a policy, and say what is taken here."""
    asked = (
        "Write it as an Equinox module that is called on one observation and returns a "
        "distribution of logtrick.distributions (docs/train.md, Your own network)."
    )
    for cls in type(policy).__mro__:
        library = cls.__module__.partition(".")[0]
        if library in _OTHER_LIBRARIES:
            audit = (
                " To audit a loss of torch's: logtrick.auditing.torch_policy.from_torch."
                if library == "torch"
                else ""
            )
            raise ConfigError(
                f"policy={type(policy).__name__} belongs to {library}, and training "
                f"differentiates Equinox modules of JAX arrays. {asked}{audit}"
            )
    if isinstance(policy, str):
        raise ConfigError(
            f"policy={policy!r} is a name, and networks have none here: without policy= the "
            "algorithm's settings make one, such as lt.PPO(hidden=(64, 64), memory='gru')."
        )


def _made(make: Callable[..., Any], *given: Any) -> Any:
    try:
        inspect.signature(make).bind(*given)
    except TypeError as error:
        raise ConfigError(
            f"policy={make!r} cannot be called with (observation_space, action_space, seed): "
            f"{error}. Pass a module, or a function of these three that makes one."
        ) from error
    return make(*given)


def _fits(distribution: Distribution, mode: Any, space: spaces.Space[Any]) -> bool:
    """Whether a distribution with this mode is one over actions of the space."""
    if isinstance(distribution, Categorical) and isinstance(space, spaces.Discrete):
        return distribution.logits.shape[-1] == int(space.n)

    def alike(part: spaces.Space[Any], taken: Any) -> bool:
        kind = jnp.floating if isinstance(part, spaces.Box) else jnp.integer
        return taken.shape == (part.shape or ()) and bool(jnp.issubdtype(taken.dtype, kind))

    try:
        return all(jax.tree.leaves(over_leaves(alike, space, mode)))
    except (AttributeError, KeyError, TypeError, IndexError):  # its structure is another
        return False
