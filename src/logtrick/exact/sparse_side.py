"""I − γP in sparse storage, on the kernels and threads of `planning`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import sparse

from logtrick.exact import residual_kernels as kernels
from logtrick.exact.iterative_side import IterativeSide
from logtrick.exact.resolvent import Resolvent
from logtrick.mdp.arrays import frozen
from logtrick.planning.sparse import krylov
from logtrick.planning.sparse.chains import SparseChain
from logtrick.planning.sparse.threads import Team
from logtrick.support.rounding import EPS, hidden

#: The share of the right-hand side at which a first solution is looked at for its rounding.
FIRST_TOLERANCE = 1e-9
#: Products with P of the unpreconditioned method, which is the fastest where it works.
FIRST_PRODUCTS = 400
#: It does not where the numbering has a direction: more than this share of P lies to one side of
#: the diagonal. There a sweep, which follows the numbering, goes far.
ONE_SIDED = 0.5


def iterative(transitions: sparse.csr_array, gamma: float, slack: float) -> Resolvent:
    """(I − γP)^{-1} from products with the rows as they are stored, and with the transpose's.

    The entries are known up to `slack`.
    """
    chain = SparseChain(
        frozen(transitions.indptr.astype(np.uint64)),
        frozen(transitions.indices.astype(np.uint32, copy=False)),
        frozen(transitions.data),
        Team(),
    )
    return Resolvent(
        lambda: SparseSide(chain, gamma, slack),
        lambda: SparseSide(chain.transposed(), gamma, slack),
        transitions.sum(axis=1),
        gamma,
        EPS * chain.longest_row + slack,
    )


class SparseSide(IterativeSide):
    """The matrix I − γP, stored by rows."""

    def __init__(self, chain: SparseChain, gamma: float, slack: float) -> None:
        self.chain, self.gamma, self.relative = chain, gamma, 4 * EPS + slack
        imbalance = np.empty(chain.rows)
        self._run(kernels.imbalance, imbalance)
        self.one_sided = abs(imbalance.sum()) > ONE_SIDED * chain.probabilities.sum()

    def solve(self, b: np.ndarray) -> np.ndarray:
        """The corrections, with threads that live as long as they take."""
        with self.chain.team:
            return super().solve(b)

    def first_guess(self, b: np.ndarray) -> Float64[np.ndarray, " S"]:
        """What the unpreconditioned method finds, to about the rounding of the solution.

        It starts from a sweep. From zero the first residual would be b, and a constant b is an
        eigenvector of Aᵀ where rows sum to one: the method breaks down on visits from a uniform
        start.
        """
        x, tolerance = self.sweep(b), FIRST_TOLERANCE * float(np.abs(b).max())
        for _ in range(0 if self.one_sided else 2):
            answer = krylov.solve(
                self.chain, b, self.gamma, tolerance=tolerance, start=x, budget=FIRST_PRODUCTS
            )
            x = answer.x
            if answer.residual > tolerance:
                break
            tolerance = float(self.residual(b, x)[1].max())
        return x

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The product (I − γP) x, [S]."""
        out = np.empty_like(x)
        self.chain.apply(self.gamma, x, 0.0, x, out)
        return out

    def sweep(self, b: np.ndarray) -> np.ndarray:
        """A symmetric Gauss–Seidel sweep from zero."""
        return self.chain.gauss_seidel(self.gamma, b)

    def residual(self, b: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compensated, so that the rounding is a small multiple of the scale.

        With u = EPS/2, a product, their sum and γ err by 1u each, and an entry of P by 5u (a
        product of probabilities, and two rows that were divided by their sums): 8u of γP|x|. The
        other two operations err by 2u of |b| + |x|.
        """
        missing, scale = np.empty_like(b), np.empty_like(b)
        self._run(kernels.residual, b, x, missing, scale)
        return missing, hidden(self.relative, scale, self.chain.longest_row)

    def _run(self, kernel: Callable[..., Any], *arrays: np.ndarray) -> None:
        chain = self.chain
        parts = (chain.offsets, chain.successors, chain.probabilities, self.gamma)
        chain.team.run(kernel, chain.rows, len(chain.successors), *parts, *arrays)
