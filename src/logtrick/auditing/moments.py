"""Mean and covariance of trajectory estimators in closed form: linear equations over states.

One trajectory's estimate is X_0 with X_t = ψ_t g_t + w X_{t+1}, g = ∇log π(a_t|s_t), w = γ
("discounted") or 1. What is needed of the future are moments given the next state, and each is the
fixed point of a Bellman-like equation x = b + f P_π x with f one of c, c², w, cw, w². Outcomes stay
separate: their rewards correlate with where they lead.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from scipy import sparse

from logtrick.auditing.flow import Flow


class Moments(NamedTuple):
    """The mean and the covariance of the estimate from one trajectory."""

    mean: Float64[np.ndarray, " N"]
    covariance: Float64[np.ndarray, "N N"]


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
    """δ of each outcome, [K]."""
    decay: float
    """c, the factor of ψ_{t+1}."""
    weight: float
    """w, the factor of X_{t+1}."""
    window: int | None = None

    def mean(self) -> Float64[np.ndarray, " N"]:
        """The expected estimate E X, [N], without its covariance."""
        on, c = self.flow.onwards(), self.decay
        paid = self.flow.expected(self.increments)
        if self.window is None:
            psi = self.flow.fixed_point(c, self.flow.policy @ paid)
        else:
            psi = np.zeros(len(self.flow.start))
            for _ in range(self.window - 1):
                psi = self.flow.policy @ (paid + c * (on @ psi))
        of_pairs = (paid + c * (on @ psi))[:, None] * self.flow.scores
        return self.flow.start @ self.flow.fixed_point(self.weight, self.flow.policy @ of_pairs)

    def moments(self) -> Moments:
        """Solve for each moment in turn; the second of X only as its mean over the start."""
        w = self.weight
        n, size = self.flow.scores.shape[1], self.window or 1
        states = len(self.flow.start)
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
        mean = self.flow.start @ ahead.x
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


@dataclass(frozen=True)
class TotalReturn:
    """X = R·S, R = Σ_t γ^t r_t and S = Σ_t u^t g_t: the total return as every ψ_t.

    u is 1 with the weight γ^t, which cancels the γ^{−t} in ψ_t, and 1/γ without it. The equations
    are those of E[R^i S^j | s], and E S = 0 since scores have mean 0.
    """

    flow: Flow
    rewards: Float64[np.ndarray, " K"]
    """r of each outcome."""
    gamma: float
    spread: float
    """u."""

    @cached_property
    def _first(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E R of each state and of each pair, and E RS of each state."""
        flow, gamma = self.flow, self.gamma
        paid = flow.expected(self.rewards)
        r = flow.fixed_point(gamma, flow.policy @ paid)
        q = paid + gamma * (flow.onwards() @ r)
        return r, q, flow.fixed_point(gamma * self.spread, flow.policy @ (q[:, None] * flow.scores))

    def mean(self) -> Float64[np.ndarray, " N"]:
        """The expected estimate E X, [N]."""
        return self.flow.start @ self._first[2]

    def moments(self) -> Moments:
        """The expected estimate E X [N] and its covariance [N, N]."""
        flow, rewards, gamma, u = self.flow, self.rewards, self.gamma, self.spread
        g, policy, (r, q, rs) = flow.scores, flow.policy, self._first
        on, on_r, on_rr = flow.onwards(), flow.onwards(rewards), flow.onwards(rewards**2)
        rr_ahead = flow.expected(rewards**2) + 2 * gamma * (on_r @ r)
        rr = flow.fixed_point(gamma**2, policy @ rr_ahead)
        qq = rr_ahead + gamma**2 * (on @ rr)
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
        return Moments(self.mean(), second - np.outer(self.mean(), self.mean()))


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
