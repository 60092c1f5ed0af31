"""The Fisher matrix of the policy, in products, and the natural gradient (G5)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PyTree
from scipy.sparse.linalg import LinearOperator, lsmr

from logtrick.errors import ConfigError, ConvergenceError
from logtrick.exact import tables
from logtrick.exact.evaluations import Evaluation, Kind
from logtrick.exact.gradient import check_gradient
from logtrick.exact.matrix_free import AnyMDP
from logtrick.exact.policy_evaluation import evaluate
from logtrick.exact.traced import TracedChain
from logtrick.exact.values import TOLERANCE, refuse_tolerance, within
from logtrick.support.rounding import EPS

#: Entries of the score matrix [S·A, parameters] up to which it is made and decomposed.
DENSE_ENTRIES = 4_000_000


def fisher_vector_product(
    mdp: AnyMDP,
    policy: Any,
    vector: PyTree,
    kind: Kind = "discounted",
    *,
    normalised: bool = False,
    tol: float = TOLERANCE,
) -> PyTree:
    """F u with F = Σ_s η(s) Σ_a π(a | s) ∇log π(a | s) ∇log π(a | s)ᵀ (G5).

    No matrix of the parameters' size is made: u is pushed to the table of probabilities, weighted
    by η/π, and pulled back.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: a pytree called on one observation.
        vector: u, shaped like the policy's parameters.
        kind: the weights: η_γ ("discounted"), η_1 ("total") or d_π ("average").
        normalised: divide F by Σ_s η(s).
        tol: error that is allowed in the visits: at most tol · max(1, Σ η).

    Returns:
        A pytree shaped like the policy's parameters.

    Raises:
        ConfigError: the policy is a table, which has no free parameters.
        ShapeError: the vector is not shaped like the parameters.
        ImproperPolicyError, MultichainError, ConvergenceError, PrecisionError: as in `objective`.

    Source: Kakade (2001); Kakade & Langford for the weights η_γ.
    """
    _refuse_tables(policy)
    if tables.is_traced(policy, vector):
        refuse_tolerance(tol)
        return _traced_product(mdp, policy, vector, kind, normalised)
    result = evaluate(mdp, policy, kind)
    visits = float(result.visitation.sum())
    within(tol, "the visits", result.visitation_error, visits)
    weights = _weights(result) / (visits if normalised else 1.0)
    return tables.pull(mdp, policy, weights * tables.push(mdp, policy, vector))


def natural_gradient(
    mdp: AnyMDP,
    policy: Any,
    kind: Kind = "discounted",
    *,
    normalised: bool = False,
    tol: float = TOLERANCE,
) -> PyTree:
    """F⁺∇J, the direction of steepest ascent where distance is counted in KL (G5).

    With B the scores ∇log π(a | s) as rows, weighted by √(ηπ), F = BᵀB and ∇J = Bᵀ√(ηπ)A, so that
    F⁺∇J is the shortest least-squares solution of B x = √(ηπ)A: the advantages as far as scores
    can express them. Solved so, the condition of F enters by its root only. On visited states of
    a softmax table the result is A − mean_a A.

    Args:
        mdp: a `FiniteMDP` or `MatrixFreeMDP`.
        policy: a pytree called on one observation.
        kind: "discounted", "total" or "average".
        normalised: use F divided by Σ_s η(s); the result is multiplied by that sum.
        tol: how far F x may be from ∇J, relative to ∇J; also as in `policy_gradient`.

    Returns:
        A pytree shaped like the policy's parameters.

    Raises:
        ConfigError: the policy is a table, which has no free parameters.
        ConvergenceError: the least-squares problem was not solved to `tol`.
        ImproperPolicyError, MultichainError, PrecisionError: as in `objective`.

    Source: Kakade (2001); Peters & Schaal (2008), compatible function approximation.
    """
    _refuse_tables(policy)
    if tables.is_traced(policy):
        refuse_tolerance(tol)
        return _traced_natural_gradient(mdp, policy, kind, normalised)
    result = evaluate(mdp, policy, kind)
    check_gradient(result, tol)
    scores = _Scores(mdp, policy, result)
    x, norm = scores.solve()
    missed = float(np.linalg.norm(scores.transposed(scores.forward(x) - scores.target)))
    gradient = float(np.linalg.norm(scores.transposed(scores.target)))
    rounding = 1e4 * EPS * norm * float(np.linalg.norm(scores.target))
    if not missed <= max(tol * gradient, rounding):
        raise ConvergenceError(
            f"F x misses the gradient by {missed / gradient:.1e} of its length, tol={tol:.0e}: "
            "the Fisher matrix is too ill-conditioned"
        )
    return scores.unravel(x * (float(result.visitation.sum()) if normalised else 1.0))


class _Scores:
    """B and √(ηπ)A, over flat parameters."""

    def __init__(self, mdp: AnyMDP, policy: Any, result: Evaluation) -> None:
        self.mdp, self.policy = mdp, policy
        self.root = np.sqrt(_weights(result))
        visits = np.sqrt(result.visitation[:, None] * result.probabilities)
        available = np.isfinite(result.action_values)
        self.target = (visits * np.where(available, result.advantages, 0.0)).ravel()
        with jax.enable_x64(True):
            params = eqx.filter(policy, eqx.is_inexact_array)
            params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
            flat, self._unravel = ravel_pytree(params)
        self.size = len(flat)

    def unravel(self, x: Float[np.ndarray, " n"]) -> PyTree:
        """Flat parameters as a pytree."""
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, self._unravel(jnp.asarray(x)))

    def forward(self, x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " SA"]:
        """B x."""
        return (self.root * tables.push(self.mdp, self.policy, self.unravel(x))).ravel()

    def transposed(self, y: Float[np.ndarray, " SA"]) -> Float[np.ndarray, " n"]:
        """Bᵀ y."""
        pulled = tables.pull(self.mdp, self.policy, self.root * y.reshape(self.root.shape))
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(pulled)])

    def solve(self) -> tuple[Float[np.ndarray, " n"], float]:
        """The shortest x that minimises ‖B x − √(ηπ)A‖, and (about) the norm of B."""
        rows = len(self.target)
        if rows * self.size <= DENSE_ENTRIES:
            matrix = tables.jacobian(self.mdp, self.policy).reshape(rows, self.size)
            matrix = self.root.reshape(-1, 1) * matrix
            x, _, _, sizes = np.linalg.lstsq(matrix, self.target, rcond=None)
            return x, float(sizes[0])
        operator = LinearOperator(
            (rows, self.size), matvec=self.forward, rmatvec=self.transposed, dtype=np.float64
        )
        found = lsmr(operator, self.target, atol=1e-15, btol=1e-15, maxiter=10_000)
        return found[0], float(found[5])


def _weights(result: Evaluation) -> Float[np.ndarray, "S A"]:
    """η/π, 0 where an action is never taken."""
    table = result.probabilities
    return np.where(table > 0, result.visitation[:, None] / np.where(table > 0, table, 1.0), 0.0)


def _refuse_tables(policy: Any) -> None:
    if tables.is_array(policy):
        raise ConfigError(
            "a table of probabilities has no free parameters, so no Fisher matrix; use SoftmaxTable"
        )


def _traced_weights(chain: TracedChain, kind: Kind, normalised: bool) -> Any:
    visits = chain.visitation(kind)
    visits = visits / visits.sum() if normalised else visits
    taken = chain.table > 0
    return jnp.where(taken, visits[:, None] / jnp.where(taken, chain.table, 1.0), 0.0)


def _traced_product(
    mdp: AnyMDP, policy: Any, vector: PyTree, kind: Kind, normalised: bool
) -> PyTree:
    params, static = eqx.partition(policy, eqx.is_inexact_array)
    direction = tables.like_parameters(params, vector)
    weights = _traced_weights(TracedChain(mdp, policy), kind, normalised)

    def table(params: PyTree) -> Any:
        return tables.traced_probabilities(mdp, eqx.combine(params, static))

    pushed, pull = jax.linearize(table, params)[1], jax.vjp(table, params)[1]
    cast = jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), direction, params)
    return pull(weights * pushed(cast))[0]


def _traced_natural_gradient(mdp: AnyMDP, policy: Any, kind: Kind, normalised: bool) -> PyTree:
    params, static = eqx.partition(policy, eqx.is_inexact_array)
    tables.require_x64()
    flat, unravel = ravel_pytree(params)

    def table(flat: Any) -> Any:
        return tables.traced_probabilities(mdp, eqx.combine(unravel(flat), static)).ravel()

    chain = TracedChain(mdp, policy)
    root = jnp.sqrt(_traced_weights(chain, kind, normalised)).ravel()
    matrix = root[:, None] * jax.jacfwd(table)(flat)
    values, action_values = chain.critic(kind)
    advantages = jnp.where(mdp.available, action_values - values[:, None], 0.0)
    visits = chain.visitation(kind)
    target = jnp.sqrt(visits[:, None] * chain.table) * advantages
    x = jnp.linalg.lstsq(matrix, target.ravel())[0]
    return unravel((x * (jnp.sqrt(visits.sum()) if normalised else 1.0)).astype(flat.dtype))
