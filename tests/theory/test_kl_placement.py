"""Where the KL penalty is put: the mean of each gradient, over all 15 token sequences.

The truth is ∇ KL(π‖π_ref) over whole sequences. It is E[Σ_t ∇log π_t Σ_{k≥t} log(π/π_ref)_k]: what
a token does to the KL of later tokens is part of it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_group_rules import (
    PREFIXES,
    SEQUENCES,
    VALID,
    sequence_log_probs,
    token_log_probs,
)

from logtrick import psi


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def policies(distance):
    rng = np.random.default_rng(11)
    reference = jnp.asarray(rng.normal(size=21))
    return reference + distance * jnp.asarray(rng.normal(size=21)), reference


def sequence_kl(theta, reference):
    log_p = sequence_log_probs(theta)
    return jnp.exp(log_p) @ (log_p - sequence_log_probs(reference))


def mean_gradient(loss, theta):
    """E over sequences, drawn from π_θ and frozen, of the gradient of Σ_t loss(log π)_t."""
    chance = jnp.exp(sequence_log_probs(theta))
    return jax.grad(
        lambda x: chance @ jnp.sum(jnp.where(VALID, loss(token_log_probs(x)), 0.0), axis=-1)
    )(theta)


def in_loss(estimator, theta, reference):
    before = token_log_probs(reference)
    return mean_gradient(lambda log_p: estimator(log_p, before), theta)


def in_reward(theta, reference, beta):
    """E[Σ_t ψ_t ∇log π_t], ψ the reward-to-go of −β k1."""
    now, before = token_log_probs(theta), token_log_probs(reference)
    rewards = psi.penalised_rewards(jnp.zeros_like(now), now, before, beta=beta)
    never = jnp.zeros(now.shape, bool)
    to_go = psi.reward_to_go(rewards, never, never, gamma=1.0)
    return mean_gradient(lambda log_p: to_go * log_p, theta)


def k3_times_ratio(log_p, before):
    return jnp.exp(log_p - jax.lax.stop_gradient(log_p)) * psi.k3(log_p, before)


@pytest.mark.parametrize("distance", [0.1, 1.0])
def test_in_the_reward_nothing_is_lost(distance):
    theta, reference = policies(distance)
    exact = jax.grad(sequence_kl)(theta, reference)
    got = in_reward(theta, reference, beta=0.3)
    np.testing.assert_allclose(got, -0.3 * exact, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("distance", [0.1, 1.0])
def test_in_the_loss_later_tokens_are_lost(distance):
    theta, reference = policies(distance)
    exact = jax.grad(sequence_kl)(theta, reference)
    np.testing.assert_allclose(in_loss(psi.k1, theta, reference), 0.0, atol=1e-14)
    of_k2 = in_loss(psi.k2, theta, reference)
    np.testing.assert_allclose(in_loss(k3_times_ratio, theta, reference), of_k2, rtol=1e-11)
    # each token's own KL, its prefix frozen, differentiated exactly
    chance = np.exp(np.asarray(sequence_log_probs(theta)))

    def of_tokens(x, direction):
        p = jax.nn.log_softmax(x.reshape(7, 3))
        q = jax.nn.log_softmax(reference.reshape(7, 3))
        one, other = (p, q) if direction == "forward" else (q, p)
        per_prefix = jnp.sum(jnp.exp(one) * (one - other), axis=-1)
        return prefix_visits(chance) @ per_prefix

    np.testing.assert_allclose(of_k2, jax.grad(of_tokens)(theta, "forward"), rtol=1e-10, atol=1e-14)
    of_k3 = in_loss(psi.k3, theta, reference)
    np.testing.assert_allclose(
        of_k3, jax.grad(of_tokens)(theta, "reversed"), rtol=1e-10, atol=1e-14
    )
    for biased in (of_k2, of_k3):
        assert jnp.linalg.norm(biased - exact) > 0.01 * jnp.linalg.norm(exact)


def prefix_visits(chance):
    """[7] how often each prefix is met."""
    return np.array(
        [
            sum(
                c
                for c, s in zip(chance, SEQUENCES, strict=True)
                if len(s) > len(p) and s[: len(p)] == p
            )
            for p in PREFIXES
        ]
    )
