"""The arrays under a finite MDP: pairs and outcomes, checked and frozen, and what they imply."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from scipy import sparse

from logtrick.mdp import row_sums
from logtrick.support.numbers import as_numbers

#: The types of the arrays that are given.
KINDS = {
    "pair_offsets": np.int64,
    "pair_actions": np.int32,
    "outcome_offsets": np.int64,
    "successors": np.int32,
    "probabilities": np.float64,
    "rewards": np.float64,
    "terminated": np.bool_,
}


#: What the derived properties are computed from. A copy keeps those whose sources are the same
#: arrays, and computes all others anew.
_SOURCES = {
    "num_actions": ("pair_actions",),
    "pair_states": ("pair_offsets",),
    "outcome_pairs": ("outcome_offsets",),
    "available": ("pair_offsets", "pair_actions"),
    "pair_rewards": ("outcome_offsets", "probabilities", "rewards"),
    "pair_ends": ("outcome_offsets", "probabilities", "terminated"),
    "continuation": ("outcome_offsets", "successors", "probabilities", "terminated"),
}


def frozen(array: np.ndarray) -> Any:
    """A read-only view, so that nobody changes an MDP after it was checked.

    The kernels of `planning` are compiled once for read-only arrays and once for others.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def owned(name: str, array: Any, dtype: Any) -> Any:
    """A read-only array of numbers that nobody else can write to.

    What somebody else may write to is copied. Whoever makes a large array for an MDP passes it
    `frozen`, which says that it is not written to again.
    """
    numbers = as_numbers(name, array, dtype)
    if not numbers.flags.writeable:
        return numbers if numbers.flags.c_contiguous else frozen(numbers)
    borrowed = numbers is array or numbers.base is not None
    return frozen(numbers.copy() if borrowed else numbers)


@dataclass(frozen=True, eq=False, repr=False)
class MDPArrays:
    """States, pairs and outcomes by three levels of offsets.

    The fields are described where users meet them, in `logtrick.FiniteMDP`.
    """

    pair_offsets: Int64[np.ndarray, " _S1"]
    pair_actions: Int32[np.ndarray, " P"]
    outcome_offsets: Int64[np.ndarray, " _P1"]
    successors: Int32[np.ndarray, " K"]
    probabilities: Float64[np.ndarray, " K"]
    rewards: Float64[np.ndarray, " K"]
    terminated: Bool[np.ndarray, " K"]
    terminal: Any = field(default=None, kw_only=True)
    """bool[S] once it is inferred."""

    def _end_in(self, ends: Bool[np.ndarray, " S"], like: "MDPArrays | None") -> None:
        """Infer where episodes end: in the states `ends`, and where nobody leaves or is paid.

        Arrays that turn out as in the MDP `like` are shared with it.
        """
        if ends.any():
            own = self.pair_states[self.outcome_pairs]
            idle = ends[own]  # whatever was given for these states, nothing happens there
            self._infer("successors", np.where(idle, own, self.successors), like)
            self._infer("rewards", np.where(idle, 0.0, self.rewards), like)
            self._infer("terminated", self.terminated & ~idle, like)
        terminal = self._absorbing_and_paying_nothing()
        self._infer("terminated", self.terminated | terminal[self.successors], like)
        self._infer("terminal", terminal, like)

    def _infer(self, name: str, array: np.ndarray, like: "MDPArrays | None") -> None:
        """Set a field; keep the array that was given, or that of `like`, where it is the same."""
        for known in (getattr(self, name), getattr(like, name, None)):
            if isinstance(known, np.ndarray) and np.array_equal(known, array):
                object.__setattr__(self, name, known)
                return
        object.__setattr__(self, name, frozen(array))

    def _keep_derived(self, other: "MDPArrays") -> None:
        """Take over what was derived from the very arrays that this MDP has, too."""
        for name, sources in _SOURCES.items():
            if all(getattr(self, source) is getattr(other, source) for source in sources):
                self.__dict__.update({k: v for k, v in other.__dict__.items() if k == name})

    @property
    def num_states(self) -> int:
        """S, the number of states."""
        return len(self.pair_offsets) - 1

    @property
    def num_pairs(self) -> int:
        """Pairs (s, a) of a state and an action that it has."""
        return len(self.pair_actions)

    @property
    def num_outcomes(self) -> int:
        """K, the number of outcomes of all pairs together."""
        return len(self.successors)

    @cached_property
    def num_actions(self) -> int:
        """A, one more than the largest action."""
        return int(self.pair_actions.max()) + 1

    @cached_property
    def pair_states(self) -> Int32[np.ndarray, " P"]:
        """int[P], the state of each pair."""
        states = np.arange(self.num_states, dtype=np.int32)
        return frozen(np.repeat(states, np.diff(self.pair_offsets)))

    @cached_property
    def outcome_pairs(self) -> Int64[np.ndarray, " K"]:
        """int[K], the pair of each outcome."""
        return frozen(np.repeat(np.arange(self.num_pairs), np.diff(self.outcome_offsets)))

    @cached_property
    def available(self) -> Bool[np.ndarray, "S A"]:
        """bool[S, A], which state has which action."""
        mask = np.zeros((self.num_states, self.num_actions), np.bool_)
        mask[self.pair_states, self.pair_actions] = True
        return frozen(mask)

    @cached_property
    def pair_rewards(self) -> Float64[np.ndarray, " P"]:
        """R(s, a), the expected immediate reward of each pair."""
        expected = np.add.reduceat(self.probabilities * self.rewards, self.outcome_offsets[:-1])
        return frozen(expected)

    @cached_property
    def pair_ends(self) -> Bool[np.ndarray, " P"]:
        """Which pairs have an outcome that ends the episode."""
        ends = self.terminated & (self.probabilities > 0)
        return frozen(np.logical_or.reduceat(ends, self.outcome_offsets[:-1]))

    @cached_property
    def row_defect(self) -> float:
        """How far the probabilities of a pair may be from summing to one: rounding only."""
        sums = np.add.reduceat(self.probabilities, self.outcome_offsets[:-1])
        return row_sums.defect(sums, int(np.diff(self.outcome_offsets).max()))

    @cached_property
    def continuation(self) -> sparse.csr_array:
        """P(s' | s, a) over pairs [P, S] without the mass that terminates; duplicates merged.

        This is what a value is bootstrapped through: V3 reads Q = R + γ · continuation @ V.
        """
        shape = (self.num_pairs, self.num_states)
        if self._is_already_continuation():
            parts = (self.probabilities, self.successors, _narrow(self.outcome_offsets))
            return sparse.csr_array(parts, shape, copy=False)
        goes_on = ~self.terminated & (self.probabilities > 0)
        counts = np.add.reduceat(goes_on, self.outcome_offsets[:-1], dtype=np.int64)
        offsets = _narrow(np.concatenate([[0], np.cumsum(counts)]))
        parts = (self.probabilities[goes_on], self.successors[goes_on], offsets)
        matrix = sparse.csr_array(parts, shape)
        matrix.sum_duplicates()
        return matrix

    def dense_rewards(self) -> Float64[np.ndarray, "S A"]:
        """R(s, a) as a table; 0 at actions that a state does not have (see `available`)."""
        table = np.zeros((self.num_states, self.num_actions))
        table[self.pair_states, self.pair_actions] = self.pair_rewards
        return table

    def dense_transitions(self) -> Float64[np.ndarray, "S A S"]:
        """P(s' | s, a) as a table, terminated mass included; for small MDPs."""
        table = np.zeros((self.num_states, self.num_actions, self.num_states))
        pairs = self.outcome_pairs
        where = (self.pair_states[pairs], self.pair_actions[pairs], self.successors)
        np.add.at(table, where, self.probabilities)
        return table

    def _absorbing_and_paying_nothing(self) -> Bool[np.ndarray, " S"]:
        """True where every outcome that has probability goes back to the state itself and pays 0.

        Outcomes that are flagged as terminated say themselves where the episode ends: a last step
        that happens to pay nothing is a step all the same.
        """
        first = self.outcome_offsets[self.pair_offsets]
        own = np.repeat(np.arange(self.num_states, dtype=np.int32), np.diff(first))
        busy = (self.successors != own) | (self.rewards != 0) | self.terminated
        busy &= self.probabilities > 0
        return ~np.logical_or.reduceat(busy, first[:-1])

    def _is_already_continuation(self) -> bool:
        """True where the outcomes are that matrix as they stand, so that it needs no memory."""
        if self.terminated.any() or not (self.probabilities > 0).all():
            return False
        increases = np.diff(self.successors) > 0
        increases[self.outcome_offsets[1:-1] - 1] = True
        return bool(increases.all())


def _narrow(offsets: np.ndarray) -> np.ndarray:
    """int32 where it suffices: scipy gives offsets and columns one type, the wider of the two."""
    return offsets.astype(np.int32 if offsets[-1] < 2**31 else np.int64)
