"""The policy and the value function that an algorithm's settings ask for."""

from typing import Any

import numpy as np
from gymnasium import spaces

from logtrick.algorithms.base import Algorithm
from logtrick.policies import ActorCritic, MLPPolicy, MLPValue, SharedActorCritic


def build_model(
    algorithm: Algorithm,
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    seed: int,
) -> Any:
    """The policy and the value function that an algorithm trains."""
    hidden, activation = algorithm.hidden, algorithm.activation
    if algorithm.trunk == "shared":
        return SharedActorCritic(
            observation_space, action_space, hidden=hidden, activation=activation, key=seed
        )
    policy_seed, value_seed = map(int, np.random.SeedSequence(seed).generate_state(2))
    policy = MLPPolicy(
        observation_space, action_space, hidden=hidden, activation=activation, key=policy_seed
    )
    if not algorithm.has_critic:
        return ActorCritic(policy, None)
    value = MLPValue(observation_space, hidden=hidden, activation=activation, key=value_seed)
    return ActorCritic(policy, value)
