"""Every estimator by name: ψ × weighting × normaliser × ratio rule × KL, and what each claims.

`CHOICES` lists what can stand on each axis and what it does to the mean; `ESTIMATORS` are the
combinations that have a name, with the mean that is claimed for their estimate on-policy
(π = π_old, at every θ). The audit measures these claims.

A choice carries its function, and what that takes: training, the audit and its closed form all
look here, and no name is asked for anywhere else. This module is data that the command line reads,
so it loads no JAX; a function is loaded when it is called.
"""

import enum
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from logtrick.errors import ConfigError
from logtrick.support.names import unknown_name


class Claim(enum.StrEnum):
    """What the mean of an estimate is claimed to be."""

    UNBIASED = "unbiased for J1"
    UNLESS_EXACT = "biased unless V is exact"
    UNLESS_ON_POLICY = "biased off-policy; on-policy it is gae"
    NO_FUNCTION = "the gradient of no function"
    GROUP = "(G−1)/G · ∇J"
    GROUP_PER_LENGTH = "(G−1)/(G L_max) · ∇J"
    LARGE_BATCH = "biased; parallel to ∇J as the batch grows"
    PENALISED = "unbiased for J − β KL"
    ZERO = "0: no gradient"
    TOKEN_KL = "∇KL(π‖π_ref) of each token given its prefix"
    REVERSED_KL = "∇KL(π_ref‖π) of each token given its prefix"


class Scope(enum.StrEnum):
    """What a ψ looks at together."""

    TRAJECTORY = "the steps of one trajectory"
    ACTIONS = "Q of every action of one state"
    GROUP = "the sequences that answer one prompt"
    BATCH = "all sequences of a batch, each with a prompt of its own"


@dataclass(frozen=True, slots=True)
class Choice:
    """One possibility on one axis."""

    axis: str
    name: str
    effect: str
    """Its claimed mean, or what it does to the mean of the rest."""
    reference: str
    settings: tuple[str, ...] = ()
    """The parameters of its function that are numbers."""
    called: str | None = None
    """Its function in `logtrick.psi`, where that has not the name of the choice."""

    @property
    def function(self) -> Callable[..., Any]:
        """Its function in `logtrick.psi`."""
        return _loaded(self.called or self.name)

    def default(self, setting: str) -> Any:
        """What a setting is where nothing else is said; None where there is no default."""
        found = inspect.signature(self.function).parameters.get(setting)
        return None if found is None or found.default is found.empty else found.default

    def chosen(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of the numbers that are given, those that its function takes."""
        return {name: given[name] for name in self.settings if given.get(name) is not None}


@dataclass(frozen=True, slots=True)
class Recursion:
    """ψ_t = δ_t + c ψ_{t+1} within an episode, or the first `window` terms of it."""

    delta: Literal["reward", "td_residual"]
    """δ_t: r_t, or r_t + γ V(s'_t) − V(s_t)."""
    decay: tuple[str, ...] | None
    """c, the product of these settings; None is c = 0."""
    window: str | None = None
    """The setting that is the number of terms; None is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Psi(Choice):
    """A ψ: its function, the arrays that it takes, and the recursion that it is."""

    scope: Scope = Scope.TRAJECTORY
    takes: tuple[str, ...]
    """The parameters of its function that are arrays."""
    recursion: Recursion | None = None
    """On-policy; None where ψ is none."""
    weighted: str | None = None
    """The function that is γ^t ψ_t in one, where ψ_t alone grows like γ^{−t}."""
    target: str | None = None
    """The function that a critic is fitted to, where that is not ψ_t + V(s_t)."""
    every_action: bool = False
    """The term of a step is Σ_a π(a|s) ψ(s, a) ∇log π(a|s), not that of the action taken."""
    fewest: int = 1
    """The smallest group, or batch, in which ψ is not always 0."""

    @property
    def needs_critic(self) -> bool:
        """Whether it takes V(s_t)."""
        return "values" in self.takes

    @property
    def needs_ratios(self) -> bool:
        """Whether it takes π/π_old of the actions."""
        return "ratios" in self.takes

    @property
    def of_sequences(self) -> bool:
        """Whether whole trajectories are compared with each other."""
        return self.scope in (Scope.GROUP, Scope.BATCH)

    def evaluate(self, data: Mapping[str, Any], *, function: str | None = None) -> Any:
        """ψ of the arrays and numbers in `data`, which may hold more.

        Args:
            data: by the names of the function's parameters.
            function: another function of `logtrick.psi` that takes the same: `weighted`, `target`.

        Raises:
            ConfigError: an array is missing.

        Example:
            >>> row = named("psi", "reward_to_go")
            >>> row.evaluate(
            ...     {"rewards": [1.0, 1.0], "terminated": [0, 1], "truncated": [0, 0], "gamma": 0.5}
            ... )
            array([1.5, 1. ])
        """
        missing = [name for name in self.takes if data.get(name) is None]
        if missing:
            raise ConfigError(f"{self.name} needs {' and '.join(missing)}")
        arrays = {name: data[name] for name in self.takes}
        called = self.function if function is None else _loaded(function)
        return called(**arrays, **self.chosen(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio(Choice):
    """A ratio rule: the term that is differentiated once π is no longer the π_old that acted."""

    of_sequences: bool = False
    """One term a sequence, in the place of one a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty(Choice):
    """A KL penalty, and the place where it stands."""

    place: Literal["reward", "loss"] | None
    times_ratio: bool = False
    """Whether π/π_old stands in front."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """A combination that has a name; `psi` to `kl` each name a choice."""

    name: str
    psi: str
    weighting: str
    normaliser: str
    ratio: str
    kl: str
    claim: Claim
    reference: str
    settings: tuple[tuple[str, float], ...] = ()
    """Where its source has other numbers than the functions."""

    @property
    def rule(self) -> Psi:
        """What its ψ is.

        Raises:
            ConfigError: no ψ has this name.
        """
        return psi_named(self.psi)

    @property
    def in_reward(self) -> bool:
        """Whether its KL stands inside the reward."""
        return penalty_named(self.kl).place == "reward"

    def setting(self, name: str, given: Any = None) -> Any:
        """A number: as given, or as its source has it, or as its functions have it, or None."""
        if given is not None:
            return given
        if name in dict(self.settings):
            return dict(self.settings)[name]
        for axis in ("psi", "normaliser", "ratio", "kl"):
            choice = named(axis, getattr(self, axis))
            if name in choice.settings and (default := choice.default(name)) is not None:
                return default
        return BETA if name == "beta" else None


def _loaded(function: str) -> Callable[..., Any]:
    return getattr(sys.modules["logtrick.psi"], function)


BETA = 0.04
"""β of a KL penalty where nothing else is said, as in DeepSeekMath."""

GAE = "Schulman et al., arXiv 1506.02438"
SUTTON = "Sutton et al., Policy gradient methods, NIPS 1999"
NOTA = "Nota and Thomas, Is the policy gradient a gradient?, arXiv 1906.07073"
WILLIAMS = "Williams, Machine Learning 8 (1992)"
MNIH = "Mnih et al., arXiv 1602.01783"
IMPALA = "Espeholt et al., arXiv 1802.01561"
KOOL = "Kool et al. (2019); Ahmadian et al., arXiv 2402.14740"
DEEPSEEK = "Shao et al., DeepSeekMath, arXiv 2402.03300"
DR_GRPO = "Liu et al., arXiv 2503.20783"
DAPO = "Yu et al., arXiv 2503.14476"
REINFORCE_PP = "Hu et al., arXiv 2501.03262"
REMAX = "Li et al., arXiv 2310.10505"
OPO = "Hao et al., arXiv 2505.23585"
GSPO = "Zheng et al., arXiv 2507.18071"
CISPO = "MiniMax-M1, arXiv 2506.13585"
PPO = "Schulman et al., arXiv 1707.06347"
DUAL = "Ye et al., arXiv 1912.09729"
TANG = "Tang and Munos, arXiv 2506.09477"
ZIEGLER = "Ziegler et al., arXiv 1909.08593"
GREENSMITH = "Greensmith et al., JMLR 5 (2004)"
CIOSEK = "Ciosek and Whiteson, arXiv 1706.05374"

ENDS = ("terminated", "truncated")
TRACE = ("rewards", "values", "next_values")
CLIP = ("epsilon_low", "epsilon_high")

PSIS = (
    Psi(
        "psi", "total_return", Claim.UNBIASED, WILLIAMS, ("gamma",),
        takes=("rewards", *ENDS),
        weighted="episode_return",
    ),
    Psi(
        "psi", "reward_to_go", Claim.UNBIASED, GAE, ("gamma",),
        takes=("rewards", *ENDS),
        recursion=Recursion("reward", ("gamma",)),
    ),
    Psi(
        "psi", "baselined_return", Claim.UNBIASED, GAE, ("gamma",),
        takes=(*TRACE, *ENDS),
        recursion=Recursion("td_residual", ("gamma",)),
    ),
    Psi(
        "psi", "q_value", Claim.UNBIASED, SUTTON,
        scope=Scope.ACTIONS,
        takes=("action_values",),
    ),
    Psi(
        "psi", "advantage", Claim.UNBIASED, GAE,
        scope=Scope.ACTIONS,
        takes=("action_values", "probabilities"),
    ),
    Psi(
        "psi", "all_action_sum", Claim.UNBIASED, CIOSEK, called="q_value",
        scope=Scope.ACTIONS,
        takes=("action_values",),
        every_action=True,
    ),
    Psi(
        "psi", "optimal_baseline", Claim.UNBIASED, GREENSMITH, called="above_optimal_baseline",
        scope=Scope.ACTIONS,
        takes=("action_values", "probabilities", "squared_scores"),
    ),
    Psi(
        "psi", "td_residual", Claim.UNLESS_EXACT, GAE, ("gamma",),
        takes=(*TRACE, *ENDS),
        recursion=Recursion("td_residual", None),
    ),
    Psi(
        "psi", "n_step", Claim.UNLESS_EXACT, MNIH, ("gamma", "n"),
        takes=(*TRACE, *ENDS),
        recursion=Recursion("td_residual", ("gamma",), window="n"),
    ),
    Psi(
        "psi", "gae", Claim.UNLESS_EXACT, GAE, ("gamma", "lambda_"),
        takes=(*TRACE, *ENDS),
        recursion=Recursion("td_residual", ("gamma", "lambda_")),
    ),
    Psi(
        "psi", "vtrace", Claim.UNLESS_ON_POLICY, IMPALA, ("gamma", "lambda_", "rho_bar", "c_bar"),
        takes=(*TRACE, "ratios", *ENDS),
        recursion=Recursion("td_residual", ("gamma", "lambda_")),
        target="vtrace_targets",
    ),
    Psi("psi", "rloo", Claim.UNBIASED, KOOL, scope=Scope.GROUP, takes=("returns",), fewest=2),
    Psi(
        "psi", "grpo", Claim.NO_FUNCTION, DEEPSEEK, ("ddof", "epsilon"),
        scope=Scope.GROUP,
        takes=("returns",),
        fewest=2,
    ),
    Psi("psi", "dr_grpo", Claim.GROUP, DR_GRPO, scope=Scope.GROUP, takes=("returns",), fewest=2),
    Psi(
        "psi", "remax", Claim.UNBIASED, REMAX,
        scope=Scope.GROUP,
        takes=("returns", "greedy_returns"),
    ),
    Psi(
        "psi", "opo", Claim.LARGE_BATCH, OPO,
        scope=Scope.GROUP,
        takes=("returns", "lengths"),
        fewest=2,
    ),
    Psi(
        "psi", "whiten", Claim.LARGE_BATCH, REINFORCE_PP, ("ddof", "epsilon"),
        scope=Scope.BATCH,
        takes=("psi", "valid"),
        fewest=2,
    ),
)  # fmt: skip
"""What ψ can be."""

CHOICES = (
    *PSIS,
    Choice("weighting", "discounted", "γ^t in front of step t: keeps the claim for J1", SUTTON),
    Choice("weighting", "undiscounted", Claim.NO_FUNCTION, NOTA),
    Choice(
        "normaliser", "sequence_sum", "1/G: keeps the claim", KOOL,
        called="sequence_sum_weights",
    ),
    Choice(
        "normaliser", "constant_length", "1/(G L_max): times 1/L_max", DR_GRPO, ("max_length",),
        called="constant_length_weights",
    ),
    Choice(
        "normaliser", "sequence_mean", Claim.NO_FUNCTION, DEEPSEEK, called="sequence_mean_weights"
    ),
    Choice("normaliser", "token_mean", Claim.NO_FUNCTION, DAPO, called="token_mean_weights"),
    Ratio("ratio", "score", "log π alone: keeps the claim on-policy, biased off-policy", WILLIAMS),
    Ratio("ratio", "importance", "corrects the action, not the state, off-policy", PPO),
    Ratio("ratio", "ppo_clip", "keeps the claim on-policy; stops beyond the clip", PPO, CLIP),
    Ratio(
        "ratio", "dual_clip", "keeps the claim on-policy; bounded below", DUAL, (*CLIP, "bound")
    ),
    Ratio("ratio", "cispo", "keeps the claim on-policy; no token is stopped", CISPO, CLIP),
    Ratio(
        "ratio", "gspo", "on-policy the weight 1/L of sequence_mean", GSPO, CLIP,
        of_sequences=True,
    ),
    Penalty("kl", "none", "keeps the claim", "—", place=None),
    Penalty(
        "kl", "k1_in_reward", Claim.PENALISED, ZIEGLER, ("beta",),
        called="penalised_rewards",
        place="reward",
    ),
    Penalty("kl", "k1_in_loss", Claim.ZERO, TANG, ("beta",), called="k1", place="loss"),
    Penalty("kl", "k2_in_loss", Claim.TOKEN_KL, TANG, ("beta",), called="k2", place="loss"),
    Penalty("kl", "k3_in_loss", Claim.REVERSED_KL, TANG, ("beta",), called="k3", place="loss"),
    Penalty(
        "kl", "k3_times_ratio_in_loss", Claim.TOKEN_KL, TANG, ("beta",), called="k3",
        place="loss",
        times_ratio=True,
    ),
)  # fmt: skip
"""What can stand on each axis."""

_BY_NAME = {(choice.axis, choice.name): choice for choice in CHOICES}


def named(axis: str, name: str) -> Choice:
    """The choice of this name on an axis.

    Args:
        axis: "psi", "weighting", "normaliser", "ratio" or "kl".
        name: of the choice.

    Raises:
        ConfigError: there is none.

    Example:
        >>> named("ratio", "ppo_clip").settings
        ('epsilon_low', 'epsilon_high')
        >>> named("psi", "rolo")
        Traceback (most recent call last):
        logtrick.errors.ConfigError: No psi is called 'rolo'. Did you mean rloo?
    """
    found = _BY_NAME.get((axis, name))
    if found is None:
        known = [choice.name for choice in CHOICES if choice.axis == axis]
        raise ConfigError(unknown_name(f"No {axis} is called", name, known))
    return found


def penalty_named(name: str) -> Penalty:
    """The KL penalty of this name; a `ConfigError` if there is none."""
    found = named("kl", name)
    assert isinstance(found, Penalty)
    return found


def psi_named(name: str) -> Psi:
    """The ψ of this name; a `ConfigError` if there is none."""
    found = named("psi", name)
    assert isinstance(found, Psi)
    return found


def _trajectory(row: Psi) -> tuple[Estimator, Estimator]:
    """A ψ of single trajectories, with and without γ^t (G4)."""
    rest = ("sequence_sum", "score", "none")
    claim, reference = Claim(row.effect), row.reference
    return (
        Estimator(row.name, row.name, "discounted", *rest, claim, reference),
        Estimator(
            f"{row.name}_undiscounted", row.name, "undiscounted", *rest, Claim.NO_FUNCTION, NOTA
        ),
    )


def _group(
    name: str,
    psi: str,
    normaliser: str,
    ratio: str,
    kl: str,
    claim: Claim,
    reference: str,
    **settings: float,
) -> Estimator:
    """A group rule; they are about γ = 1, where the two weightings agree."""
    row = (psi, "undiscounted", normaliser, ratio, kl, claim, reference)
    return Estimator(name, *row, tuple(settings.items()))


ESTIMATORS = (
    *(row for psi in PSIS if not psi.of_sequences for row in _trajectory(psi)),
    _group("rloo", "rloo", "sequence_sum", "score", "none", Claim.UNBIASED, KOOL),
    _group("remax", "remax", "sequence_sum", "score", "none", Claim.UNBIASED, REMAX),
    _group("opo", "opo", "sequence_sum", "score", "none", Claim.LARGE_BATCH, OPO),
    _group(
        "grpo", "grpo", "sequence_mean", "ppo_clip", "k3_in_loss", Claim.NO_FUNCTION, DEEPSEEK,
        beta=BETA,
    ),
    _group(
        "dr_grpo", "dr_grpo", "constant_length", "ppo_clip", "none", Claim.GROUP_PER_LENGTH, DR_GRPO
    ),
    _group(
        "dapo", "grpo", "token_mean", "ppo_clip", "none", Claim.NO_FUNCTION, DAPO,
        epsilon_high=0.28,
    ),
    _group("gspo", "grpo", "sequence_sum", "gspo", "none", Claim.NO_FUNCTION, GSPO),
    _group(
        "cispo", "grpo", "token_mean", "cispo", "none", Claim.NO_FUNCTION, CISPO, epsilon_high=0.2
    ),
    _group(
        "reinforce_plus_plus", "whiten", "token_mean", "ppo_clip", "k1_in_reward",
        Claim.LARGE_BATCH, REINFORCE_PP,
        beta=0.01,
    ),
)  # fmt: skip
"""The combinations that have a name."""
