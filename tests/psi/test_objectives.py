"""Surrogates: their gradients are what is wanted of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick.psi.objectives import clipped_value_loss, ppo_clip, score_function, value_loss


def one_ppo_clip(log_prob, old_log_prob, psi, clip_eps):
    """ppo_clip of a single sample."""
    return ppo_clip(log_prob[None], old_log_prob[None], psi[None], clip_eps)[0]


numbers = st.floats(-3, 3, width=32)


@given(numbers, numbers)
@settings(max_examples=30, deadline=None)
def test_score_function_gradient_is_minus_psi_times_score(log_prob, psi):
    gradient = jax.grad(score_function)(jnp.float32(log_prob), jnp.float32(psi))
    assert gradient == -jnp.float32(psi)
    assert jax.grad(score_function, argnums=1)(jnp.float32(log_prob), jnp.float32(psi)) == 0


@given(numbers, numbers, st.floats(0.0625, 0.5, width=32))
@settings(max_examples=30, deadline=None)
def test_ppo_at_the_old_policy_is_the_score_function(log_prob, psi, eps):
    arguments = jnp.float32(log_prob), jnp.float32(log_prob), jnp.float32(psi), eps
    np.testing.assert_allclose(jax.grad(one_ppo_clip)(*arguments), -psi, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("ratio", "psi", "expected"),
    [
        (1.5, 1.0, 0.0),  # already above, asked to rise: nothing more to gain
        (1.5, -1.0, 1.5),  # above, asked to fall: pulled back
        (0.5, -1.0, 0.0),  # below, asked to fall
        (0.5, 1.0, -0.5),  # below, asked to rise
        (1.1, 1.0, -1.1),  # inside
    ],
)
def test_ppo_gradient_in_each_region(ratio, psi, expected):
    old = jnp.float32(-1.0)
    gradient = jax.grad(one_ppo_clip)(old + jnp.log(jnp.float32(ratio)), old, jnp.float32(psi), 0.2)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)


def test_no_gradient_flows_into_the_data():
    x = jnp.float32(0.3)
    for argument in (1, 2):
        assert jax.grad(one_ppo_clip, argnums=argument)(x, x, x, 0.2) == 0
    assert jax.grad(value_loss, argnums=1)(x, jnp.float32(2.0)) == 0


@given(numbers, numbers, numbers, st.floats(0.0625, 1, width=32))
@settings(max_examples=50, deadline=None)
def test_value_clipping_is_the_larger_of_the_two_errors(value, old, target, eps):
    near = old + np.clip(value - old, -eps, eps)
    expected = 0.5 * max((value - target) ** 2, (near - target) ** 2)
    given_ = jnp.float32(value), jnp.float32(old), jnp.float32(target), eps
    np.testing.assert_allclose(clipped_value_loss(*given_), expected, rtol=1e-4, atol=1e-5)
