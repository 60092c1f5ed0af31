"""Policies π_θ(a|s) and value functions V_φ(s): pytrees that are called on one observation.

A policy returns a distribution over actions, which can sample, and which knows log π(a|s), its
entropy, its divergence from another one and its mode. A module is unbatched, since `jax.vmap` makes
batches, and its arrays are its parameters, so gradients are taken with respect to the module.

`memoryless` holds tables, linear maps and perceptrons, `recurrent` those with a GRU or LSTM, and
`actor_critic` a policy and a value function as one model. They are built from `encoders` (an
observation becomes a vector), `networks`, `heads` (a vector becomes one of `distributions`) and
`initial` weights; `memory` calls modules with and without a carry alike, and `box_scale` says where
a Normal starts in a Box of actions. `protocols` are the words of the signatures.
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
