"""What an estimator may know about the future: V, Q and b*, exact or given."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from logtrick import psi
from logtrick.auditing.flow import Flow
from logtrick.mdp.model import FiniteMDP
from logtrick.psi.registry import Psi


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
        """V [S] as the estimator has it: the given critic, or V_π."""
        return self.exact_values if self.given is None else self.given

    @cached_property
    def exact_values(self) -> Float64[np.ndarray, " S"]:
        """V_π [S], the solution of (I − γP_π) V = r_π (V2)."""
        paid = self.flow.policy @ self.flow.expected(self.mdp.rewards)
        return self.flow.fixed_point(self.gamma, paid)

    @cached_property
    def action_values(self) -> Float64[np.ndarray, " P"]:
        """Q_π(s, a) of each pair (V3), [P]."""
        paid = self.flow.expected(self.mdp.rewards)
        return paid + self.gamma * (self.flow.onwards() @ self.exact_values)

    @cached_property
    def td_residuals(self) -> Float64[np.ndarray, " K"]:
        """The TD residual δ = r + γ V(s') − V(s) of each outcome, [K]."""
        mdp, v = self.mdp, self.values
        before, after = v[mdp.pair_states[mdp.outcome_pairs]], v[mdp.successors]
        never = np.zeros(len(mdp.rewards), bool)
        return psi.td_residual(mdp.rewards, before, after, mdp.terminated, never, gamma=self.gamma)

    def of_pairs(self, row: Psi) -> Float64[np.ndarray, " P"]:
        """ψ(s, a) of each pair, by a row of the registry that knows Q of every action."""
        mdp, flow = self.mdp, self.flow
        known = {
            "action_values": self.action_values,
            "probabilities": np.minimum(np.asarray(flow.policy.sum(axis=0)).ravel(), 1.0),
            "squared_scores": np.sum(flow.scores**2, axis=1),
        }
        tables = {}
        for name in row.takes:
            tables[name] = np.zeros((mdp.num_states, mdp.num_actions))
            tables[name][mdp.pair_states, mdp.pair_actions] = known[name]
        return row.evaluate(tables)[mdp.pair_states, mdp.pair_actions]

    def expected_terms(self, row: Psi) -> Float64[np.ndarray, "P N"]:
        """Σ_a π ψ ∇log π of the pair's state: what all actions together contribute."""
        flow = self.flow
        return (flow.policy @ (self.of_pairs(row)[:, None] * flow.scores))[self.mdp.pair_states]
