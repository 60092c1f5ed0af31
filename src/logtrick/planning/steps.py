"""V6: the proof of an undiscounted value, by a function h that counts steps.

If h ≥ 1 + P_a h for every pair a that is optimal or nearly so, then v + εh ≥ T(v + εh) and
v − εh ≤ T_π(v − εh) for ε a little above the residual, so V_* and V_π lie between: every proper
policy is worth at most the first, and π, which ends because h is finite, at least the second. Both
inequalities are checked by sweeps, with rounding.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt32

from logtrick.errors import ConvergenceError
from logtrick.mdp.arrays import frozen
from logtrick.planning.certificates import Rounding
from logtrick.planning.components import closed_classes, paths, take_pairs
from logtrick.planning.operators import Operator
from logtrick.planning.sparse import krylov
from logtrick.planning.sparse.chains import SparseChain, Vector

Choice = UInt32[np.ndarray, " S"]
Describe = Callable[[np.ndarray], str]

#: h is wanted to this accuracy only: 1 − 2·SLACK ≤ w − P w.
SLACK = 0.05


class Proof(NamedTuple):
    """The bounds that were proved about v and π."""

    bound: float
    """On |v − V_*| and on V_* − V_π; infinite where the residual was too large for a proof."""
    floor: float
    """The least bound that float64 would allow."""
    longest: float
    """max h, about the expected length of the longest episode."""


def certify(
    operator: Operator,
    ends: Bool[np.ndarray, " P"],
    values: Vector,
    choice: Choice,
    rounding: Rounding,
    tol: float,
    describe: Describe,
) -> Proof:
    """Prove |v − V_*| and V_* − V_π.

    Args:
        operator: T with γ = 1, in which nothing can go on for ever for nothing.
        ends: pairs that may end.
        values: v.
        choice: π, proper.
        rounding: the error of a backup.
        tol: the bound that is wanted; it decides which pairs count as nearly optimal.
        describe: names states in messages.

    Returns:
        The bound that holds.

    Raises:
        ConvergenceError: v is as good as float64 allows, and nearly optimal pairs form a cycle:
            the reward of going round cannot be told from zero.
    """
    out = np.empty_like(values)
    backup = operator.backup(values, out, choice.copy())
    chain, rewards = operator.chain(choice)
    low, _ = chain.advance(rewards, 1.0, values, out)
    present = backup.size + max(backup.high, -backup.low)  # |v| at most
    error = rounding.backup_error(present)
    epsilon = 1.1 * (max(backup.high, -low) + 4 * error)
    narrowest = 8 * error + 2 * epsilon
    steps, cycle = _count_steps(operator, ends, values, choice, tol, narrowest)
    if steps is None:
        if epsilon > 16 * error:
            return Proof(np.inf, 0.0, 1.0)
        raise no_telling(describe(cycle))
    longest = float(steps.max())
    floor = 10 * error * longest
    for factor in (1.0, 4.0):
        upper, lower = values + factor * epsilon * steps, values - factor * epsilon * steps
        size = present + factor * epsilon * longest
        allowed = -rounding.backup_error(size)
        above = operator.backup(upper, out, choice.copy()).high <= allowed
        below = -chain.advance(rewards, 1.0, lower, out)[0] <= allowed
        if above and below:
            return Proof(float((upper - lower).max()) * (1 + 1e-15), floor, longest)
    return Proof(np.inf, floor, longest)


def _count_steps(
    operator: Operator,
    ends: Bool[np.ndarray, " P"],
    values: Vector,
    choice: Choice,
    widest: float,
    narrowest: float,
) -> tuple[Vector | None, np.ndarray]:
    """The function h for the pairs within `widest` of the best, or fewer if those cycle."""
    gaps = values[operator.pair_states] - operator.action_values(values)
    margin = max(widest, narrowest)
    while True:
        tied = gaps <= margin
        tied[operator.pairs(choice)] = True
        steps, cycle = longest_episodes(operator, ends, tied, choice)
        if steps is not None or margin <= narrowest:
            return steps, cycle
        margin = max(margin / 64, narrowest)


def no_telling(states: str) -> ConvergenceError:
    """The error where a cycle earns nothing in sum, but not step by step."""
    return ConvergenceError(
        f"going round {states} has a total reward that cannot be told from zero, so at gamma = 1 "
        "no bound can be proved; make such rewards exactly zero, or make each step there a little "
        "worse, or use gamma < 1"
    )


def longest_episodes(
    operator: Operator,
    ends: Bool[np.ndarray, " P"],
    tied: Bool[np.ndarray, " P"],
    choice: Choice,
) -> tuple[Vector | None, np.ndarray]:
    """Find h ≥ 1 + P_a h for all pairs `tied`, by policy iteration for the longest episode.

    Args:
        operator: T.
        ends: pairs that may end.
        tied: the pairs to count, at least one in each state.
        choice: a proper policy of tied pairs, as places among all pairs.

    Returns:
        h and no states; or None and states in which the tied pairs can go on for ever.
    """
    pairs = np.flatnonzero(tied)
    counts = np.add.reduceat(tied, operator.pair_offsets[:-1].astype(np.int64), dtype=np.int64)
    places = np.cumsum(tied) - 1
    smaller = replace(
        take_pairs(operator, pairs, counts), rewards=frozen(np.ones(len(pairs))), gamma=1.0
    )
    own = places[operator.pairs(choice)].astype(np.uint64) - smaller.pair_offsets[:-1]
    policy = own.astype(np.uint32)
    steps, out = np.ones((2, operator.num_states))
    every_state = np.arange(operator.num_states, dtype=np.uint32)
    nothing = np.zeros(operator.num_states, np.bool_)
    while True:
        chain, ones = smaller.chain(policy)
        steps = expected_steps(chain, ones, steps)
        backup = smaller.backup(steps, out, policy, SLACK)
        if backup.high <= 2 * SLACK:
            return steps / (1 - 3 * SLACK), nothing
        if backup.changes == 0:
            raise AssertionError("a backup that improves must change the policy")
        chain, _ = smaller.chain(policy)
        proper = paths(chain, every_state, ends[pairs[smaller.pairs(policy)]], nothing).reached
        if not proper.all():
            return None, closed_classes(chain, ~proper)[0]


def expected_steps(chain: SparseChain, ones: Vector, start: Vector) -> Vector:
    """Find w with |w − 1 − P w| ≤ SLACK / 2 for a proper chain: w counts steps to the end.

    Raises:
        ConvergenceError: episodes are too long for float64 or for the iteration.
    """
    answer = krylov.solve(chain, ones, 1.0, tolerance=0.5 * SLACK, start=start)
    if answer.residual <= 0.5 * SLACK:
        return answer.x
    direct = krylov.factorised(chain, ones, 1.0)
    if direct is None or direct.residual > 0.5 * SLACK:
        raise ConvergenceError(
            "the expected lengths of the policy's episodes could not be computed: they are too "
            "long for float64; use gamma < 1"
        )
    return direct.x
