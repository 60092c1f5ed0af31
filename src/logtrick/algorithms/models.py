"""The policy and the value function that an algorithm's settings ask for."""

from typing import Any

import numpy as np
from gymnasium import spaces

from logtrick.actor_critic import ActorCritic, SharedActorCritic
from logtrick.algorithms.base import Algorithm
from logtrick.normalisation import Normalised
from logtrick.policies import MLPPolicy, MLPValue
from logtrick.recurrent import RecurrentPolicy, RecurrentValue


def build_model(
    algorithm: Algorithm,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    seed: int,
) -> Any:
    """The policy and the value function that an algorithm trains."""
    model = _networks(algorithm, observation_space, action_space, seed)
    if algorithm.observations == "normalised":
        return Normalised(model, observation_space)
    return model


def _networks(
    algorithm: Algorithm, observation_space: Any, action_space: Any, seed: int
) -> ActorCritic | SharedActorCritic:
    common: dict[str, Any] = {
        "hidden": algorithm.hidden,
        "activation": algorithm.activation,
        "images": algorithm.images,
    }
    acting = {**common, "distribution": algorithm.distribution}
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
    if not algorithm.has_critic:
        return ActorCritic(policy, None)
    if algorithm.memory == "none":
        return ActorCritic(policy, MLPValue(observation_space, **common, key=value_seed))
    return ActorCritic(
        policy, RecurrentValue(observation_space, **common, **memory, key=value_seed)
    )
