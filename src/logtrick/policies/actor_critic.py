"""A policy and a value function as one model: what the training loop moves.

Every model is called as `model(obs, carry) -> (distribution, value, carry)`; without memory the
carry is None and may be left out. Wherever a value of the next observation is asked for, it is
`state_value(next_obs, carry)` with the carry that the last call returned.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool, Float

from logtrick.errors import ConfigError
from logtrick.policies.distributions import Distribution
from logtrick.policies.encoders import action_mask
from logtrick.policies.heads import POLICY_GAIN, Head, head
from logtrick.policies.initial import HIDDEN_GAIN, generator, linear
from logtrick.policies.memory import call, initial_carry, restart
from logtrick.policies.networks import MLP
from logtrick.policies.protocols import Carry, Key, Observation, Observations
from logtrick.policies.recurrent import Recurrent


class ActorCritic(eqx.Module):
    """A policy and a value function side by side, nothing shared.

    Args:
        policy: `policy(obs) -> Distribution`, or with memory: see `memory`.
        value: `value(obs) -> V`, or with memory; None where the algorithm learns no value
            function, which then reads as 0.
    """

    policy: Any
    value: Any

    def initial_carry(self) -> Carry:
        """The memories of both, at the start of an episode; None where neither has one."""
        carries = initial_carry(self.policy), initial_carry(self.value)
        return None if all(carry is None for carry in carries) else carries

    def __call__(
        self, obs: Observation, carry: Carry = None
    ) -> tuple[Distribution, Float[Array, ""], Any]:
        """(π(·|s), V(s), carry) for one observation."""
        acting, judging = (None, None) if carry is None else carry
        distribution, acting = call(self.policy, obs, acting)
        value, judging = self._judge(obs, judging)
        return distribution, value, None if carry is None else (acting, judging)

    def state_value(self, obs: Observation, carry: Carry = None) -> Float[Array, ""]:
        """V(s) of one observation, without the distribution."""
        return self._judge(obs, None if carry is None else carry[1])[0]

    def _judge(self, obs: Observation, carry: Carry) -> tuple[Float[Array, ""], Any]:
        return (jnp.zeros(()), None) if self.value is None else call(self.value, obs, carry)


class SharedActorCritic(eqx.Module):
    """A policy and a value function on one trunk: their gradients meet in its parameters.

    Args:
        observations: the observation space.
        actions: the action space.
        hidden: widths of the trunk's layers, one at least.
        activation: of those layers.
        cell: "none", or "gru" or "lstm" for a memory on top of them.
        width: length of the memory.
        distribution: over Box actions: "normal", "tanh_normal" or "beta".
        action_scale: of a Normal over Box actions: "box" or "raw": see `heads.head`.
        images: "auto" puts convolutions below images; "flat" flattens them.
        key: an integer seed or a JAX key.
    """

    trunk: MLP | Recurrent
    actor: eqx.nn.Linear
    critic: eqx.nn.Linear
    head: Head

    def __init__(
        self,
        observations: Observations,
        actions: spaces.Space[Any],
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        cell: str = "none",
        width: int = 64,
        distribution: str = "normal",
        action_scale: str = "box",
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        if not hidden:
            raise ConfigError("A shared trunk needs at least one hidden layer; hidden is empty.")
        rng = generator(key)
        self.head = head(
            observations, actions, distribution=distribution, action_scale=action_scale
        )
        common: dict[str, Any] = {
            "activation": activation,
            "images": images,
            "key": int(rng.integers(2**32)),
        }
        *below, top = hidden
        if cell == "none":
            self.trunk = MLP(
                observations,
                top,
                hidden=below,
                output_gain=HIDDEN_GAIN,
                activate_output=True,
                **common,
            )
        else:
            self.trunk = Recurrent(observations, cell=cell, width=width, hidden=hidden, **common)
            top = width
        make = linear(rng)
        self.actor, self.critic = make(top, self.head.width, POLICY_GAIN), make(top, 1, 1.0)

    def initial_carry(self) -> Carry:
        """The trunk's memory at the start of an episode; None where it has none."""
        return initial_carry(self.trunk)

    def __call__(
        self, obs: Observation, carry: Carry = None
    ) -> tuple[Distribution, Float[Array, ""], Any]:
        """(π(·|s), V(s), carry) for one observation; the trunk runs once."""
        x, carry = call(self.trunk, obs, carry)
        return self.head(self.actor(x), action_mask(obs)), self.critic(x)[0], carry

    def state_value(self, obs: Observation, carry: Carry = None) -> Float[Array, ""]:
        """V(s) of one observation, without the distribution."""
        return self.critic(call(self.trunk, obs, carry)[0])[0]

    @property
    def policy(self) -> "Acting":
        """The policy alone."""
        return Acting(self)


class Acting(eqx.Module):
    """A model as a policy: what it says of actions, with the memory of all of it.

    A rollout needs the value function's memory too, where that has one.
    """

    model: Any

    def initial_carry(self) -> Carry:
        """The memory of the whole model at the start of an episode; None where it has none."""
        return initial_carry(self.model)

    def __call__(self, obs: Observation, carry: Carry = None) -> Any:
        """π(·|s) for one observation, and with memory the next carry."""
        distribution, _, carry = self.model(obs, carry)
        return distribution if carry is None else (distribution, carry)


def unroll(
    model: Any, obs: Observation, begins: Bool[Array, " T"], carry: Carry
) -> tuple[Any, Any, Any]:
    """A model with memory along T steps: (distributions, values, carries after), all [T, …].

    Args:
        model: the model.
        obs: [T, …] observations.
        begins: whether an episode begins at each step; its memory is then the initial one.
        carry: what the step before the first one left.
    """
    fresh = initial_carry(model)

    def step(carry: Carry, row: Any) -> tuple[Any, Any]:
        obs, begins = row
        distribution, value, carry = model(obs, restart(begins, fresh, carry))
        return carry, (distribution, value, carry)

    return jax.lax.scan(step, carry, (obs, begins))[1]
