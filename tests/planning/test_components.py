"""Paths and end components against brute force on small random graphs."""

import itertools

import numpy as np
import pytest

from logtrick.mdp.model import FiniteMDP
from logtrick.planning.components import collapse, end_components, paths
from logtrick.planning.operators import Operator
from logtrick.planning.sparse.threads import Team


def random_mdp(seed, size=5):
    rng = np.random.default_rng(seed)
    table = []
    for _ in range(size):
        actions = []
        for _ in range(rng.integers(1, 4)):
            to = rng.choice(size, rng.integers(1, 3), replace=False)
            ends = rng.random() < 0.15
            actions.append([(1 / len(to), int(s), 1.0, ends) for s in to])
        table.append(actions)
    return FiniteMDP.from_outcomes(table, gamma=1.0)


def successors(mdp, pair):
    a, b = mdp.outcome_offsets[pair : pair + 2]
    return {int(mdp.successors[k]) for k in range(a, b) if not mdp.terminated[k]}


def ending(mdp):
    return np.logical_or.reduceat(mdp.terminated, mdp.outcome_offsets[:-1])


@pytest.mark.parametrize("seed", range(30))
def test_paths_step_nearer(seed):
    mdp = random_mdp(seed)
    operator = Operator.from_mdp(mdp, 1.0, Team(1))
    goal = np.arange(5) == 3
    found = paths(operator.transitions, operator.pair_states, ending(mdp), goal)
    distance = dict.fromkeys([3, *mdp.pair_states[ending(mdp)].tolist()], 0)
    for steps in range(1, 6):
        for pair in range(mdp.num_pairs):
            s = int(mdp.pair_states[pair])
            near = any(distance.get(t, 9) < steps for t in successors(mdp, pair))
            if s not in distance and near:
                distance[s] = steps
    assert set(np.flatnonzero(found.reached)) == set(distance)
    for s in set(distance) - {3}:
        pair = found.rows[s]
        assert mdp.pair_states[pair] == s
        assert ending(mdp)[pair] or any(
            distance.get(t, 9) < distance[s] for t in successors(mdp, pair)
        )


@pytest.mark.parametrize("seed", range(30))
def test_end_components_are_the_sets_one_can_stay_in_and_cross(seed):
    mdp = random_mdp(seed)
    candidates = ~ending(mdp)
    operator = Operator.from_mdp(mdp, 1.0, Team(1))
    found = end_components(operator, candidates)
    groups = {
        frozenset(np.flatnonzero(found.labels == label).tolist())
        for label in found.labels[operator.pair_states[found.internal]]
    }
    assert groups == maximal_end_components(mdp, candidates)
    for pair in np.flatnonzero(found.internal):
        own = found.labels[mdp.pair_states[pair]]
        assert all(found.labels[t] == own for t in successors(mdp, pair))


def maximal_end_components(mdp, candidates):
    closed = []
    for size in range(5, 0, -1):
        for states in map(set, itertools.combinations(range(5), size)):
            inner = [
                p
                for p in np.flatnonzero(candidates)
                if mdp.pair_states[p] in states and successors(mdp, p) <= states
            ]
            reach = {s: {s} for s in states}
            for _ in range(5):
                for p in inner:
                    s = int(mdp.pair_states[p])
                    for t in list(successors(mdp, p)):
                        reach[s] |= reach[t]
            acting = {int(mdp.pair_states[p]) for p in inner}
            if acting == states and all(reach[s] == states for s in states):
                closed.append(frozenset(states))
    return {c for c in closed if not any(c < d for d in closed)}


def test_collapse_keeps_the_ways_out():
    stay = [(1.0, 1, 0.0, False)]
    back = [(1.0, 0, 0.0, False)]
    out = [(0.5, 0, 2.0, False), (0.5, 2, 3.0, False)]
    end = [(1.0, 2, 1.0, True)]
    mdp = FiniteMDP.from_outcomes([[stay], [back, out], [end]], gamma=1.0)
    operator = Operator.from_mdp(mdp, 1.0, Team(1))
    pays = np.array([False, False, True, True])
    components = end_components(operator, ~pays & ~ending(mdp))
    quotient = collapse(operator, ending(mdp), components)
    assert quotient.states[0] == quotient.states[1] != quotient.states[2]
    assert quotient.operator.num_states == 2
    assert sorted(quotient.pairs.tolist()) == [2, 3]
    merged = quotient.states[0]
    place = int(quotient.operator.pair_offsets[merged])
    assert quotient.pairs[place] == 2
    assert quotient.operator.rewards[place] == 2.5
    row = quotient.operator.transitions.take(np.array([place], np.uint64))
    assert sorted(row.successors.tolist()) == sorted(quotient.states[[0, 2]].tolist())
