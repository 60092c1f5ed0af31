"""One iteration of a search: what its backup found, and the chain of the policy it follows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt32

from logtrick.mdp.arrays import frozen
from logtrick.planning.operators import Backup, Operator
from logtrick.planning.sparse import row_kernels
from logtrick.planning.sparse.chains import SparseChain, Vector
from logtrick.planning.sparse.threads import num_blocks

Choice = UInt32[np.ndarray, " S"]


class Followed:
    """P_π of a policy whose choices hardly change in the end.

    At 10⁶ states × 4 × 4 a copy of all its rows takes as long as five sweeps of them. A row with
    as many outcomes as before is overwritten where it stands; only where one has more or fewer are
    all rows copied again.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._choice: np.ndarray | None = None
        self._rows: tuple[np.ndarray, ...] = ()

    def chain(self, choice: UInt32[np.ndarray, " S"], dtype: Any = np.float64) -> SparseChain:
        """P_π of the policy; it holds until the next call.

        Args:
            choice: the policy, as places among the pairs of each state.
            dtype: of the probabilities.
        """
        if self._choice is None or self._rows[2].dtype != dtype or not self._replaced(choice):
            self._choice, self._rows = choice.copy(), ()
            self._rows = self._operator.transitions.copied(self._operator.pairs(choice), dtype)
        offsets, successors, probabilities = map(frozen, self._rows)
        return SparseChain(offsets, successors, probabilities, self._operator.team)

    def _replaced(self, choice: UInt32[np.ndarray, " S"]) -> bool:
        """Whether all new rows fitted."""
        operator = self._operator
        misfits = np.empty(num_blocks(operator.num_states), np.int64)
        operator.team.run(
            row_kernels.replace_rows,
            operator.num_states,
            len(self._rows[1]),
            frozen(choice),
            self._choice,
            operator.pair_offsets,
            operator.outcome_offsets,
            operator.successors,
            operator.probabilities,
            *self._rows,
            misfits,
        )
        return not misfits.any()


@dataclass(frozen=True)
class Iterate:
    """One backup and what it found.

    Attributes:
        operator: T.
        values: v.
        backed_up: T v.
        choice: the greedy policy.
        followed: its chain.
        backup: the extremes of T v − v.
        shift: a constant that is known to be missing from T v (the middle of V5's interval).
        damping: τ of the aperiodicity transform v + τ (T v − v); 1 leaves T as it is.
        pinned: True where one state's value stands for the gain (V7).
        floating: True where T(v + c) = T v + γc for constants c: nothing ends, and γ < 1.
        largest: values beyond this size could not be certified to the tolerance that is wanted.
        enough: the fraction of the present spread that the certificate would accept.
    """

    operator: Operator
    values: Vector
    backed_up: Vector
    choice: Choice
    followed: Followed
    backup: Backup
    shift: float = 0.0
    damping: float = 1.0
    pinned: bool = False
    floating: bool = False
    largest: float = np.inf
    enough: float = 0.0

    @property
    def spread(self) -> float:
        """How far v is from solving the optimality equation, up to a constant where one is free."""
        low, high = self.backup.low, self.backup.high
        return high - low if self.pinned or self.floating else max(high, -low)

    @property
    def rewards(self) -> Vector:
        """r_π of the greedy policy."""
        return self.operator.rewards[self.operator.pairs(self.choice)]

    def chain(self, dtype: Any = np.float64) -> SparseChain:
        """P_π of the greedy policy."""
        return self.followed.chain(self.choice, dtype)

    def shifted(self) -> Vector:
        """Compute v + τ (T v − v) + shift in the memory of T v."""
        out, tau = self.backed_up, self.damping
        if tau == 1.0 and self.shift == 0.0:
            return out
        if tau != 1.0:
            out *= tau
            out += (1 - tau) * self.values
        out += self.shift
        return out
