"""What is exact, once more: functions of the logits of a softmax table, in loops and numpy.linalg.

It shares nothing with the library but the arrays of the MDP.
"""

import numpy as np


class Slow:
    """One MDP under a softmax table."""

    def __init__(self, mdp, policy):
        self.mdp, self.gamma = mdp, mdp.gamma
        self.theta = np.asarray(policy.logits, np.float64).ravel()

    def policy(self, theta):
        logits = theta.reshape(-1, self.mdp.num_actions)[self.mdp.observations]
        weights = np.exp(logits - logits.max(1, keepdims=True)) * self.mdp.available
        return weights / weights.sum(1, keepdims=True)

    def expect(self, values):
        table = np.zeros(self.mdp.available.shape)
        for p in range(self.mdp.num_pairs):
            s, a = self.mdp.pair_states[p], self.mdp.pair_actions[p]
            for k in range(self.mdp.outcome_offsets[p], self.mdp.outcome_offsets[p + 1]):
                follows = 0.0 if self.mdp.terminated[k] else values[self.mdp.successors[k]]
                table[s, a] += self.mdp.probabilities[k] * follows
        return table

    def chain(self, theta):
        columns = [(self.policy(theta) * self.expect(unit)).sum(1) for unit in self.units()]
        return np.stack(columns, axis=1)

    def units(self):
        return np.eye(self.mdp.num_states)

    def rewards(self, theta):
        return (self.policy(theta) * self.mdp.dense_rewards()).sum(1)

    def values(self, theta):
        return np.linalg.solve(self.units() - self.gamma * self.chain(theta), self.rewards(theta))

    def action_values(self, theta):
        return self.mdp.dense_rewards() + self.gamma * self.expect(self.values(theta))

    def visits(self, theta):
        return np.linalg.solve(
            (self.units() - self.gamma * self.chain(theta)).T, np.asarray(self.mdp.start)
        )

    def stationary(self, theta):
        system = np.vstack([(self.units() - self.chain(theta)).T, np.ones(self.mdp.num_states)])
        return np.linalg.lstsq(system, np.eye(self.mdp.num_states + 1)[-1], rcond=None)[0]

    def gain(self, theta):
        return self.stationary(theta) @ self.rewards(theta)

    def bias(self, theta):
        d = self.stationary(theta)
        system = self.units() - self.chain(theta) + np.outer(np.ones(len(d)), d)
        return np.linalg.solve(system, self.rewards(theta) - self.gain(theta))

    def derivative(self, function):
        """∇function [..., n] by six points, parameter after parameter."""
        columns = []
        for unit in np.eye(len(self.theta)):
            slope = 0.0
            for k, weight in {1: 45, 2: -9, 3: 1}.items():
                there, here = self.theta + 0.01 * k * unit, self.theta - 0.01 * k * unit
                slope = slope + weight * (function(there) - function(here))
            columns.append(slope / 0.6)
        return np.stack(columns, axis=-1)

    def scores(self):
        """∇log π [S, A, n]; 0 at the actions that a state does not have."""
        return self.derivative(lambda theta: np.log(self.policy(theta) + 1e-300))

    def theorem(self, weights, psi):
        """Σ_s w(s) Σ_a ψ(s, a) ∇π(a | s)."""
        return np.einsum("s,sa,san->n", weights, psi, self.derivative(self.policy))
