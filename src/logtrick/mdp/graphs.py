"""Which states reach which: the combinatorial part of the theory of Markov chains."""

import numpy as np
from jaxtyping import Bool, Integer
from scipy import sparse


def ancestors(
    sources: Integer[np.ndarray, " E"],
    destinations: Integer[np.ndarray, " E"],
    targets: Bool[np.ndarray, " N"],
) -> Bool[np.ndarray, " N"]:
    """The nodes from which a path leads to a target, the targets included.

    Args:
        sources: where each edge starts.
        destinations: where it ends.
        targets: the nodes to be reached.

    Returns:
        True for each node that reaches one.

    Example:
        >>> ancestors(np.array([0, 2]), np.array([1, 2]), np.array([False, True, False]))
        array([ True,  True, False])
    """
    from scipy.sparse import csgraph  # not above: it loads scipy.linalg, which the MDPs do not need

    num_nodes = len(targets)
    ends = np.flatnonzero(targets)
    rows = np.concatenate([destinations, np.full(len(ends), num_nodes)])
    columns = np.concatenate([sources, ends])
    backwards = sparse.csr_array(
        (np.ones(len(rows), np.int8), (rows, columns)), (num_nodes + 1, num_nodes + 1)
    )
    found = csgraph.breadth_first_order(backwards, num_nodes, return_predecessors=False)
    mask = np.zeros(num_nodes + 1, np.bool_)
    mask[found] = True
    return mask[:-1]


def closed_classes(transitions: sparse.csr_array) -> list[np.ndarray]:
    """The closed communicating classes of a chain, in the order of their first states.

    A class is closed where no positive entry leaves it. A class that loses mass through rows that
    sum to less than one is closed too; `ancestors` tells who can end.
    """
    from scipy.sparse import csgraph

    edges = transitions.tocoo()
    used = edges.data > 0
    rows, columns = edges.row[used], edges.col[used]
    graph = sparse.csr_array((np.ones(len(rows), np.int8), (rows, columns)), transitions.shape)
    count, labels = csgraph.connected_components(graph, directed=True, connection="strong")
    open_ = np.zeros(count, np.bool_)
    open_[labels[rows[labels[rows] != labels[columns]]]] = True
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1])
    return sorted((g for label, g in enumerate(groups) if not open_[label]), key=lambda g: g[0])
