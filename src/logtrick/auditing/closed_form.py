"""The registered ψ of single trajectories, each with its mean and covariance in closed form."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.critic import Critic
from logtrick.auditing.flow import Flow
from logtrick.auditing.moments import Moments, TotalReturn, Trace
from logtrick.auditing.settings import Settings, state_values
from logtrick.errors import ConfigError, ShapeError
from logtrick.mdp.model import FiniteMDP
from logtrick.psi.registry import PSIS, Psi, Scope, psi_named

ESTIMATORS = tuple(row.name for row in PSIS if not row.of_sequences)
"""The names that `moments` knows. `vtrace` is meant on-policy, where it is `gae`."""


def moments(
    psi: str,
    mdp: FiniteMDP,
    probabilities: Float64[np.ndarray, " P"],
    scores: Float64[np.ndarray, "P N"],
    *,
    values: Float64[np.ndarray, " S"] | None = None,
    gamma: float | None = None,
    lambda_: float = 0.95,
    n: int = 5,
    weighting: str = "discounted",
    horizon: int | None = None,
) -> Moments:
    """Mean and covariance of Σ_t w_t ψ_t ∇log π(a_t|s_t) over one trajectory, without sampling.

    w_t is γ^t ("discounted", G2) or 1 ("undiscounted", G4). The policy is given on the pairs (s, a)
    of the MDP, in their order.

    Args:
        psi: one of `ESTIMATORS`. A `baselined_return` bootstraps with `values` at a horizon, as
            `gae` with λ = 1 does; `total_return` and `reward_to_go` leave out what is beyond it.
        mdp: the MDP, S states.
        probabilities: π(a|s), [P].
        scores: ∇log π(a|s), [P, N].
        values: V [S], the critic or baseline; None is the exact V_π of the MDP without horizon.
        gamma: γ; None is the MDP's.
        lambda_: λ of `gae` and `vtrace`.
        n: n of `n_step`.
        weighting: "discounted" or "undiscounted".
        horizon: cut every trajectory after so many steps; None waits for its end.

    Returns:
        Moments(mean [N], covariance [N, N]) of one trajectory's estimate.

    Raises:
        EstimatorError: a moment is infinite.
        ConfigError: an unknown name, or a setting out of its range.
        ShapeError: an array that does not fit the MDP.

    Example:
        >>> from logtrick import problems
        >>> mdp = problems.corridor()  # Sutton and Barto ex. 13.1, p = σ(θ), θ = 0: J′ = 2
        >>> scores = np.tile([[0.5], [-0.5]], (3, 1))
        >>> moments("reward_to_go", mdp, np.full(6, 0.5), scores).mean.round(12)
        array([2.])

    Source:
        The equations are written out in `logtrick.auditing.moments`.
    """
    settings = Settings(
        gamma=mdp.gamma if gamma is None else gamma,
        weighting=weighting,
        lambda_=lambda_,
        n=n,
        horizon=horizon,
        values=state_values(mdp, values),
    )
    return equations(psi, mdp, probabilities, scores, settings).moments()


def equations(
    psi: str,
    mdp: FiniteMDP,
    probabilities: Float64[np.ndarray, " P"],
    scores: Float64[np.ndarray, "P N"],
    settings: Settings,
) -> Trace | TotalReturn:
    """The recursion that a ψ is, with the numbers of this MDP and policy in it."""
    _check(mdp, psi, settings, {"probabilities": probabilities, "scores": scores})
    row, gamma, weight = psi_named(psi), settings.gamma, settings.step_weight
    exact = Flow.of(mdp, probabilities, scores)
    cut = settings.horizon is not None
    flow = Flow.of(mdp, probabilities, scores, settings.horizon) if cut else exact
    copies = settings.horizon or 1
    critic = Critic(mdp, exact, gamma, settings.values)
    if row.scope is Scope.ACTIONS:
        return _of_actions(row, critic, flow, weight)
    if (recursion := row.recursion) is None:  # the total return, which is every ψ_t
        rewards = np.tile(mdp.rewards, copies)
        return TotalReturn(flow, rewards, gamma, weight / gamma if gamma else 1.0)
    delta = mdp.rewards if recursion.delta == "reward" else critic.td_residuals
    factors = [0.0] if recursion.decay is None else [getattr(settings, x) for x in recursion.decay]
    window = None if recursion.window is None else getattr(settings, recursion.window)
    return Trace(flow, np.tile(delta, copies), math.prod(factors), weight, window)


def _of_actions(row: Psi, critic: Critic, flow: Flow, weight: float) -> Trace:
    """ψ that are numbers of (s, a): they have no future, c = 0."""
    copies = len(flow.scores) // critic.mdp.num_pairs
    if row.every_action:  # the same for every action: Σ_a π Q ∇log π in the place of ψ g
        summed = replace(flow, scores=np.tile(critic.expected_terms(row), (copies, 1)))
        return Trace(summed, np.ones(len(flow.pairs)), 0.0, weight)
    return Trace(flow, np.tile(critic.of_pairs(row), copies)[flow.pairs], 0.0, weight)


def _check(mdp: FiniteMDP, psi: str, settings: Settings, arrays: dict[str, Any]) -> None:
    if psi not in ESTIMATORS:
        raise ConfigError(f"{psi!r} has no closed form; those that have: {', '.join(ESTIMATORS)}")
    divides = psi_named(psi).weighted is not None
    if divides and settings.gamma == 0 and settings.weighting == "undiscounted":
        raise ConfigError("total_return divides by γ^t: undiscounted it has no meaning at γ = 0")
    for name, array in arrays.items():
        if np.ndim(array) != (2 if name == "scores" else 1) or len(array) != mdp.num_pairs:
            raise ShapeError(
                f"{name} has shape {np.shape(array)}: one row for each of {mdp.num_pairs} pairs "
                "(s, a)"
            )
