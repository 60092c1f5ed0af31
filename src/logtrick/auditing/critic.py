"""What an estimator may know about the future: V, Q and b*, exact or given."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.flow import Flow
from logtrick.mdp import FiniteMDP
from logtrick.psi import optimal_baseline


@dataclass(frozen=True)
class Critic:
    """The values that ψ is made with, on the MDP without a horizon."""

    mdp: FiniteMDP
    flow: Flow
    gamma: float
    given: Float64[np.ndarray, " S"] | None = None
    """V of an imperfect critic; None is V_π."""

    @property
    def values(self) -> Float64[np.ndarray, " S"]:
        """V(s) as the estimator has it."""
        return self.exact_values if self.given is None else self.given

    @cached_property
    def exact_values(self) -> Float64[np.ndarray, " S"]:
        """V_π (V2)."""
        paid = self.flow.policy @ self.flow.expected(self.mdp.rewards)
        return self.flow.fixed_point(self.gamma, paid)

    @cached_property
    def action_values(self) -> Float64[np.ndarray, " P"]:
        """Q_π of each pair (V3)."""
        paid = self.flow.expected(self.mdp.rewards)
        return paid + self.gamma * (self.flow.onwards() @ self.exact_values)

    @property
    def advantages(self) -> Float64[np.ndarray, " P"]:
        """A_π of each pair (V4)."""
        return self.action_values - self.exact_values[self.mdp.pair_states]

    @cached_property
    def above_optimal_baseline(self) -> Float64[np.ndarray, " P"]:
        """Q − b* of each pair."""
        mdp, flow = self.mdp, self.flow
        tables = np.zeros((3, mdp.num_states, mdp.num_actions))
        squares = np.sum(flow.scores**2, axis=1)
        chances = np.asarray(flow.policy.sum(axis=0)).ravel()
        for table, of_pairs in zip(tables, (self.action_values, chances, squares), strict=True):
            table[mdp.pair_states, mdp.pair_actions] = of_pairs
        return self.action_values - optimal_baseline(*tables)[mdp.pair_states]

    @property
    def expected_terms(self) -> Float64[np.ndarray, "P N"]:
        """Σ_a π Q ∇log π of the pair's state: what all actions together contribute."""
        flow = self.flow
        return (flow.policy @ (self.action_values[:, None] * flow.scores))[self.mdp.pair_states]
