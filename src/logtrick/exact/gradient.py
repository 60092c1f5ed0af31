"""The exact gradient of every objective, and its derivative along a direction (G1, G3)."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, PyTree

from logtrick.exact import tables
from logtrick.exact.chain import Chain
from logtrick.exact.evaluations import Evaluation, Kind, chain_of
from logtrick.exact.matrix_free import AnyMDP
from logtrick.exact.policy_evaluation import evaluate
from logtrick.exact.traced import TracedChain
from logtrick.exact.values import TOLERANCE, refuse_tolerance, within


def policy_gradient(
    mdp: AnyMDP, policy: Any, kind: Kind = "discounted", *, tol: float = TOLERANCE
) -> PyTree:
    """∇J = Σ_s η(s) Σ_a Q(s, a) ∇π(a | s) (G1), or ∇r̄ = Σ_s d_π(s) Σ_a Q̃(s, a) ∇π(a | s) (G3).

    Two solves, for Q and for η, and one backward pass through the policy, whatever the number of
    parameters. Inside a transform it is `jax.grad` of the objective, whose backward pass is one
    solve with the transpose.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: a pytree called on one observation; or a table [S, A] (or actions int[S], taken as
            one), whose entries are then free: the gradient is η·Q. A table's average-reward
            gradient is defined up to a constant in each state; Q̃ = R − r̄ + P h fixes it.
        kind: "discounted", "total" or "average".
        tol: error that is allowed in size = Σ_{s,a} |∂J/∂π(a | s)|: at most tol · max(1, size).

    Returns:
        A pytree shaped like the policy's parameters (None where a leaf is none), float64 NumPy.

    Raises:
        ImproperPolicyError, MultichainError, ConvergenceError, PrecisionError: as in `objective`.

    Example:
        >>> from logtrick import problems
        >>> policy_gradient(problems.corridor(), np.full((3, 2), 0.5)).round(9)
        array([[-66., -78.],
               [-52., -28.],
               [ -2., -22.]])

    Source: Sutton et al. (1999), theorem 1; Sutton & Barto (2018), equation 13.5.
    """
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        return _traced_gradient(mdp, policy, kind)
    result = evaluate(mdp, policy, kind)
    check_gradient(result, tol)
    return tables.pull(mdp, policy, cotangent(policy, result))


def hessian_vector_product(
    mdp: AnyMDP, policy: Any, vector: PyTree, kind: Kind = "discounted", *, tol: float = TOLERANCE
) -> PyTree:
    """∇²J · u, the change of the gradient when the parameters move along u.

    By the derivative of G1 and G3: two more solves give the changes of η and Q. No bound is
    computed for these two; the solves are the gradient's and stop at the same rounding.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: as in `policy_gradient`.
        vector: u, shaped like the policy's parameters.
        kind: "discounted", "total" or "average".
        tol: as in `policy_gradient`, for the gradient on the way.

    Returns:
        A pytree shaped like the policy's parameters.

    Raises:
        ShapeError: the vector is not shaped like the parameters.
        ImproperPolicyError, MultichainError, ConvergenceError, PrecisionError: as in `objective`.

    Example:
        >>> from logtrick import problems
        >>> right = np.tile([1.0, -1.0], (3, 1))  # more of "right" wherever we are
        >>> hessian = hessian_vector_product(problems.corridor(), np.full((3, 2), 0.5), right)
        >>> round(float((hessian * right).sum()), 6)  # J″(p) = −96 at p = .5
        -96.0
    """
    if tables.is_traced(policy, vector):
        refuse_tolerance(tol)
        return _traced_hessian_product(mdp, policy, vector, kind)
    result = evaluate(mdp, policy, kind)
    check_gradient(result, tol)
    moved = tables.push(mdp, policy, vector)
    chain = chain_of(mdp, result.probabilities)
    respond = _average_response if kind == "average" else _discounted_response
    visits, action_values = respond(chain, result, moved)
    # Less rounding, where rows that sum to 1 cancel the level anyway.
    level = 0.0 * result.values if tables.is_array(policy) else result.values
    difference = np.where(mdp.available, result.action_values - level[:, None], 0.0)
    change = visits[:, None] * difference
    change += result.visitation[:, None] * action_values
    cotangent = result.visitation[:, None] * difference
    return tables.pull_derivative(mdp, policy, cotangent, vector, change)


def check_gradient(result: Evaluation, tol: float) -> None:
    """Refuse a gradient whose error exceeds the tolerance.

    Raises:
        ConvergenceError: as `within`.
    """
    size = float(np.abs(result.table_gradient).sum())
    within(tol, "the gradient", result.gradient_error, size)


def cotangent(policy: Any, result: Evaluation) -> Float[np.ndarray, "..."]:
    """η·Q for a table. For parameters η·A is the same, since Σ_a ∇π = 0, and rounds less."""
    if tables.is_array(policy):
        return result.table_gradient
    return result.visited(np.where(np.isfinite(result.action_values), result.advantages, 0.0))


def _discounted_response(
    chain: Chain, result: Evaluation, moved: Float[np.ndarray, "S A"]
) -> tuple[np.ndarray, np.ndarray]:
    """The changes of η and Q when π changes by `moved`."""
    gamma, resolvent = result.gamma, chain.resolvent(result.gamma)
    finite = np.where(np.isfinite(result.action_values), result.action_values, 0.0)
    values = resolvent.values((moved * finite).sum(axis=1)).array
    arrivals = chain.arrive(moved * result.visitation[:, None])
    visits = resolvent.visits(gamma * arrivals).array
    return visits, gamma * chain.expect(values)


def _average_response(
    chain: Chain, result: Evaluation, moved: Float[np.ndarray, "S A"]
) -> tuple[np.ndarray, np.ndarray]:
    """The changes of d_π and Q̃ when π changes by `moved`, d_π·h = 0 kept."""
    _, resolvent = chain.anchored()
    distribution = result.visitation
    finite = np.where(np.isfinite(result.action_values), result.action_values, 0.0)
    paid = (moved * finite).sum(axis=1)
    gain = float(distribution @ paid)
    arrivals = chain.arrive(moved * distribution[:, None])
    visits = resolvent.visits(arrivals).array
    visits = visits - visits.sum() * distribution
    bias = resolvent.values(paid - gain).array
    bias = bias - (distribution @ bias + visits @ result.values)
    return visits, chain.expect(bias) - gain


def _traced_gradient(mdp: AnyMDP, policy: Any, kind: Kind) -> PyTree:
    params, static = eqx.partition(policy, eqx.is_inexact_array)

    def objective(params: PyTree) -> Any:
        return TracedChain(mdp, eqx.combine(params, static)).objective(kind)

    tables.require_x64()
    return jax.grad(objective)(params)


def _traced_hessian_product(mdp: AnyMDP, policy: Any, vector: PyTree, kind: Kind) -> PyTree:
    params, static = eqx.partition(policy, eqx.is_inexact_array)
    direction = jax.tree.map(
        lambda leaf, like: leaf.astype(like.dtype), tables.like_parameters(params, vector), params
    )

    def gradient(params: PyTree) -> PyTree:
        return _traced_gradient(mdp, eqx.combine(params, static), kind)

    tables.require_x64()
    return jax.jvp(gradient, (params,), (direction,))[1]
