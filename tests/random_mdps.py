"""Random MDPs with everything at once, and random policies on them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from logtrick.exact import MatrixFreeMDP
from logtrick.mdp.model import FiniteMDP
from logtrick.policies import LinearPolicy, MLPPolicy, SoftmaxTable

KINDS = ("table", "linear", "mlp")


def random_mdp(seed, *, ends=True, gamma=None, storage="auto", features=False, shape=None):
    """Ragged actions and outcomes, repeated successors, aliased states; each state can end."""
    rng = np.random.default_rng(seed)
    num_states, num_actions = shape or (int(rng.integers(2, 9)), int(rng.integers(2, 5)))
    table = []
    for _ in range(num_states):
        has = rng.permutation(num_actions)[: rng.integers(1, num_actions + 1)]
        has = has if table else np.arange(num_actions)  # so that there are that many
        choices = {}
        for action in sorted(has.tolist()):
            count = int(rng.integers(1, 5))
            weights = rng.dirichlet(np.ones(count))
            choices[action] = [
                (float(weight), int(rng.integers(num_states)), float(rng.normal()), False)
                for weight in weights
            ]
            if ends:
                weight, successor, reward, _ = choices[action][0]
                choices[action][0] = (weight, successor, reward, True)
        table.append(choices)
    if not ends:  # one closed class: every state leads to state 0 now and then
        for choices in table:
            for action, outcomes in choices.items():
                outcomes = [(0.9 * p, s, r, end) for p, s, r, end in outcomes]
                choices[action] = [*outcomes, (0.1, 0, 0.0, False)]
    labels = {"storage": storage, "start": rng.dirichlet(np.ones(num_states))}
    if features:
        labels["observations"] = rng.normal(size=(num_states, 3))
    elif num_states > 3:
        labels["observations"] = np.minimum(np.arange(num_states), num_states - 2)
    gamma = float(rng.choice([0.0, 0.5, 0.9, 0.99, 1.0])) if gamma is None else gamma
    return FiniteMDP.from_outcomes(table, gamma=gamma, **labels)


def with_large_rewards(mdp, seed):
    """Rewards from 10³ to 10¹³, which cancel in every other pair: what is left is rounding's size.

    A pair that has two outcomes or more is paid what its first outcome pays, with the other sign
    and weighted, in its last one.
    """
    rng = np.random.default_rng([seed, 1])
    size = 10.0 ** rng.integers(3, 14)
    rewards = size * rng.uniform(-1, 1, mdp.num_outcomes)
    for pair in range(0, mdp.num_pairs, 2):
        first, last = mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1] - 1
        if first < last:
            share = mdp.probabilities[first] / max(mdp.probabilities[last], 1e-3)
            rewards[first : last + 1] = 0.0
            rewards[first], rewards[last] = size, -size * share
    return mdp.replace(rewards=rewards)


def random_policy(mdp, kind, seed):
    """A policy with random parameters of size one."""
    build = {"table": SoftmaxTable, "linear": LinearPolicy, "mlp": small_network}[kind]
    policy = build(mdp)
    leaves, structure = jax.tree.flatten(eqx.filter(policy, eqx.is_inexact_array))
    rng = np.random.default_rng(seed)
    drawn = [jnp.asarray(rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves]
    return eqx.combine(jax.tree.unflatten(structure, drawn), policy)


def small_network(mdp):
    return MLPPolicy(mdp, hidden=(5,))


def random_table(mdp, seed):
    """Probabilities [S, A] on the actions that are there."""
    weights = np.random.default_rng(seed).gamma(1.0, size=mdp.available.shape) * mdp.available
    return weights / weights.sum(axis=1, keepdims=True)


def flat(tree):
    """All numbers of a pytree in one vector."""
    leaves = [np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves)


def parameters(policy):
    """The policy's parameters as one float64 vector, and the way back to a policy."""
    params, static = eqx.partition(policy, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(params)
    sizes = np.cumsum([leaf.size for leaf in leaves])[:-1]

    def build(vector):
        parts = [vector[low:high] for low, high in zip([0, *sizes], [*sizes, None], strict=True)]
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
        return eqx.combine(jax.tree.unflatten(structure, shaped), static)

    return flat(params), build


def as_matrix_free(mdp):
    """The same MDP by its products alone."""
    transitions = mdp.dense_transitions()
    kept = np.zeros_like(transitions)
    pairs = mdp.outcome_pairs
    goes_on = ~mdp.terminated
    where = (mdp.pair_states[pairs], mdp.pair_actions[pairs], mdp.successors)
    np.add.at(kept, tuple(index[goes_on] for index in where), mdp.probabilities[goes_on])
    return MatrixFreeMDP(
        lambda values: jnp.asarray(kept) @ values,
        mdp.dense_rewards(),
        gamma=mdp.gamma,
        start=mdp.start,
        terms=mdp.num_states,
        available=mdp.available,
        observations=mdp.observations,
    )
