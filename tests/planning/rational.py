"""Finite MDPs in exact arithmetic: every deterministic policy, every system by Fractions."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from logtrick.mdp.model import FiniteMDP
from rationals import solve

Policy = tuple[int, ...]
"""The pair that each state chooses."""


def outcomes(mdp: FiniteMDP, pair: int) -> list[tuple[Fraction, int, Fraction, bool]]:
    """(p, s', r, terminated) of a pair, as the stored floats say."""
    first, last = mdp.outcome_offsets[pair : pair + 2]
    return [
        (
            Fraction(float(mdp.probabilities[k])),
            int(mdp.successors[k]),
            Fraction(float(mdp.rewards[k])),
            bool(mdp.terminated[k]),
        )
        for k in range(first, last)
        if mdp.probabilities[k] > 0
    ]


def policies(mdp: FiniteMDP) -> Iterator[Policy]:
    """All deterministic policies."""
    return itertools.product(
        *(range(a, b) for a, b in itertools.pairwise(mdp.pair_offsets.tolist()))
    )


def chain(mdp: FiniteMDP, policy: Policy) -> tuple[list[list[Fraction]], list[Fraction]]:
    """P_π without what ends, and r_π."""
    size = mdp.num_states
    transitions = [[Fraction(0)] * size for _ in range(size)]
    rewards = [Fraction(0)] * size
    for s, pair in enumerate(policy):
        for p, s_next, r, terminated in outcomes(mdp, pair):
            rewards[s] += p * r
            if not terminated:
                transitions[s][s_next] += p
    return transitions, rewards


def evaluate(mdp: FiniteMDP, policy: Policy, gamma: Fraction) -> list[Fraction]:
    """V_π = (I − γ P_π)^{-1} r_π by elimination."""
    transitions, rewards = chain(mdp, policy)
    size = mdp.num_states
    matrix = [
        [Fraction(i == j) - gamma * transitions[i][j] for j in range(size)] for i in range(size)
    ]
    return solve(matrix, rewards)


def never_ending(mdp: FiniteMDP, policy: Policy) -> list[list[int]]:
    """The closed classes of the policy's chain that do not end; none where it is proper."""
    reach = _reachability(mdp, policy)
    size = mdp.num_states
    ends = [any(end for *_, end in outcomes(mdp, policy[s])) for s in range(size)]
    classes = {
        tuple(t for t in range(size) if reach[s][t])
        for s in range(size)
        if all(reach[t][s] for t in range(size) if reach[s][t])
        and not any(ends[t] for t in range(size) if reach[s][t])
    }
    return [list(members) for members in sorted(classes)]


def _reachability(mdp: FiniteMDP, policy: Policy) -> np.ndarray:
    size = mdp.num_states
    reach = np.eye(size, dtype=bool)
    for s in range(size):
        for _, s_next, _, terminated in outcomes(mdp, policy[s]):
            reach[s, s_next] |= not terminated
    for _ in range(size):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    return reach


def gain(mdp: FiniteMDP, policy: Policy, members: list[int]) -> Fraction:
    """What a closed class of the policy earns per step: h + r̄ = r + P h with h = 0 at its first."""
    transitions, rewards = chain(mdp, policy)
    size = len(members)
    matrix = [
        [
            Fraction(1) if j == 0 else Fraction(i == j) - transitions[members[i]][members[j]]
            for j in range(size)
        ]
        for i in range(size)
    ]
    return solve(matrix, [rewards[s] for s in members])[0]


def best(mdp: FiniteMDP, gamma: Fraction, candidates: list[Policy]) -> list[Fraction]:
    """The greatest value of each state over these policies."""
    values = [evaluate(mdp, policy, gamma) for policy in candidates]
    return [max(column) for column in zip(*values, strict=True)]


@st.composite
def tables(draw: st.DrawFn, terminating: bool = True) -> dict:
    """Outcomes of small ragged MDPs whose numbers are exact in binary: eighths and quarters.

    Many rewards are zero and many outcomes stay where they are, so that traps are common.
    """
    size = draw(st.integers(1, 4))
    table = []
    for s in range(size):
        actions = []
        for _ in range(draw(st.integers(1, 3))):
            parts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
            shares = [Fraction(1)] if len(parts) == 1 else _dyadic(parts)
            actions.append(
                [
                    (
                        float(share),
                        draw(st.one_of(st.just(s), st.integers(0, size - 1))),
                        draw(st.sampled_from([0.0, 0.0, -1.0, 1.0, -0.25, 2.5])),
                        terminating and draw(st.sampled_from([False, False, True])),
                    )
                    for share in shares
                ]
            )
        table.append(dict(enumerate(actions)))
    return dict(enumerate(table))


def _dyadic(parts: list[int]) -> list[Fraction]:
    """Two or three shares in eighths that sum to one."""
    first = Fraction(parts[0], 8)
    if len(parts) == 2:
        return [first, 1 - first]
    second = Fraction(min(parts[1], 3), 8)
    return [first, second, 1 - first - second]
