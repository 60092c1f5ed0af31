"""Distributions against closed forms, numerical integrals and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick.distributions import Categorical, Normal

logits = st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=6)


@given(logits, logits)
@settings(max_examples=50, deadline=None)
def test_categorical_agrees_with_scipy(first, second):
    size = min(len(first), len(second))
    with jax.enable_x64(True):
        p, q = (Categorical(jnp.array(x[:size], float)) for x in (first, second))
        probs, others = np.asarray(p.probs), np.asarray(q.probs)
        np.testing.assert_allclose(p.entropy(), scipy.stats.entropy(probs), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            p.kl(q), scipy.stats.entropy(probs, others), rtol=1e-8, atol=1e-12
        )
        for action in range(size):
            np.testing.assert_allclose(p.log_prob(jnp.array(action)), np.log(probs[action]))


def test_an_action_that_cannot_be_taken_costs_nothing():
    with jax.enable_x64(True):
        masked = Categorical(jnp.array([0.3, -jnp.inf, -0.2]))
        plain = Categorical(jnp.array([0.3, -0.2]))
        assert masked.probs[1] == 0
        np.testing.assert_allclose(masked.entropy(), plain.entropy(), rtol=1e-12)
        other = Categorical(jnp.array([1.0, -jnp.inf, 0.0]))
        expected = plain.kl(Categorical(jnp.array([1.0, 0.0])))
        np.testing.assert_allclose(masked.kl(other), expected, rtol=1e-12)
        assert jnp.isinf(Categorical(jnp.zeros(3)).kl(other))
        gradient = jax.grad(lambda x: Categorical(x).entropy())(masked.logits)
        assert jnp.all(jnp.isfinite(gradient))


def test_normal_agrees_with_scipy():
    rng = np.random.default_rng(0)
    mean, other, action = rng.normal(size=(3, 4))
    log_std, other_log_std = rng.normal(size=(2, 4)) / 2
    with jax.enable_x64(True):
        p = Normal(jnp.array(mean), jnp.array(log_std))
        q = Normal(jnp.array(other), jnp.array(other_log_std))
        reference = scipy.stats.norm(mean, np.exp(log_std))
        np.testing.assert_allclose(p.log_prob(jnp.array(action)), reference.logpdf(action).sum())
        np.testing.assert_allclose(p.entropy(), reference.entropy().sum())
        # KL by Gauss-Hermite quadrature of E_p[log p - log q], exact for quadratics.
        x, w = np.polynomial.hermite_e.hermegauss(20)
        points = mean[:, None] + np.exp(log_std)[:, None] * x
        gap = scipy.stats.norm(mean[:, None], np.exp(log_std)[:, None]).logpdf(points)
        gap -= scipy.stats.norm(other[:, None], np.exp(other_log_std)[:, None]).logpdf(points)
        kl = (gap @ w / np.sqrt(2 * np.pi)).sum()
        np.testing.assert_allclose(p.kl(q), kl)


@pytest.mark.parametrize(
    "distribution",
    [Categorical(jnp.array([0.5, -1.0, 0.1])), Normal(jnp.array([0.3]), jnp.array([-0.4]))],
    ids=["categorical", "normal"],
)
def test_samples_have_the_stated_entropy_and_score_mean_zero(distribution):
    # False alarm: |z| > 6 in 1 + 3 coordinates, less than 1e-8.
    keys = jax.random.split(jax.random.key(0), 100_000)
    actions = jax.vmap(distribution.sample)(keys)
    log_probs = np.asarray(jax.vmap(distribution.log_prob)(actions), float)
    error = -log_probs.mean() - float(distribution.entropy())
    assert abs(error) < 6 * log_probs.std() / np.sqrt(len(log_probs))

    def score(action):
        return jax.grad(lambda d: d.log_prob(action))(distribution)

    for coordinates in jax.tree.leaves(jax.vmap(score)(actions)):
        mean, std = np.mean(coordinates, axis=0), np.std(coordinates, axis=0)
        assert np.all(np.abs(mean) < 6 * std / np.sqrt(len(log_probs)))


def test_mode_is_the_most_probable_action():
    assert int(Categorical(jnp.array([0.0, 2.0, 1.0])).mode) == 1
    np.testing.assert_array_equal(Normal(jnp.array([1.5]), jnp.zeros(1)).mode, [1.5])
