"""Ratio rules: their values, their derivatives, and what is left of them on-policy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import psi
from logtrick.errors import ConfigError, NonFiniteError, ShapeError

RULES = {
    "importance": {},
    "ppo_clip": {"epsilon_low": 0.2, "epsilon_high": 0.3},
    "dual_clip": {"epsilon_low": 0.2, "epsilon_high": 0.3, "bound": 3.0},
    "cispo": {"epsilon_low": 0.5, "epsilon_high": 0.3},
}


def derivative(name, log_probs, old, weights, **options):
    """d/d log π of the summed terms, in float64."""
    with jax.enable_x64(True):
        old, weights = jnp.asarray(old), jnp.asarray(weights)

        def total(x):
            return jnp.sum(
                getattr(psi, name)(x, old, weights, **{**RULES.get(name, {}), **options})
            )

        return np.asarray(jax.grad(total)(jnp.asarray(log_probs)))


@pytest.mark.parametrize("name", RULES)
def test_on_policy_the_derivative_is_psi(name):
    rng = np.random.default_rng(0)
    log_probs, weights = -rng.exponential(size=(2, 5)), rng.normal(size=(2, 5))
    np.testing.assert_allclose(derivative(name, log_probs, log_probs, weights), weights, rtol=1e-12)


def test_on_policy_gspo_is_the_mean_over_tokens():
    rng = np.random.default_rng(1)
    log_probs, weights = -rng.exponential(size=(3, 4)), rng.normal(size=3)
    valid = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool)
    with jax.enable_x64(True):
        old, psi_, mask = jnp.asarray(log_probs), jnp.asarray(weights), jnp.asarray(valid)
        slope = jax.grad(lambda x: psi.gspo(x, old, psi_, mask).sum())(old)
    expected = np.where(valid, weights[:, None] / valid.sum(-1, keepdims=True), 0)
    np.testing.assert_allclose(slope, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "ratio", "weight", "slope"),
    [
        # (1 − ε_low, 1 + ε_high) = (.8, 1.3); the derivative is r ψ where nothing is clipped
        ("importance", 9.0, -2.0, -18.0),
        ("ppo_clip", 1.2, 2.0, 2.4),
        ("ppo_clip", 1.4, 2.0, 0.0),
        ("ppo_clip", 1.4, -2.0, -2.8),
        ("ppo_clip", 0.7, 2.0, 1.4),
        ("ppo_clip", 0.7, -2.0, 0.0),
        ("ppo_clip", 9.0, -2.0, -18.0),
        ("dual_clip", 9.0, -2.0, 0.0),
        ("dual_clip", 2.9, -2.0, -5.8),
        ("dual_clip", 1.4, 2.0, 0.0),
        ("dual_clip", 0.7, -2.0, 0.0),
        # CISPO: (.5, 1.3), the clipped ratio times ψ, never 0
        ("cispo", 9.0, 2.0, 2.6),
        ("cispo", 9.0, -2.0, -2.6),
        ("cispo", 0.1, 2.0, 1.0),
        ("cispo", 0.9, 2.0, 1.8),
    ],
)
def test_derivatives_on_each_side_of_the_clip(name, ratio, weight, slope):
    got = derivative(name, [np.log(ratio)], [0.0], [weight])
    np.testing.assert_allclose(got, [slope], rtol=1e-12, atol=1e-15)


def test_values_equal_slow_loops():
    rng = np.random.default_rng(2)
    log_probs, old, weights = rng.normal(size=(3, 40))
    ratio = np.exp(log_probs - old)
    clip = [min(max(r, 0.8), 1.3) for r in ratio]
    ppo = [min(r * w, c * w) for r, c, w in zip(ratio, clip, weights, strict=True)]
    dual = [max(x, 3 * w) if w < 0 else x for x, w in zip(ppo, weights, strict=True)]
    clip_low = [min(max(r, 0.5), 1.3) for r in ratio]
    expected = {
        "importance": ratio * weights,
        "ppo_clip": ppo,
        "dual_clip": dual,
        "cispo": np.array(clip_low) * weights * log_probs,
    }
    for name, options in RULES.items():
        got = getattr(psi, name)(log_probs, old, weights, **options)
        np.testing.assert_allclose(got, expected[name], rtol=1e-13)


def test_sequence_ratio_is_the_geometric_mean():
    rng = np.random.default_rng(3)
    log_probs, old = rng.normal(size=(2, 3, 5))
    valid = np.arange(5) < np.array([[5], [3], [0]])
    ratios = np.exp(log_probs - old)
    expected = [np.prod(ratios[0]) ** (1 / 5), np.prod(ratios[1][:3]) ** (1 / 3), 1.0]
    hidden = np.where(valid, log_probs, np.nan)
    np.testing.assert_allclose(psi.sequence_ratio(hidden, old, valid), expected, rtol=1e-13)
    whole = psi.sequence_ratio(log_probs, old)
    np.testing.assert_allclose(whole, np.prod(ratios, -1) ** (1 / 5), rtol=1e-13)
    terms = psi.gspo(hidden, old, [1.0, -1.0, 2.0], valid, epsilon_low=0.1, epsilon_high=0.1)
    slow = [
        min(s * w, min(max(s, 0.9), 1.1) * w)
        for s, w in zip(expected, [1.0, -1.0, 2.0], strict=True)
    ]
    np.testing.assert_allclose(terms, slow, rtol=1e-13)


@pytest.mark.parametrize("name", RULES)
def test_neither_psi_nor_the_old_policy_is_differentiated(name):
    log_probs = jnp.asarray([-0.3, -0.9])

    def total(old, weights):
        return jnp.sum(getattr(psi, name)(log_probs, old, weights, **RULES[name]))

    for slope in jax.grad(total, argnums=(0, 1))(log_probs - 0.1, jnp.ones(2)):
        np.testing.assert_array_equal(slope, 0.0)


def test_wrong_input_is_named():
    with pytest.raises(ConfigError, match=r"epsilon_low = 1\.2"):
        psi.ppo_clip([0.0], [0.0], [1.0], epsilon_low=1.2)
    with pytest.raises(ConfigError, match=r"bound = 0\.5"):
        psi.dual_clip([0.0], [0.0], [1.0], bound=0.5)
    with pytest.raises(ShapeError, match=r"psi has shape \(2,\).*\(1,\) is needed"):
        psi.gspo([[0.0, 0.0]], [[0.0, 0.0]], [1.0, 2.0])


@pytest.mark.parametrize("weight", [1.0, 0.0, -1.0])
def test_a_ratio_beyond_float32_is_still_clipped(weight):
    """e^100: min(r ψ, 1.2 ψ), and c ψ of the dual clip; the slope past a clip is 0, not 0 · ∞."""
    x, old, psi_ = jnp.array([100.0]), jnp.zeros(1), jnp.array([weight])

    def both(rule):
        return jax.value_and_grad(lambda x: rule(x, old, psi_)[0])(x)

    value, slope = both(psi.dual_clip)
    assert value == pytest.approx({1.0: 1.2, 0.0: 0.0, -1.0: -3.0}[weight])
    assert slope == 0
    value, slope = both(lambda *a: psi.cispo(*a, epsilon_high=0.2))
    assert (value, slope) == (pytest.approx(120 * weight), pytest.approx(1.2 * weight))
    value, slope = both(psi.ppo_clip)
    assert value == pytest.approx({1.0: 1.2, 0.0: 0.0, -1.0: -np.inf}[weight])
    if weight >= 0:
        assert slope == 0


def test_a_ratio_that_is_no_number_is_an_error():
    with pytest.raises(NonFiniteError, match="ratio at \\(1,\\) is inf"):
        psi.ratio([0.0, 800.0], [0.0, 0.0])
    with pytest.raises(NonFiniteError, match="importance"):
        psi.importance([800.0], [0.0], [1.0])
    with pytest.raises(NonFiniteError, match="k3"):
        psi.k3([-800.0], [0.0])
    np.testing.assert_array_equal(psi.importance([800.0], [0.0], [0.0]), [0.0])
    np.testing.assert_array_equal(psi.ratio([np.nan, -800.0], [0.0, 0.0]), [np.nan, 0.0])


def test_the_clip_fraction_counts_both_sides():
    ratios = np.array([0.7, 0.79, 0.81, 1.0, 1.29, 1.31])
    got = psi.clipped(np.log(ratios), np.zeros(6), epsilon_low=0.2, epsilon_high=0.3)
    np.testing.assert_array_equal(got, [1, 1, 0, 0, 0, 1])
    assert np.isnan(psi.clipped([np.nan], [0.0])).all()
