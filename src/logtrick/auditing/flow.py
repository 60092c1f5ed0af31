"""Who goes where under a policy, and linear equations along the way."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import sparse
from scipy.sparse.linalg import splu

from logtrick.errors import EstimatorError
from logtrick.mdp.graphs import ancestors
from logtrick.mdp.model import FiniteMDP


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
        pairs = mdp.outcome_pairs
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
        # A matrix that is singular but for rounding solves nothing, whatever comes back.
        missed = np.abs(total - factor * (self.steps @ total) - 1)
        if not np.all((total >= 1 - 1e-9) & (missed < 1e-3)):
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
