"""Fisher products, conjugate gradients and the trust region against the exact natural gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from logtrick.algorithms.natural_gradient import (
    fisher_vector_product,
    line_search,
    mean_kl,
    natural_step,
)
from logtrick.policies.distributions import Beta, Categorical, MultiCategorical, Normal, masked
from random_mdps import random_mdp


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def tabular(seed=0):
    mdp = random_mdp(seed)
    rng = np.random.default_rng(seed)
    logits = jnp.array(rng.normal(size=lt.SoftmaxTable(mdp).logits.shape))
    return mdp, lt.SoftmaxTable(mdp, logits=logits), rng


def rows_of(mdp):
    """policy -> π(·|s) of every state, over the actions that it has."""

    def distributions(policy):
        logits = jax.vmap(policy)(jnp.asarray(mdp.observations)).logits
        return Categorical(masked(logits, jnp.asarray(mdp.available)))

    return distributions


@pytest.mark.parametrize("seed", range(4))
def test_fisher_product_is_the_exact_one(seed):
    """G5 with the exact visits as weights."""
    mdp, policy, rng = tabular(seed)
    visits = jnp.array(lt.exact.visitation(mdp, policy))
    product = fisher_vector_product(rows_of(mdp), policy, visits)
    u = jax.tree.map(lambda x: jnp.array(rng.normal(size=x.shape)), policy)
    expected = lt.exact.fisher_vector_product(mdp, policy, u, normalised=True)
    np.testing.assert_allclose(product(u).logits, expected.logits, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_natural_step_is_the_exact_natural_gradient(seed):
    """F is singular for a table, and conjugate gradients from 0 give F⁺∇J nevertheless."""
    mdp, policy, _ = tabular(seed)
    visits = jnp.array(lt.exact.visitation(mdp, policy))
    gradient = jax.tree.map(jnp.array, lt.exact.policy_gradient(mdp, policy))
    step = natural_step(
        gradient,
        fisher_vector_product(rows_of(mdp), policy, visits),
        max_kl=1e-3,
        damping=0.0,
        iterations=policy.logits.size,
    )
    expected = lt.exact.natural_gradient(mdp, policy, normalised=True).logits
    np.testing.assert_allclose(step.direction.logits, expected, rtol=1e-5, atol=1e-6)


def test_the_step_spends_the_divergence_that_it_may():
    mdp, policy, _ = tabular(5)
    visits, rows = jnp.array(lt.exact.visitation(mdp, policy)), rows_of(mdp)
    gradient = jax.tree.map(jnp.array, lt.exact.policy_gradient(mdp, policy))
    product = fisher_vector_product(rows, policy, visits)
    spent = []
    for max_kl in (1e-4, 1e-6):
        step = natural_step(gradient, product, max_kl=max_kl, damping=0.0, iterations=50)
        moved = jax.tree.map(lambda p, x, s=step: p + s.size * x, policy, step.direction)
        spent.append(float(mean_kl(rows(policy), rows(moved), visits)) / max_kl)
    # The quadratic model misses a term of third order, so the error shrinks with the root of δ.
    assert abs(spent[1] - 1) < 1e-2
    assert abs(spent[1] - 1) < 0.2 * abs(spent[0] - 1)


def test_no_gradient_means_no_step():
    step = natural_step(jnp.zeros(2), lambda u: u, max_kl=0.1, damping=0.0, iterations=3)
    assert float(step.size) == 0
    np.testing.assert_array_equal(step.direction, [0, 0])


@pytest.mark.parametrize(
    "make",
    [
        lambda x: Normal(x[None, :2], x[None, 2:]),
        lambda x: Categorical(x[None]),
        lambda x: MultiCategorical(x.reshape(1, 2, 2)),
        lambda x: Beta(*jnp.exp(x).reshape(2, 1, 2), (0.0, 0.0), (1.0, 2.0)),
    ],
    ids=["normal", "categorical", "multi", "beta"],
)
def test_fisher_product_is_the_variance_of_the_score(make):
    """E[∇log π ∇log πᵀ] from samples; false alarm below 1e-8 a coordinate, at six sigma."""
    x = jnp.array([0.3, -0.2, 0.1, 0.4])
    u = jnp.array([1.0, -0.5, 0.7, 0.2])
    product = fisher_vector_product(make, x, jnp.ones(1))(u)
    keys = jax.random.split(jax.random.key(0), 40_000)

    def outer(key):
        action = make(x).sample(key)
        score = jax.grad(lambda x: make(x).log_prob(action)[0])(x)
        return score * jnp.dot(score, u)

    samples = np.asarray(jax.jit(jax.vmap(outer))(keys))
    error = samples.std(axis=0) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(axis=0) - product) < 6 * error + 1e-12)
    assert np.all(error < 0.05)


def test_line_search_takes_the_first_that_will_do():
    found = line_search(lambda scale: scale < 0.5, shrink=0.8, steps=10)
    np.testing.assert_allclose(found.scale, 0.8**4)
    none = line_search(lambda scale: scale < 0.5, shrink=0.8, steps=4)
    assert float(none.scale) == 0
    assert not none.accepted


def test_the_mean_divergence_is_from_the_old_policy():
    """Σ π_old log(π_old/π), weighted: ½ log(½/.9) + ½ log(½/.1), and not the other way round."""
    old, new = (Categorical(jnp.log(jnp.array([p, p[::-1]]))) for p in ([0.5, 0.5], [0.9, 0.1]))
    found = mean_kl(old, new, jnp.array([1.0, 3.0]))
    assert float(found) == pytest.approx(-0.5 * np.log(4 * 0.9 * 0.1), rel=1e-12)


def test_the_damping_is_added_to_fishers_diagonal():
    step = natural_step(
        jnp.array([6.0, 5.0]),
        lambda u: jnp.array([1.0, 0.5]) * u,
        max_kl=0.5,
        damping=2.0,
        iterations=5,
    )
    np.testing.assert_allclose(step.direction, [2, 2], rtol=1e-6)
    assert float(step.size) == pytest.approx(1 / np.sqrt(4 * (3 + 2.5)), rel=1e-6)
