"""∇J of every objective that an MDP and a policy have, on flat parameters."""

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.policies import ScoredPolicy
from logtrick.errors import MDPError
from logtrick.exact import Kind, evaluate

KINDS: tuple[Kind, ...] = ("discounted", "total", "average")


def gradient(policy: ScoredPolicy, kind: Kind = "discounted") -> Float64[np.ndarray, " N"]:
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
    weights = exact.visitation[mdp.pair_states] * pi * exact.advantages[where]
    return weights @ policy.scores


def gradients(policy: ScoredPolicy) -> dict[Kind, Float64[np.ndarray, " N"]]:
    """∇J of each kind that exists here; "total" only where it differs from "discounted"."""
    found = {}
    for kind in KINDS:
        if kind == "total" and policy.mdp.gamma == 1:
            continue
        try:
            found[kind] = gradient(policy, kind)
        except MDPError:
            if kind == "discounted":
                raise
    return found
