"""Algorithms as frozen configurations: ψ × state weighting × surrogate × update.

No JAX here, so that the command line can read a configuration and answer at once. Every number
that is a `float` may change without a new compilation; what is an `int`, a name or None shapes the
program.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import tyro

from logtrick.errors import ConfigError

Psi = Literal["total_return", "reward_to_go", "baselined_return", "td_residual", "n_step", "gae"]
Weighting = Literal["discounted", "undiscounted"]
NEEDS_CRITIC = frozenset({"baselined_return", "td_residual", "n_step", "gae"})


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What every policy-gradient algorithm here has: one loop reads these fields.

    Attributes:
        num_envs: environments stepped side by side, for each seed.
        num_steps: steps of each environment per update; None: one whole episode each.
        psi: ψ_t, by its name in `logtrick.psi`.
        n: steps of the `n_step` advantage.
        gamma: γ.
        lambda_: λ of GAE.
        weighting: "discounted" multiplies the policy term of step k of an episode by γ^k (G2);
            "undiscounted" leaves that out, as nearly every implementation does (G4).
        normalise: shift and scale ψ to mean 0 and standard deviation 1 over the "batch", over each
            "minibatch", or not at all ("none").
        value_coef: weight of the value loss.
        entropy_coef: weight of the entropy bonus.
        learning_rate: of the optimiser, at the start.
        schedule: "linear" lets the learning rate fall to 0 over the run; "constant" keeps it.
        optimizer: "adam", "rmsprop" or "sgd".
        optimizer_eps: ε in the denominator of Adam and RMSProp.
        max_grad_norm: the gradient is scaled down to this norm; None: it is left as it is.
        hidden: widths of the hidden layers.
        activation: of the hidden layers.
        trunk: "separate" networks for policy and value, or one "shared" below both.
        epochs: passes over each batch.
        minibatches: gradient steps in each pass; they divide num_envs × num_steps.
    """

    name: ClassVar[str]
    estimates: ClassVar[str]
    """Which gradient this algorithm ascends, honestly, for the report."""

    num_envs: int
    num_steps: int | None
    psi: Psi
    n: int = 5
    gamma: float = 0.99
    lambda_: Annotated[float, tyro.conf.arg(aliases=["--lambda"])] = 0.95
    weighting: Weighting = "undiscounted"
    normalise: Literal["none", "batch", "minibatch"] = "none"
    value_coef: float = 0.5
    entropy_coef: float = 0.0
    learning_rate: float
    schedule: Literal["constant", "linear"] = "constant"
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    optimizer_eps: float = 1e-8
    max_grad_norm: float | None = None
    hidden: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu", "silu"] = "tanh"
    trunk: Literal["separate", "shared"] = "separate"

    epochs: int = 1
    minibatches: int = 1

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check_type(
                type(self).__name__, field.name, hints[field.name], getattr(self, field.name)
            )
        _check_ranges(self)

    @property
    def has_critic(self) -> bool:
        """Whether ψ needs a learned value function."""
        return self.psi in NEEDS_CRITIC

    @property
    def episodic(self) -> bool:
        """Whether each update starts fresh episodes and sees whole ones only."""
        return self.num_steps is None

    def floats(self) -> dict[str, float]:
        """The settings that are numbers of the computation, not its shape."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, float)}

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what `config.json` holds."""
        return {"name": self.name, **dataclasses.asdict(self)}

    def with_values(self, values: Mapping[str, Any]) -> "Algorithm":
        """Replace fields without checking them: the values may be traced."""
        new = object.__new__(type(self))
        for field in dataclasses.fields(self):
            value = values.get(field.name, getattr(self, field.name))
            object.__setattr__(new, field.name, value)
        return new


@dataclass(frozen=True, kw_only=True)
class REINFORCE(Algorithm):
    """Whole episodes, one gradient step: ψ = reward-to-go, with γ^t, as the theorem has it.

    Each update plays one fresh episode in every environment. `psi="baselined_return"` learns V as
    a baseline; `psi="total_return"` is the first form that introductions print. An episode that a
    time limit cuts counts as it stands: what is ascended is J1 of the problem with that limit, in
    which the time belongs to the state.

    Example:
        >>> REINFORCE(psi="baselined_return").has_critic
        True

    Source: Williams (1992); Sutton and Barto (2018), sections 13.3 and 13.4.
    """

    name: ClassVar[str] = "reinforce"
    estimates: ClassVar[str] = (
        "the gradient of the discounted objective J1 (G2), each step weighted by γ^t; unbiased for "
        "whole episodes up to the division by the number of steps. With weighting='undiscounted' "
        "it is in general the gradient of no function (G4)."
    )

    num_envs: int = 16
    num_steps: int | None = None
    psi: Psi = "reward_to_go"
    weighting: Weighting = "discounted"
    learning_rate: float = 5e-3
    schedule: Literal["constant", "linear"] = "linear"


@dataclass(frozen=True, kw_only=True)
class A2C(Algorithm):
    """Advantage actor-critic: short rollouts, one gradient step on every batch.

    Example:
        >>> A2C().psi, A2C().minibatches
        ('gae', 1)

    Source: Mnih et al. (2016), "Asynchronous methods for deep reinforcement learning", made
    synchronous; ψ is GAE (Schulman et al. 2016), λ = 1 gives the paper's longest n-step advantage.
    """

    name: ClassVar[str] = "a2c"
    estimates: ClassVar[str] = (
        "the score-function update without γ^t: in general the gradient of no function (G4), near "
        "that of the undiscounted objective; biased as far as the critic is."
    )

    num_envs: int = 8
    num_steps: int | None = 5
    psi: Psi = "gae"
    lambda_: Annotated[float, tyro.conf.arg(aliases=["--lambda"])] = 1.0
    learning_rate: float = 7e-4
    schedule: Literal["constant", "linear"] = "linear"
    optimizer: Literal["adam", "rmsprop", "sgd"] = "rmsprop"
    optimizer_eps: float = 1e-5
    max_grad_norm: float | None = 0.5


@dataclass(frozen=True, kw_only=True)
class PPO(Algorithm):
    """Proximal policy optimisation: several epochs of minibatches on a clipped surrogate.

    Attributes:
        clip_eps: ε of the ratio's interval [1 − ε, 1 + ε].
        value_clip_eps: how far an update may move a value (in units of the return); None: no limit.

    Example:
        >>> PPO(clip_eps=0.1).clip_eps
        0.1
        >>> PPO(num_envs=3, num_steps=5, minibatches=4)
        Traceback (most recent call last):
        logtrick.errors.ConfigError: PPO: 4 minibatches do not divide the batch of 3 x 5 = 15 ...

    Source: Schulman et al. (2017), "Proximal policy optimization algorithms".
    """

    name: ClassVar[str] = "ppo"
    estimates: ClassVar[str] = (
        "at the first gradient step of each update the score-function update without γ^t, in "
        "general the gradient of no function (G4), near that of the undiscounted objective; later "
        "steps follow the clipped surrogate. Biased as far as the critic is, for λ < 1."
    )

    num_envs: int = 16
    num_steps: int | None = 128
    psi: Psi = "gae"
    normalise: Literal["none", "batch", "minibatch"] = "minibatch"
    entropy_coef: float = 0.01
    learning_rate: float = 1e-3
    schedule: Literal["constant", "linear"] = "linear"
    optimizer_eps: float = 1e-5
    max_grad_norm: float | None = 0.5
    epochs: int = 4
    minibatches: int = 4
    clip_eps: float = 0.2
    value_clip_eps: float | None = None


ALGORITHMS: dict[str, type[Algorithm]] = {c.name: c for c in (REINFORCE, A2C, PPO)}


def from_dict(data: Mapping[str, Any]) -> Algorithm:
    """Make the algorithm that `to_dict` wrote; unknown names and fields are errors."""
    fields = dict(data)
    name = fields.pop("name", None)
    if name not in ALGORITHMS:
        raise ConfigError(f"Algorithm {name!r} is unknown; known are {', '.join(ALGORITHMS)}.")
    known = {f.name for f in dataclasses.fields(ALGORITHMS[name])}
    if unknown := sorted(set(fields) - known):
        raise ConfigError(f"{ALGORITHMS[name].__name__} has no field {unknown[0]!r}.")
    if "hidden" in fields:
        fields["hidden"] = tuple(fields["hidden"])
    return ALGORITHMS[name](**fields)


_POSITIVE = (
    "num_envs", "num_steps", "n", "epochs", "minibatches", "learning_rate", "optimizer_eps",
    "max_grad_norm", "clip_eps", "value_clip_eps",
)  # fmt: skip
_TYPE_NAMES = {int: "a whole number", float: "a number", type(None): "None"}
_UNIT_INTERVAL = ("gamma", "lambda_")
_NOT_NEGATIVE = ("value_coef", "entropy_coef")


def _check_type(owner: str, name: str, hint: Any, value: Any) -> None:
    """Only what the annotation says; a whole number also serves as a float."""
    choices = get_args(hint) or (hint,)
    if hint == tuple[int, ...]:
        fits = isinstance(value, tuple) and all(type(x) is int for x in value)
        wanted = "a tuple of whole numbers"
    elif all(isinstance(choice, str) for choice in choices):
        fits, wanted = value in choices, "one of " + ", ".join(map(repr, choices))
    else:
        types = tuple(choice for choice in choices if isinstance(choice, type))
        fits = type(value) in types or (type(value) is int and float in types)
        wanted = " or ".join(_TYPE_NAMES.get(t, t.__name__) for t in types)
    if not fits:
        raise ConfigError(f"{owner}: {name}={value!r}; it must be {wanted}.")


def _check_ranges(algorithm: Algorithm) -> None:
    owner = type(algorithm).__name__

    def require(name: str, holds: bool, wanted: str) -> None:
        if not holds:
            value = getattr(algorithm, name)
            raise ConfigError(f"{owner}: {name}={value!r}; it must be {wanted}.")

    for field in dataclasses.fields(algorithm):
        value = getattr(algorithm, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if float in _types_of(algorithm, field.name):
                object.__setattr__(algorithm, field.name, float(value))
            require(field.name, math.isfinite(value), "a finite number")
            require(field.name, field.name not in _POSITIVE or value > 0, "greater than 0")
            require(field.name, field.name not in _NOT_NEGATIVE or value >= 0, "at least 0")
            require(field.name, field.name not in _UNIT_INTERVAL or 0 <= value <= 1, "in [0, 1]")
    require("hidden", all(width > 0 for width in algorithm.hidden), "made of positive widths")
    if algorithm.trunk == "shared":
        require("trunk", algorithm.has_critic, f"'separate': psi={algorithm.psi!r} has no critic")
        require("trunk", bool(algorithm.hidden), "'separate' where hidden is empty")
    if algorithm.psi == "total_return" and algorithm.weighting == "discounted":
        # γ^t ψ_t is computed in one piece, so there is no ψ alone that could be shifted first.
        require("normalise", algorithm.normalise == "none", "'none' for the total return with γ^t")
    if algorithm.num_steps is None:
        if algorithm.minibatches != 1:
            raise ConfigError(
                f"{owner}: whole episodes (num_steps=None) cannot be cut into "
                f"{algorithm.minibatches} minibatches; set num_steps, or minibatches=1."
            )
        return
    batch = algorithm.num_envs * algorithm.num_steps
    if batch % algorithm.minibatches:
        raise ConfigError(
            f"{owner}: {algorithm.minibatches} minibatches do not divide the batch of "
            f"{algorithm.num_envs} x {algorithm.num_steps} = {batch} transitions (num_envs x "
            "num_steps); change one of the three."
        )


def _types_of(algorithm: Algorithm, name: str) -> tuple[Any, ...]:
    hint = get_type_hints(type(algorithm))[name]
    return get_args(hint) or (hint,)
