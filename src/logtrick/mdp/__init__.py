"""Finite Markov decision processes: one object, its checks, its readers, and the field's examples.

A `FiniteMDP` (`model`) stores, for each state, its actions, and for each action its outcomes
(probability, successor, reward, terminated). `arrays` derives expected rewards R(s, a) and
transitions P(s' | s, a) from them. `checks` names the state, the action and the outcome where the
arrays are no MDP; `row_sums` says how far probabilities may be from summing to one. `transforms`
has the fields of new MDPs: of one that restarts, and of one that pays for reaching some states.
`readers` turn arrays, Gymnasium's tables and the files of PRISM, Storm and UMB into the fields of
an MDP; `problems` holds the small MDPs of the literature by name; `graphs` answers questions of
reachability; `gridworlds` knows which states lie on a grid.

Nothing here solves anything: see `logtrick.planning` and `logtrick.exact`.
"""

from logtrick.mdp.model import FiniteMDP

__all__ = ["FiniteMDP"]
