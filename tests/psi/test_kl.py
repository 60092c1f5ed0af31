"""k1, k2, k3: as numbers, and what their derivatives are on average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import psi

LOGITS = np.array([0.3, -1.0, 0.7, 0.1])
REFERENCE = np.array([0.0, 0.4, -0.2, -0.1])


def log_softmax(x):
    return x - np.log(np.sum(np.exp(x)))


def kl(p, q):
    return np.sum(p * np.log(p / q))


def test_as_numbers():
    log_p, log_q = log_softmax(LOGITS), log_softmax(REFERENCE)
    p = np.exp(log_p)
    exact = kl(p, np.exp(log_q))
    np.testing.assert_allclose(p @ psi.k1(log_p, log_q), exact, rtol=1e-13)
    np.testing.assert_allclose(p @ psi.k3(log_p, log_q), exact, rtol=1e-13)
    k2 = psi.k2(log_p, log_q)
    np.testing.assert_allclose(k2, (log_p - log_q) ** 2 / 2, rtol=1e-14)
    assert (psi.k3(log_p, log_q) >= 0).all()
    # k2 is the KL to second order: the error falls with the third power of the distance
    near = [log_softmax(REFERENCE + h * (LOGITS - REFERENCE)) for h in (0.1, 0.05)]
    errors = [np.exp(x) @ psi.k2(x, log_q) - kl(np.exp(x), np.exp(log_q)) for x in near]
    np.testing.assert_allclose(errors[0] / errors[1], 8, rtol=0.1)


def mean_derivative(estimator, at=LOGITS):
    """E_a[∇ estimator(log π(a))], a ~ π frozen, over the logits: what a loss with it descends."""
    with jax.enable_x64(True):
        log_q, p = jnp.asarray(log_softmax(REFERENCE)), jnp.exp(jnp.asarray(log_softmax(at)))
        return np.asarray(
            jax.grad(lambda x: jnp.sum(p * estimator(jax.nn.log_softmax(x), log_q)))(
                jnp.asarray(at)
            )
        )


def softmax_gradient_of(function):
    with jax.enable_x64(True):
        return np.asarray(jax.grad(lambda x: function(jax.nn.log_softmax(x)))(jnp.asarray(LOGITS)))


def test_as_losses():
    log_q = log_softmax(REFERENCE)
    forward = softmax_gradient_of(lambda x: jnp.sum(jnp.exp(x) * (x - log_q)))
    reversed_ = softmax_gradient_of(lambda x: jnp.sum(jnp.exp(log_q) * (log_q - x)))
    np.testing.assert_allclose(mean_derivative(psi.k1), 0, atol=1e-15)
    np.testing.assert_allclose(mean_derivative(psi.k2), forward, rtol=1e-12)
    np.testing.assert_allclose(mean_derivative(psi.k3), reversed_, rtol=1e-12)
    assert np.linalg.norm(forward - reversed_) > 0.1 * np.linalg.norm(forward)

    def k3_times_ratio(log_p, log_q):
        return jnp.exp(log_p - jax.lax.stop_gradient(log_p)) * psi.k3(log_p, log_q)

    np.testing.assert_allclose(mean_derivative(k3_times_ratio), forward, rtol=1e-12)


def test_in_the_reward():
    log_p, log_q = log_softmax(LOGITS), log_softmax(REFERENCE)
    got = psi.penalised_rewards(np.ones(4), log_p, log_q, beta=0.3)
    np.testing.assert_allclose(got, 1 - 0.3 * (log_p - log_q), rtol=1e-14)
    slope = jax.grad(
        lambda x: jnp.sum(psi.penalised_rewards(jnp.ones(4), x, jnp.zeros(4), beta=0.3))
    )(jnp.asarray(LOGITS, jnp.float32))
    np.testing.assert_array_equal(slope, 0.0)


def test_k3_keeps_its_digits_near_the_reference():
    x = np.array([1e-5, 1e-4, -1e-4])
    np.testing.assert_allclose(psi.k3(x, np.zeros(3)), x**2 / 2 - x**3 / 6, rtol=1e-5)


@pytest.mark.parametrize("estimator", [psi.k1, psi.k2, psi.k3])
def test_dtypes_stay(estimator):
    a, b = np.random.default_rng(0).normal(size=(2, 3, 4))
    assert estimator(a, b).dtype == np.float64
    assert estimator(jnp.asarray(a), jnp.asarray(b)).dtype == jnp.float32
