"""Policies and value functions: pytrees that are called on one observation.

`memoryless` holds tables, linear maps and perceptrons, `recurrent` those with a GRU or LSTM,
`actor_critic` a policy and a value function as one model. Below them: `encoders` (from an
observation to a vector), `networks`, `heads` (from a vector to a distribution), `initial` weights
and `memory` (modules with and without a carry called alike).
"""

from logtrick.policies.actor_critic import ActorCritic, SharedActorCritic
from logtrick.policies.memoryless import (
    LinearPolicy,
    MLPPolicy,
    MLPValue,
    SoftmaxTable,
    ValueTable,
)
from logtrick.policies.recurrent import RecurrentPolicy, RecurrentValue

__all__ = [
    "ActorCritic",
    "LinearPolicy",
    "MLPPolicy",
    "MLPValue",
    "RecurrentPolicy",
    "RecurrentValue",
    "SharedActorCritic",
    "SoftmaxTable",
    "ValueTable",
]
