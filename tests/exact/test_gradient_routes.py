"""∇J by routes that share nothing but the MDP.

The theorem through dense and through sparse storage, autodiff through the factorised matrix,
autodiff through the adjoint of the iterative solve, and six-point differences of the objective.
(Rational arithmetic is in test_bounds.)
"""

import jax
import numpy as np
import pytest

from logtrick import exact
from random_mdps import KINDS, flat, parameters, random_mdp, random_policy

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


@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(30))
def test_theorem_in_both_storages_and_differences(seed, form):
    mdp, policy, objective = case(seed, form, shape=(6, 3))
    dense = flat(exact.policy_gradient(mdp.replace(storage="dense"), policy, objective))
    sparse = flat(exact.policy_gradient(mdp.replace(storage="sparse"), policy, objective))
    assert_close(sparse, dense)
    x, build = parameters(policy)
    direction = np.random.default_rng(seed).normal(size=len(x))
    direction /= np.linalg.norm(direction)
    slope = six_point(lambda v: exact.objective(mdp, build(v), objective), x, direction, 0.02)
    assert abs(slope - dense @ direction) <= 1e-8 * max(1, np.linalg.norm(dense))


def check_autodiff(seed, form):
    mdp, policy, objective = case(seed, form)
    theorem = flat(exact.policy_gradient(mdp, policy, objective))
    value = exact.objective(mdp, policy, objective)
    x, build = parameters(policy)
    with jax.enable_x64(True):
        for storage in ("dense", "sparse"):
            stored = mdp.replace(storage=storage)
            traced = jax.jit(
                jax.value_and_grad(lambda v, m=stored: exact.objective(m, build(v), objective))
            )
            found, slope = traced(x)
            assert_close(float(found), value)
            assert_close(np.asarray(slope), theorem)


@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_autodiff_in_both_storages(seed, form):
    check_autodiff(seed, form)


@pytest.mark.slow
@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(3, 203))
def test_autodiff_on_two_hundred(seed, form):
    check_autodiff(seed, form)
