"""Mean and covariance of trajectory estimators in closed form: linear equations over states.

One trajectory's estimate is X_0 with X_t = ψ_t g_t + w X_{t+1}, g = ∇log π(a_t|s_t), w = γ
("discounted") or 1. What is needed of the future are moments given the next state, and each is the
fixed point of a Bellman-like equation x = b + f P_π x with f one of c, c², w, cw, w². Outcomes stay
separate: their rewards correlate with where they lead.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy import sparse
from scipy.sparse.linalg import splu

from logtrick.errors import EstimatorError
from logtrick.graphs import ancestors
from logtrick.mdp import FiniteMDP


class Moments(NamedTuple):
    """Of the estimate from one trajectory."""

    mean: Float64[np.ndarray, " N"]
    covariance: Float64[np.ndarray, "N N"]


@dataclass(frozen=True)
class Flow:
    """Who goes where under a policy: pairs (s, a), their outcomes, and the scores of the policy.

    A horizon makes a copy of every state for each step, so that a cut is an end without a cut in
    the equations: after the last step nothing follows, but each TD residual has its own V(s').
    """

    chances: Float64[np.ndarray, " K"]
    """p of each outcome, given its pair."""
    goes_on: Float64[np.ndarray, " K"]
    """1, or 0 where the outcome terminates."""
    pairs: np.ndarray
    """int[K] the pair of each outcome."""
    successors: np.ndarray
    """int[K] the state that each outcome leads to."""
    policy: sparse.csr_array
    """[S, P] π(a|s) in the row of s."""
    scores: Float64[np.ndarray, "P N"]
    """∇log π(a|s)."""
    start: Float64[np.ndarray, " S"]

    @classmethod
    def of(
        cls,
        mdp: FiniteMDP,
        probabilities: Float64[np.ndarray, " P"],
        scores: Float64[np.ndarray, "P N"],
        horizon: int | None = None,
    ) -> "Flow":
        """Flatten an MDP and a policy given on its pairs; cut after `horizon` steps."""
        pairs = np.repeat(np.arange(mdp.num_pairs), np.diff(mdp.outcome_offsets))
        shape = (mdp.num_states, mdp.num_pairs)
        where = (mdp.pair_states, np.arange(mdp.num_pairs))
        possible = _possible(mdp, pairs, probabilities)[mdp.pair_states]
        policy = sparse.csr_array((probabilities * possible, where), shape)
        flow = cls(
            chances=mdp.probabilities,
            goes_on=(~mdp.terminated).astype(float),
            pairs=pairs,
            successors=mdp.successors,
            policy=policy,
            scores=np.where(probabilities[:, None] > 0, scores, 0.0),
            start=mdp.start,
        )
        return flow if horizon is None else flow._unrolled(horizon)

    def _unrolled(self, steps: int) -> "Flow":
        states, pairs = self.policy.shape
        step = np.repeat(np.arange(steps), len(self.pairs))
        last = step == steps - 1
        return Flow(
            chances=np.tile(self.chances, steps),
            goes_on=np.where(last, 0.0, np.tile(self.goes_on, steps)),
            pairs=np.tile(self.pairs, steps) + step * pairs,
            successors=np.tile(self.successors, steps) + np.where(last, step, step + 1) * states,
            policy=sparse.csr_array(sparse.block_diag([self.policy] * steps)),
            scores=np.tile(self.scores, (steps, 1)),
            start=np.concatenate([self.start, np.zeros(states * (steps - 1))]),
        )

    def expected(self, per_outcome: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " P"]:
        """Σ_outcomes p x, of each pair."""
        return np.bincount(self.pairs, self.chances * per_outcome, self.policy.shape[1])

    def onwards(self, per_outcome: Float64[np.ndarray, " K"] | float = 1.0) -> sparse.csr_array:
        """[P, S] p x for every outcome that goes on, x = 1 giving P(s'|s, a)."""
        weights = self.chances * self.goes_on * per_outcome
        shape = self.policy.shape[::-1]
        return sparse.csr_array((weights, (self.pairs, self.successors)), shape)

    @cached_property
    def steps(self) -> sparse.csr_array:
        """[S, S] P_π, without what terminates."""
        return sparse.csr_array(self.policy @ self.onwards())

    def fixed_point(self, factor: float, b: Any) -> Any:
        """The x with x = b + factor · P_π x, b [S] or [S, ...]."""
        flat = self._factorised(factor).solve(np.ascontiguousarray(b).reshape(len(b), -1))
        return flat.reshape(b.shape)

    def visits(self, factor: float, b: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, " S"]:
        """The y with y = b + factor · P_πᵀ y: how much each b(s) comes to weigh in every state."""
        return self._factorised(factor).solve(b, trans="T")

    def _factorised(self, factor: float) -> Any:
        size = self.steps.shape[0]
        try:
            lu = splu(sparse.csc_array(sparse.eye_array(size) - factor * self.steps))
            # x = 1 + f P x has a solution x ≥ 1 exactly if the series Σ (f P)^k converges.
            total = lu.solve(np.ones(size))
        except RuntimeError:  # exactly singular
            total = np.zeros(size)
        if not np.all(total >= 1 - 1e-9):
            raise EstimatorError(
                f"a moment of the estimate is infinite: under this policy Σ_t {factor:g}^t "
                "Pr(not ended by t) diverges. Give a smaller γ, a horizon, or a policy that ends"
            )
        return lu


def _possible(
    mdp: FiniteMDP, pairs: np.ndarray, probabilities: Float64[np.ndarray, " P"]
) -> np.ndarray:
    """bool[S]: states that the policy can be in. Elsewhere it may do as it likes, even for ever."""
    used = (mdp.probabilities * probabilities[pairs] > 0) & ~mdp.terminated
    sources, destinations = mdp.pair_states[pairs[used]], mdp.successors[used]
    return ancestors(destinations, sources, mdp.start > 0)


class _Next(NamedTuple):
    """Moments given the state, of ψ^{(j)} for each window j, and of X."""

    psi: Float64[np.ndarray, "S J"]
    psi_psi: Float64[np.ndarray, "S J J"]
    x: Float64[np.ndarray, "S N"]
    psi_x: Float64[np.ndarray, "S J N"]


@dataclass(frozen=True)
class Trace:
    """ψ_t = δ_t + c ψ_{t+1}, or its first `window` terms, and X_t = ψ_t g_t + w X_{t+1}.

    Without a window ψ is its own future (J = 1). With one, ψ^{(j)} = δ + c ψ^{(j−1)}, ψ^{(0)} = 0,
    for j = 1 … n, and X is made of the last.
    """

    flow: Flow
    increments: Float64[np.ndarray, " K"]
    """δ of each outcome."""
    decay: float
    """c."""
    weight: float
    """w."""
    window: int | None = None

    def moments(self) -> Moments:
        """Solve for each moment in turn; the second of X only as its mean over the start."""
        flow, w = self.flow, self.weight
        n, size = self.flow.scores.shape[1], self.window or 1
        states = len(flow.start)
        ahead = _Next(
            np.zeros((states, size)),
            np.zeros((states, size, size)),
            np.zeros((states, n)),
            np.zeros((states, size, n)),
        )
        ahead = self._settled("psi", self.decay, self.window, ahead)
        ahead = self._settled("psi_psi", self.decay**2, self.window, ahead)
        ahead = self._settled("x", w, None, ahead)
        ahead = self._settled("psi_x", self.decay * w, self.window, ahead)
        mean = flow.start @ ahead.x
        return Moments(mean, self._second_of_x(ahead) - np.outer(mean, mean))

    def _settled(self, name: str, factor: float, window: int | None, ahead: _Next) -> _Next:
        """One moment at its fixed point, given those that it depends on."""
        if window is None:
            base = getattr(self._backward(ahead), name)
            return ahead._replace(**{name: self.flow.fixed_point(factor, base)})
        for _ in range(window):  # a window is used up after as many steps
            ahead = ahead._replace(**{name: getattr(self._backward(ahead), name)})
        return ahead

    def _shorter(self, moments: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """The moments of ψ^{(j−1)} in the place of those of ψ^{(j)}."""
        if self.window is None:
            return moments
        for axis in axes:
            moments = np.roll(moments, 1, axis)
            moments[(slice(None),) * axis + (0,)] = 0
        return moments

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray, sparse.csr_array, sparse.csr_array]:
        flow, delta = self.flow, self.increments
        return flow.expected(delta), flow.expected(delta**2), flow.onwards(), flow.onwards(delta)

    def _pairs(self, ahead: _Next) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Given s and a: E ψ^{(j)}, E ψ^{(i)}ψ^{(j)}, and E ψ^{(j)} X_{t+1}."""
        c, (first, second, on, on_delta) = self.decay, self._matrices
        psi = self._shorter(ahead.psi, (1,))
        psi_psi = self._shorter(ahead.psi_psi, (1, 2))
        psi_x = self._shorter(ahead.psi_x, (1,))
        cross = c * (on_delta @ psi)
        return (
            first[:, None] + c * (on @ psi),
            second[:, None, None]
            + cross[:, :, None]
            + cross[:, None, :]
            + c**2 * apply(on, psi_psi),
            (on_delta @ ahead.x)[:, None, :] + c * apply(on, psi_x),
        )

    def _backward(self, ahead: _Next) -> _Next:
        """The moments one step earlier."""
        flow, w = self.flow, self.weight
        psi, psi_psi, psi_ahead = self._pairs(ahead)
        g = flow.scores
        return _Next(
            flow.policy @ psi,
            apply(flow.policy, psi_psi),
            flow.policy @ (psi[:, -1:] * g + w * (self._matrices[2] @ ahead.x)),
            apply(flow.policy, psi_psi[:, :, -1, None] * g[:, None, :] + w * psi_ahead),
        )

    def _second_of_x(self, ahead: _Next) -> Float64[np.ndarray, "N N"]:
        """E XXᵀ over the start, by the w²-discounted visits: no N × N matrix of every state."""
        flow, w = self.flow, self.weight
        _, psi_psi, psi_ahead = self._pairs(ahead)
        visits = flow.visits(w**2, flow.start) @ flow.policy
        return _outer(flow.scores, visits * psi_psi[:, -1, -1], w * visits, psi_ahead[:, -1])


def total_return_moments(
    flow: Flow, rewards: Float64[np.ndarray, " K"], gamma: float, spread: float
) -> Moments:
    """Moments of X = R·S, R = Σ_t γ^t r_t and S = Σ_t u^t g_t: the total return as every ψ_t.

    `spread` is u: 1 with the weight γ^t, which cancels the γ^{−t} in ψ_t, and 1/γ without it. The
    equations are those of E[R^i S^j | s], and E S = 0 since scores have mean 0.
    """
    g, policy, u = flow.scores, flow.policy, spread
    on, on_r, on_rr = flow.onwards(), flow.onwards(rewards), flow.onwards(rewards**2)
    r = flow.fixed_point(gamma, policy @ flow.expected(rewards))
    q = flow.expected(rewards) + gamma * (on @ r)
    rr_ahead = flow.expected(rewards**2) + 2 * gamma * (on_r @ r)
    rr = flow.fixed_point(gamma**2, policy @ rr_ahead)
    qq = rr_ahead + gamma**2 * (on @ rr)
    rs = flow.fixed_point(gamma * u, policy @ (q[:, None] * g))
    rs_ahead = 2 * gamma * (on_r @ rs)
    rrs = flow.fixed_point(gamma**2 * u, policy @ (qq[:, None] * g + u * rs_ahead))
    # E RRSSᵀ, E RSSᵀ and E SSᵀ over the start: how often each state's own term enters each.
    with_rr = flow.visits(gamma**2 * u**2, flow.start) @ policy
    with_r = flow.visits(gamma * u**2, 2 * gamma * u**2 * (with_rr @ on_r)) @ policy
    with_none = flow.visits(u**2, u**2 * (with_rr @ on_rr + with_r @ on_r)) @ policy
    second = (
        _outer(g, with_rr * qq, u * with_rr, rs_ahead + gamma**2 * (on @ rrs))
        + _outer(g, with_r * q, u * with_r, gamma * (on @ rs))
        + (g.T * with_none) @ g
    )
    mean = flow.start @ rs
    return Moments(mean, second - np.outer(mean, mean))


def _outer(
    scores: Float64[np.ndarray, "P N"],
    squares: Float64[np.ndarray, " P"],
    weights: Float64[np.ndarray, " P"],
    ahead: Float64[np.ndarray, "P N"],
) -> Float64[np.ndarray, "N N"]:
    """Σ_pairs squares · g gᵀ + weights · (g aheadᵀ + ahead gᵀ)."""
    mixed = (scores.T * weights) @ ahead
    return (scores.T * squares) @ scores + mixed + mixed.T


def apply(matrix: sparse.csr_array, tensor: np.ndarray) -> np.ndarray:
    """A sparse matrix times the first axis of a tensor."""
    return (matrix @ tensor.reshape(len(tensor), -1)).reshape(-1, *tensor.shape[1:])
