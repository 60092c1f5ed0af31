"""Markov chains in sparse storage: T_π, and the products that linear systems need."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt32, UInt64
from scipy import sparse

from logtrick.mdp.arrays import frozen
from logtrick.mdp.model import FiniteMDP
from logtrick.planning.sparse import row_kernels
from logtrick.planning.sparse import sweep_kernels as kernels
from logtrick.planning.sparse.threads import BLOCK, Team, num_blocks

#: Float64, but in inner solves of which few digits are wanted.
Vector = Float[np.ndarray, " S"]


@dataclass(frozen=True)
class SparseChain:
    """Transitions of a Markov chain, row by row; rows may sum to less than one where it ends.

    Attributes:
        offsets: entries of row s are `offsets[s]:offsets[s + 1]`.
        successors: the column of each entry.
        probabilities: its value.
        team: the threads that share the sweeps.
    """

    offsets: UInt64[np.ndarray, " _N1"]
    successors: UInt32[np.ndarray, " K"]
    probabilities: Float[np.ndarray, " K"]
    team: Team

    @classmethod
    def of(cls, matrix: sparse.csr_array, team: Team) -> "SparseChain":
        """Read a scipy matrix [S, S]."""
        return cls(
            frozen(matrix.indptr.astype(np.uint64)),
            frozen(matrix.indices.astype(np.uint32)),
            frozen(matrix.data),
            team,
        )

    @property
    def rows(self) -> int:
        """How many rows; for a policy's chain, states."""
        return len(self.offsets) - 1

    @cached_property
    def longest_row(self) -> int:
        """Entries of the longest row."""
        return int(np.diff(self.offsets).max())

    def advance(
        self,
        rewards: Float[np.ndarray, " N"],
        gamma: float,
        values: Vector,
        out: Float[np.ndarray, " N"],
    ) -> tuple[float, float]:
        """V2, one application: out = r + γ P v; returns min and max of out − v.

        Args:
            rewards: r_π.
            gamma: γ.
            values: v.
            out: where T_π v is written.

        Returns:
            The extremes of T_π v − v.
        """
        low, high = np.empty((2, num_blocks(self.rows)))
        self._run(
            kernels.advance, self._arrays, frozen(rewards), float(gamma), values, out, low, high
        )
        return float(low.min()), float(high.max())

    def apply(
        self, gamma: float, x: Vector, shift: float, other: Vector, out: Vector
    ) -> tuple[float, float]:
        """Compute out = x − γ P x + shift; returns out·other and out·out."""
        dot, square = np.empty((2, num_blocks(self.rows)))
        self._run(
            kernels.apply, self._arrays, float(gamma), x, float(shift), other, out, dot, square
        )
        return float(dot.sum()), float(square.sum())

    def gauss_seidel(self, gamma: float, b: Vector) -> Vector:
        """An approximate solution of (I − γP) x = b: one Gauss–Seidel sweep up and one down."""
        out = np.empty_like(b)
        work = 2 * len(self.successors)
        arguments = (*self._arrays, float(gamma), b, out)
        self.team.run(kernels.precondition, self.rows, work, *arguments, block=16 * BLOCK)
        return out

    def matrix(self) -> sparse.csr_array:
        """P as scipy holds it, for factorisations and graphs."""
        parts = (self.probabilities, self.successors.view(np.int32), self.offsets.view(np.int64))
        return sparse.csr_array(parts, (self.rows, self.rows))

    def take(self, rows: UInt64[np.ndarray, " M"]) -> "SparseChain":
        """These rows, one after the other."""
        offsets, successors, probabilities = self.copied(rows, np.float64)
        return SparseChain(frozen(offsets), frozen(successors), frozen(probabilities), self.team)

    def copied(
        self, rows: UInt64[np.ndarray, " M"], dtype: Any
    ) -> tuple[UInt64[np.ndarray, " _M1"], UInt32[np.ndarray, " K"], Float[np.ndarray, " K"]]:
        """Offsets, successors and probabilities of these rows, as arrays of their own."""
        offsets = np.zeros(len(rows) + 1, np.uint64)
        self.team.run(
            row_kernels.row_lengths, len(rows), len(rows), frozen(rows), self.offsets, offsets
        )
        np.cumsum(offsets, out=offsets)
        successors = np.empty(int(offsets[-1]), np.uint32)
        probabilities = np.empty(int(offsets[-1]), dtype)
        self.team.run(
            row_kernels.copy_rows,
            len(rows),
            len(successors),
            frozen(rows),
            *self._arrays,
            frozen(offsets),
            successors,
            probabilities,
        )
        return offsets, successors, probabilities

    def transposed(self) -> "SparseChain":
        """The chain's transpose, for systems in visits rather than values."""
        counts = np.bincount(self.successors, minlength=self.rows)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
        successors = np.empty(len(self.successors), np.uint32)
        probabilities = np.empty(len(self.successors))
        row_kernels.transpose(*self._arrays, offsets.copy(), successors, probabilities)
        return SparseChain(frozen(offsets), frozen(successors), frozen(probabilities), self.team)

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.offsets, self.successors, self.probabilities

    def _run(self, kernel: Any, arrays: tuple[np.ndarray, ...], *arguments: Any) -> None:
        self.team.run(kernel, self.rows, len(self.successors), *arrays, *arguments)


def continuing(mdp: FiniteMDP) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, successors and probabilities of the outcomes that have probability and go on."""
    stops = mdp.terminated | (mdp.probabilities == 0)
    if not stops.any():
        return mdp.outcome_offsets, mdp.successors, mdp.probabilities
    goes_on: Bool[np.ndarray, " K"] = ~stops
    counts = np.add.reduceat(goes_on, mdp.outcome_offsets[:-1], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return offsets, mdp.successors[goes_on], mdp.probabilities[goes_on]
