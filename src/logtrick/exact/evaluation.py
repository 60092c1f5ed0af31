"""Values, visits and objectives of a policy, each with a bound on its error (V1–V4, V7, J1–J3)."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from logtrick.errors import ConfigError
from logtrick.exact import tables
from logtrick.exact.chain import Chain, FiniteChain
from logtrick.exact.matrix_free import AnyMDP, MatrixFreeChain
from logtrick.exact.resolvent import EPS
from logtrick.mdp import FiniteMDP

Kind = Literal["discounted", "total", "average"]


@dataclass(frozen=True)
class Evaluation:
    """What a policy is worth, and how far rounding may have moved each number.

    With `kind="average"` the values are the bias h (normalised so that d_π·h = 0), the action
    values Q̃ = R − r̄ + P h, the visitation the stationary distribution, the objective the gain r̄.
    """

    kind: Kind
    gamma: float
    """1 with `kind="total"` and `kind="average"`."""
    probabilities: Float[np.ndarray, "S A"]
    """π(a | s)"""
    values: Float[np.ndarray, " S"]
    """V_π (V2)"""
    action_values: Float[np.ndarray, "S A"]
    """Q_π (V3), −∞ at actions that a state does not have"""
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

    @property
    def advantages(self) -> Float[np.ndarray, "S A"]:
        """A_π = Q_π − V_π (V4), −∞ at actions that a state does not have."""
        return self.action_values - self.values[:, None]

    @property
    def table_gradient(self) -> Float[np.ndarray, "S A"]:
        """∂J/∂π(a | s) = η(s) Q(s, a), the entries of a table taken as free (G1, G3)."""
        finite = np.where(np.isfinite(self.action_values), self.action_values, 0.0)
        return self.visitation[:, None] * finite

    @property
    def logit_gradient(self) -> Float[np.ndarray, "S A"]:
        """∂J/∂θ(s, a) = η(s) π(a | s) A(s, a), θ the logits of a softmax in each state (G1, G3)."""
        finite = np.where(self.probabilities > 0, self.advantages, 0.0)
        return self.visitation[:, None] * self.probabilities * finite

    @property
    def gradient_error(self) -> float:
        """The sum over (s, a) of the errors of `table_gradient`.

        A parameter's derivative errs by this times the largest |∂π(a | s)/∂θ| at most, which for
        the logits of a softmax is 1/4.
        """
        finite = np.where(np.isfinite(self.action_values), np.abs(self.action_values), 0.0)
        actions = self.action_values.shape[1]
        slack = self.error_bound + 8 * EPS * float(finite.max())
        from_visits = self.visitation_error * float(finite.sum(axis=1).max())
        visits = float(np.abs(self.visitation).sum()) + self.visitation_error
        return from_visits + visits * actions * slack


def evaluate(mdp: AnyMDP, policy: Any, kind: Kind = "discounted") -> Evaluation:
    """Everything about a policy at once, with error bounds; never raises for missing a tolerance.

    Args:
        mdp: a `FiniteMDP` or a `MatrixFreeMDP`.
        policy: probabilities [S, A], actions int[S], or a pytree called on one observation.
        kind: "discounted" (J1, with the MDP's γ), "total" (J2, γ = 1) or "average" (J3).

    Returns:
        The `Evaluation`.

    Raises:
        ImproperPolicyError: γ = 1 and the policy does not reach an end from every state.
        MultichainError: "average" and two closed classes.
        MDPError: "average" on an MDP that ends.

    Example:
        >>> from logtrick import problems
        >>> result = evaluate(problems.random_walk(5), np.full((5, 2), 0.5))
        >>> result.values.round(6)
        array([0.166667, 0.333333, 0.5     , 0.666667, 0.833333])
        >>> result.error_bound < 1e-12
        True
    """
    gamma = gamma_of(mdp, kind)
    table = tables.probabilities(mdp, policy)
    chain = chain_of(mdp, table)
    if kind == "average":
        return _average(mdp, chain, table)
    resolvent = chain.resolvent(gamma)
    values = resolvent.values(chain.rewards, chain.reward_error)
    visits = resolvent.visits(mdp.start)
    objective, rounding = mean(mdp.start, values.array)
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
        objective_error=values.bound + rounding,
    )


def _average(mdp: AnyMDP, chain: Chain, table: np.ndarray) -> Evaluation:
    """V7, from the cycles between visits to one recurrent state: the anchor.

    With P̃ = P_π cut at the anchor, (I − P̃)^{-1} 1 is the expected time to it, (I − P̃)^{-1} r_π
    the reward until then; their quotient at the anchor is the gain.
    """
    anchor, resolvent = chain.anchored()
    times = resolvent.values(np.ones(mdp.num_states)).array
    gain = float(resolvent.values(chain.rewards).array[anchor] / times[anchor])
    bias = resolvent.values(chain.rewards - gain).array
    correction = float(bias[anchor] / times[anchor])
    gain, bias = gain + correction, bias - correction * times
    seen = resolvent.visits(np.eye(1, mdp.num_states, anchor)[0])
    total = float(seen.array.sum())
    distribution, distribution_error = seen.array / total, 2 * seen.bound / total

    drift = chain.rewards + chain.step(bias) - bias
    scale = np.abs(chain.rewards) + abs(gain) + 2 * float(np.abs(bias).max())
    rounding = chain.reward_error + EPS * (chain.terms + 8) * float(scale.max())
    gain_error = float(np.abs(drift - gain).max()) + rounding
    anchored_error = float(resolvent.weights.max()) * 2 * gain_error
    level, _ = mean(distribution, bias)
    bias = bias - level
    return Evaluation(
        kind="average",
        gamma=1.0,
        probabilities=table,
        values=bias,
        action_values=action_values_of(mdp, chain.expect(bias) - gain),
        visitation=distribution,
        objective=gain,
        error_bound=2 * anchored_error + distribution_error * float(np.abs(bias).max()),
        visitation_error=distribution_error,
        objective_error=gain_error,
    )


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


def mean(weights: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Σ weights · values by pairwise summation, and what rounding may have changed."""
    products = weights * values
    return float(products.sum()), 64 * EPS * float(np.abs(products).sum())
