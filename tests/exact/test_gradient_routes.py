"""∇J by routes that share nothing but the MDP.

The theorem as it is printed, in NumPy; the library's through dense and sparse storage and through
products alone; autodiff through the factorised matrix, and through the adjoint of the iterative
solve; six-point differences of the objective. (Rational arithmetic is in test_bounds.)
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import exact
from random_mdps import KINDS, as_matrix_free, flat, parameters, random_mdp, random_policy

OBJECTIVES = ("discounted", "total", "average")


def case(seed, form, shape=None):
    objective = OBJECTIVES[seed % 3]
    features = form != "table" and seed % 2 == 0
    mdp = random_mdp(seed, ends=objective != "average", features=features, shape=shape)
    return mdp, random_policy(mdp, form, seed), objective


def assert_close(found, truth, tolerance=1e-10):
    assert np.abs(found - truth).max() <= tolerance * max(1e-3, np.abs(truth).max())


def six_point(function, x, direction, step):
    """The derivative along a direction, to O(step⁶)."""
    weights = {3: 1, 2: -9, 1: 45}
    return sum(
        weight * (function(x + k * step * direction) - function(x - k * step * direction))
        for k, weight in weights.items()
    ) / (60 * step)


def assert_close_to_differences(mdp, build, x, objective, gradient, seed):
    direction = np.random.default_rng(seed).normal(size=len(x))
    direction /= np.linalg.norm(direction)
    slope = six_point(lambda v: exact.objective(mdp, build(v), objective), x, direction, 0.02)
    assert abs(slope - gradient @ direction) <= 1e-8 * max(1, np.linalg.norm(gradient))


@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(30))
def test_theorem_in_both_storages_and_differences(seed, form):
    mdp, policy, objective = case(seed, form, shape=(6, 3))
    dense = flat(exact.policy_gradient(mdp.replace(storage="dense"), policy, objective))
    sparse = flat(exact.policy_gradient(mdp.replace(storage="sparse"), policy, objective))
    assert_close(sparse, dense)
    x, build = parameters(policy)
    assert_close_to_differences(mdp, build, x, objective, dense, seed)


def transcribed(mdp, probabilities, x, objective):
    """G1 and G3 as they are printed, by dense solves of NumPy's and one Jacobian of the policy."""
    shape = (mdp.num_states, mdp.num_actions)
    P, R = np.zeros((*shape, mdp.num_states)), np.zeros(shape)
    for pair, (s, a) in enumerate(zip(mdp.pair_states, mdp.pair_actions, strict=True)):
        for k in range(mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1]):
            R[s, a] += mdp.probabilities[k] * mdp.rewards[k]
            if not mdp.terminated[k]:
                P[s, a, mdp.successors[k]] += mdp.probabilities[k]
    pi, slope = np.asarray(probabilities(x)), np.asarray(jax.jacfwd(probabilities)(x))
    P_pi, r_pi = np.einsum("sa,sat->st", pi, P), (pi * R).sum(axis=1)
    eye = np.eye(mdp.num_states)
    if objective == "average":
        level = np.ones_like(P_pi) / mdp.num_states
        weights = np.linalg.solve((eye - P_pi).T + level, np.full(mdp.num_states, level[0, 0]))
        gain = weights @ r_pi
        bias = np.linalg.solve(eye - P_pi + np.outer(np.ones_like(weights), weights), r_pi - gain)
        action_values = R - gain + P @ bias
    else:
        gamma = mdp.gamma if objective == "discounted" else 1.0
        weights = np.linalg.solve(eye - gamma * P_pi.T, mdp.start)
        action_values = R + gamma * P @ np.linalg.solve(eye - gamma * P_pi, r_pi)
    return np.einsum("s,sa,san->n", weights, np.where(mdp.available, action_values, 0.0), slope)


def check_routes(seed, form):
    """Theorem (three storages, and transcribed), autodiff (both solves) and differences."""
    mdp, policy, objective = case(seed, form)
    x, build = parameters(policy)

    def probabilities(v):
        logits = jax.vmap(lambda obs: build(v)(obs).log_probs)(jnp.asarray(mdp.observations))
        return jax.nn.softmax(jnp.where(mdp.available, logits, -jnp.inf))

    with jax.enable_x64(True):
        truth = transcribed(mdp, probabilities, jnp.asarray(x), objective)
    for stored in (
        mdp.replace(storage="dense"),
        mdp.replace(storage="sparse"),
        as_matrix_free(mdp),
    ):
        assert_close(flat(exact.policy_gradient(stored, policy, objective)), truth)
    value = exact.objective(mdp, policy, objective)
    with jax.enable_x64(True):
        for storage in ("dense", "sparse"):
            stored = mdp.replace(storage=storage)
            traced = jax.jit(
                jax.value_and_grad(lambda v, m=stored: exact.objective(m, build(v), objective))
            )
            found, slope = traced(x)
            assert_close(float(found), value)
            assert_close(np.asarray(slope), truth)
    assert_close_to_differences(mdp, build, x, objective, truth, seed)


@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_every_route(seed, form):
    check_routes(seed, form)


@pytest.mark.slow
@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(3, 203))
def test_every_route_on_two_hundred(seed, form):
    check_routes(seed, form)
