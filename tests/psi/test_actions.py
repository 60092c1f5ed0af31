"""Sums over all actions and the optimal baseline."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import psi
from logtrick.errors import ConfigError


def random_states(seed, shape):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=shape)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return logits, probabilities, rng.normal(size=shape)


def test_values_and_advantages():
    _, p, q = random_states(0, (5, 3))
    np.testing.assert_allclose(psi.all_action_sum(p, q), np.einsum("sa,sa->s", p, q), rtol=1e-14)
    a = psi.advantage(q, p)
    np.testing.assert_allclose(a, q - np.einsum("sa,sa->s", p, q)[:, None], rtol=1e-13)
    np.testing.assert_allclose(np.sum(p * a, -1), 0, atol=1e-15)  # V4


def test_the_derivative_of_the_sum_freezes_psi():
    """∇ Σ_a π ψ with ψ frozen is Σ_a ψ ∇π = π (ψ − V) for a softmax, however ψ depends on θ."""
    logits, p, _ = random_states(1, (4,))
    with jax.enable_x64(True):
        slope = jax.grad(lambda x: psi.all_action_sum(jax.nn.softmax(x), 2 * x))(
            jnp.asarray(logits)
        )
    frozen = 2 * logits
    np.testing.assert_allclose(slope, p * (frozen - p @ frozen), rtol=1e-12)


def variance_of_a_step(p, q, baseline):
    """Trace of the covariance of (Q − b) ∇log π in one softmax state, by enumeration."""
    scores = np.eye(len(p)) - p
    terms = (q - baseline)[:, None] * scores
    mean = p @ terms
    return p @ np.sum(terms**2, axis=-1) - mean @ mean


@pytest.mark.parametrize("seed", range(5))
def test_no_other_baseline_has_less_variance(seed):
    _, p, q = random_states(seed, (4,))
    best = psi.optimal_baseline(q, p)
    least = variance_of_a_step(p, q, best)
    for other in (p @ q, best + 1e-3, best - 1e-3, 0.0):
        assert variance_of_a_step(p, q, other) > least
    squared_scores = np.sum((np.eye(4) - p) ** 2, axis=-1)
    np.testing.assert_allclose(psi.optimal_baseline(q, p, squared_scores), best, rtol=1e-12)
    expected = (p * squared_scores) @ q / (p @ squared_scores)
    np.testing.assert_allclose(best, expected, rtol=1e-12)


def test_missing_actions_and_certain_states():
    p, q = np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]), np.array([[-np.inf, 1.0, 3.0]] * 2)
    q[1] = [5.0, -np.inf, 2.0]
    np.testing.assert_array_equal(psi.all_action_sum(p, q), [2.0, 5.0])
    np.testing.assert_array_equal(psi.advantage(q, p)[0], [-np.inf, -1.0, 1.0])
    np.testing.assert_array_equal(psi.optimal_baseline(q, p), [2.0, 5.0])
    assert np.isneginf(psi.all_action_sum([0.5, 0.5], [-np.inf, 1.0]))


def test_probabilities_are_checked():
    with pytest.raises(ConfigError, match=r"probabilities at \(1,\) is 1.5, outside \[0, 1\]"):
        psi.advantage([1.0, 2.0], [0.0, 1.5])
