"""MDPs too large to write down: transitions as a function on values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Shaped

from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.exact.chain import Chain, policy_defect
from logtrick.exact.iterative_side import IterativeSide
from logtrick.exact.resolvent import Resolvent
from logtrick.mdp.checks import check_distribution, checked_gamma
from logtrick.mdp.model import FiniteMDP
from logtrick.mdp.row_sums import ROW_SUM_TOLERANCE, normalised
from logtrick.support.rounding import hidden, relative_error

Expectation = Callable[[Float[Array, " S"]], Float[Array, "S A"]]


@dataclass(frozen=True, eq=False)
class MatrixFreeMDP:
    """An MDP given by v ↦ Σ_s' P(s' | s, a) v(s'), without a list of its transitions.

    Every function of `logtrick.exact` takes it. Transposed products come from JAX's transpose of
    the function, so it must be linear and written in JAX.

    Attributes:
        expect: float64 [S] -> [S, A], the mass that terminates left out.
        rewards: R(s, a), [S, A].
        gamma: γ.
        start: ρ, [S].
        terms: the most successors of a pair; it enters the bound on rounding.
        available: bool[S, A]; all actions by default.
        observations: what the policy sees; the state's number by default.

    Raises:
        ShapeError: the arrays do not fit.
        MDPError: numbers that are not finite, or mass that is created.

    Example:
        >>> def expect(values):  # two states that swap
        ...     return values[::-1, None]
        >>> rewards, start = np.array([[1.0], [0.0]]), np.array([1.0, 0.0])
        >>> swap = MatrixFreeMDP(expect, rewards, gamma=0.5, start=start, terms=1)
        >>> from logtrick import exact
        >>> exact.state_values(swap, np.ones((2, 1))).round(6)
        array([1.333333, 0.666667])
    """

    expect: Expectation
    rewards: Float64[np.ndarray, "S A"]
    gamma: float
    start: Float64[np.ndarray, " S"]
    terms: int
    available: Bool[np.ndarray, "S A"] = None  # type: ignore[assignment]  # filled in
    observations: Shaped[np.ndarray, "S ..."] = None  # type: ignore[assignment]  # filled in

    is_dense = False
    row_excess: float = field(init=False)
    """Derived: by how much the mass of a pair exceeds one, 10⁻⁹ at most; part of every bound."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        rewards = np.asarray(self.rewards, np.float64)
        if rewards.ndim != 2 or not np.isfinite(rewards).all():
            raise ShapeError("rewards must be a finite table [S, A]")
        set_(self, "rewards", rewards)
        set_(self, "gamma", checked_gamma(self.gamma))
        check_distribution("start", self.start, len(rewards))
        set_(self, "start", normalised(np.asarray(self.start, np.float64)))
        available = np.ones(rewards.shape, np.bool_) if self.available is None else self.available
        set_(self, "available", np.asarray(available, np.bool_))
        if self.available.shape != rewards.shape or not self.available.any(axis=1).all():
            raise ShapeError("available must be [S, A] with at least one action in every state")
        if self.observations is None:
            set_(self, "observations", np.arange(len(rewards), dtype=np.int32))
        if len(self.observations) != len(rewards):
            raise ShapeError(f"{len(self.observations)} observations for {len(rewards)} states")
        if self.terms < 1:
            raise ConfigError(f"terms is {self.terms}; a pair has at least one successor")
        set_(self, "row_excess", _checked_excess(self))

    @property
    def num_states(self) -> int:
        """S, the number of states."""
        return len(self.rewards)

    @property
    def num_actions(self) -> int:
        """A, the number of actions."""
        return self.rewards.shape[1]

    def dense_rewards(self) -> Float64[np.ndarray, "S A"]:
        """The expected rewards R(s, a), [S, A]."""
        return self.rewards

    @cached_property
    def products(self) -> "tuple[Callable[..., Array], Callable[..., Array]]":
        """Compiled: v ↦ [S, A] and, transposed, a flow [S, A] ↦ [S]."""
        example = jnp.zeros(self.num_states)

        def arrive(flow: Array) -> Array:
            return jax.linear_transpose(self.expect, example)(flow)[0]

        return jax.jit(self.expect), jax.jit(arrive)


AnyMDP = FiniteMDP | MatrixFreeMDP


def _checked_excess(mdp: MatrixFreeMDP) -> float:
    with jax.enable_x64(True):
        mass = np.asarray(mdp.expect(jnp.ones(mdp.num_states)))
    if mass.shape != mdp.rewards.shape:
        raise ShapeError(f"expect returned {mass.shape}, rewards are {mdp.rewards.shape}")
    wrong = mdp.available & ~((mass >= 0) & (mass <= 1 + 1e-9))
    if wrong.any():
        state, action = np.argwhere(wrong)[0]
        raise MDPError(
            f"the probabilities of state {state}, action {action} sum to {mass[state, action]:.12g}"
        )
    return max(float((mass - 1)[mdp.available].max()), 0.0)


class MatrixFreeChain(Chain):
    """Of a matrix-free MDP and a table of probabilities."""

    def __init__(self, mdp: MatrixFreeMDP, probabilities: Float[np.ndarray, "S A"]) -> None:
        self.mdp, self.table = mdp, probabilities
        self.rewards = (probabilities * mdp.rewards).sum(axis=1)
        self.terms = mdp.terms * mdp.num_actions
        self.reward_scale = float(np.abs(mdp.rewards[mdp.available]).max())
        self.slack = mdp.row_excess + policy_defect(probabilities)

    @property
    def arrivals(self) -> int:
        """As many as there are pairs may meet in a state."""
        return self.mdp.num_states * self.mdp.num_actions

    def resolvent(self, gamma: float) -> Resolvent:
        """(I − γP_π)^{-1}; that γ = 1 is allowed is proved by the certificate alone."""
        return self._solver(gamma, None)

    def anchored(self) -> tuple[int, Resolvent]:
        """The state with the most mass after a few steps, and the resolvent cut at it."""
        missing = float(np.abs(1.0 - self.step(np.ones(self.mdp.num_states))).max())
        if not missing <= ROW_SUM_TOLERANCE:
            raise MDPError("episodes end, so there is no average reward")
        self.slack += missing  # rows are read as if they summed to one
        mass = np.full(self.mdp.num_states, 1 / self.mdp.num_states)
        for _ in range(200):
            mass = (mass + self.step_transposed(mass)) / 2
        anchor = int(np.argmax(mass))
        return anchor, self._solver(1.0, anchor)

    def step(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """P_π v [S]: for each state the expected v of the state that follows."""
        return (self.table * self.expect(values)).sum(axis=1)

    def step_transposed(self, mass: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """P_πᵀ x [S]: the mass that arrives in each state, x having left."""
        return self.arrive(self.table * mass[:, None])

    def arrive(self, flow: Float[np.ndarray, "S A"]) -> Float[np.ndarray, " S"]:
        """The flow through pairs, to their successors."""
        with jax.enable_x64(True):
            return np.asarray(self.mdp.products[1](flow))

    def expect(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S A"]:
        """The values of the pairs' successors; 0 at missing actions."""
        with jax.enable_x64(True):
            return np.where(self.mdp.available, self.mdp.products[0](values), 0.0)

    def _solver(self, gamma: float, anchor: int | None) -> Resolvent:
        row_sums = self.step(np.ones(self.mdp.num_states))
        return Resolvent(
            lambda: _Side(self, gamma, anchor),
            lambda: _TransposedSide(self, gamma, anchor),
            row_sums,
            gamma,
            relative_error(self.terms, self.slack),
        )


class _Side(IterativeSide):
    """I − γP̃, P̃ without the transitions into the anchor; plain sweeps precondition nothing."""

    def __init__(self, chain: MatrixFreeChain, gamma: float, anchor: int | None) -> None:
        self.chain, self.gamma = chain, gamma
        self.kept = np.ones(chain.mdp.num_states)
        if anchor is not None:
            self.kept[anchor] = 0.0

    def moved(self, x: np.ndarray) -> np.ndarray:
        return self.gamma * self.chain.step(self.kept * x)

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x - self.moved(x)

    def sweep(self, b: np.ndarray) -> np.ndarray:
        return b

    def residual(self, b: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = np.abs(b) + np.abs(x) + self.moved(np.abs(x))
        relative = relative_error(self.terms, self.chain.slack)
        return (b - x) + self.moved(x), hidden(relative, scale, self.terms)

    @property
    def terms(self) -> int:
        return self.chain.terms


class _TransposedSide(_Side):
    """Its transpose. As many rows as there are states may meet in a column."""

    def moved(self, x: np.ndarray) -> np.ndarray:
        return self.gamma * self.kept * self.chain.step_transposed(x)

    @property
    def terms(self) -> int:
        return self.chain.arrivals
