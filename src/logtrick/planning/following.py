"""The chain of the policy that a search follows, brought up to date from policy to policy."""

from typing import Any

import numpy as np
from jaxtyping import UInt32

from logtrick.mdp_arrays import frozen
from logtrick.planning import row_kernels
from logtrick.planning.chains import Chain
from logtrick.planning.operators import Operator
from logtrick.planning.threads import num_blocks


class Followed:
    """P_π of a policy whose choices hardly change in the end.

    At 10⁶ states × 4 × 4 a copy of all its rows takes as long as six sweeps of them. A row with
    as many outcomes as before is overwritten where it stands; only where one has more or fewer are
    all rows copied again.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._choice: np.ndarray | None = None
        self._rows: tuple[np.ndarray, ...] = ()

    def chain(self, choice: UInt32[np.ndarray, " S"], dtype: Any = np.float64) -> Chain:
        """P_π of the policy; it holds until the next call.

        Args:
            choice: the policy, as places among the pairs of each state.
            dtype: of the probabilities.
        """
        if self._choice is None or self._rows[2].dtype != dtype or not self._replaced(choice):
            self._choice, self._rows = choice.copy(), ()
            self._rows = self._operator.transitions.copied(self._operator.pairs(choice), dtype)
        offsets, successors, probabilities = map(frozen, self._rows)
        return Chain(offsets, successors, probabilities, self._operator.team)

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
