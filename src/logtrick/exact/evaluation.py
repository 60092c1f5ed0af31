"""Values, visits and objectives of a policy, each with a bound on its error (V1–V4, V7, J1–J3)."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from logtrick.errors import ConfigError
from logtrick.exact import tables
from logtrick.exact.chain import Chain, FiniteChain
from logtrick.exact.matrix_free import AnyMDP, MatrixFreeChain
from logtrick.exact.resolvent import Certified
from logtrick.exact.rounding import EPS, TINY, require_finite
from logtrick.mdp import FiniteMDP

Kind = Literal["discounted", "total", "average"]


@dataclass(frozen=True)
class Evaluation:
    """What a policy is worth, and how far each number may be from the truth.

    The truth is that of the MDP and the policy with every row a distribution: rows that are off by
    rounding are read as if they were divided by their sums.

    With `kind="average"` the values are the bias h (normalised so that d_π·h = 0), the action
    values Q̃ = R − r̄ + P h, the visitation the stationary distribution, the objective the gain r̄.
    With a horizon H the values are V_t for t = 0 ... H, the last of them as given, and the visits
    those of the steps 0 ... H − 1.
    """

    kind: Kind
    gamma: float
    """1 with `kind="total"` and `kind="average"`."""
    probabilities: Float[np.ndarray, "..."]
    """π(a | s), [S, A]; [H, S, A] where the policy has one table for each step."""
    values: Float[np.ndarray, "..."]
    """V_π (V2), [S]; with a horizon V_t, [H + 1, S], values[0] with H steps to go"""
    action_values: Float[np.ndarray, "..."]
    """Q_π (V3), [S, A]; with a horizon [H, S, A]; −∞ at actions that a state does not have"""
    visitation: Float[np.ndarray, " S"]
    """η_γ, the discounted number of visits to each state"""
    objective: float
    """J (J1, J2) or r̄ (J3)"""
    error_bound: float
    """The largest error of a state's value."""
    visitation_error: float
    """The sum over states of the errors of the visits."""
    objective_error: float
    """The error of the objective."""
    action_values_error: float
    """The largest error of an action's value."""
    step_visitation: Float[np.ndarray, "H_plus_one S"] | None = None
    """With a horizon γ^t Pr(s_t = s) for t = 0 ... H; their errors sum to `visitation_error`."""

    @property
    def horizon(self) -> int | None:
        """H, or None."""
        return None if self.step_visitation is None else len(self.step_visitation) - 1

    @property
    def advantages(self) -> Float[np.ndarray, "..."]:
        """A_π = Q_π − V_π (V4), −∞ at actions that a state does not have."""
        values = self.values if self.horizon is None else self.values[:-1]
        return self.action_values - values[..., None]

    @property
    def table_gradient(self) -> Float[np.ndarray, "..."]:
        """∂J/∂π(a | s) = η(s) Q(s, a), the entries of a table taken as free (G1, G3).

        With a horizon the sum over its steps, Σ_t γ^t Pr(s_t = s) Q_t(s, a), or one table for each
        step where the policy has one.
        """
        return self.visited(np.where(np.isfinite(self.action_values), self.action_values, 0.0))

    @property
    def logit_gradient(self) -> Float[np.ndarray, "..."]:
        """∂J/∂θ(s, a) = η(s) π(a | s) A(s, a), θ the logits of a softmax in each state (G1, G3)."""
        return self.probabilities * self.visited(
            np.where(self.probabilities > 0, self.advantages, 0.0)
        )

    def visited(self, table: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """η(s) f(s, a) for a table f; over a horizon Σ_t η_t(s) f_t(s, a), or each t by itself."""
        if self.step_visitation is None:
            return self.visitation[:, None] * table
        weighted = self.step_visitation[:-1, :, None] * table
        return weighted if self.probabilities.ndim == 3 else weighted.sum(axis=0)

    @property
    def gradient_error(self) -> float:
        """The sum over (s, a) of the errors of `table_gradient`.

        A parameter's derivative errs by this times the largest |∂π(a | s)/∂θ| at most, which for
        the logits of a softmax is 1/4.
        """
        finite = np.where(np.isfinite(self.action_values), np.abs(self.action_values), 0.0)
        largest = float(finite.max(initial=0.0))
        rounding = EPS * (2 + (self.horizon or 0)) * largest
        from_visits = self.visitation_error * float(finite.sum(axis=-1).max(initial=0.0))
        visits = float(np.abs(self.visitation).sum()) + self.visitation_error
        actions = self.action_values.shape[-1]
        from_values = visits * actions * (self.action_values_error + rounding)
        return from_visits + from_values + TINY * self.action_values.size


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
        from logtrick.exact.horizon import evaluate_steps

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


def checked(found: Evaluation, mdp: AnyMDP) -> Evaluation:
    """The same, unless a number of it, or of what follows from it, is beyond float64.

    Raises:
        ConvergenceError: one is.
    """
    for table in (found.action_values, found.advantages):
        require_finite(np.where(mdp.available, table, 0.0))
    require_finite(found.values, found.objective, found.objective_error, found.gradient_error)
    return found


def gamma_of(mdp: AnyMDP, kind: Kind) -> float:
    """The γ of an objective: the MDP's with "discounted", else 1."""
    if kind not in get_args(Kind):
        raise ConfigError(f"kind is {kind!r}; choose discounted, total or average")
    return float(mdp.gamma) if kind == "discounted" else 1.0


def chain_of(mdp: AnyMDP, table: Float[np.ndarray, "S A"]) -> Chain:
    """The chain of a policy on a finite or a matrix-free MDP."""
    if isinstance(mdp, FiniteMDP):
        return FiniteChain(mdp, table)
    return MatrixFreeChain(mdp, table)


def action_values_of(mdp: AnyMDP, continued: np.ndarray) -> np.ndarray:
    """R + what follows (V3), −∞ at actions that a state does not have."""
    return np.where(mdp.available, mdp.dense_rewards() + continued, -np.inf)


def objective_of(start: np.ndarray, values: Certified) -> tuple[float, float]:
    """J = Σ_s ρ(s) V(s) (J1), and a bound on its error."""
    total, rounding = mean(start, values.array)
    defect, size = start_defect(start), float(np.abs(values.array).max())
    return total, (1 + defect) * values.bound + defect * size + rounding


def action_values_error(chain: Chain, gamma: float, values: Certified) -> float:
    """A bound on the error of Q = R + γ P V (V3)."""
    size = float(np.abs(values.array).max())
    return gamma * chain.mass * values.bound + chain.backup_error(gamma * size)


def shares(visits: Certified) -> Certified:
    """Visits divided by their sum; the bound is on the sum of all errors, as theirs is."""
    total = math.fsum(visits.array.tolist())
    return Certified(visits.array / total, 2 * visits.bound / total + 2 * EPS)


def mean(weights: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Σ weights · values, and what rounding may have changed: the sum itself is exact."""
    products = weights * values
    try:
        magnitude = math.fsum(np.abs(products).tolist())
        return math.fsum(products.tolist()), EPS * magnitude + TINY * len(products)
    except (OverflowError, ValueError):  # it is beyond float64, or a product is
        return math.nan, math.nan


def start_defect(start: Float[np.ndarray, " S"]) -> float:
    """How far a start distribution is from summing to one: rounding only."""
    return abs(math.fsum(start.tolist()) - 1.0) + EPS / 2
