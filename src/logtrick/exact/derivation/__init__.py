"""The seven lines in which introductions derive the policy gradient, as numbers (D1–D7, I1–I5).

With a weight w(s) over states and a function ψ(s, a) for "how good":

    D1  ∇ Σ_s w V                       D4  Σ_s w Σ_a ψ ∇π          ψ frozen
    D2  Σ_s w ∇V                        D5  Σ_s w Σ_a π ψ ∇log π    the log trick
    D3  Σ_s w ∇(Σ_a π ψ)                D6  E_{s~w, a~π}[ψ ∇log π]  sums become samples
                                        D7  E[Σ_t ψ ∇log π]         along a trajectory

Whether a step is exact depends on what w and ψ are. `derive` evaluates every line on a finite MDP
under one of three readings, and says where the printed derivation is loose and why its end is
right all the same.
"""

from typing import Any, get_args

import jax

from logtrick.errors import ConfigError, MDPError
from logtrick.exact import tables
from logtrick.exact.derivation.calculus import Calculus
from logtrick.exact.derivation.readings import average, start, stationary
from logtrick.exact.derivation.results import Derivation, Identity, Line, Reading
from logtrick.exact.evaluations import Kind
from logtrick.exact.policy_evaluation import evaluate
from logtrick.mdp.model import FiniteMDP

#: Beyond so many states, time is not unrolled matrix by matrix any more.
MOST_STATES = 2000

_WORDS: dict[Kind, str] = {
    "discounted": "at γ = 1 nothing ends: visits are without bound",
    "average": "no d_π: episodes end, or it depends on the start",
}

_READINGS = {"start": start, "stationary": stationary, "average": average}


def derive(mdp: FiniteMDP, policy: Any, reading: Reading = "start") -> Derivation:
    """Evaluate the lines D1–D7 and the identities I1–I5.

    Args:
        mdp: with at most 2000 states. "stationary" and "average" need one that does not end.
        policy: a pytree called on one observation.
        reading: "start": w = ρ in D1–D3 and η_γ from D4 on, ψ = Q_π (J1, exact). "stationary":
            w = d_π, ψ = Q_γ (J4; the step D1 → D2 is false). "average": w = d_π, ψ = Q̃, and
            the constant function u = r_π + P_π h − h ≡ r̄ in the place of V (J3, exact).

    Returns:
        The `Derivation`.

    Raises:
        ConfigError: a table of probabilities (which has no parameters), too many states, or
            "stationary" at γ = 1.
        MDPError, MultichainError, ImproperPolicyError: as in `logtrick.exact`.

    Example:
        >>> from logtrick import problems
        >>> from logtrick.policies import SoftmaxTable
        >>> loop = problems.two_state_loop()
        >>> found = derive(loop, SoftmaxTable(loop), "stationary")
        >>> round(found.dropped, 6)  # (1 − γ)/(1 + γp) at γ = p = .5
        0.4

    Source: Sutton et al. (1999) for "start" and "average"; Baxter & Bartlett (2001), theorem 2,
        for the term that "stationary" drops.
    """
    if reading not in get_args(Reading):
        raise ConfigError(f"reading is {reading!r}; choose start, stationary or average")
    if tables.is_array(policy):
        raise ConfigError("a table of probabilities has no parameters to derive by")
    if mdp.num_states > MOST_STATES:
        raise ConfigError(
            f"{mdp.num_states} states are too many to derive on; {MOST_STATES} are not"
        )
    if reading == "stationary" and mdp.gamma == 1:
        raise ConfigError('at γ = 1 there is no V_γ to weigh by d_π; use the reading "average"')
    missing = {kind: _missing(mdp, policy, kind) for kind in _WORDS}
    if error := missing["discounted" if reading == "start" else "average"]:
        raise error
    words = [kind_words if missing[kind] else "" for kind, kind_words in _WORDS.items()]
    with jax.enable_x64(True):
        return _READINGS[reading](Calculus(mdp.replace(storage="dense"), policy, *words))


def _missing(mdp: FiniteMDP, policy: Any, kind: Kind) -> MDPError | None:
    """What is wrong with an objective here, before anything is traced."""
    try:
        evaluate(mdp, policy, kind)
    except MDPError as error:
        return error
    return None


__all__ = ["Derivation", "Identity", "Line", "Reading", "derive"]
