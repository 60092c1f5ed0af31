"""∇J of every objective that an MDP and a policy have, on flat parameters."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.scored import ScoredPolicy
from logtrick.errors import MDPError
from logtrick.exact import Kind, evaluate

KINDS: tuple[Kind, ...] = ("discounted", "total", "average")


class Truth(NamedTuple):
    """A gradient, and the size of what it is summed from: what rounding is relative to."""

    vector: Float64[np.ndarray, " N"]
    size: float
    """Σ_s η(s) Σ_a π(a|s) (|Q(s, a)| + E|r|) ‖∇log π(a|s)‖."""


def truth(policy: ScoredPolicy, kind: Kind = "discounted") -> Truth:
    """∇J = Σ_s η(s) Σ_a π(a|s) A(s, a) ∇log π(a|s) (G1 to G3, with A for Q since E ∇log π = 0).

    Args:
        policy: the policy.
        kind: "discounted" (J1), "total" (J2) or "average" (J3).

    Raises:
        ImproperPolicyError, MultichainError, MDPError: the policy has no such J on this MDP.
    """
    mdp, pi = policy.mdp, policy.probabilities
    where = (mdp.pair_states, mdp.pair_actions)
    table = np.zeros(mdp.available.shape)
    table[where] = pi
    exact = evaluate(mdp, table, kind)
    chances = exact.visitation[mdp.pair_states] * pi
    paid = np.bincount(mdp.outcome_pairs, mdp.probabilities * np.abs(mdp.rewards), mdp.num_pairs)
    terms = (np.abs(exact.action_values[where]) + paid) * np.linalg.norm(policy.scores, axis=1)
    return Truth((chances * exact.advantages[where]) @ policy.scores, float(chances @ terms))


def gradient(policy: ScoredPolicy, kind: Kind = "discounted") -> Float64[np.ndarray, " N"]:
    """∇J [N] alone: the vector of `truth`."""
    return truth(policy, kind).vector


def truths(policy: ScoredPolicy) -> dict[Kind, Truth]:
    """Of each kind that exists here; "total" only where it differs from "discounted"."""
    found = {}
    for kind in KINDS:
        if kind == "total" and policy.mdp.gamma == 1:
            continue
        try:
            found[kind] = truth(policy, kind)
        except MDPError:
            if kind == "discounted":
                raise
    return found
