"""The result of an exact evaluation, and the parts from which every evaluation is made."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from logtrick.errors import ConfigError
from logtrick.exact.chain import Chain, FiniteChain
from logtrick.exact.matrix_free import AnyMDP, MatrixFreeChain
from logtrick.exact.resolvent import Certified, require_finite
from logtrick.mdp.model import FiniteMDP
from logtrick.support.rounding import EPS, TINY

Kind = Literal["discounted", "total", "average"]


@dataclass(frozen=True)
class Evaluation:
    """What a policy is worth; how often training evaluates is `runs.config.Evaluation`.

    Each number comes with a bound on how far it may be from the truth.

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
        """H, the number of steps; None where the evaluation has no horizon."""
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
