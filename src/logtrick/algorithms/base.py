"""What every algorithm's configuration has: ψ × state weighting × surrogate × update.

No JAX here, so that the command line can read a configuration and answer at once. Every number
that is a `float` may change without a new compilation; what is an `int`, a name or None shapes the
program.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self

import tyro

from logtrick.algorithms.field_checks import (
    check_choices,
    check_minibatches,
    check_names,
    check_ranges,
    check_types,
    refuse,
)
from logtrick.errors import ConfigError
from logtrick.psi import registry

Psi = Literal[
    "total_return", "reward_to_go", "baselined_return", "td_residual", "n_step", "gae", "vtrace"
]
Schedule = Literal["constant", "linear", "cosine"]
Weighting = Literal["discounted", "undiscounted"]
Learner = Literal["score_function", "proximal", "natural", "grouped"]
"""How an algorithm learns from a batch: a name in `logtrick.algorithms.learning.LEARNERS`."""


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What every policy-gradient algorithm here has: one loop reads these fields.

    Attributes:
        num_envs: environments stepped side by side, for each seed.
        num_steps: steps of each environment per update; None: one whole episode each.
        psi: ψ_t, by its name in `logtrick.psi.registry`.
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
        schedule: "linear" and "cosine" let the learning rate fall to 0 over the run; "constant"
            keeps it.
        optimizer: "adam", "rmsprop" or "sgd".
        optimizer_eps: ε in the denominator of Adam and RMSProp.
        max_grad_norm: the gradient is scaled down to this norm; None: it is left as it is.
        hidden: widths of the hidden layers.
        activation: of the hidden layers.
        trunk: "separate" networks for policy and value, or one "shared" below both.
        images: "auto" puts convolutions below observations that are images; "flat" flattens them.
        memory: "gru" or "lstm" on top of the hidden layers; "none" sees one observation at a time.
        memory_width: length of that memory.
        distribution: of Box actions: "normal" (clipped to the bounds on its way to the
            environment), "tanh_normal" (squashed into them) or "beta" (on the interval).
        action_scale: of the Normal over Box actions: "box" starts in the middle of the bounds, at
            their scale, where these are not −h and h with h from 0.1 to 10; "raw" starts at mean 0
            and standard deviation 1, whatever the bounds.
        observations: "normalised" shifts and scales them by their running mean and standard
            deviation, which become part of the policy; "raw" leaves them.
        rewards: "normalised" divides them by the running standard deviation of the discounted
            return; the returns that are reported are of the rewards as they came.
        epochs: passes over each batch.
        minibatches: gradient steps in each pass; they divide num_envs × num_steps.
    """

    name: ClassVar[str]
    estimates: ClassVar[str]
    """Which gradient this algorithm ascends, and how far it is biased, for the report."""
    learner: ClassVar[Learner] = "score_function"
    corrects_actors: ClassVar[bool] = False
    """Whether ψ must correct for actors whose parameters are older than the learner's."""
    without_effect: ClassVar[tuple[str, ...]] = ()
    """Settings of other algorithms that this one refuses to be given."""

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
    schedule: Schedule = "constant"
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    optimizer_eps: float = 1e-8
    max_grad_norm: float | None = None
    hidden: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu", "silu"] = "tanh"
    trunk: Literal["separate", "shared"] = "separate"
    images: Literal["auto", "flat"] = "auto"
    memory: Literal["none", "gru", "lstm"] = "none"
    memory_width: int = 64
    distribution: Literal["normal", "tanh_normal", "beta"] = "normal"
    action_scale: Literal["box", "raw"] = "box"
    observations: Literal["raw", "normalised"] = "raw"
    rewards: Literal["raw", "normalised"] = "raw"
    epochs: int = 1
    minibatches: int = 1

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Refuse what is no setting, with the one that was meant."""
        if args:
            raise ConfigError(
                f"{cls.__name__} takes its settings by name, such as {cls.__name__}(gamma=0.99); "
                f"{args[0]!r:.80} has none."
            )
        check_names(cls, settings)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self)
        self.check_choices()
        self.check_minibatches()

    @property
    def rule(self) -> registry.Psi:
        """The row of the registry that `psi` names: its function, and what that takes."""
        return registry.psi_named(self.psi)

    @property
    def has_critic(self) -> bool:
        """Whether ψ needs a learned value function."""
        return self.rule.needs_critic

    @property
    def episodic(self) -> bool:
        """Whether each update starts fresh episodes and sees whole ones only."""
        return self.num_steps is None

    @property
    def rows_per_start(self) -> int:
        """Neighbouring environments that start each update in one and the same state."""
        return 1

    @property
    def needs_reference(self) -> bool:
        """Whether the policy before training is kept to be compared with."""
        return False

    @property
    def actors_lag(self) -> bool:
        """Whether the actors' parameters may be older than the learner's."""
        return False

    def actors_sync(self, updates: Any) -> Any:
        """Whether the actors get the learner's parameters after this number of updates."""
        return True

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Which settings change over the run, and how."""
        return {"learning_rate": self.schedule}

    def check_choices(self) -> None:
        """Refuse settings that contradict one another."""
        check_choices(self)

    def check_minibatches(self) -> None:
        """Refuse minibatches that do not divide what an update plays."""
        check_minibatches(self)

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Raise for the value of a setting, and say what is wanted in its place."""
        refuse(self, name, wanted)

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
