"""Every ψ_t: what stands in for "how good was a_t" in ∇J = E[Σ_t γ^t ψ_t ∇log π(a_t|s_t)].

Functions of arrays [..., T] (time last, batch axes in front) that return [..., T]. JAX, NumPy and
torch arrays are accepted and the same kind and dtype is returned.
"""

from logtrick.psi.advantages import gae, n_step, td_residual
from logtrick.psi.returns import (
    baselined_return,
    episode_return,
    lambda_return,
    reward_to_go,
    total_return,
)

__all__ = [
    "baselined_return",
    "episode_return",
    "gae",
    "lambda_return",
    "n_step",
    "reward_to_go",
    "td_residual",
    "total_return",
]
