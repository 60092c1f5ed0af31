"""Finite Markov decision processes: one object, its checks, its readers, and the field's examples.

A `FiniteMDP` (`model`) stores, for each state, its actions, and for each action its outcomes
(probability, successor, reward, terminated). `arrays` derives expected rewards R(s, a) and
transitions P(s' | s, a) from them, `checks` names the state, action and outcome of whatever is no
MDP, and `transforms` makes new MDPs: one that restarts, one that pays for reaching a set of states.
`readers` turn arrays, Gymnasium's tables and the files of PRISM, Storm and UMB into the fields of
an MDP; `problems` holds the small MDPs of the literature by name; `graphs` answers questions of
reachability; `gridworlds` knows which states lie on a grid.

Nothing here solves anything: see `logtrick.planning` and `logtrick.exact`.
"""

from logtrick.mdp.model import FiniteMDP

__all__ = ["FiniteMDP"]
