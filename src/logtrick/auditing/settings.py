"""The numbers of an audit, checked once."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from logtrick.errors import ConfigError, ShapeError
from logtrick.histories import Histories
from logtrick.mdp import FiniteMDP

WEIGHTINGS = ("discounted", "undiscounted")


@dataclass(frozen=True)
class Settings:
    """What an estimator is told. Which of these matter depends on the estimator."""

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
    """β of the KL to `reference`, where the estimator has one."""
    max_length: int | None = None
    """L_max of Dr. GRPO; None is the length of the longest trajectory."""
    reference: Any = None
    """π_ref, as a policy; None leaves the KL out."""
    behaviour: Any = None
    """The policy that acts; None is the audited one."""

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise ConfigError(
                f"weighting = {self.weighting!r}; it is 'discounted' or 'undiscounted'"
            )
        for name in ("gamma", "lambda_", "epsilon_low"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} = {getattr(self, name)!r} is outside [0, 1]")
        for name in ("epsilon", "epsilon_high", "beta"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ConfigError(f"{name} = {getattr(self, name)!r} is negative")
        for name in ("n", "horizon", "group_size", "max_length"):
            value = getattr(self, name)
            if value is not None and not (value >= 1 and value == int(value)):
                raise ConfigError(f"{name} = {value!r}; it must be an integer, at least 1")

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


def state_values(mdp: FiniteMDP, values: Any) -> Float64[np.ndarray, " S"] | None:
    """A critic given as an array [S], or as a function of one observation."""
    if values is None:
        return None
    if callable(values):
        values = [float(values(observation)) for observation in mdp.observations]
    array = np.asarray(values, np.float64)
    if array.shape != (mdp.num_states,):
        raise ShapeError(
            f"values has shape {array.shape}: one number for each of {mdp.num_states} states"
        )
    if not np.isfinite(array).all():
        raise ShapeError(f"the value of state {int(np.argmin(np.isfinite(array)))} is not finite")
    return array
