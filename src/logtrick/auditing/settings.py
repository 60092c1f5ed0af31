"""The numbers of an audit, checked once."""

import math
import numbers
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from logtrick.errors import ConfigError, ShapeError
from logtrick.exact.histories import Histories
from logtrick.mdp.model import FiniteMDP
from logtrick.psi.backends import RANGES

NUMBERS = ("gamma", "lambda_", "epsilon", "epsilon_low", "epsilon_high", "beta")
WHOLE = ("n", "horizon", "group_size", "max_length")
NEEDED = ("gamma", "lambda_", "n", "group_size", "weighting")
WEIGHTINGS = ("discounted", "undiscounted")


@dataclass(frozen=True)
class Settings:
    """The settings of an audit. Which of them matter depends on the estimator."""

    gamma: float
    """γ of the estimator; ∇J has that of the MDP."""
    weighting: str = "discounted"
    """Whether γ^t stands in front of step t (G2) or not (G4). Group rules have none."""
    lambda_: float = 0.95
    n: int = 5
    """Of `n_step`."""
    horizon: int | None = None
    """Every trajectory is cut after so many steps."""
    values: Float64[np.ndarray, " S"] | None = None
    """The critic; None is V_π itself, at every θ."""
    group_size: int = 4
    """G of the group rules; N, the sequences of a batch, where ψ compares all of them."""
    ddof: int | None = None
    epsilon: float | None = None
    """In the std of GRPO and of whitening. None, here and below, is what the estimator itself has:
    see `logtrick.psi.registry`."""
    epsilon_low: float | None = None
    epsilon_high: float | None = None
    beta: float | None = None
    """β of the KL to `reference`."""
    max_length: int | None = None
    """L_max of Dr. GRPO; None is the length of the longest trajectory."""
    reference: Any = None
    """π_ref, as a policy; None leaves the KL out."""
    behaviour: Any = None
    """The policy that acts; None is the audited one."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            object.__setattr__(self, name, checked(name, getattr(self, name)))

    def on(self, tree: Histories) -> "Settings":
        """The same on the tree of histories."""
        return replace(
            self,
            values=None if self.values is None else tree.values(self.values),
            reference=None if self.reference is None else tree.policy(self.reference),
            behaviour=None if self.behaviour is None else tree.policy(self.behaviour),
        )

    @property
    def step_weight(self) -> float:
        """γ or 1: the weight of a step relative to the one before."""
        return self.gamma if self.weighting == "discounted" else 1.0


def checked(name: str, value: Any) -> Any:
    """A setting as it may be: numbers of Python for NumPy's.

    Raises:
        ConfigError: it cannot be meant.
    """
    if value is None and name not in NEEDED:
        return None
    if name in NUMBERS:
        return _number(name, value)
    if name in WHOLE:
        return _whole(name, value)
    if name == "weighting" and value not in WEIGHTINGS:
        raise ConfigError(f"weighting = {value!r}; it is 'discounted' or 'undiscounted'")
    if name == "ddof" and not (_is_whole(value) and value in (0, 1)):
        raise ConfigError(f"ddof = {value!r}; the std divides by N − ddof, and ddof is 0 or 1")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _number(name: str, value: Any) -> float:
    """Python's number, or NumPy's, as Python's."""
    low, high = RANGES[name]
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and low <= value <= high):
        most = f"{high:g}]" if math.isfinite(high) else "∞)"
        raise ConfigError(f"{name} = {value!r}; it must be a number in [{low:g}, {most}")
    return float(value)


def _whole(name: str, value: Any) -> int:
    """The same for whole numbers."""
    if not (_is_whole(value) and 1 <= value < 2**31):
        raise ConfigError(f"{name} = {value!r}; it must be a whole number, at least 1")
    return int(value)


def state_values(mdp: FiniteMDP, values: Any) -> Float64[np.ndarray, " S"] | None:
    """A critic given as an array [S], or as a function of one observation."""
    if values is None:
        return None
    try:
        if callable(values):
            values = [float(values(observation)) for observation in mdp.observations]
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"values are no numbers ({error}): give an array of {mdp.num_states} numbers, or a "
            "function that returns one number for one observation"
        ) from error
    if array.shape != (mdp.num_states,):
        raise ShapeError(
            f"values has shape {array.shape}: one number for each of {mdp.num_states} states"
        )
    if not np.isfinite(array).all():
        raise ShapeError(f"the value of state {int(np.argmin(np.isfinite(array)))} is not finite")
    return array
