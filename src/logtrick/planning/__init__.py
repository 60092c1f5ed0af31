"""Optimal values and policies of finite MDPs, each with a proved bound (V5, V6, V7).

The sweeps are machine code over sparse storage, shared by a few threads. What a method returns is
never trusted: one more sweep bounds how far it is from the truth, rounding included.
"""

from logtrick.planning.solver import Progress, Solution, solve

__all__ = ["Progress", "Solution", "solve"]
