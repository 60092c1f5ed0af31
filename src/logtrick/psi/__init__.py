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
| `registry` | all of these by name: what each takes, and the mean that each claims |

A function is loaded when it is first used. The registry is data that the command line reads, and
reading a command line must not load JAX.
"""

import importlib
from typing import Any

_HOME = {
    "above_optimal_baseline": "actions",
    "advantage": "actions",
    "all_action_sum": "actions",
    "baselined_return": "returns",
    "cispo": "ratios",
    "clipped": "ratios",
    "constant_length_weights": "weights",
    "dr_grpo": "groups",
    "dual_clip": "ratios",
    "episode_return": "returns",
    "gae": "advantages",
    "grpo": "groups",
    "gspo": "ratios",
    "importance": "ratios",
    "informative": "groups",
    "k1": "kl",
    "k2": "kl",
    "k3": "kl",
    "lambda_return": "returns",
    "n_step": "advantages",
    "opo": "groups",
    "optimal_baseline": "actions",
    "penalised_rewards": "kl",
    "ppo_clip": "ratios",
    "q_value": "actions",
    "ratio": "ratios",
    "remax": "groups",
    "retrace": "off_policy",
    "reward_to_go": "returns",
    "rloo": "groups",
    "score": "ratios",
    "sequence_mean_weights": "weights",
    "sequence_ratio": "ratios",
    "sequence_sum_weights": "weights",
    "td_residual": "advantages",
    "token_mean_weights": "weights",
    "total_return": "returns",
    "vtrace": "off_policy",
    "vtrace_targets": "off_policy",
    "whiten": "groups",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'logtrick.psi' has no attribute {name!r}")
    function = getattr(importlib.import_module(f"logtrick.psi.{_HOME[name]}"), name)
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return [*__all__, *globals()]
