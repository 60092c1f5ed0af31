"""Exact quantities of a policy on a finite MDP: the ground truth of everything else.

With P_π(s' | s) = Σ_a π(a | s) P(s' | s, a), terminated mass removed, and r_π = Σ_a π R,

    V_π = (I − γP_π)^{-1} r_π                          (V2)
    η_γ = (I − γP_πᵀ)^{-1} ρ
    J   = ρ·V_π = η_γ·r_π                              (J1)
    ∇J  = Σ_s η_γ(s) Σ_a Q_π(s, a) ∇π(a | s)           (G1)

Called directly, a function promotes the policy's parameters and returns float64 NumPy, whatever
JAX's settings, and raises where its error bound exceeds tol · max(1, size of the numbers), as
`planning.solve` does; `evaluate` returns the bounds, which are absolute. Where all numbers are
smaller than one, `tol` is absolute too: with rewards of 10⁻⁹ the default 10⁻⁸ promises nothing.
The bounds hold for the MDP and the policy with every row a distribution; rows that are off by
rounding are read as if they were divided by their sums.

Called inside the caller's `jit`, `grad` or `vmap`, it needs x64 (`with jax.enable_x64(True)`) and
returns JAX arrays that can be differentiated again.

A policy is a table of probabilities [S, A], actions int[S], or a pytree that is called on one
observation and returns a distribution over actions.
"""

from logtrick.exact.curvature import fisher_vector_product, natural_gradient
from logtrick.exact.evaluations import Evaluation, Kind
from logtrick.exact.gradient import hessian_vector_product, policy_gradient
from logtrick.exact.matrix_free import MatrixFreeMDP
from logtrick.exact.policy_evaluation import evaluate
from logtrick.exact.values import (
    GainAndBias,
    action_values,
    advantages,
    gain_and_bias,
    objective,
    state_values,
    stationary_distribution,
    visitation,
)

__all__ = [
    "Evaluation",
    "GainAndBias",
    "Kind",
    "MatrixFreeMDP",
    "action_values",
    "advantages",
    "evaluate",
    "fisher_vector_product",
    "gain_and_bias",
    "hessian_vector_product",
    "natural_gradient",
    "objective",
    "policy_gradient",
    "state_values",
    "stationary_distribution",
    "visitation",
]
