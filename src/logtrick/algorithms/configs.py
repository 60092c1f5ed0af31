"""Algorithms as frozen configurations, and the registry of their names. No JAX here."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import tyro

from logtrick.algorithms import elsewhere
from logtrick.algorithms.base import Algorithm, Learner, Psi, Schedule, Weighting
from logtrick.algorithms.field_checks import check_names
from logtrick.algorithms.group_configs import (
    CISPO,
    DAPO,
    GRPO,
    GSPO,
    RLOO,
    DrGRPO,
    REINFORCEPlusPlus,
)
from logtrick.errors import ConfigError
from logtrick.support.names import unknown_name


@dataclass(frozen=True, kw_only=True)
class REINFORCE(Algorithm):
    """Whole episodes, one gradient step: ψ = reward-to-go, with γ^t, as the theorem has it.

    Each update plays one fresh episode in every environment. `psi="baselined_return"` learns V as
    a baseline; `psi="total_return"` is the first form that introductions print. Without a critic
    an episode that a time limit cuts counts as it stands: what is ascended is J1 of the problem
    with that limit, in which the time belongs to the state. With one, its value stands for what
    the limit cut off: J1 of the problem without the limit, as far as the critic is right.

    Example:
        >>> REINFORCE(psi="baselined_return").has_critic
        True

    Source: Williams (1992); Sutton and Barto (2018), sections 13.3 and 13.4.
    """

    name: ClassVar[str] = "reinforce"
    estimates: ClassVar[str] = (
        "the gradient of the discounted objective J1 (G2), each step weighted by γ^t; unbiased for "
        "whole episodes up to the division by the number of steps; a critic, where ψ has one, "
        "stands for what a time limit cuts off. With weighting='undiscounted' it is in general the "
        "gradient of no function (G4)."
    )

    num_envs: int = 16
    num_steps: int | None = None
    psi: Psi = "reward_to_go"
    weighting: Weighting = "discounted"
    learning_rate: float = 5e-3
    schedule: Schedule = "linear"


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
    schedule: Schedule = "linear"
    optimizer: Literal["adam", "rmsprop", "sgd"] = "rmsprop"
    optimizer_eps: float = 1e-5
    max_grad_norm: float | None = 0.5


@dataclass(frozen=True, kw_only=True)
class PPO(Algorithm):
    """Proximal policy optimisation: several epochs of minibatches on a clipped surrogate.

    Attributes:
        surrogate: "clip" limits the ratio; "kl_penalty" subtracts β KL(π_old ‖ π) instead.
        clip_eps: ε of the ratio's interval [1 − ε, 1 + ε].
        clip_schedule: "linear" lets ε fall to 0 over the run.
        kl_coef: β at the start.
        target_kl: the KL from the old policy that an update should reach. With "clip": where a
            minibatch's approximate KL exceeds 1.5 times this, it and all that would follow in the
            update are left out; None: nothing is. With "kl_penalty": β is halved after an update
            whose KL is below 1/1.5 of this and doubled above 1.5 times this.
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
    learner: ClassVar[Learner] = "proximal"
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
    schedule: Schedule = "linear"
    optimizer_eps: float = 1e-5
    max_grad_norm: float | None = 0.5
    epochs: int = 4
    minibatches: int = 4
    surrogate: Literal["clip", "kl_penalty"] = "clip"
    clip_eps: float = 0.2
    clip_schedule: Literal["constant", "linear"] = "constant"
    kl_coef: float = 1.0
    target_kl: float | None = None
    value_clip_eps: float | None = None

    @property
    def schedules(self) -> dict[str, Schedule]:
        """How the learning rate and ε change over the run."""
        return super().schedules | {"clip_eps": self.clip_schedule}

    def check_choices(self) -> None:
        """The KL penalty needs a target, by which β adapts."""
        super().check_choices()
        if self.surrogate == "kl_penalty" and self.target_kl is None:
            self.refuse("target_kl", "given where surrogate='kl_penalty'")


@dataclass(frozen=True, kw_only=True)
class NPG(Algorithm):
    """Natural policy gradient: one step of F⁻¹g per batch, its length set by a divergence.

    The optimiser, learning rate, epochs and minibatches are the critic's, which is fitted after
    the policy's step.

    Attributes:
        max_kl: δ; the step is √(2 δ/xᵀFx) x with F x = g, whose KL is δ to second order.
        cg_iterations: of the conjugate gradients that solve F x = g.
        cg_damping: added to the diagonal of F.

    Example:
        >>> NPG(max_kl=0.005).max_kl
        0.005

    Source: Kakade (2001), "A natural policy gradient"; the length as in Rajeswaran et al. (2017),
    "Towards generalization and simplicity in continuous control".
    """

    name: ClassVar[str] = "npg"
    learner: ClassVar[Learner] = "natural"
    estimates: ClassVar[str] = (
        "F⁻¹ times the score-function update without γ^t, F from the same batch: in general the "
        "natural gradient of no function (G4), near that of the undiscounted objective; biased as "
        "far as the critic is, and by the damping of F."
    )

    num_envs: int = 16
    num_steps: int | None = 128
    psi: Psi = "gae"
    normalise: Literal["none", "batch", "minibatch"] = "batch"
    learning_rate: float = 1e-3
    epochs: int = 10
    minibatches: int = 16
    max_kl: float = 0.01
    cg_iterations: int = 15
    cg_damping: float = 0.1

    @property
    def line_search(self) -> tuple[Any, int] | None:
        """(shrink, tries) of the line search along the natural step; None: the step is taken."""
        return None

    def check_choices(self) -> None:
        """The policy steps by itself, on the whole batch at once."""
        super().check_choices()
        if self.trunk != "separate":
            self.refuse("trunk", "'separate': the policy steps by itself")
        if self.normalise == "minibatch":
            wanted = "'batch' or 'none': the policy's step sees the whole batch at once"
            self.refuse("normalise", wanted)


@dataclass(frozen=True, kw_only=True)
class TRPO(NPG):
    """Trust-region policy optimisation: NPG's step, shortened until it keeps what it promises.

    Of the full step, `line_search_shrink` times it, and so on, the first is taken that improves
    the surrogate and whose exact mean KL is at most `max_kl`; none, if none of them does.

    Attributes:
        line_search_steps: lengths that are tried.
        line_search_shrink: each is so many times the one before.

    Example:
        >>> TRPO().line_search_steps
        10

    Source: Schulman et al. (2015), "Trust region policy optimization".
    """

    name: ClassVar[str] = "trpo"
    line_search_steps: int = 10
    line_search_shrink: float = 0.8

    @property
    def line_search(self) -> tuple[Any, int]:
        """(shrink, tries) of the line search along the natural step."""
        return self.line_search_shrink, self.line_search_steps


@dataclass(frozen=True, kw_only=True)
class IMPALA(Algorithm):
    """V-trace actor-critic: actors may lag behind the learner, and importance ratios correct them.

    Attributes:
        sync_every: updates after which the actors get the learner's parameters; with 1 they never
            lag, and V-trace is GAE with the same λ.
        rho_bar: ρ̄, where the ratio in δ and before ψ is clipped; it decides whose V is learned.
        c_bar: c̄, where the ratio in the trace is clipped.

    Example:
        >>> IMPALA(sync_every=4).psi
        'vtrace'

    Source: Espeholt et al. (2018), "IMPALA: scalable distributed deep-RL with importance weighted
    actor-learner architectures".
    """

    name: ClassVar[str] = "impala"
    corrects_actors: ClassVar[bool] = True
    estimates: ClassVar[str] = (
        "the score-function update without γ^t, corrected for the actions of delayed actors but "
        "not for the states that they visit; with clipped ratios, of a policy between theirs and "
        "the learner's. In general the gradient of no function (G4)."
    )

    num_envs: int = 16
    num_steps: int | None = 20
    psi: Psi = "vtrace"
    lambda_: Annotated[float, tyro.conf.arg(aliases=["--lambda"])] = 1.0
    entropy_coef: float = 0.01
    learning_rate: float = 6e-4
    schedule: Schedule = "linear"
    optimizer: Literal["adam", "rmsprop", "sgd"] = "rmsprop"
    optimizer_eps: float = 1e-5
    max_grad_norm: float | None = 0.5
    sync_every: int = 1
    rho_bar: float = 1.0
    c_bar: float = 1.0

    @property
    def actors_lag(self) -> bool:
        """Whether the actors' parameters may be older than the learner's."""
        return self.sync_every > 1

    def actors_sync(self, updates: Any) -> Any:
        """Whether the actors get the learner's parameters after this number of updates."""
        return updates % self.sync_every == 0


_GROUPED = (RLOO, GRPO, DrGRPO, DAPO, GSPO, CISPO, REINFORCEPlusPlus)
ALGORITHMS: dict[str, type[Algorithm]] = {
    c.name: c for c in (REINFORCE, A2C, PPO, NPG, TRPO, IMPALA, *_GROUPED)
}
_OWNERS: tuple[type[Algorithm], ...] = (PPO, *ALGORITHMS.values())
for _owner in _OWNERS:
    elsewhere.register(_owner.__name__, [field.name for field in dataclasses.fields(_owner)])


def from_dict(data: Mapping[str, Any]) -> Algorithm:
    """Make the algorithm that `to_dict` wrote; unknown names and fields are errors."""
    fields = dict(data)
    name = fields.pop("name", None)
    if name not in ALGORITHMS:
        raise ConfigError(unknown_name("No algorithm is called", name, ALGORITHMS))
    check_names(ALGORITHMS[name], fields)
    if "hidden" in fields:
        fields["hidden"] = tuple(fields["hidden"])
    return ALGORITHMS[name](**fields)
