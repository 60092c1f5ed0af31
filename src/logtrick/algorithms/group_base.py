"""What every group rule's configuration has: several episodes from one start are compared.

No JAX here.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from logtrick.algorithms.base import Algorithm, Learner, Schedule, Weighting
from logtrick.psi.registry import Scope

GroupPsi = Literal["rloo", "grpo", "dr_grpo", "opo", "whiten"]
Normaliser = Literal["sequence_sum", "sequence_mean", "token_mean", "constant_length"]
Ratio = Literal["score", "importance", "ppo_clip", "dual_clip", "cispo", "gspo"]
Penalty = Literal[
    "none", "k1_in_reward", "k1_in_loss", "k2_in_loss", "k3_in_loss", "k3_times_ratio_in_loss"
]


@dataclass(frozen=True, kw_only=True)
class GroupAlgorithm(Algorithm):
    """Every update plays `group_size` fresh episodes from each of several starts.

    The episodes of a group start in the same state (one reset key, or one reset seed on host
    environments), so a group is G answers to one prompt; any environment with a time limit will do.
    What is ascended is the mean over groups of Σ_i w_i Σ_t (rule(r_t, ψ_t) − β k_t): see
    `logtrick.psi.group_surrogate`. R_i is Σ_t γ^t r_t, with the γ^t of G2 in it.

    Attributes:
        group_size: G, episodes from one start; it divides num_envs.
        psi: ψ of a sequence in its group: "rloo", "grpo", "dr_grpo", "opo"; or "whiten", the
            reward-to-go of each token, whitened over the whole batch as one group.
        std_eps: ε beside the std of "grpo" and "whiten".
        normaliser: w_i: "sequence_sum" 1/G, "sequence_mean" 1/(G L_i), "token_mean" 1/ΣL,
            "constant_length" 1/(G L_max), L_max the time limit.
        ratio: what is differentiated once π has left π_old: "score", "importance", "ppo_clip",
            "dual_clip", "cispo", "gspo".
        clip_eps_low: how far below 1 a ratio may fall.
        clip_eps_high: how far above 1 it may rise.
        dual_clip: c of "dual_clip", more than 1 + clip_eps_high.
        kl: where the KL to the policy before training is put, and by which estimator: "none",
            "k1_in_reward", "k1_in_loss", "k2_in_loss", "k3_in_loss", "k3_times_ratio_in_loss".
        beta: β, its weight; it must be 0 exactly where kl is "none".
        groups: "all"; or "informative": groups whose returns all agree leave the mean over groups.
        minibatches: gradient steps in each pass; they divide the number of groups.
    """

    learner: ClassVar[Learner] = "grouped"
    without_effect: ClassVar[tuple[str, ...]] = (
        "num_steps", "weighting", "n", "lambda_", "normalise", "value_coef", "trunk",
    )  # fmt: skip

    num_envs: int = 64
    num_steps: int | None = None
    gamma: float = 1.0
    weighting: Weighting = "discounted"
    learning_rate: float = 3e-3
    schedule: Schedule = "linear"
    max_grad_norm: float | None = 1.0
    group_size: int = 8
    psi: GroupPsi  # type: ignore[assignment]  # other names than those of single trajectories
    std_eps: float = 1e-4
    normaliser: Normaliser
    ratio: Ratio
    clip_eps_low: float = 0.2
    clip_eps_high: float = 0.2
    dual_clip: float = 3.0
    kl: Penalty = "none"
    beta: float = 0.0
    groups: Literal["all", "informative"] = "all"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse_without_effect()
        self._check_groups()
        self._check_numbers()

    @property
    def num_groups(self) -> int:
        """M, groups in an update: whitening takes the whole batch as one."""
        return 1 if self.whole_batch else self.num_envs // self.group_size

    @property
    def whole_batch(self) -> bool:
        """Whether ψ compares all sequences of the batch, not those of one start."""
        return self.rule.scope is Scope.BATCH

    @property
    def rows_per_start(self) -> int:
        """G, the neighbouring environments that start each update in one and the same state."""
        return self.group_size

    @property
    def needs_reference(self) -> bool:
        """Whether the policy before training is kept to be compared with."""
        return self.kl != "none"

    def check_minibatches(self) -> None:
        """Minibatches are whole groups."""
        if self.num_envs % self.group_size:
            self.refuse("group_size", f"a divisor of num_envs={self.num_envs}")
        if self.num_groups % self.minibatches:
            self.refuse("minibatches", f"a divisor of the {self.num_groups} groups of an update")

    def _refuse_without_effect(self) -> None:
        for field in dataclasses.fields(GroupAlgorithm):
            if field.name in self.without_effect and getattr(self, field.name) != field.default:
                self.refuse(field.name, f"left at {field.default!r}: a group rule does not use it")

    def _check_groups(self) -> None:
        if self.whole_batch:
            if self.num_envs < 2:
                self.refuse("num_envs", "at least 2: one return whitened is 0")
            if self.ratio == "gspo":
                self.refuse("ratio", "one of tokens: 'gspo' has one ψ a sequence, 'whiten' many")
            if self.groups != "all":
                self.refuse("groups", "'all' with psi='whiten', where the batch is one group")
        elif self.group_size < self.rule.fewest:
            self.refuse("group_size", "at least 2: a group of one has nothing to compare with")
        if (self.kl == "none") != (self.beta == 0):
            self.refuse("beta", f"0 exactly where kl is 'none'; kl={self.kl!r}")

    def _check_numbers(self) -> None:
        for name in ("std_eps", "clip_eps_high", "beta"):
            if getattr(self, name) < 0:
                self.refuse(name, "at least 0")
        if not 0 <= self.clip_eps_low <= 1:
            self.refuse("clip_eps_low", "in [0, 1]")
        if self.dual_clip <= 1 + self.clip_eps_high:
            self.refuse("dual_clip", f"more than 1 + clip_eps_high = {1 + self.clip_eps_high:g}")
