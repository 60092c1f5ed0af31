"""Undiscounted totals (γ = 1, stochastic shortest paths): the search, and its traps.

V_* is the supremum over proper policies. T may have other fixed points, so neither a small
residual nor a greedy policy is trusted: sets of states in which one can stay for ever for nothing
are merged into one state first (as in Haddad and Monmege 2018), the policy is repaired until it is
proper, and `steps.certify` proves both sides of the answer (V6).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt32

from logtrick.errors import ImproperPolicyError, MDPError
from logtrick.planning import steps
from logtrick.planning.certificates import Enclosure, Rounding, below_the_floor
from logtrick.planning.components import (
    PathsToTarget,
    Quotient,
    closed_classes,
    collapse,
    end_components,
    paths,
)
from logtrick.planning.iteration import Followed, Iterate
from logtrick.planning.methods import Method, ValueIteration
from logtrick.planning.operators import Operator
from logtrick.planning.spanning import Found, Report
from logtrick.planning.sparse import krylov
from logtrick.planning.sparse.chains import SparseChain, Vector

Choice = UInt32[np.ndarray, " S"]
#: Policies after which value iteration takes over, from 0: it needs more sweeps, but cannot wander.
MOST_POLICIES = 500
#: Up to so many states a cycle's gain is found by factorisation.
FACTORISED_STATES = 5000
#: Words for some states, for messages.
Describe = Callable[[np.ndarray], str]


class Wording(NamedTuple):
    """How messages speak of states and of rewards."""

    describe: Describe
    """Names some states."""
    minimise: bool = False
    """Whether the rewards are the user's with the other sign."""


def search(
    operator: Operator,
    pays: Bool[np.ndarray, " P"],
    ends: Bool[np.ndarray, " P"],
    method: Method,
    tol: float,
    values: Vector,
    report: Report,
    wording: Wording,
) -> Found:
    """V_* at γ = 1 with a proper policy that attains it.

    Args:
        operator: T with γ = 1.
        pays: pairs with a reward that is not zero.
        ends: pairs that may end the episode.
        method: what happens between two backups.
        tol: for the bound on V_* − v and on what the policy loses, as a share of max(1, the
            largest |V|).
        values: the first v.
        report: called after each backup.
        wording: of messages.

    Returns:
        Values, policy and bound.

    Raises:
        ImproperPolicyError: there are states from which no policy ends.
        MDPError: a cycle has positive reward, so that V_* is infinite.
        ConvergenceError: `tol` is below the rounding floor, or a cycle's reward cannot be told
            from zero.
    """
    every = np.zeros(operator.num_states, np.bool_)
    to_end = paths(operator.transitions, operator.pair_states, ends, every)
    if not to_end.reached.all():
        trapped = np.flatnonzero(~to_end.reached)
        raise ImproperPolicyError(
            f"at gamma = 1 no policy is proper: {wording.describe(trapped)} cannot reach an end; "
            "mark a terminating outcome, or use gamma < 1 or kind='average'"
        )
    free = end_components(operator, ~pays & ~ends)
    if not free.internal.any():
        search = _ProperSearch(operator, ends, to_end, tol, report, wording)
        return search.run(method, values)
    quotient = collapse(operator, ends, free)
    every = np.zeros(quotient.operator.num_states, np.bool_)
    to_end = paths(
        quotient.operator.transitions, quotient.operator.pair_states, quotient.ends, every
    )
    first = np.zeros(quotient.operator.num_states)
    first[quotient.states] = values
    merged = wording._replace(describe=_describing(quotient, wording.describe))
    found = _ProperSearch(quotient.operator, quotient.ends, to_end, tol, report, merged).run(
        method, first
    )
    return _lifted(found, operator, quotient, free.internal)


def _describing(quotient: Quotient, describe: Describe) -> Describe:
    return lambda merged: describe(np.flatnonzero(np.isin(quotient.states, merged)))


def _lifted(
    found: Found, operator: Operator, quotient: Quotient, internal: Bool[np.ndarray, " P"]
) -> Found:
    """Walk, inside each merged set, to the state whose way out was chosen."""
    way_out = quotient.pairs[quotient.operator.pairs(found.choice)]
    gates = np.zeros(operator.num_states, np.bool_)
    gates[operator.pair_states[way_out]] = True
    nowhere = np.zeros(len(internal), np.bool_)
    inside = paths(operator.transitions, operator.pair_states, nowhere, gates, internal)
    pairs = inside.rows
    pairs[operator.pair_states[way_out]] = way_out
    choice = (pairs - operator.pair_offsets[:-1].astype(np.int64)).astype(np.uint32)
    return found._replace(values=found.values[quotient.states], choice=choice)


@dataclass
class _ProperSearch:
    """The search on an MDP in which nothing can go on for ever for nothing."""

    operator: Operator
    ends: Bool[np.ndarray, " P"]
    to_end: PathsToTarget
    tol: float
    report: Report
    wording: Wording

    def run(self, method: Method, values: Vector) -> Found:
        """Improve v and π until a proof holds."""
        operator, rounding = self.operator, Rounding.of(self.operator)
        spare, followed = np.empty_like(values), Followed(operator)
        choice = self._choice(self.to_end.rows)
        target, bound, error = np.inf, np.inf, 0.0
        for iteration in count(1):
            backup = operator.backup(values, spare, choice, 2 * error)
            error = rounding.backup_error(backup.size)
            residual = max(backup.high, -backup.low)
            size = max(1.0, backup.size - residual)  # of v, at least
            goal = self.tol * size
            self.report(iteration, bound)
            floored, lost = residual <= 2 * error, iteration == MOST_POLICIES
            near = floored or residual <= min(target, 0.1 * goal)
            if near or method.follows_policy or iteration.bit_count() == 1:
                self._make_proper(choice)
            if near:
                proof = steps.certify(
                    operator, self.ends, values, choice, rounding, goal, self.wording.describe
                )
                bound = proof.bound
                if bound <= goal:
                    return Found(values, choice, bound, iteration)
                lost |= floored and bound == np.inf
                if not (lost and method.follows_policy):
                    self._check_floor(proof, floored, size)
                target = min(0.25 * residual, 0.2 * goal / proof.longest)
            if lost and method.follows_policy:
                method, values[:], error = ValueIteration(), 0.0, 0.0
                continue
            improved = method.improve(Iterate(operator, values, spare, choice, followed, backup))
            spare, values = values if improved is spare else spare, improved
        raise AssertionError("count() never ends")

    def _check_floor(self, proof: steps.Proof, floored: bool, size: float) -> None:
        floor = max(proof.floor, proof.bound if floored else 0.0)
        if floor > self.tol * size:
            where = f"at best here, with episodes of up to {proof.longest:.3g} expected steps"
            raise below_the_floor(self.tol, floor, size, where)

    def _choice(self, pairs: Int64[np.ndarray, " S"]) -> Choice:
        """Pairs as places among those of their states."""
        return (pairs - self.operator.pair_offsets[:-1].astype(np.int64)).astype(np.uint32)

    def _make_proper(self, choice: Choice) -> None:
        """Where the policy never ends, let it step towards where it does."""
        operator = self.operator
        chain, rewards = operator.chain(choice)
        states = np.arange(operator.num_states, dtype=np.uint32)
        nothing = np.zeros(operator.num_states, np.bool_)
        proper = paths(chain, states, self.ends[operator.pairs(choice)], nothing).reached
        if proper.all():
            return
        for members in closed_classes(chain, ~proper):
            self._refuse_gain(members, cycle_gain(chain, rewards, members, operator))
        back = paths(operator.transitions, operator.pair_states, self.ends, proper).rows
        choice[~proper] = self._choice(back)[~proper]

    def _refuse_gain(self, members: np.ndarray, gain: Enclosure) -> None:
        if gain.low > 0:
            below, least = (" below", "less") if self.wording.minimise else ("", "more")
            earns = -gain.low if self.wording.minimise else gain.low
            raise MDPError(
                f"the total reward is unbounded{below} at gamma = 1: "
                f"{self.wording.describe(members)} can be kept going for ever at {earns:.3g} or "
                f"{least} a step; use gamma < 1 or kind='average'"
            )
        if gain.high >= 0 and gain.width < 1e-9 * self.operator.limits.reward:
            raise steps.no_telling(self.wording.describe(members))


def cycle_gain(
    chain: SparseChain, rewards: Float64[np.ndarray, " S"], members: np.ndarray, operator: Operator
) -> Enclosure:
    """V7 for one closed class of a policy: bounds on what it earns a step."""
    inside = SparseChain.of(chain.matrix()[members][:, members], chain.team)
    zeros, paid = np.zeros(len(members)), rewards[members]
    answer = krylov.solve(inside, paid, 1.0, tolerance=0.0, pin=0)
    if len(members) <= FACTORISED_STATES:
        answer = krylov.factorised(inside, paid, 1.0, pin=0) or answer
    low, high = inside.advance(paid, 1.0, answer.x, zeros)
    error = Rounding.of(operator).backup_error(float(np.abs(answer.x).max()))
    return Enclosure(low - error, high + error)
