"""Every ψ_t: what stands in for "how good was a_t" in ∇J = E[Σ_t γ^t ψ_t ∇log π(a_t|s_t)].

Functions of arrays whose last axis is time [..., T], the actions [..., A] or the group [..., G],
with batch axes in front. JAX, NumPy and torch arrays are accepted, and the same kind and dtype is
returned (torch detached).

| module | what |
|---|---|
| `returns`, `advantages` | the ψ of a trajectory, over one reverse recursion |
| `off_policy` | V-trace, Retrace |
| `actions` | sums over all actions, the optimal baseline |
| `groups`, `weights` | G answers to one prompt: their ψ, and how they are averaged |
| `ratios`, `kl` | what is differentiated off-policy; the KL penalty |
| `registry` | all of these by name, with the mean that each claims |
"""

from logtrick.psi.actions import advantage, all_action_sum, optimal_baseline
from logtrick.psi.advantages import gae, n_step, td_residual
from logtrick.psi.groups import dr_grpo, grpo, informative, opo, remax, rloo, whiten
from logtrick.psi.kl import k1, k2, k3, penalised_rewards
from logtrick.psi.off_policy import retrace, vtrace, vtrace_targets
from logtrick.psi.ratios import cispo, dual_clip, gspo, importance, ppo_clip, sequence_ratio
from logtrick.psi.returns import (
    baselined_return,
    episode_return,
    lambda_return,
    reward_to_go,
    total_return,
)
from logtrick.psi.weights import (
    constant_length_weights,
    sequence_mean_weights,
    sequence_sum_weights,
    token_mean_weights,
)

__all__ = [
    "advantage",
    "all_action_sum",
    "baselined_return",
    "cispo",
    "constant_length_weights",
    "dr_grpo",
    "dual_clip",
    "episode_return",
    "gae",
    "grpo",
    "gspo",
    "importance",
    "informative",
    "k1",
    "k2",
    "k3",
    "lambda_return",
    "n_step",
    "opo",
    "optimal_baseline",
    "penalised_rewards",
    "ppo_clip",
    "remax",
    "retrace",
    "reward_to_go",
    "rloo",
    "sequence_mean_weights",
    "sequence_ratio",
    "sequence_sum_weights",
    "td_residual",
    "token_mean_weights",
    "total_return",
    "vtrace",
    "vtrace_targets",
    "whiten",
]
