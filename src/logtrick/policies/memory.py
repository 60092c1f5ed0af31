"""Modules with and without memory, called alike.

A module with memory has `initial_carry()` and is called as `module(obs, carry) -> (output, carry)`;
one without is called as `module(obs) -> output`, and its carry is None. The carry is a pytree that
belongs to one episode: whoever steps an environment starts each episode with the initial one.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from logtrick.policies.protocols import Carry, Module, Observation


def initial_carry(module: Any) -> Carry:
    """The memory at the start of an episode; None where the module has none."""
    make = getattr(module, "initial_carry", None)
    return None if make is None else make()


def has_memory(module: Any) -> bool:
    """Whether it is called with a carry."""
    with jax.enable_x64(True):  # its parameters may be float64 anywhere
        return initial_carry(module) is not None


def call(module: Module, obs: Observation, carry: Carry) -> tuple[Any, Any]:
    """(output, carry) for one observation."""
    return (module(obs), None) if carry is None else module(obs, carry)


def restart(begins: Bool[Array, ""], fresh: Carry, carry: Carry) -> Any:
    """The initial memory where an episode begins, else what the last step left."""
    return jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, carry)
