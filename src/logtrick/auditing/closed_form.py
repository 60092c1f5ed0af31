"""The registered ψ of single trajectories, each with its mean and covariance in closed form."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.moments import Flow, Moments, Trace, total_return_moments
from logtrick.errors import ConfigError, ShapeError
from logtrick.mdp import FiniteMDP
from logtrick.psi import optimal_baseline

TRACES = ("reward_to_go", "baselined_return", "td_residual", "n_step", "gae")
OF_A_STEP = ("q_value", "advantage", "optimal_baseline")
ESTIMATORS = ("total_return", *TRACES, *OF_A_STEP, "all_action_sum")
"""The names that `moments` knows."""


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
        lambda_: λ of `gae`.
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
    gamma = mdp.gamma if gamma is None else gamma
    arrays = {"probabilities": probabilities, "scores": scores, "values": values}
    _check(mdp, psi, weighting, arrays, gamma=gamma, lambda_=lambda_, n=n, horizon=horizon)
    weight = gamma if weighting == "discounted" else 1.0
    exact = Flow.of(mdp, probabilities, scores)
    flow = exact if horizon is None else Flow.of(mdp, probabilities, scores, horizon)
    copies = horizon or 1
    rewards = np.tile(mdp.rewards, copies)
    if psi == "total_return":
        return total_return_moments(flow, rewards, gamma, weight / gamma if gamma else 1.0)
    if psi == "reward_to_go":
        return Trace(flow, rewards, gamma, weight).moments()
    if psi in OF_A_STEP or psi == "all_action_sum":
        return _of_a_step(psi, mdp, exact, flow, gamma, weight).moments()
    v = _state_values(exact, mdp.rewards, gamma) if values is None else values
    after = np.where(mdp.terminated, 0.0, v[mdp.successors])
    before = np.repeat(v[mdp.pair_states], np.diff(mdp.outcome_offsets))
    residuals = np.tile(mdp.rewards + gamma * after - before, copies)
    if psi == "n_step":
        return Trace(flow, residuals, gamma, weight, window=n).moments()
    factor = {"td_residual": 0.0, "gae": lambda_, "baselined_return": 1.0}[psi]
    return Trace(flow, residuals, gamma * factor, weight).moments()


def _state_values(flow: Flow, rewards: Float64[np.ndarray, " K"], gamma: float) -> Any:
    """V2."""
    return flow.fixed_point(gamma, flow.policy @ flow.expected(rewards))


def _of_a_step(
    psi: str, mdp: FiniteMDP, exact: Flow, flow: Flow, gamma: float, weight: float
) -> Trace:
    """ψ that are numbers of (s, a): they have no future, c = 0."""
    v = _state_values(exact, mdp.rewards, gamma)
    q = exact.expected(mdp.rewards) + gamma * (exact.onwards() @ v)
    copies = len(flow.scores) // mdp.num_pairs
    if psi == "all_action_sum":  # the same for every action: Σ_a π Q ∇log π in the place of ψ g
        summed = (exact.policy @ (q[:, None] * exact.scores))[mdp.pair_states]
        summed_flow = replace(flow, scores=np.tile(summed, (copies, 1)))
        return Trace(summed_flow, np.ones(len(flow.pairs)), 0.0, weight)
    baseline = np.zeros(mdp.num_states)
    if psi != "q_value":
        baseline = v if psi == "advantage" else _optimal_baseline(mdp, exact, q)
    chosen = np.tile(q - baseline[mdp.pair_states], copies)
    return Trace(flow, chosen[flow.pairs], 0.0, weight)


def _optimal_baseline(
    mdp: FiniteMDP, flow: Flow, q: Float64[np.ndarray, " P"]
) -> Float64[np.ndarray, " S"]:
    tables = np.zeros((3, mdp.num_states, mdp.num_actions))
    where = (mdp.pair_states, mdp.pair_actions)
    chances = np.asarray(flow.policy.sum(axis=0)).ravel()
    for table, of_pairs in zip(tables, (q, chances, np.sum(flow.scores**2, axis=1)), strict=True):
        table[where] = of_pairs
    return optimal_baseline(*tables)


def _check(
    mdp: FiniteMDP, psi: str, weighting: str, arrays: dict[str, Any], **settings: Any
) -> None:
    if psi not in ESTIMATORS:
        raise ConfigError(f"{psi!r} has no closed form; those that have: {', '.join(ESTIMATORS)}")
    if weighting not in ("discounted", "undiscounted"):
        raise ConfigError(f"weighting = {weighting!r}; it is 'discounted' or 'undiscounted'")
    for name in ("gamma", "lambda_"):
        if not 0 <= settings[name] <= 1:
            raise ConfigError(f"{name} = {settings[name]!r} is outside [0, 1]")
    for name in ("n", "horizon"):
        if settings[name] is not None and settings[name] < 1:
            raise ConfigError(f"{name} = {settings[name]!r}; it must be at least 1")
    if psi == "total_return" and settings["gamma"] == 0 and weighting == "undiscounted":
        raise ConfigError("total_return divides by γ^t: undiscounted it has no meaning at γ = 0")
    sizes = {"probabilities": mdp.num_pairs, "scores": mdp.num_pairs, "values": mdp.num_states}
    for name, array in arrays.items():
        dimensions = 2 if name == "scores" else 1
        if array is None or (np.ndim(array) == dimensions and len(array) == sizes[name]):
            continue
        of_what = "state" if name == "values" else "pair (s, a)"
        raise ShapeError(
            f"{name} has shape {np.shape(array)}: one row for each of {sizes[name]} {of_what}s"
        )
