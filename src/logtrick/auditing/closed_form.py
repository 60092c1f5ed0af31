"""The registered ψ of single trajectories, each with its mean and covariance in closed form."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.critic import Critic
from logtrick.auditing.flow import Flow
from logtrick.auditing.moments import Moments, TotalReturn, Trace
from logtrick.auditing.settings import Settings, state_values
from logtrick.errors import ConfigError, ShapeError
from logtrick.mdp import FiniteMDP

TRACES = ("reward_to_go", "baselined_return", "td_residual", "n_step", "gae", "vtrace")
OF_A_STEP = ("q_value", "advantage", "optimal_baseline")
ESTIMATORS = ("total_return", *TRACES, *OF_A_STEP, "all_action_sum")
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
    gamma, weight = settings.gamma, settings.step_weight
    exact = Flow.of(mdp, probabilities, scores)
    cut = settings.horizon is not None
    flow = Flow.of(mdp, probabilities, scores, settings.horizon) if cut else exact
    copies = settings.horizon or 1
    rewards = np.tile(mdp.rewards, copies)
    if psi == "total_return":
        return TotalReturn(flow, rewards, gamma, weight / gamma if gamma else 1.0)
    if psi == "reward_to_go":
        return Trace(flow, rewards, gamma, weight)
    critic = Critic(mdp, exact, gamma, settings.values)
    if psi in OF_A_STEP or psi == "all_action_sum":
        return _of_a_step(psi, critic, flow, weight)
    v = critic.values
    after = np.where(mdp.terminated, 0.0, v[mdp.successors])
    before = v[mdp.pair_states[mdp.outcome_pairs]]
    residuals = np.tile(mdp.rewards + gamma * after - before, copies)
    if psi == "n_step":
        return Trace(flow, residuals, gamma, weight, window=settings.n)
    factor = {"td_residual": 0.0, "baselined_return": 1.0}.get(psi, settings.lambda_)
    return Trace(flow, residuals, gamma * factor, weight)


def _of_a_step(psi: str, critic: Critic, flow: Flow, weight: float) -> Trace:
    """ψ that are numbers of (s, a): they have no future, c = 0."""
    copies = len(flow.scores) // critic.mdp.num_pairs
    if psi == "all_action_sum":  # the same for every action: Σ_a π Q ∇log π in the place of ψ g
        summed = replace(flow, scores=np.tile(critic.expected_terms, (copies, 1)))
        return Trace(summed, np.ones(len(flow.pairs)), 0.0, weight)
    chosen = {
        "q_value": lambda: critic.action_values,
        "advantage": lambda: critic.advantages,
        "optimal_baseline": lambda: critic.above_optimal_baseline,
    }[psi]()
    return Trace(flow, np.tile(chosen, copies)[flow.pairs], 0.0, weight)


def _check(mdp: FiniteMDP, psi: str, settings: Settings, arrays: dict[str, Any]) -> None:
    if psi not in ESTIMATORS:
        raise ConfigError(f"{psi!r} has no closed form; those that have: {', '.join(ESTIMATORS)}")
    if psi == "total_return" and settings.gamma == 0 and settings.weighting == "undiscounted":
        raise ConfigError("total_return divides by γ^t: undiscounted it has no meaning at γ = 0")
    for name, array in arrays.items():
        if np.ndim(array) != (2 if name == "scores" else 1) or len(array) != mdp.num_pairs:
            raise ShapeError(
                f"{name} has shape {np.shape(array)}: one row for each of {mdp.num_pairs} pairs "
                "(s, a)"
            )
