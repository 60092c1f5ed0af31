"""The plain functions: one quantity each, refused where its error exceeds the tolerance."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

from logtrick.errors import ConfigError, ConvergenceError
from logtrick.exact import tables
from logtrick.exact.chain import Chain
from logtrick.exact.evaluations import (
    Kind,
    action_values_error,
    action_values_of,
    chain_of,
    gamma_of,
    objective_of,
    shares,
    start_defect,
)
from logtrick.exact.matrix_free import AnyMDP
from logtrick.exact.policy_evaluation import evaluate
from logtrick.exact.resolvent import Certified, require_finite
from logtrick.exact.traced import TracedChain

#: The error that is allowed as a share of max(1, size of the numbers): of the largest value; of
#: the sum, for visits and gradients. Below one it is absolute: where all values are 10⁻⁹, it allows
#: more than they are, and only a smaller `tol` says otherwise.
TOLERANCE = 1e-8


class GainAndBias(NamedTuple):
    """The two numbers of the average-reward setting."""

    gain: Any
    """r̄, reward per step"""
    bias: Any
    """h [S], what a state is worth beyond the average; d_π·h = 0"""


def within(tol: float, what: str, bound: float, size: float) -> None:
    """Refuse a number whose error bound exceeds tol · max(1, size).

    Raises:
        ConvergenceError: naming the bound that was reached.
        ConfigError: the tolerance is none.
    """
    if isinstance(tol, bool) or not isinstance(tol, int | float | np.number):
        raise ConfigError(f"tol={tol!r}; a tolerance is a number")
    if not (np.isfinite(bound) and bound <= tol * max(1.0, size)):
        raise ConvergenceError(
            f"the error of {what} is at most {bound:.1e}, of numbers up to {size:.3g}; that is "
            f"what float64 reaches here, so tol={tol:.0e} cannot be met (tol is relative; pass a "
            "larger one, or use evaluate(), which returns the bounds)"
        )


def refuse_tolerance(tol: float) -> None:
    """Inside a transform no bound is computed, so that a tolerance would be ignored.

    Raises:
        ConfigError: one is given.
    """
    if tol != TOLERANCE:
        raise ConfigError(
            f"tol={tol!r} inside jit, grad or vmap: no bound is computed there, so it would have "
            "no effect; leave it out, or call the function outside of the transform"
        )


def state_values(
    mdp: AnyMDP, policy: Any, *, tol: float = TOLERANCE
) -> Float[np.ndarray, " S"] | Float[Array, " S"]:
    """V_π(s) = E[Σ_t γ^t r_t | s_0 = s] (V1) = r_π + γ P_π V_π (V2).

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: probabilities [S, A], actions int[S], or a pytree called on one observation.
        tol: error that is allowed: at most tol · max(1, the largest |V(s)|).

    Returns:
        float64[S], as NumPy; a JAX array inside a transform.

    Raises:
        ImproperPolicyError: γ = 1 and the policy does not reach an end from every state.
        ConvergenceError: the error bound exceeds `tol`.
        PrecisionError: inside a transform without float64.

    Example:
        >>> from logtrick import problems
        >>> state_values(problems.corridor(), np.full((3, 2), 0.5)).round(9)
        array([-12., -10.,  -6.])

    Source: Sutton & Barto (2018), equation 4.4.
    """
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        return TracedChain(mdp, policy).values(mdp.gamma)
    values = _valued(mdp, policy, mdp.gamma)[1]
    within(tol, "the state values", values.bound, float(np.abs(values.array).max()))
    return values.array


def action_values(
    mdp: AnyMDP, policy: Any, *, tol: float = TOLERANCE
) -> Float[np.ndarray, "S A"] | Float[Array, "S A"]:
    """Q_π(s, a) = R(s, a) + γ Σ_s' P(s' | s, a) V_π(s') (V3).

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: as in `state_values`.
        tol: error that is allowed: at most tol · max(1, the largest |V(s)|).

    Returns:
        float64[S, A]; −∞ at actions that a state does not have.

    Raises:
        ImproperPolicyError, ConvergenceError, PrecisionError: as in `state_values`.

    Example:
        >>> from logtrick import problems
        >>> action_values(problems.corridor(), np.full((3, 2), 0.5))[0].round(9)
        array([-11., -13.])

    Source: Sutton & Barto (2018), equation 4.6.
    """
    return _critic(mdp, policy, tol)[1]


def advantages(
    mdp: AnyMDP, policy: Any, *, tol: float = TOLERANCE
) -> Float[np.ndarray, "S A"] | Float[Array, "S A"]:
    """A_π = Q_π − V_π (V4); Σ_a π(a | s) A_π(s, a) = 0.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: as in `state_values`.
        tol: error that is allowed: at most tol · max(1, the largest |V(s)|).

    Returns:
        float64[S, A]; −∞ at actions that a state does not have.

    Raises:
        ImproperPolicyError, ConvergenceError, PrecisionError: as in `state_values`.

    Example:
        >>> from logtrick import problems
        >>> advantages(problems.corridor(), np.full((3, 2), 0.5))[0].round(9)
        array([ 1., -1.])
    """
    values, following = _critic(mdp, policy, tol)
    return following - values[:, None]


def _valued(mdp: AnyMDP, policy: Any, gamma: float) -> tuple[Chain, Certified]:
    """The chain and V_π (V2)."""
    chain = chain_of(mdp, tables.probabilities(mdp, policy))
    return chain, chain.resolvent(gamma).values(chain.rewards, chain.reward_error)


def _critic(mdp: AnyMDP, policy: Any, tol: float) -> tuple[Any, Any]:
    """V_π (V2) and Q_π (V3), by one solve."""
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        return TracedChain(mdp, policy).critic("discounted")
    chain, values = _valued(mdp, policy, mdp.gamma)
    with np.errstate(all="ignore"):
        following = action_values_of(mdp, mdp.gamma * chain.expect(values.array))
        require_finite(np.where(mdp.available, following - values.array[:, None], 0.0))
    error = values.bound + action_values_error(chain, mdp.gamma, values)
    within(tol, "the action values", error, float(np.abs(values.array).max()))
    return values.array, following


def visitation(
    mdp: AnyMDP, policy: Any, *, normalised: bool = False, tol: float = TOLERANCE
) -> Float[np.ndarray, " S"] | Float[Array, " S"]:
    """η_γ(s) = Σ_t γ^t Pr(s_t = s), or d_γ, the same divided by its sum.

    Steps that follow the end are not counted: at γ = 1 the sum is the expected length of an
    episode.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: as in `state_values`.
        normalised: return the distribution d_γ.
        tol: error that is allowed, summed over states: at most tol · max(1, Σ η), and of the
            distribution `tol`.

    Returns:
        float64[S].

    Raises:
        ImproperPolicyError, ConvergenceError, PrecisionError: as in `state_values`.

    Example:
        >>> from logtrick import problems
        >>> visitation(problems.corridor(), np.full((3, 2), 0.5)).round(9)
        array([6., 4., 2.])
    """
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        traced = TracedChain(mdp, policy).visits(mdp.gamma)
        return traced / traced.sum() if normalised else traced
    chain = chain_of(mdp, tables.probabilities(mdp, policy))
    visits = chain.resolvent(mdp.gamma).visits(mdp.start, start_defect(mdp.start))
    visits = shares(visits) if normalised else visits
    within(tol, "the visits", visits.bound, float(visits.array.sum()))
    return visits.array


def stationary_distribution(
    mdp: AnyMDP, policy: Any, *, tol: float = TOLERANCE
) -> Float[np.ndarray, " S"] | Float[Array, " S"]:
    """d_π = d_π P_π, where the time goes in the long run.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP` that does not end (see `FiniteMDP.restarting`).
        policy: as in `state_values`.
        tol: error that is allowed, summed over states.

    Returns:
        float64[S].

    Raises:
        MultichainError: two closed classes, so that it depends on the start.
        MDPError: episodes end.
        ConvergenceError, PrecisionError: as in `state_values`.

    Example:
        >>> from logtrick import problems
        >>> stationary_distribution(problems.two_state_loop(), np.full((2, 2), 0.5)).round(6)
        array([0.666667, 0.333333])
    """
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        return TracedChain(mdp, policy).average()[2]
    result = evaluate(mdp, policy, "average")
    within(tol, "the stationary distribution", result.visitation_error, 1.0)
    return result.visitation


def gain_and_bias(mdp: AnyMDP, policy: Any, *, tol: float = TOLERANCE) -> GainAndBias:
    """The gain r̄ and the bias h of h = r_π − r̄ + P_π h, d_π·h = 0 (V7).

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP` that does not end (see `FiniteMDP.restarting`).
        policy: as in `state_values`.
        tol: error that is allowed: at most tol · max(1, |r̄|) and tol · max(1, the largest |h(s)|).

    Returns:
        `GainAndBias(gain, bias)`.

    Raises:
        MultichainError: two closed classes.
        MDPError: episodes end.
        ConvergenceError, PrecisionError: as in `state_values`.

    Example:
        >>> from logtrick import problems
        >>> gain, bias = gain_and_bias(problems.two_state_loop(), np.full((2, 2), 0.5))
        >>> round(gain, 9), bias.round(6)
        (0.333333333, array([-0.222222,  0.444444]))

    Source: Puterman (1994), section 8.2.
    """
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        gain, bias, _ = TracedChain(mdp, policy).average()
        return GainAndBias(gain, bias)
    result = evaluate(mdp, policy, "average")
    within(tol, "the gain", result.objective_error, abs(result.objective))
    within(tol, "the bias", result.error_bound, float(np.abs(result.values).max()))
    return GainAndBias(result.objective, result.values)


def objective(
    mdp: AnyMDP, policy: Any, kind: Kind = "discounted", *, tol: float = TOLERANCE
) -> float | Float[Array, ""]:
    """J: Σ_s ρ(s) V_π(s) (J1), the same at γ = 1 (J2), or the gain r̄ (J3).

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: as in `state_values`.
        kind: "discounted" with the MDP's γ, "total", or "average".
        tol: error that is allowed: at most tol · max(1, the largest |V(s)|), or tol · max(1, |r̄|).

    Returns:
        A float; a JAX scalar inside a transform, where it can be differentiated at any order.

    Raises:
        ImproperPolicyError, MultichainError, ConvergenceError, PrecisionError: as in
            `state_values` and `gain_and_bias`.

    Example:
        >>> from logtrick import problems
        >>> round(objective(problems.corridor(), np.full((3, 2), 0.5)), 9)
        -12.0
    """
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        return TracedChain(mdp, policy).objective(kind)
    if kind == "average":
        result = evaluate(mdp, policy, kind)
        within(tol, "the gain", result.objective_error, abs(result.objective))
        return result.objective
    values = _valued(mdp, policy, gamma_of(mdp, kind))[1]
    total, bound = objective_of(mdp.start, values)
    require_finite(total)
    within(tol, "the objective", bound, float(np.abs(values.array).max()))
    return total
