"""Configurations of group rules: several episodes from one start are compared. No JAX here.

Each is a choice of ψ × normaliser × ratio rule × KL, the axes of `logtrick.psi.registry`; the names
and the claims are the registry's. They differ in these fields only, and any field may be changed.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from logtrick.algorithms.group_base import GroupAlgorithm, GroupPsi, Normaliser, Penalty, Ratio


@dataclass(frozen=True, kw_only=True)
class RLOO(GroupAlgorithm):
    """REINFORCE with the mean return of the rest of the group as baseline.

    Example:
        >>> RLOO(num_envs=12, group_size=4).num_groups
        3

    Source: Kool et al. (2019); Ahmadian et al. (2024), arXiv 2402.14740.
    """

    name: ClassVar[str] = "rloo"
    estimates: ClassVar[str] = (
        "unbiased for J1, whole episodes, γ^t included; at one gradient step for each batch, as "
        "preset. With more, the score is no longer that of the policy that acted; ratio="
        "'importance' corrects the actions then, not the states."
    )

    psi: GroupPsi = "rloo"
    normaliser: Normaliser = "sequence_sum"
    ratio: Ratio = "score"


@dataclass(frozen=True, kw_only=True)
class GRPO(GroupAlgorithm):
    """Returns shifted and scaled within their group, clipped ratios, a KL to the first policy.

    Example:
        >>> GRPO(kl="none", beta=0.0).estimates[:26]
        'the gradient of no functio'
        >>> GRPO(group_size=1)
        Traceback (most recent call last):
        logtrick.errors.ConfigError: GRPO: group_size=1; it must be at least 2: a group of one ...

    Source: Shao et al. (2024), DeepSeekMath, arXiv 2402.03300.
    """

    name: ClassVar[str] = "grpo"
    estimates: ClassVar[str] = (
        "the gradient of no function, in general: 1/L_i favours short sequences where ψ > 0 and "
        "long ones where ψ < 0, the std reweights starts, and k3 in the loss follows the reversed "
        "KL of each token."
    )

    psi: GroupPsi = "grpo"
    normaliser: Normaliser = "sequence_mean"
    ratio: Ratio = "ppo_clip"
    kl: Penalty = "k3_in_loss"
    beta: float = 0.04
    minibatches: int = 4


@dataclass(frozen=True, kw_only=True)
class DrGRPO(GroupAlgorithm):
    """GRPO without the std and without the length of each sequence.

    Example:
        >>> DrGRPO().psi, DrGRPO().normaliser
        ('dr_grpo', 'constant_length')

    Source: Liu et al. (2025), arXiv 2503.20783.
    """

    name: ClassVar[str] = "dr_grpo"
    estimates: ClassVar[str] = (
        "(G−1)/(G L_max) · ∇J at the first gradient step of each batch, L_max the time limit; "
        "later steps follow the clipped surrogate."
    )

    psi: GroupPsi = "dr_grpo"
    normaliser: Normaliser = "constant_length"
    ratio: Ratio = "ppo_clip"
    minibatches: int = 4


@dataclass(frozen=True, kw_only=True)
class DAPO(GroupAlgorithm):
    """GRPO with a mean over the group's tokens, a higher clip above, and no unanimous groups.

    Unanimous groups are left out of the mean, not replaced by fresh ones: the same direction, fewer
    groups in it.

    Example:
        >>> DAPO().clip_eps_low, DAPO().clip_eps_high
        (0.2, 0.28)

    Source: Yu et al. (2025), arXiv 2503.14476.
    """

    name: ClassVar[str] = "dapo"
    estimates: ClassVar[str] = (
        "the gradient of no function, in general: the divisor 1/ΣL depends on the sampled lengths, "
        "the std and the choice of informative groups reweight starts."
    )

    psi: GroupPsi = "grpo"
    normaliser: Normaliser = "token_mean"
    ratio: Ratio = "ppo_clip"
    clip_eps_high: float = 0.28
    groups: Literal["all", "informative"] = "informative"
    minibatches: int = 4


@dataclass(frozen=True, kw_only=True)
class GSPO(GroupAlgorithm):
    """GRPO's ψ with one ratio for each sequence, the geometric mean of its tokens' ratios.

    Example:
        >>> GSPO().ratio
        'gspo'

    Source: Zheng et al. (2025), arXiv 2507.18071.
    """

    name: ClassVar[str] = "gspo"
    estimates: ClassVar[str] = (
        "the gradient of no function, in general: at the first step of each batch it is GRPO's "
        "without the KL, 1/L_i and std included."
    )

    psi: GroupPsi = "grpo"
    normaliser: Normaliser = "sequence_sum"
    ratio: Ratio = "gspo"
    clip_eps_low: float = 3e-4
    clip_eps_high: float = 4e-4
    minibatches: int = 4


@dataclass(frozen=True, kw_only=True)
class CISPO(GroupAlgorithm):
    """GRPO's ψ with a frozen, clipped ratio in front of log π: no token loses its gradient.

    Example:
        >>> CISPO().clip_eps_low
        1.0

    Source: MiniMax (2025), arXiv 2506.13585.
    """

    name: ClassVar[str] = "cispo"
    estimates: ClassVar[str] = (
        "the gradient of no function, in general: the divisor 1/ΣL depends on the sampled lengths, "
        "and the std reweights starts."
    )

    psi: GroupPsi = "grpo"
    normaliser: Normaliser = "token_mean"
    ratio: Ratio = "cispo"
    clip_eps_low: float = 1.0
    minibatches: int = 4


@dataclass(frozen=True, kw_only=True)
class REINFORCEPlusPlus(GroupAlgorithm):
    """No groups: each token's return, a KL inside it, whitened over the whole batch.

    Example:
        >>> REINFORCEPlusPlus().group_size, REINFORCEPlusPlus().num_groups
        (1, 1)

    Source: Hu et al. (2025), arXiv 2501.03262.
    """

    name: ClassVar[str] = "reinforce_plus_plus"
    estimates: ClassVar[str] = (
        "biased; parallel to ∇J as the batch grows, J with the KL penalty inside it, at a scale "
        "that changes with θ."
    )

    group_size: int = 1
    psi: GroupPsi = "whiten"
    std_eps: float = 1e-8
    normaliser: Normaliser = "token_mean"
    ratio: Ratio = "ppo_clip"
    kl: Penalty = "k1_in_reward"
    beta: float = 0.01
