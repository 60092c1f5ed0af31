"""Optimal values and policies of finite MDPs, each with a proved bound (V5, V6, V7).

The optimal values are the fixed point of T v = max_a (R + γ P v). A method improves v in between
(`methods`), one more backup bounds how far v is from the truth, rounding included (`certificates`),
and that bound alone decides when a search ends (`spanning` for γ < 1 and averages, `total` for
γ = 1, `horizon` for finitely many steps). So a fast method need not be trusted.

Policy iteration solves (I − γP) x = b for each policy. The library has several solvers of this
system, because no single one serves all sizes and callers. Sparse LU factors are fastest up to some
hundred states (`evaluators`). Above that, Krylov iterations need little memory besides P
(`sparse.krylov`). `logtrick.exact` asks more of the same system: residuals that are summed with
compensation, the transposed system for visits, and a bound on each solution. Inside a user's JAX
transform a solution must be differentiable (`exact.traced`). The audit's moments solve the system
once for many right-hand sides (`auditing.flow`).

The sweeps are machine code over sparse storage, shared by a few threads (`sparse`).
"""

from logtrick.planning.solver import Progress, Solution, solve

__all__ = ["Progress", "Solution", "solve"]
