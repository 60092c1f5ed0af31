"""The Markov reward chain that a policy makes of an MDP."""

import abc
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy import sparse

from logtrick.errors import ImproperPolicyError, MDPError, MultichainError
from logtrick.exact.resolvent import Resolvent, dense
from logtrick.mdp import row_sums
from logtrick.mdp.graphs import ancestors, closed_classes
from logtrick.mdp.model import FiniteMDP
from logtrick.support.rounding import EPS, hidden, relative_error


class Chain(abc.ABC):
    """States, expected rewards r_π and transitions P_π, terminated mass removed."""

    rewards: Float[np.ndarray, " S"]
    """r_π"""
    reward_scale: float
    """The greatest |r| of any outcome: expected rewards carry its rounding, also where they
    cancel."""
    terms: int
    """The most numbers that are added up in a row of P_π."""
    slack: float
    """The relative error of an entry of P_π: what its rows lack to be distributions (policy and
    MDP each). (The rounding of products of probabilities is counted with that of residuals.)"""

    @property
    @abc.abstractmethod
    def arrivals(self) -> int:
        """The most numbers that are added up in a column of P_π."""

    @property
    def mass(self) -> float:
        """What no row of P or P_π exceeds."""
        return 1.0 + EPS * (self.terms + 8) + self.slack

    def backup_error(self, size: float) -> float:
        """How far rounding and `slack` may move R + γ P v, or r_π + γ P_π v, where |v| ≤ size."""
        relative = relative_error(self.terms, self.slack)
        return float(hidden(relative, self.reward_scale + self.mass * size, self.terms))

    @property
    def reward_error(self) -> float:
        """How far an entry of r_π may be from the truth."""
        return self.backup_error(0.0)

    @abc.abstractmethod
    def resolvent(self, gamma: float) -> Resolvent:
        """(I − γP_π)^{-1}.

        Raises:
            ImproperPolicyError: γ = 1 and some state never reaches an end.
        """

    @abc.abstractmethod
    def anchored(self) -> tuple[int, Resolvent]:
        """A recurrent state and (I − P̃)^{-1}, P̃ = P_π without the transitions into that state.

        Raises:
            MultichainError: two closed classes.
            MDPError: the chain ends.
        """

    @abc.abstractmethod
    def step(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """P_π v [S]: for each state the expected v of the state that follows."""

    @abc.abstractmethod
    def arrive(self, flow: Float[np.ndarray, "S A"]) -> Float[np.ndarray, " S"]:
        """Σ_{s, a} flow(s, a) P(s' | s, a) for each s', the transpose of `expect`."""

    @abc.abstractmethod
    def expect(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S A"]:
        """Σ_s' P(s' | s, a) v(s'), terminated mass removed; 0 at missing actions."""


class FiniteChain(Chain):
    """Of a finite MDP and a table of probabilities."""

    def __init__(self, mdp: FiniteMDP, probabilities: Float[np.ndarray, "S A"]) -> None:
        self.mdp = mdp
        self.weights = probabilities[mdp.pair_states, mdp.pair_actions]
        paid = self.weights * mdp.pair_rewards
        self.rewards = np.add.reduceat(paid, mdp.pair_offsets[:-1])
        self.terms = int(np.diff(mdp.outcome_offsets[mdp.pair_offsets]).max())
        self.reward_scale = float(np.abs(mdp.rewards).max())
        self.slack = mdp.row_defect + policy_defect(probabilities) + EPS * self._merged()

    @property
    def arrivals(self) -> int:
        """Of all pairs, whatever the policy."""
        return int(np.bincount(self.mdp.continuation.indices, minlength=1).max())

    @cached_property
    def transitions(self) -> sparse.csr_array:
        """P_π by rows; a column may occur once for each action."""
        matrix = self.mdp.continuation
        weights = matrix.data * np.repeat(self.weights, np.diff(matrix.indptr))
        offsets = matrix.indptr[self.mdp.pair_offsets]
        return sparse.csr_array((weights, matrix.indices, offsets), (self.mdp.num_states,) * 2)

    def resolvent(self, gamma: float) -> Resolvent:
        """(I − γP_π)^{-1}, after a search for states that never end."""
        if gamma == 1:
            self._check_proper()
        return self._solver(self.transitions, gamma)

    def anchored(self) -> tuple[int, Resolvent]:
        """A state of the one closed class, and the resolvent cut at it."""
        self._check_continuing()
        classes = closed_classes(self.transitions)
        if len(classes) > 1:
            first, second = (_listed(group) for group in classes[:2])
            raise MultichainError(
                f"the policy's chain has {len(classes)} closed classes, among them {first} and "
                f"{second}; its average reward depends on where it starts"
            )
        anchor = self._often_visited(classes[0])
        matrix = self.transitions.copy()
        matrix.data = np.where(matrix.indices == anchor, 0.0, matrix.data)
        return anchor, self._solver(matrix, 1.0)

    def step(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """P_π v [S]: for each state the expected v of the state that follows."""
        return self.transitions @ values

    def arrive(self, flow: Float[np.ndarray, "S A"]) -> Float[np.ndarray, " S"]:
        """The flow through pairs, to their successors."""
        return self.mdp.continuation.T @ flow[self.mdp.pair_states, self.mdp.pair_actions]

    def expect(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S A"]:
        """The values of the pairs' successors."""
        table = np.zeros((self.mdp.num_states, self.mdp.num_actions))
        table[self.mdp.pair_states, self.mdp.pair_actions] = self.mdp.continuation @ values
        return table

    def _merged(self) -> int:
        """Additions behind an entry of `continuation`: equal successors of a pair are merged."""
        mdp = self.mdp
        if mdp.continuation.nnz == np.count_nonzero(~mdp.terminated & (mdp.probabilities > 0)):
            return 0
        return int(np.diff(mdp.outcome_offsets).max())

    def _solver(self, transitions: sparse.csr_array, gamma: float) -> Resolvent:
        if self.mdp.is_dense:
            return dense(transitions, gamma, self.slack)
        from logtrick.exact.sparse_side import iterative  # numba, which small MDPs do not need

        return iterative(transitions, gamma, self.slack)

    def _ends(self) -> np.ndarray:
        """bool[S]: the episode may end in a step from here."""
        used = self.mdp.pair_ends & (self.weights > 0)
        return np.logical_or.reduceat(used, self.mdp.pair_offsets[:-1])

    def _check_proper(self) -> None:
        edges = self.transitions.tocoo()
        used = edges.data > 0
        stuck = ~ancestors(edges.row[used], edges.col[used], self._ends())
        if stuck.any():
            inside = np.flatnonzero(stuck)
            trap = next(group for group in closed_classes(self.transitions) if stuck[group].all())
            raise ImproperPolicyError(
                f"at γ = 1 the policy never ends from {len(inside)} of {len(stuck)} states "
                f"({_listed(inside)}): it stays in {_listed(trap)}"
            )

    def _check_continuing(self) -> None:
        ends = self._ends()
        if ends.any():
            raise MDPError(
                f"episodes end in state {int(np.argmax(ends))} (as they do in a state that is "
                "never left and pays nothing), so there is no average reward; mdp.restarting() "
                "sends ends back to the start"
            )

    def _often_visited(self, group: np.ndarray) -> int:
        """The state of a closed class with the most mass after a few steps from all of it.

        Any state would do. One that is visited often keeps the times between its visits short,
        and with them the condition of the system.
        """
        mass = np.zeros(self.mdp.num_states)
        mass[group] = 1 / len(group)
        for _ in range(50):
            mass = (mass + self.transitions.T @ mass) / 2
        return int(np.argmax(mass))


def policy_defect(probabilities: Float[np.ndarray, "S A"]) -> float:
    """How far a policy's rows may be from summing to one."""
    sums = probabilities.sum(axis=1)
    return row_sums.defect(sums, probabilities.shape[1])


def _listed(states: np.ndarray, most: int = 8) -> str:
    shown = ", ".join(str(state) for state in states[:most])
    return f"state{'s'[: len(states) - 1]} {shown}" + (", …" if len(states) > most else "")
