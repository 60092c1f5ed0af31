"""Policies and values without memory: tables, linear maps and perceptrons.

`policy(obs) -> Distribution`, `value(obs) -> scalar`; batches are `vmap` outside. The same object
goes into the exact gradient, the sampled gradient, the audit and training.
"""

from collections.abc import Sequence
from typing import Any, SupportsInt

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float

from logtrick.errors import SpaceError
from logtrick.policies.distributions import Categorical, Distribution
from logtrick.policies.encoders import action_mask, check_one
from logtrick.policies.heads import POLICY_GAIN, Head, head
from logtrick.policies.networks import MLP
from logtrick.policies.protocols import Key, Observation, Observations, Observed


class SoftmaxTable(eqx.Module):
    """π(a|o) = softmax(θ[o])_a: one row of logits for each distinct observation.

    Args:
        observations: the number of distinct observations, or a `FiniteMDP` (one row for each
            distinct row of `mdp.observations`, so aliased states share theirs).
        num_actions: needed with a number; taken from an MDP.
        logits: float[O, A], θ; zeros (the uniform policy) where not given.

    Example:
        >>> [round(float(p), 3) for p in SoftmaxTable(3, 2)(0).probs]
        [0.5, 0.5]
    """

    logits: Float[Array, "O A"]
    rows: tuple[Any, ...] | None = eqx.field(static=True)
    """The observation of each row; None where row o belongs to the observation o."""

    def __init__(
        self,
        observations: SupportsInt | Observed,
        num_actions: int | None = None,
        *,
        logits: Any = None,
    ) -> None:
        self.rows = None
        if isinstance(observations, Observed):
            num_actions = int(observations.num_actions)
            distinct = np.unique(np.asarray(observations.observations), axis=0)
            num_rows = len(distinct)
            if distinct.ndim > 1 or not np.array_equal(distinct, np.arange(num_rows)):
                self.rows = tuple(map(_hashable, distinct.tolist()))
        else:
            num_rows = int(observations)
        if num_actions is None:
            raise SpaceError("SoftmaxTable(rows, num_actions): the number of actions is missing.")
        shape = (num_rows, num_actions)
        table = np.zeros(shape, np.float32) if logits is None else logits
        if np.shape(table) != shape:
            raise SpaceError(
                f"SoftmaxTable: logits have shape {np.shape(table)}, but {num_rows} observations "
                f"and {num_actions} actions need {shape}."
            )
        self.logits = jnp.asarray(table)

    def __call__(self, obs: Observation) -> Categorical:
        """π(·|o) for one observation: an integer, or a row of `mdp.observations`."""
        check_one(obs, () if self.rows is None else np.shape(self.rows)[1:])
        if self.rows is None:
            return Categorical(self.logits[obs])
        same = np.asarray(self.rows) == jnp.asarray(obs)[None]
        row = jnp.argmax(same.reshape(len(self.rows), -1).all(axis=1))
        return Categorical(self.logits[row])


class MLPPolicy(eqx.Module):
    """π_θ(·|s) with an MLP; the action space decides the distribution (see `heads`).

    A Normal's mean is the MLP's output and its log standard deviation a parameter of its own,
    the same in every state and 0 at the start; both in units of the Box (see `box_scale`). The last
    layer starts at a hundredth of its usual scale, so that the first policy is nearly uniform (or
    centred). Where the observation is a dict with an `action_mask`, actions whose entry is 0 have
    probability 0.

    Args:
        observations: the observation space, or a `FiniteMDP` (the actions are then its own).
        actions: the action space.
        hidden: widths of the hidden layers; () is a linear policy.
        activation: "tanh", "relu" or "silu".
        distribution: over Box actions: "normal", "tanh_normal" or "beta".
        action_scale: of a Normal over Box actions: "box" or "raw": see `heads.head`.
        images: "auto" puts convolutions below images; "flat" flattens them.
        key: an integer seed or a JAX key.

    Raises:
        SpaceError: for spaces that it cannot serve.

    Example:
        >>> from gymnasium.spaces import Box, Discrete
        >>> policy = MLPPolicy(Box(-1, 1, (4,)), Discrete(2), key=0)
        >>> [round(float(p), 1) for p in policy(np.zeros(4)).probs]
        [0.5, 0.5]
    """

    network: MLP
    head: Head

    def __init__(
        self,
        observations: Observations,
        actions: spaces.Space[Any] | None = None,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        distribution: str = "normal",
        action_scale: str = "box",
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        self.head = head(
            observations, actions, distribution=distribution, action_scale=action_scale
        )
        self.network = MLP(
            observations,
            self.head.width,
            hidden=hidden,
            activation=activation,
            output_gain=POLICY_GAIN,
            images=images,
            key=key,
        )

    def __call__(self, obs: Observation) -> Distribution:
        """π_θ(·|s) for one observation."""
        return self.head(self.network(obs), action_mask(obs))


class LinearPolicy(MLPPolicy):
    """π_θ(·|s) = softmax(Wφ(s) + b), or the Normal with that mean: an MLP without hidden layers.

    Example:
        >>> from gymnasium.spaces import Discrete
        >>> LinearPolicy(Discrete(5), Discrete(3)).network.layers[0].weight.shape
        (3, 5)
    """

    def __init__(
        self, observations: Observations, actions: spaces.Space[Any] | None = None, *, key: Key = 0
    ) -> None:
        super().__init__(observations, actions, hidden=(), key=key)


class MLPValue(eqx.Module):
    """V_φ(s) with an MLP.

    Example:
        >>> from gymnasium.spaces import Box
        >>> MLPValue(Box(-1, 1, (4,)), key=0)(np.zeros(4)).shape
        ()
    """

    network: MLP

    def __init__(
        self,
        observations: Observations,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        self.network = MLP(
            observations, 1, hidden=hidden, activation=activation, images=images, key=key
        )

    def __call__(self, obs: Observation) -> Float[Array, ""]:
        """V_φ for one observation."""
        return self.network(obs)[0]


class ValueTable(eqx.Module):
    """V(o), one number for each observation 0 … O−1.

    Example:
        >>> float(ValueTable(3)(2))
        0.0
    """

    values: Float[Array, " O"]

    def __init__(self, num_observations: int) -> None:
        self.values = jnp.zeros(num_observations)

    def __call__(self, obs: Observation) -> Float[Array, ""]:
        """V for one observation."""
        return self.values[obs]


def _hashable(row: Any) -> Any:
    return tuple(map(_hashable, row)) if isinstance(row, list) else row
