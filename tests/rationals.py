"""Policy evaluation in rational arithmetic: the float64 inputs are taken as they are."""

import copy
import itertools
from fractions import Fraction

import numpy as np


def solve(matrix, right):
    """Gauss–Jordan elimination on lists of fractions."""
    size = len(matrix)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column] != 0)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [entry / rows[column][column] for entry in rows[column]]
        for row in range(size):
            if row != column and rows[row][column] != 0:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[-1] for row in rows]


def outcomes(mdp):
    """(state, action, probability, successor, reward, terminated) of every outcome."""
    for pair in range(mdp.num_pairs):
        for k in range(mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1]):
            yield (
                int(mdp.pair_states[pair]),
                int(mdp.pair_actions[pair]),
                Fraction(mdp.probabilities[k]),
                int(mdp.successors[k]),
                Fraction(float(mdp.rewards[k])),
                bool(mdp.terminated[k]),
            )


def shares(row):
    """A row divided by its sum, exactly."""
    row = [Fraction(float(p)) for p in row]
    return [p / sum(row) for p in row]


def normalised(mdp):
    """The same outcomes with every row of probabilities, and the start, divided by their sums."""
    new = copy.copy(mdp)
    offsets = mdp.outcome_offsets
    rows = [shares(mdp.probabilities[a:b]) for a, b in itertools.pairwise(offsets)]
    object.__setattr__(new, "probabilities", [p for row in rows for p in row])
    object.__setattr__(new, "start", shares(mdp.start))
    return new


class Rational:
    """r_π, P_π and what follows from them, for probabilities [S, A]."""

    def __init__(self, mdp, table, gamma):
        size = mdp.num_states
        self.mdp, self.gamma = mdp, Fraction(gamma)
        self.policy = [[Fraction(p) for p in row] for row in table]
        self.rewards = [Fraction(0)] * size
        self.chain = [[Fraction(0)] * size for _ in range(size)]
        for state, action, chance, successor, reward, ends in outcomes(mdp):
            weight = self.policy[state][action] * chance
            self.rewards[state] += weight * reward
            if not ends:
                self.chain[state][successor] += weight

    def _matrix(self, transposed):
        size = range(len(self.rewards))
        entry = (lambda i, j: self.chain[j][i]) if transposed else lambda i, j: self.chain[i][j]
        return [[(i == j) - self.gamma * entry(i, j) for j in size] for i in size]

    def values(self):
        return solve(self._matrix(False), self.rewards)

    def visits(self):
        return solve(self._matrix(True), [Fraction(p) for p in self.mdp.start])

    def action_values(self):
        values = self.values()
        table = np.zeros(self.mdp.available.shape, object)
        for state, action, chance, successor, reward, ends in outcomes(self.mdp):
            following = 0 if ends else self.gamma * values[successor]
            table[state, action] += chance * (reward + following)
        return table

    def gradient(self):
        return np.array(self.visits(), object)[:, None] * self.action_values()

    def objective(self):
        return sum(Fraction(p) * v for p, v in zip(self.mdp.start, self.values(), strict=True))

    def over(self, horizon, last):
        """V_t and Q_t for t = 0 ... H from V_H, and γ^t Pr(s_t = s)."""
        values, action_values = [[Fraction(v) for v in last]], []
        for _ in range(horizon):
            table = np.zeros(self.mdp.available.shape, object)
            for state, action, chance, successor, reward, ends in outcomes(self.mdp):
                following = 0 if ends else self.gamma * values[0][successor]
                table[state, action] += chance * (reward + following)
            action_values.insert(0, table)
            values.insert(
                0,
                [
                    sum(p * q for p, q in zip(*rows, strict=True))
                    for rows in zip(self.policy, table, strict=True)
                ],
            )
        visits = [[Fraction(p) for p in self.mdp.start]]
        for _ in range(horizon):
            arrived = [
                self.gamma * sum(v * row[s] for v, row in zip(visits[-1], self.chain, strict=True))
                for s in range(len(self.rewards))
            ]
            visits.append(arrived)
        return values, action_values, visits

    def bias(self):
        """h with d·h = 0."""
        gain, distribution = self.average()
        size = len(self.rewards)
        matrix = [
            [(i == j) - self.chain[i][j] + distribution[j] for j in range(size)]
            for i in range(size)
        ]
        return solve(matrix, [r - gain for r in self.rewards])

    def average(self):
        """The gain, and the stationary distribution."""
        size = len(self.rewards)
        matrix = [[(i == j) - self.chain[j][i] for j in range(size)] for i in range(size)]
        matrix[0] = [Fraction(1)] * size
        right = [Fraction(int(i == 0)) for i in range(size)]
        distribution = solve(matrix, right)
        return sum(d * r for d, r in zip(distribution, self.rewards, strict=True)), distribution


def error(found, exact):
    """The largest difference, computed exactly, as a float."""
    pairs = zip(np.ravel(found), np.ravel(np.array(exact, object)), strict=True)
    return float(max(abs(Fraction(float(a)) - b) for a, b in pairs))
