"""Everything about one policy on one finite MDP, as `logtrick solve` shows and stores it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np

from logtrick import exact, planning
from logtrick.commands.policy_files import NamedPolicy, read_policy
from logtrick.errors import ConfigError
from logtrick.exact import Evaluation, Kind, tables
from logtrick.exact.gradient import cotangent
from logtrick.exact.values import TOLERANCE, within
from logtrick.mdp.model import FiniteMDP
from logtrick.planning import Progress, Solution
from logtrick.policies import SoftmaxTable
from logtrick.support.numbers import checked_tolerance, checked_whole


@dataclass(frozen=True, eq=False)
class Slope:
    """The size of ∇J in a policy's parameters."""

    norm: float
    error: float | None
    """At most so far from the truth; None where the parameters' own derivatives are not bounded."""
    parameters: str
    """The parameters by which J is differentiated, in words."""


@dataclass(frozen=True, eq=False)
class Solved:
    """One policy on one MDP, with all numbers about it."""

    name: str
    """The name of the MDP."""
    mdp: FiniteMDP
    source: str
    """Where the policy is from: "optimal", "uniform", a file or a run."""
    evaluation: Evaluation
    solution: Solution | None
    """What proves the policy optimal; None where none was looked for."""
    slope: Slope
    seconds: float

    @property
    def actions(self) -> np.ndarray | None:
        """int[S] (or [H, S]) where the policy is deterministic, else None."""
        table = self.evaluation.probabilities
        return table.argmax(axis=-1) if ((table == 0) | (table == 1)).all() else None

    @property
    def values(self) -> np.ndarray:
        """V [S]; with a horizon, before its first step."""
        found = self.evaluation
        return found.values if found.horizon is None else found.values[0]

    @property
    def probabilities(self) -> np.ndarray:
        """π [S, A]; with a horizon, at its first step."""
        table = self.evaluation.probabilities
        return table if table.ndim == 2 else table[0]

    def action_name(self, action: int) -> str:
        """The action's name, or its number."""
        names = self.mdp.action_names
        return str(action) if names is None else names[action]

    def numbers(self) -> dict[str, Any]:
        """Everything as plain values and arrays, for JSON and `.npz`."""
        e, solution = self.evaluation, self.solution
        return {
            "mdp": self.name,
            "states": self.mdp.num_states,
            "actions": self.mdp.num_actions,
            "kind": e.kind,
            "gamma": e.gamma,
            "horizon": e.horizon,
            "minimised": None if solution is None else solution.minimised,
            "policy_source": self.source,
            "objective": e.objective,
            "objective_error": e.objective_error,
            "gradient_norm": self.slope.norm,
            "gradient_norm_error": self.slope.error,
            "gradient_by": self.slope.parameters,
            "values_error": e.error_bound,
            "visitation_error": e.visitation_error,
            "optimality_gap": None if solution is None else solution.error_bound,
            "method": None if solution is None else solution.method,
            "iterations": None if solution is None else solution.iterations,
            "seconds": self.seconds,
            "start": self.mdp.start,
            "values": e.values,
            "visitation": e.visitation,
            "policy": e.probabilities if self.actions is None else self.actions,
        }


def solve(
    name: str,
    mdp: FiniteMDP,
    policy: str = "optimal",
    kind: Kind = "discounted",
    *,
    horizon: int | None = None,
    minimise: bool = False,
    tol: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Solved:
    """Find or read a policy, and evaluate it.

    Args:
        name: what to call the MDP.
        mdp: the MDP.
        policy: "optimal", or what `read_policy` takes.
        kind: "discounted", "total" or "average".
        horizon: H ≥ 1, to stop after so many steps; None for ever.
        minimise: the optimal policy is the one with the least values.
        tol: the optimal values, or those of the policy, err by tol · max(1, size of the values) at
            most; 1e-8 for an optimum if not given, and no limit for a policy.
        progress: called now and then while an optimal policy is searched.

    Raises:
        ConfigError: `minimise` with a policy that is given.
        ConvergenceError: `tol` is not met.
        LogtrickError: as `planning.solve`, `read_policy` and `exact.evaluate` do.

    Example:
        >>> from logtrick import problems
        >>> solved = solve("forest", problems.forest())
        >>> round(solved.evaluation.objective, 6), solved.actions.tolist()
        (26.244, [0, 0, 0])
    """
    begin = time.perf_counter()
    if horizon is not None:
        horizon = checked_whole("horizon", horizon, 1)
    solution = None
    if policy == "optimal":
        solution = planning.solve(
            mdp,
            kind,
            horizon,
            tol=TOLERANCE if tol is None else tol,
            minimise=minimise,
            progress=progress,
        )
        found = NamedPolicy(solution.policy, "optimal")
    else:
        if minimise:
            raise ConfigError(
                f"minimise says which policy is optimal; with the policy {policy} it has no effect"
            )
        found = read_policy(mdp, policy, horizon)
    evaluation = exact.evaluate(mdp, found.policy, kind, horizon=horizon)
    if solution is None and tol is not None:
        average = evaluation.kind == "average"
        bound = evaluation.objective_error if average else evaluation.error_bound
        size = abs(evaluation.objective) if average else float(np.abs(evaluation.values).max())
        within(checked_tolerance(tol), "the gain" if average else "the values", bound, size)
    slope = _slope(mdp, found.policy, evaluation)
    seconds = time.perf_counter() - begin
    return Solved(name, mdp, found.source, evaluation, solution, slope, seconds)


def _slope(mdp: FiniteMDP, policy: Any, evaluation: Evaluation) -> Slope:
    """‖∇J‖: of a pytree by its parameters, of a table by the logits of a softmax in each state.

    Each probability's derivatives by the logits of its state sum to 1/2 at most in absolute value,
    hence the bound.
    """
    if tables.is_array(policy):
        gradient: Any = evaluation.logit_gradient
        steps = len(gradient) if gradient.ndim == 3 else 1
        by = "state × action" if gradient.ndim == 2 else "step × state × action"
        words = f"{steps * mdp.num_pairs:,} logits ({by})"
    else:
        gradient = tables.pull(mdp, policy, cotangent(policy, evaluation))
        count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(policy, eqx.is_inexact_array)))
        words = f"{count:,} parameters"
    norm = math.hypot(*(float(np.linalg.norm(leaf)) for leaf in jax.tree.leaves(gradient)))
    if not tables.is_array(policy) and not isinstance(policy, SoftmaxTable):
        return Slope(norm, None, words)
    if isinstance(policy, SoftmaxTable):
        words = f"{policy.logits.size:,} logits (observation × action)"
    return Slope(norm, evaluation.gradient_error / 2, words)
