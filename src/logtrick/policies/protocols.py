"""What a policy is given, and what it is: the words of this room's signatures.

An observation, an action, a mask and a carry are pytrees whose structure their space or their
module decides, so that no narrower type fits all of them.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from gymnasium import spaces
from jaxtyping import PyTree

Observation: TypeAlias = PyTree
"""One observation: an array, or for Dict and Tuple spaces a dict or tuple of them."""
Action: TypeAlias = PyTree
"""An action, or actions with batch axes in front, structured likewise."""
Mask: TypeAlias = PyTree | None
"""1 where an action can be taken, in the shape that `heads` lists; None allows all."""
Carry: TypeAlias = PyTree | None
"""The memory of a module at one step of an episode; None where it has none."""
Module: TypeAlias = Callable[..., Any]
"""`module(obs) -> output`, or with memory `module(obs, carry) -> (output, carry)`."""
Key: TypeAlias = Any
"""An integer seed, or a JAX key; `initial.generator` refuses anything else."""


@runtime_checkable
class Observed(Protocol):
    """What a finite MDP shows of itself; a `FiniteMDP` has it."""

    @property
    def observations(self) -> np.ndarray:
        """[S, ...] the observation of each state."""

    @property
    def num_actions(self) -> int:
        """A, the number of actions."""


Observations: TypeAlias = spaces.Space[Any] | Observed
"""What is observed: the space of the observations, or the finite MDP that makes them."""
