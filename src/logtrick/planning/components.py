"""The graph of an MDP: who can reach the end, and where one can stay for ever."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64, UInt32
from scipy import sparse
from scipy.sparse import csgraph

from logtrick.mdp import graphs
from logtrick.mdp.arrays import frozen
from logtrick.planning.operators import Operator
from logtrick.planning.sparse import row_kernels
from logtrick.planning.sparse.chains import SparseChain

#: "No pair" in `PathsToTarget.pairs`.
NONE = -1


@dataclass(frozen=True)
class PathsToTarget:
    """Steps towards a set of states, or towards the end.

    Attributes:
        reached: the states that can get there with positive probability, the set included.
        rows: a row of the chain that leads one step nearer; −1 in the set and where not reached.
    """

    reached: Bool[np.ndarray, " S"]
    rows: Int64[np.ndarray, " S"]


def paths(
    chain: SparseChain,
    row_states: UInt32[np.ndarray, " N"],
    ends: Bool[np.ndarray, " N"],
    goal: Bool[np.ndarray, " S"],
    allowed: Bool[np.ndarray, " N"] | None = None,
) -> PathsToTarget:
    """Shortest ways to `goal` or to a row that may end.

    Args:
        chain: one row for each pair, or for each state of a policy's chain.
        row_states: the state of each row.
        ends: rows that end with positive probability.
        goal: states to reach.
        allowed: rows that may be used; all by default.

    Returns:
        The states from which a way leads there, and its first step. Taken in every state, these
        steps get there with probability one: each has a chance of coming nearer.
    """
    allowed = np.ones(chain.rows, np.bool_) if allowed is None else allowed
    num_states = len(goal)
    rows = np.full(num_states, NONE, np.int64)
    last = np.flatnonzero(ends & allowed)[::-1]
    rows[row_states[last]] = last
    rows[goal] = NONE
    reached = goal | (rows != NONE)
    queue = np.empty(num_states, np.uint32)
    frontier = np.flatnonzero(reached)
    queue[: len(frontier)] = frontier
    entries = chain.transposed()
    row_kernels.attract(
        entries.offsets,
        entries.successors,
        frozen(row_states),
        allowed,
        len(frontier),
        queue,
        reached,
        rows,
    )
    return PathsToTarget(reached, rows)


def closed_classes(chain: SparseChain, among: Bool[np.ndarray, " S"]) -> list[np.ndarray]:
    """The closed classes of a chain within a set of states that it does not leave."""
    states = np.flatnonzero(among)
    inside = chain.matrix()[states][:, states]
    return [states[members] for members in graphs.closed_classes(inside)]


@dataclass(frozen=True)
class EndComponents:
    """Maximal sets of states in which one can stay for ever by some of the candidate pairs.

    Attributes:
        labels: the number of each state's component; each state outside has one of its own.
        internal: the pairs by which one stays.
    """

    labels: Int64[np.ndarray, " S"]
    internal: Bool[np.ndarray, " P"]


def end_components(operator: Operator, candidates: Bool[np.ndarray, " P"]) -> EndComponents:
    """Strongly connected components, and again without the pairs that leave theirs.

    Args:
        operator: the MDP.
        candidates: pairs that never end, among which to look.

    Returns:
        The maximal end components (de Alfaro 1997, algorithm 3.1) of the candidate pairs.
    """
    internal = candidates.copy()
    leaves = np.empty(len(internal), np.bool_)
    while True:
        labels = _strong_components(operator, internal)
        row_kernels.leaving(
            frozen(operator.pair_states),
            operator.outcome_offsets,
            operator.successors,
            labels,
            leaves,
        )
        if not (internal & leaves).any():
            return EndComponents(labels, internal)
        internal &= ~leaves


def _strong_components(
    operator: Operator, pairs: Bool[np.ndarray, " P"]
) -> Int64[np.ndarray, " S"]:
    lengths = np.diff(operator.outcome_offsets).astype(np.int64)
    kept = np.repeat(pairs, lengths)
    sources = np.repeat(operator.pair_states, lengths)[kept].view(np.int32)
    destinations = operator.successors[kept].view(np.int32)
    size = operator.num_states
    edges = (np.ones(len(sources), np.int8), (sources, destinations))
    graph = sparse.csr_array(edges, (size, size))
    return csgraph.connected_components(graph, connection="strong")[1].astype(np.int64)


@dataclass(frozen=True)
class Quotient:
    """An MDP in which each end component is one state, without its internal pairs.

    Attributes:
        operator: T of the smaller MDP.
        ends: its pairs that may end.
        states: the new state of each old one.
        pairs: the old pair of each new one.
    """

    operator: Operator
    ends: Bool[np.ndarray, " P"]
    states: Int64[np.ndarray, " S"]
    pairs: Int64[np.ndarray, " P"]


def collapse(
    operator: Operator, ends: Bool[np.ndarray, " P"], components: EndComponents
) -> Quotient:
    """Merge each component into one state whose pairs are the ways out of it."""
    states = components.labels
    owner = states[operator.pair_states]
    kept = np.flatnonzero(~components.internal)
    pairs = kept[np.argsort(owner[kept], kind="stable")]
    smaller = take_pairs(operator, pairs, np.bincount(owner[pairs], minlength=states.max() + 1))
    successors = frozen(states[smaller.successors].astype(np.uint32))
    return Quotient(replace(smaller, successors=successors), ends[pairs], states, pairs)


def take_pairs(
    operator: Operator, pairs: Int64[np.ndarray, " P"], counts: Int64[np.ndarray, " S"]
) -> Operator:
    """The operator with these pairs only, `counts[s]` of them in state s."""
    chain = operator.transitions.take(pairs.astype(np.uint64))
    return replace(
        operator,
        pair_offsets=frozen(np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)),
        outcome_offsets=chain.offsets,
        successors=chain.successors,
        probabilities=chain.probabilities,
        rewards=frozen(operator.rewards[pairs]),
    )
