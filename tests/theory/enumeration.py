"""A small random MDP in layers, so that every trajectory can be listed; all in float64 JAX.

Five states in three layers, two actions, three outcomes (s', r, terminated) of each; the last layer
always ends. The policy is a softmax over features, so states share parameters.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LAYERS = ((0, 1), (2, 3), (4,))
STATES, ACTIONS, OUTCOMES, PARAMETERS = 5, 2, 3, 4


class Problem(NamedTuple):
    start: np.ndarray  # [S]
    chance: np.ndarray  # [S, A, K]
    following: np.ndarray  # [S, A, K] int
    reward: np.ndarray  # [S, A, K]
    terminated: np.ndarray  # [S, A, K]
    features: np.ndarray  # [S, A, P]


class Trajectories(NamedTuple):
    """All of them, [N, T]; what follows an end is zeros that are not valid."""

    states: np.ndarray
    actions: np.ndarray
    outcomes: np.ndarray
    following: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    valid: np.ndarray


def random_problem(seed):
    rng = np.random.default_rng(seed)
    start = np.zeros(STATES)
    start[:2] = rng.dirichlet([1, 1])
    chance = rng.dirichlet(np.ones(OUTCOMES), size=(STATES, ACTIONS))
    following = np.zeros((STATES, ACTIONS, OUTCOMES), int)
    terminated = np.zeros((STATES, ACTIONS, OUTCOMES), bool)
    for layer, after in itertools.zip_longest(LAYERS, LAYERS[1:], fillvalue=None):
        for s in layer:
            following[s] = 0 if after is None else rng.choice(after, size=(ACTIONS, OUTCOMES))
            terminated[s] = after is None
            terminated[s, :, 2] = True
    reward = rng.normal(size=chance.shape)
    features = rng.normal(size=(STATES, ACTIONS, PARAMETERS))
    return Problem(start, chance, following, reward, terminated, features)


def all_trajectories(problem):
    def extend(rows, s):
        for a, k in itertools.product(range(ACTIONS), range(OUTCOMES)):
            longer = [*rows, (s, a, k)]
            if problem.terminated[s, a, k]:
                yield longer
            else:
                yield from extend(longer, problem.following[s, a, k])

    listed = [rows for s in LAYERS[0] for rows in extend([], s)]
    steps = np.zeros((len(listed), len(LAYERS), 3), int)
    valid = np.zeros((len(listed), len(LAYERS)), bool)
    for i, rows in enumerate(listed):
        steps[i, : len(rows)] = rows
        valid[i, : len(rows)] = True
    index = tuple(np.moveaxis(steps, -1, 0))
    return Trajectories(
        *index,
        problem.following[index],
        np.where(valid, problem.reward[index], 0.0),
        problem.terminated[index] | ~valid,
        valid,
    )


def log_policy(problem, theta):
    """[S, A]"""
    return jax.nn.log_softmax(problem.features @ theta, axis=-1)


def chance_of_each(problem, trajectories, log_pi):
    """[N] the probability of each trajectory."""
    s, a, k = trajectories.states, trajectories.actions, trajectories.outcomes
    steps = log_pi[s, a] + jnp.log(problem.chance[s, a, k])
    steps = jnp.where(trajectories.valid, steps, 0.0)
    return jnp.exp(jnp.sum(steps, axis=-1)) * problem.start[s[:, 0]]


def values_of(problem, pi, gamma):
    """(V [S], Q [S, A]) of π [S, A], by dynamic programming over the layers."""
    v = jnp.zeros(STATES)
    for _ in LAYERS:
        goes_on = jnp.where(problem.terminated, 0.0, v[problem.following])
        q = jnp.sum(problem.chance * (problem.reward + gamma * goes_on), axis=-1)
        v = jnp.sum(pi * q, axis=-1)
    return v, q


def visits_of(problem, pi, gamma):
    """η_γ [S]."""
    moves = np.zeros((STATES, ACTIONS, STATES))
    for s, a, k in np.ndindex(STATES, ACTIONS, OUTCOMES):
        if not problem.terminated[s, a, k]:
            moves[s, a, problem.following[s, a, k]] += problem.chance[s, a, k]
    step = jnp.einsum("sa,sat->st", pi, moves)
    return jnp.linalg.solve(jnp.eye(STATES) - gamma * step.T, problem.start)
