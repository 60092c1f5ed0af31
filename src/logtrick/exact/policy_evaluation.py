"""Values, visits and objectives of a policy, each with a bound on its error (V1–V4, V7, J1–J3)."""

from typing import Any

import numpy as np

from logtrick.exact import tables
from logtrick.exact.chain import Chain
from logtrick.exact.evaluations import (
    Evaluation,
    Kind,
    action_values_error,
    action_values_of,
    chain_of,
    checked,
    gamma_of,
    mean,
    objective_of,
    shares,
    start_defect,
)
from logtrick.exact.finite_horizon import evaluate_steps
from logtrick.exact.matrix_free import AnyMDP
from logtrick.support.rounding import EPS


def evaluate(
    mdp: AnyMDP,
    policy: Any,
    kind: Kind = "discounted",
    *,
    horizon: int | None = None,
    terminal_values: Any = None,
) -> Evaluation:
    """Everything about a policy at once, with error bounds; never raises for missing a tolerance.

    Args:
        mdp: a `FiniteMDP` or a `MatrixFreeMDP`.
        policy: probabilities [S, A], actions int[S], or a pytree called on one observation; with a
            horizon also one for each step, as probabilities [H, S, A] or actions int[H, S].
        kind: "discounted" (J1, with the MDP's γ), "total" (J2, γ = 1) or "average" (J3).
        horizon: H, to stop after so many steps: V_t = r_π + γ P_π V_{t+1}. None for ever.
        terminal_values: V_H [S], what a state is worth when the horizon ends; 0 by default, and in
            terminal states, where nothing follows.

    Returns:
        The `Evaluation`.

    Raises:
        ImproperPolicyError: γ = 1, no horizon, and the policy does not reach an end from every
            state.
        MultichainError: "average" and two closed classes.
        MDPError: "average" on an MDP that ends; terminal values that are none.
        ConvergenceError: numbers too large for float64.
        ConfigError, ShapeError: arguments that do not go together.

    Example:
        >>> from logtrick import problems
        >>> result = evaluate(problems.random_walk(5), np.full((5, 2), 0.5))
        >>> result.values.round(6)
        array([0.166667, 0.333333, 0.5     , 0.666667, 0.833333])
        >>> result.error_bound < 1e-12
        True
        >>> corridor = problems.corridor()
        >>> evaluate(corridor, np.full((3, 2), 0.5), horizon=2, terminal_values=[-9, -9, -9]).values
        array([[-11.  ,  -8.75,  -6.  ],
               [-10.  , -10.  ,  -5.5 ],
               [ -9.  ,  -9.  ,  -9.  ]])
    """
    gamma = gamma_of(mdp, kind)
    if horizon is not None or terminal_values is not None:
        return evaluate_steps(mdp, policy, kind, horizon, terminal_values)
    table = tables.probabilities(mdp, policy)
    chain = chain_of(mdp, table)
    with np.errstate(all="ignore"):
        average = kind == "average"
        found = _average(mdp, chain, table) if average else _valued(mdp, chain, table, kind, gamma)
        return checked(found, mdp)


def _valued(mdp: AnyMDP, chain: Chain, table: np.ndarray, kind: Kind, gamma: float) -> Evaluation:
    """V2, V3 and η."""
    resolvent = chain.resolvent(gamma)
    values = resolvent.values(chain.rewards, chain.reward_error)
    visits = resolvent.visits(mdp.start, start_defect(mdp.start))
    objective, objective_error = objective_of(mdp.start, values)
    return Evaluation(
        kind=kind,
        gamma=gamma,
        probabilities=table,
        values=values.array,
        action_values=action_values_of(mdp, gamma * chain.expect(values.array)),
        visitation=visits.array,
        objective=objective,
        error_bound=values.bound,
        visitation_error=visits.bound,
        objective_error=objective_error,
        action_values_error=action_values_error(chain, gamma, values),
    )


def _average(mdp: AnyMDP, chain: Chain, table: np.ndarray) -> Evaluation:
    """V7, from the cycles between visits to one recurrent state: the anchor.

    With P̃ = P_π cut at the anchor, (I − P̃)^{-1} 1 is the expected time to it, (I − P̃)^{-1} r_π
    the reward until then; their quotient at the anchor is the gain.

    Whatever h is, r̄ lies between the extremes of r_π + P_π h − h, and h errs by what that lacks of
    being constant, added up until the anchor: twice the gain's error for each step.
    """
    anchor, resolvent = chain.anchored()
    times = resolvent.values(np.ones(mdp.num_states)).array
    gain = float(resolvent.values(chain.rewards).array[anchor] / times[anchor])
    bias = resolvent.values(chain.rewards - gain).array
    correction = float(bias[anchor] / times[anchor])
    gain, bias = gain + correction, bias - correction * times
    seen = resolvent.visits(np.eye(1, mdp.num_states, anchor)[0])
    distribution, distribution_error = shares(seen)

    drift = chain.rewards + chain.step(bias) - bias
    size = float(np.abs(bias).max())
    gain_error = float(np.abs(drift - gain).max()) + chain.backup_error(abs(gain) + 2 * size)
    anchored_error = float(resolvent.weights.max()) * 2 * gain_error
    level, rounding = mean(distribution, bias)
    error = 2 * anchored_error + distribution_error * size + rounding + EPS * (size + abs(level))
    bias = bias - level
    return Evaluation(
        kind="average",
        gamma=1.0,
        probabilities=table,
        values=bias,
        action_values=action_values_of(mdp, chain.expect(bias) - gain),
        visitation=distribution,
        objective=gain,
        error_bound=error,
        visitation_error=distribution_error,
        objective_error=gain_error,
        action_values_error=chain.mass * error
        + gain_error
        + chain.backup_error(abs(gain) + float(np.abs(bias).max())),
    )
