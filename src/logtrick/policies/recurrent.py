"""Policies and values with memory: a GRU or LSTM on top of a perceptron."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Float, PyTree

from logtrick.errors import ConfigError
from logtrick.policies.distributions import Distribution
from logtrick.policies.encoders import action_mask
from logtrick.policies.heads import POLICY_GAIN, Head, head
from logtrick.policies.initial import HIDDEN_GAIN, generator, linear, recurrent_cell
from logtrick.policies.networks import MLP
from logtrick.policies.protocols import Carry, Key, Observation, Observations

_CELLS = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}


class Recurrent(eqx.Module):
    """A perceptron and a memory on top of it: x_t = f(W φ(o_t)), h_t = cell(x_t, h_{t−1}).

    Args:
        observations: the observation space.
        cell: "gru" or "lstm".
        width: length of h.
        hidden: widths of the layers below the cell, one at least.
        activation: of those layers.
        images: as for `MLP`.
        key: an integer seed or a JAX key.
    """

    below: MLP
    cell: eqx.nn.GRUCell | eqx.nn.LSTMCell

    def __init__(
        self,
        observations: Observations,
        *,
        cell: str = "gru",
        width: int = 64,
        hidden: Sequence[int] = (64,),
        activation: str = "tanh",
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        if not hidden:
            raise ConfigError("Below a memory stands at least one layer; hidden is empty.")
        if cell not in _CELLS:
            raise ConfigError(f"cell={cell!r} is unknown; choose one of {', '.join(_CELLS)}.")
        rng = generator(key)
        self.below = MLP(
            observations,
            hidden[-1],
            hidden=hidden[:-1],
            activation=activation,
            output_gain=HIDDEN_GAIN,
            activate_output=True,
            images=images,
            key=int(rng.integers(2**32)),
        )
        self.cell = recurrent_cell(_CELLS[cell], hidden[-1], width, rng)

    def initial_carry(self) -> Carry:
        """Zeros: h, and for an LSTM (h, c)."""
        zeros = jnp.zeros(self.cell.hidden_size, self.cell.weight_hh.dtype)
        return zeros if isinstance(self.cell, eqx.nn.GRUCell) else (zeros, zeros)

    def __call__(self, obs: Observation, carry: PyTree) -> tuple[Float[Array, " width"], Any]:
        """(h_t, the next memory)."""
        carry = self.cell(self.below(obs), carry)
        return (carry[0] if isinstance(carry, tuple) else carry), carry


class RecurrentPolicy(eqx.Module):
    """π_θ(·|o_1 … o_t) with a GRU or LSTM: `policy(obs, carry) -> (Distribution, carry)`.

    Args:
        observations: the observation space.
        actions: the action space.
        cell: "gru" or "lstm".
        width: length of the memory.
        hidden: widths of the layers below the memory.
        activation: of those layers.
        distribution: as for `MLPPolicy`.
        action_scale: as for `MLPPolicy`.
        images: as for `MLPPolicy`.
        key: an integer seed or a JAX key.

    Example:
        >>> import numpy as np
        >>> from gymnasium.spaces import Box, Discrete
        >>> policy = RecurrentPolicy(Box(-1, 1, (4,)), Discrete(2), key=0)
        >>> distribution, carry = policy(np.zeros(4), policy.initial_carry())
        >>> [round(float(p), 1) for p in distribution.probs], carry.shape
        ([0.5, 0.5], (64,))
    """

    memory: Recurrent
    output: eqx.nn.Linear
    head: Head

    def __init__(
        self,
        observations: Observations,
        actions: spaces.Space[Any],
        *,
        cell: str = "gru",
        width: int = 64,
        hidden: Sequence[int] = (64,),
        activation: str = "tanh",
        distribution: str = "normal",
        action_scale: str = "box",
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        rng = generator(key)
        self.head = head(
            observations, actions, distribution=distribution, action_scale=action_scale
        )
        self.memory = Recurrent(
            observations,
            cell=cell,
            width=width,
            hidden=hidden,
            activation=activation,
            images=images,
            key=int(rng.integers(2**32)),
        )
        self.output = linear(rng)(width, self.head.width, POLICY_GAIN)

    def initial_carry(self) -> Carry:
        """The memory at the start of an episode."""
        return self.memory.initial_carry()

    def __call__(self, obs: Observation, carry: Carry) -> tuple[Distribution, Any]:
        """(π_θ(·|s), the next memory)."""
        x, carry = self.memory(obs, carry)
        return self.head(self.output(x), action_mask(obs)), carry


class RecurrentValue(eqx.Module):
    """V_φ(o_1 … o_t) with a GRU or LSTM: `value(obs, carry) -> (V, carry)`.

    The arguments are those of `RecurrentPolicy`.
    """

    memory: Recurrent
    output: eqx.nn.Linear

    def __init__(
        self,
        observations: Observations,
        *,
        cell: str = "gru",
        width: int = 64,
        hidden: Sequence[int] = (64,),
        activation: str = "tanh",
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        rng = generator(key)
        self.memory = Recurrent(
            observations,
            cell=cell,
            width=width,
            hidden=hidden,
            activation=activation,
            images=images,
            key=int(rng.integers(2**32)),
        )
        self.output = linear(rng)(width, 1, 1.0)

    def initial_carry(self) -> Carry:
        """The memory at the start of an episode."""
        return self.memory.initial_carry()

    def __call__(self, obs: Observation, carry: Carry) -> tuple[Float[Array, ""], Any]:
        """(V, the next memory)."""
        x, carry = self.memory(obs, carry)
        return self.output(x)[0], carry
