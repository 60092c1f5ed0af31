"""The same quantities inside the caller's `jit`, `grad` and `vmap`.

Values come from one linear solve, (I − γP_π) V = r_π, and JAX differentiates it by its adjoint: a
backward pass is one solve with the transpose, whatever the number of parameters, and so is every
further order. Dense MDPs are factorised; sparse and matrix-free ones are solved by a Krylov method
on products with P_π, followed by sweeps where it fell short.

Errors cannot be typed here: where no solution exists, or none was found, the computation raises
Equinox's runtime error.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import bicgstab
from jaxtyping import Array, Float

from logtrick.errors import MDPError
from logtrick.exact import tables
from logtrick.exact.evaluations import Kind, gamma_of
from logtrick.exact.matrix_free import AnyMDP
from logtrick.mdp.model import FiniteMDP
from logtrick.support.rounding import EPS

Solve = Callable[[Array], Array]

#: Sweeps between two looks at the residual; they go on while it falls by a tenth.
SWEEPS = 200

#: An expected time beyond this is no number in float64.
LONGEST = 1e13


class TracedChain:
    """The chain of a traced policy.

    Args:
        mdp: a `FiniteMDP` or a `MatrixFreeMDP`.
        policy: a traced table of probabilities or pytree.
    """

    def __init__(self, mdp: AnyMDP, policy: Any) -> None:
        self.mdp = mdp
        self.table = tables.traced_probabilities(mdp, policy)
        self.pair_rewards = jnp.asarray(mdp.dense_rewards())
        self.rewards = (self.table * self.pair_rewards).sum(axis=1)
        self.start = jnp.asarray(mdp.start)

    def values(self, gamma: float) -> Float[Array, " S"]:
        """The values V_π [S] (V2), differentiable."""
        solve, _ = self._solvers(gamma)
        return solve(self.rewards)

    def visits(self, gamma: float) -> Float[Array, " S"]:
        """The discounted visits η_γ = (I − γP_πᵀ)^{-1} ρ, [S]."""
        _, solve = self._solvers(gamma)
        return solve(self.start)

    def objective(self, kind: Kind) -> Float[Array, ""]:
        """The objective J1, J2 or J3 as one number, differentiable."""
        gamma = gamma_of(self.mdp, kind)
        return self.average()[0] if kind == "average" else self.start @ self.values(gamma)

    def action_values(self, values: Float[Array, " S"], gamma: float) -> Float[Array, "S A"]:
        """The action values Q_π [S, A] (V3), −∞ at missing actions."""
        following = self.pair_rewards + gamma * self._expect(values)
        return jnp.where(self.mdp.available, following, -jnp.inf)

    def critic(self, kind: Kind) -> tuple[Float[Array, " S"], Float[Array, "S A"]]:
        """(V, Q), or (h, Q̃) for the average."""
        gamma = gamma_of(self.mdp, kind)
        if kind != "average":
            values = self.values(gamma)
            return values, self.action_values(values, gamma)
        gain, bias, _ = self.average()
        return bias, self.action_values(bias, 1.0) - gain

    def visitation(self, kind: Kind) -> Float[Array, " S"]:
        """The visits [S] that belong to the kind: η_γ, η_1 or d_π."""
        gamma = gamma_of(self.mdp, kind)
        return self.average()[2] if kind == "average" else self.visits(gamma)

    def average(self) -> tuple[Array, Float[Array, " S"], Float[Array, " S"]]:
        """The gain, the bias and the stationary distribution (V7).

        M = I − P_π + 1μᵀ, μ uniform, is regular iff the chain has one closed class. Then
        z = M^{-1} r_π is the bias plus a constant, μ·z the gain and M^{-T} μ the distribution.
        """
        if isinstance(self.mdp, FiniteMDP) and self.mdp.pair_ends.any():
            raise MDPError(
                "episodes end, so there is no average reward; mdp.restarting() sends ends back"
            )
        uniform = jnp.full_like(self.start, 1 / len(self.start))
        solve, transposed = self._solvers(1.0, level=uniform)
        shifted, distribution = solve(self.rewards), transposed(uniform)
        gain = uniform @ shifted
        # The gain of a table is defined where its rows sum to one. Beyond, this term gives the
        # derivative that belongs to Q̃ = R − r̄ + P h, as G3 has it.
        constant = jax.lax.stop_gradient(gain + distribution @ shifted)
        excess = self.table.sum(axis=1) - 1
        gain = gain - constant * (jax.lax.stop_gradient(distribution) @ excess)
        return gain, shifted - distribution @ shifted, distribution

    def _expect(self, values: Array) -> Float[Array, "S A"]:
        """Σ_s' P(s' | s, a) v(s'), terminated mass removed."""
        mdp = self.mdp
        if not isinstance(mdp, FiniteMDP):
            return mdp.expect(values)
        entries = mdp.continuation.tocoo(copy=False)
        sums = jax.ops.segment_sum(
            jnp.asarray(entries.data) * values[entries.col],
            entries.row,
            mdp.num_pairs,
            indices_are_sorted=True,
        )
        table = jnp.zeros((mdp.num_states, mdp.num_actions))
        where = (mdp.pair_states, mdp.pair_actions)
        return table.at[where].set(sums, unique_indices=True)

    def _solvers(self, gamma: float, level: Array | None = None) -> tuple[Solve, Solve]:
        """Solve with A = I − γP_π (+ 1 levelᵀ), and with Aᵀ."""
        if self.mdp.is_dense:
            matrix = jnp.eye(self.mdp.num_states) - gamma * self.matrix()
            matrix = matrix if level is None else matrix + level[None, :]
            forward, transposed = _dense(matrix), _dense(matrix.T)
        else:

            def apply(x: Array) -> Array:
                moved = x - gamma * (self.table * self._expect(x)).sum(axis=1)
                return moved if level is None else moved + level @ x

            def apply_transposed(x: Array) -> Array:
                return jax.linear_transpose(apply, x)(x)[0]

            forward, transposed = _krylov(apply), _krylov(apply_transposed)
        if gamma < 1:
            return forward, transposed
        check = _check_proper if level is None else _check_one_class
        return (lambda b: check(forward(b), forward, transposed)), (
            lambda b: check(transposed(b), forward, transposed)
        )

    def matrix(self) -> Float[Array, "S S"]:
        """P_π, terminated mass removed."""
        assert isinstance(self.mdp, FiniteMDP)  # the others are never dense
        mdp, entries = self.mdp, self.mdp.continuation.tocoo(copy=False)
        states, actions = mdp.pair_states[entries.row], mdp.pair_actions[entries.row]
        weights = self.table[states, actions] * jnp.asarray(entries.data)
        return jnp.zeros((mdp.num_states,) * 2).at[states, entries.col].add(weights)


def _dense(matrix: Array) -> Solve:
    return lambda b: _checked(jnp.linalg.solve(matrix, b), lambda x: matrix @ x, b)


def _krylov(apply: Solve) -> Solve:
    """Solve with a matrix given by its products; differentiated by solving with its transpose."""
    return lambda b: jax.lax.custom_linear_solve(apply, b, _iterate, _iterate)


def _iterate(apply: Solve, b: Array) -> Array:
    """The Krylov method, then again on what was missing, then damped sweeps while they help."""

    def correct(_: Array, x: Array) -> Array:
        correction, _ = bicgstab(apply, b - apply(x), tol=1e-8, maxiter=500)
        return x + jnp.where(jnp.isfinite(correction).all(), correction, 0.0)

    x = jax.lax.fori_loop(0, 2, correct, jnp.zeros_like(b))

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        x, missing, before = carry
        size = jnp.abs(missing).max()
        return (size > 64 * EPS * _scale(b, x)) & (size < 0.9 * before)

    def sweeps(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, missing, _ = carry
        swept = jax.lax.fori_loop(0, SWEEPS, lambda _, y: y + 0.75 * (b - apply(y)), x)
        return swept, b - apply(swept), jnp.abs(missing).max()

    first = (x, b - apply(x), jnp.asarray(jnp.inf))
    x, _, _ = jax.lax.while_loop(unfinished, sweeps, first)
    return _checked(x, apply, b)


def _scale(b: Array, x: Array) -> Array:
    return jnp.abs(b).max() + 2 * jnp.abs(x).max()


def _checked(x: Array, apply: Solve, b: Array) -> Array:
    """An approximate solution whose residual is far from rounding is an error, not a number."""
    x_, b_ = jax.lax.stop_gradient((x, b))
    missing = jnp.abs(b_ - jax.lax.stop_gradient(apply(x_))).max()
    solved = missing <= 1e-9 * _scale(b_, x_)
    return eqx.error_if(x, ~solved, "the linear system of this policy was not solved to 1e-9")


def _check_proper(x: Array, forward: Solve, transposed: Solve) -> Array:
    """At γ = 1 the expected times to the end must be finite (V6)."""
    times = jax.lax.stop_gradient(forward(jnp.ones_like(x)))
    proper = (times >= 0.5).all() & (times < LONGEST).all()
    return eqx.error_if(x, ~proper, "at γ = 1 the policy does not reach an end from every state")


def _check_one_class(x: Array, forward: Solve, transposed: Solve) -> Array:
    """The stationary distribution must be one."""
    uniform = jnp.full_like(x, 1 / len(x))
    distribution = jax.lax.stop_gradient(transposed(uniform))
    single = (distribution >= -1e-9).all() & (jnp.abs(distribution.sum() - 1) < 1e-9)
    return eqx.error_if(x, ~single, "the policy's chain has more than one closed class")
