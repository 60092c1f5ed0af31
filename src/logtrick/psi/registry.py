"""Every estimator by name: ψ × weighting × normaliser × ratio rule × KL, and what each claims.

Data only. `CHOICES` lists what can stand on each axis and what it does to the mean; `ESTIMATORS`
are the combinations that have a name, with the mean that is claimed for their estimate on-policy
(π = π_old, at every θ). The audit measures these claims. A function of `logtrick.psi` has the name
of its choice.
"""

import enum
from dataclasses import dataclass


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


@dataclass(frozen=True, slots=True)
class Choice:
    """One possibility on one axis."""

    axis: str
    name: str
    effect: str
    """Its claimed mean, or what it does to the mean of the rest."""
    reference: str


@dataclass(frozen=True, slots=True)
class Estimator:
    """A combination that has a name. Each field but the last two names a choice."""

    name: str
    psi: str
    weighting: str
    normaliser: str
    ratio: str
    kl: str
    claim: Claim
    reference: str


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

CHOICES = (
    Choice("psi", "total_return", Claim.UNBIASED, WILLIAMS),
    Choice("psi", "reward_to_go", Claim.UNBIASED, GAE),
    Choice("psi", "baselined_return", Claim.UNBIASED, GAE),
    Choice("psi", "q_value", Claim.UNBIASED, SUTTON),
    Choice("psi", "advantage", Claim.UNBIASED, GAE),
    Choice("psi", "all_action_sum", Claim.UNBIASED, "Ciosek and Whiteson, arXiv 1706.05374"),
    Choice("psi", "optimal_baseline", Claim.UNBIASED, GREENSMITH),
    Choice("psi", "td_residual", Claim.UNLESS_EXACT, GAE),
    Choice("psi", "n_step", Claim.UNLESS_EXACT, MNIH),
    Choice("psi", "gae", Claim.UNLESS_EXACT, GAE),
    Choice("psi", "vtrace", Claim.UNLESS_ON_POLICY, IMPALA),
    Choice("psi", "rloo", Claim.UNBIASED, KOOL),
    Choice("psi", "grpo", Claim.NO_FUNCTION, DEEPSEEK),
    Choice("psi", "dr_grpo", Claim.GROUP, DR_GRPO),
    Choice("psi", "remax", Claim.UNBIASED, REMAX),
    Choice("psi", "opo", Claim.LARGE_BATCH, OPO),
    Choice("psi", "whiten", Claim.LARGE_BATCH, REINFORCE_PP),
    Choice("weighting", "discounted", "γ^t in front of step t: keeps the claim for J1", SUTTON),
    Choice("weighting", "undiscounted", Claim.NO_FUNCTION, NOTA),
    Choice("normaliser", "sequence_sum", "1/G: keeps the claim", KOOL),
    Choice("normaliser", "constant_length", "1/(G L_max): times 1/L_max", DR_GRPO),
    Choice("normaliser", "sequence_mean", Claim.NO_FUNCTION, DEEPSEEK),
    Choice("normaliser", "token_mean", Claim.NO_FUNCTION, DAPO),
    Choice("ratio", "score", "log π alone: keeps the claim on-policy, biased off-policy", WILLIAMS),
    Choice("ratio", "importance", "corrects the action, not the state, off-policy", PPO),
    Choice("ratio", "ppo_clip", "keeps the claim on-policy; stops beyond the clip", PPO),
    Choice("ratio", "dual_clip", "keeps the claim on-policy; bounded below", DUAL),
    Choice("ratio", "cispo", "keeps the claim on-policy; no token is stopped", CISPO),
    Choice("ratio", "gspo", "on-policy the weight 1/L of sequence_mean", GSPO),
    Choice("kl", "none", "keeps the claim", "—"),
    Choice("kl", "k1_in_reward", Claim.PENALISED, ZIEGLER),
    Choice("kl", "k1_in_loss", Claim.ZERO, TANG),
    Choice("kl", "k2_in_loss", Claim.TOKEN_KL, TANG),
    Choice("kl", "k3_in_loss", Claim.REVERSED_KL, TANG),
    Choice("kl", "k3_times_ratio_in_loss", Claim.TOKEN_KL, TANG),
)
"""What can stand on each axis."""


def _trajectory(psi: str, claim: Claim, reference: str) -> tuple[Estimator, Estimator]:
    """A ψ of single trajectories, with and without γ^t (G4)."""
    rest = ("sequence_sum", "score", "none")
    return (
        Estimator(psi, psi, "discounted", *rest, claim, reference),
        Estimator(f"{psi}_undiscounted", psi, "undiscounted", *rest, Claim.NO_FUNCTION, NOTA),
    )


def _group(
    name: str, psi: str, normaliser: str, ratio: str, kl: str, claim: Claim, reference: str
) -> Estimator:
    """A group rule; they are about γ = 1, where the two weightings agree."""
    return Estimator(name, psi, "undiscounted", normaliser, ratio, kl, claim, reference)


ESTIMATORS = (
    *_trajectory("total_return", Claim.UNBIASED, WILLIAMS),
    *_trajectory("reward_to_go", Claim.UNBIASED, GAE),
    *_trajectory("baselined_return", Claim.UNBIASED, GAE),
    *_trajectory("q_value", Claim.UNBIASED, SUTTON),
    *_trajectory("advantage", Claim.UNBIASED, GAE),
    *_trajectory("all_action_sum", Claim.UNBIASED, "Ciosek and Whiteson, arXiv 1706.05374"),
    *_trajectory("optimal_baseline", Claim.UNBIASED, GREENSMITH),
    *_trajectory("td_residual", Claim.UNLESS_EXACT, GAE),
    *_trajectory("n_step", Claim.UNLESS_EXACT, MNIH),
    *_trajectory("gae", Claim.UNLESS_EXACT, GAE),
    *_trajectory("vtrace", Claim.UNLESS_ON_POLICY, IMPALA),
    _group("rloo", "rloo", "sequence_sum", "score", "none", Claim.UNBIASED, KOOL),
    _group("remax", "remax", "sequence_sum", "score", "none", Claim.UNBIASED, REMAX),
    _group("opo", "opo", "sequence_sum", "score", "none", Claim.LARGE_BATCH, OPO),
    _group("grpo", "grpo", "sequence_mean", "ppo_clip", "k3_in_loss", Claim.NO_FUNCTION, DEEPSEEK),
    _group(
        "dr_grpo", "dr_grpo", "constant_length", "ppo_clip", "none", Claim.GROUP_PER_LENGTH, DR_GRPO
    ),
    _group("dapo", "grpo", "token_mean", "ppo_clip", "none", Claim.NO_FUNCTION, DAPO),
    _group("gspo", "grpo", "sequence_sum", "gspo", "none", Claim.NO_FUNCTION, GSPO),
    _group("cispo", "grpo", "token_mean", "cispo", "none", Claim.NO_FUNCTION, CISPO),
    _group(
        "reinforce_plus_plus",
        "whiten",
        "token_mean",
        "ppo_clip",
        "k1_in_reward",
        Claim.LARGE_BATCH,
        REINFORCE_PP,
    ),
)
"""The combinations that have a name."""
