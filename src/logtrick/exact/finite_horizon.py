"""A policy over a finite horizon: values backward, visits forward, each with a proved bound."""

from typing import Any

import numpy as np

from logtrick.errors import ConfigError
from logtrick.exact import tables
from logtrick.exact.chain import Chain
from logtrick.exact.evaluations import (
    Evaluation,
    Kind,
    action_values_of,
    chain_of,
    checked,
    gamma_of,
    objective_of,
    start_defect,
)
from logtrick.exact.matrix_free import AnyMDP
from logtrick.exact.resolvent import Certified
from logtrick.mdp.checks import terminal_values as checked_values
from logtrick.support.numbers import checked_whole
from logtrick.support.rounding import EPS, relative_error


def evaluate_steps(
    mdp: AnyMDP, policy: Any, kind: Kind, horizon: int | None, terminal_values: Any
) -> Evaluation:
    """See `evaluate`: V_t = r_{π_t} + γ P_{π_t} V_{t+1} from V_H, and η_{t+1} = γ η_t P_{π_t}."""
    terminal = getattr(mdp, "terminal", None)  # a matrix-free MDP does not say which they are
    last = checked_values(terminal_values, horizon, mdp.num_states, terminal)
    steps = checked_whole("horizon", horizon, 0)
    if kind == "average":
        raise ConfigError(
            "kind='average' is what a step pays in the long run, which no horizon has; leave the "
            "horizon out, or divide the total by it"
        )
    table = tables.probabilities_over(mdp, policy, steps)
    gamma = gamma_of(mdp, kind)
    chains = _chains(mdp, table, steps)
    with np.errstate(all="ignore"):
        values, action_values, errors = _backward(mdp, chains, table, gamma, last)
        visits, visits_error = _forward(mdp, chains, table, gamma)
        first = Certified(values[0], errors[0])
        objective, objective_error = objective_of(mdp.start, first)
        found = Evaluation(
            kind=kind,
            gamma=gamma,
            probabilities=table,
            values=values,
            action_values=action_values,
            visitation=visits[:-1].sum(axis=0),
            objective=objective,
            error_bound=max(errors),
            visitation_error=visits_error,
            objective_error=objective_error,
            action_values_error=max(errors),
            step_visitation=visits,
        )
        return checked(found, mdp)


def _chains(mdp: AnyMDP, table: np.ndarray, steps: int) -> list[Chain]:
    """The chain of each step; one and the same where the policy does not change."""
    if table.ndim == 2:
        return [chain_of(mdp, table)] * steps
    return [chain_of(mdp, step) for step in table]


def _backward(
    mdp: AnyMDP, chains: list[Chain], table: np.ndarray, gamma: float, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """V_t, Q_t and what their errors are at most, for t = 0 ... H."""
    steps = len(chains)
    values = np.empty((steps + 1, mdp.num_states))
    action_values = np.empty((steps, mdp.num_states, mdp.num_actions))
    values[steps], errors = last, [0.0]
    for t in reversed(range(steps)):
        chain, size = chains[t], float(np.abs(values[t + 1]).max())
        errors.append(gamma * chain.mass * errors[-1] + chain.backup_error(gamma * size))
        action_values[t] = action_values_of(mdp, gamma * chain.expect(values[t + 1]))
        own = table if table.ndim == 2 else table[t]
        values[t] = (own * np.where(mdp.available, action_values[t], 0.0)).sum(axis=1)
    return values, action_values, errors[::-1]


def _forward(
    mdp: AnyMDP, chains: list[Chain], table: np.ndarray, gamma: float
) -> tuple[np.ndarray, float]:
    """γ^t Pr(s_t = s) for t = 0 ... H, and what the sum of all errors is at most."""
    visits = np.empty((len(chains) + 1, mdp.num_states))
    visits[0] = mdp.start
    error = total = start_defect(mdp.start) * float(np.abs(mdp.start).sum())
    arrivals = chains[0].arrivals if chains else 0
    for t, chain in enumerate(chains):
        own = table if table.ndim == 2 else table[t]
        visits[t + 1] = gamma * chain.arrive(own * visits[t][:, None])
        mass = gamma * chain.mass * float(visits[t].sum())
        relative = relative_error(arrivals, chain.slack)
        error = gamma * chain.mass * error + relative * mass
        total += error
    # Twice what adding up the steps may lose, which covers all that underflows on the way.
    return visits, total + EPS * len(chains) * float(visits[:-1].sum())
