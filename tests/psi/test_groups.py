"""Group rules and their weights: against loops, in their invariances, and on degenerate groups."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick import psi
from logtrick.errors import ConfigError, NonFiniteError, ShapeError

groups = st.builds(
    lambda seed, batch, size: np.random.default_rng(seed).normal(size=(*batch, size)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(), (2, 2)]),
    st.integers(2, 4),
)
lengths_of = np.random.default_rng(0).integers(1, 9, size=100).astype(float)


def by_group(rule, *arrays):
    first = arrays[0]
    out = np.empty_like(first)
    for index in np.ndindex(*first.shape[:-1]):
        out[index] = [rule(i, *(a[index] for a in arrays)) for i in range(first.shape[-1])]
    return out


@settings(max_examples=15, deadline=None)
@given(returns=groups)
def test_equal_slow_loops(returns):
    size = returns.shape[-1]
    lengths = np.broadcast_to(lengths_of[:size], returns.shape)

    def others(i, r):
        return np.mean([r[j] for j in range(size) if j != i])

    def std(r, ddof):
        mean = sum(r) / size
        return (sum((x - mean) ** 2 for x in r) / (size - ddof)) ** 0.5

    expected = {
        "rloo": by_group(lambda i, r: r[i] - others(i, r), returns),
        "dr_grpo": by_group(lambda i, r: r[i] - sum(r) / size, returns),
        "opo": by_group(lambda i, r, n: r[i] - np.dot(n, r) / sum(n), returns, lengths),
        "remax": by_group(lambda i, r, g: r[i] - g[i], returns, 0.5 * lengths),
    }
    got = {
        "rloo": psi.rloo(returns),
        "dr_grpo": psi.dr_grpo(returns),
        "opo": psi.opo(returns, lengths),
        "remax": psi.remax(returns, 0.5 * lengths),
    }
    for name in expected:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-11, atol=1e-13)
    for ddof in (0, 1):
        for epsilon in (0.0, 1e-4, 0.5):
            slow = by_group(
                lambda i, r, d=ddof, e=epsilon: (r[i] - r.mean()) / (std(r, d) + e), returns
            )
            fast = psi.grpo(returns, ddof=ddof, epsilon=epsilon)
            np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(returns=groups, shift=st.floats(-9, 9), scale=st.floats(0.1, 9))
def test_invariances(returns, shift, scale):
    for rule in (psi.rloo, psi.dr_grpo):
        np.testing.assert_allclose(rule(returns + shift), rule(returns), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(rule(scale * returns), scale * rule(returns), rtol=1e-9)
        np.testing.assert_allclose(rule(returns).sum(-1), 0, atol=1e-12)
    unscaled = psi.grpo(scale * returns + shift, epsilon=0.0)
    np.testing.assert_allclose(unscaled, psi.grpo(returns, epsilon=0.0), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(
        np.std(psi.grpo(returns, ddof=0, epsilon=0.0), axis=-1), 1, rtol=1e-10
    )
    same_length = np.full(returns.shape, 7.0)
    np.testing.assert_allclose(psi.opo(returns, same_length), psi.dr_grpo(returns), atol=1e-13)


def test_rloo_is_dr_grpo_times_g_over_g_minus_one():
    returns = np.random.default_rng(1).normal(size=(3, 5))
    np.testing.assert_allclose(psi.rloo(returns), psi.dr_grpo(returns) * 5 / 4, rtol=1e-14)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e8])
@pytest.mark.parametrize("epsilon", [0.0, 1e-9, 1e-4])
def test_a_unanimous_group_says_exactly_nothing(value, epsilon):
    returns = np.full((2, 7), value)
    for got in (
        psi.grpo(returns, epsilon=epsilon),
        psi.rloo(returns),
        psi.dr_grpo(returns),
        psi.opo(returns, np.arange(1.0, 8.0) * np.ones((2, 1))),
        psi.whiten(returns, epsilon=epsilon),
    ):
        np.testing.assert_array_equal(got, 0.0)
    np.testing.assert_array_equal(psi.informative(returns), 0.0)
    returns[1, 3] += 1
    np.testing.assert_array_equal(psi.informative(returns), [0.0, 1.0])


def test_a_unanimous_group_has_finite_derivatives():
    for rule in (psi.grpo, psi.whiten):
        slope = jax.grad(lambda r, rule=rule: jnp.sum(rule(r) ** 2))(jnp.full(4, 0.3))
        assert jnp.isfinite(slope).all()


def test_weights_add_up_as_they_should():
    lengths = np.random.default_rng(2).integers(1, 9, size=(3, 4)).astype(float)
    np.testing.assert_allclose(psi.sequence_sum_weights(lengths), 1 / 4)
    # the mean over sequences of the mean over tokens; the mean over all tokens
    np.testing.assert_allclose(np.sum(psi.sequence_mean_weights(lengths) * lengths, -1), 1)
    np.testing.assert_allclose(psi.sequence_mean_weights(lengths) * lengths, 1 / 4)
    np.testing.assert_allclose(np.sum(psi.token_mean_weights(lengths) * lengths, -1), 1)
    assert np.ptp(psi.token_mean_weights(lengths), axis=-1).max() == 0
    np.testing.assert_allclose(psi.constant_length_weights(lengths, max_length=8), 1 / 32)


def test_whitening_ignores_what_is_not_valid():
    rng = np.random.default_rng(3)
    values, valid = rng.normal(size=(2, 20)), rng.random((2, 20)) < 0.6
    for ddof in (0, 1):
        got = psi.whiten(np.where(valid, values, np.nan), valid, ddof=ddof, epsilon=0.0)
        for row in range(2):
            kept = values[row][valid[row]]
            expected = (kept - kept.mean()) / kept.std(ddof=ddof)
            np.testing.assert_allclose(got[row][valid[row]], expected, rtol=1e-12)
        np.testing.assert_array_equal(got[~valid], 0.0)
    np.testing.assert_array_equal(psi.whiten(values, np.zeros_like(valid)), 0.0)


def test_numpy_jax_and_dtypes():
    returns = np.random.default_rng(4).normal(size=(2, 4))
    lengths = lengths_of[:8].reshape(2, 4)
    for rule, arrays in [
        (psi.rloo, (returns,)),
        (psi.grpo, (returns,)),
        (psi.dr_grpo, (returns,)),
        (psi.opo, (returns, lengths)),
        (psi.whiten, (returns,)),
        (psi.token_mean_weights, (lengths,)),
        (psi.sequence_mean_weights, (lengths,)),
    ]:
        double = rule(*arrays)
        assert double.dtype == np.float64
        single = rule(*(jnp.asarray(a, jnp.float32) for a in arrays))
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rule", [psi.rloo, psi.grpo, psi.dr_grpo])
def test_a_group_of_one_is_refused(rule):
    with pytest.raises(ShapeError, match="at least 2 entries are needed"):
        rule(np.zeros((3, 1)))
    with pytest.raises(ShapeError, match="there is nothing to compute"):
        rule(np.zeros((0, 4)))


def test_wrong_settings_and_lengths_are_named():
    with pytest.raises(ConfigError, match=r"ddof = 2; it must be one integer in \[0, 1\]"):
        psi.grpo(np.zeros(4), ddof=2)
    with pytest.raises(ConfigError, match="epsilon = -1"):
        psi.grpo(np.zeros(4), epsilon=-1.0)
    with pytest.raises(ConfigError, match=r"lengths at \(2,\) is 0"):
        psi.token_mean_weights([1, 2, 0])
    with pytest.raises(ShapeError, match=r"lengths has shape \(3,\)"):
        psi.opo(np.zeros(4), np.ones(3))
    with pytest.raises(ShapeError, match="at least 2"):
        psi.whiten(np.zeros(1), ddof=1)


RULES = {
    "rloo": psi.rloo,
    "grpo": psi.grpo,
    "dr_grpo": psi.dr_grpo,
    "opo": lambda r: psi.opo(r, 0 * _finite(r) + 2),
    "remax": lambda r: psi.remax(r, 0 * _finite(r) + 2),
    "whiten": psi.whiten,
}


def _finite(array):
    """The same shape and kind, without NaN and infinity."""
    return array.isfinite() + 0.0 if hasattr(array, "isfinite") else 0.0 + (array == array)


def _torch(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own import
        torch = pytest.importorskip("torch", reason="torch is an extra")
    return torch.tensor(values, dtype=torch.float64)


KINDS = {
    "numpy": np.array,
    "jax": jnp.array,
    "jit": jnp.array,
    "torch": _torch,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RULES)
def test_one_number_that_is_not_finite_makes_its_group_nan(name, kind):
    rule = jax.jit(RULES[name]) if kind == "jit" else RULES[name]
    clean = [1.0, 3.0, 0.0]
    for bad in (np.nan, np.inf, -np.inf):
        for where in range(3):
            dirty = [bad if i == where else x for i, x in enumerate(clean)]
            got = np.asarray(rule(KINDS[kind]([dirty, clean])))
            assert np.isnan(got[0]).all()
            np.testing.assert_allclose(got[1], np.asarray(rule(KINDS[kind](clean))), rtol=1e-6)


def test_whether_a_group_differs_is_unknown_with_nan():
    got = psi.informative([[1.0, np.nan], [np.inf, np.inf], [1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(got, [np.nan, np.nan, 1.0, 0.0])


def test_what_is_not_valid_may_be_anything():
    got = psi.whiten([1.0, 3.0, np.nan, np.inf], [1, 1, 0, 0], epsilon=0.0)
    np.testing.assert_array_equal(got, [-1.0, 1.0, 0.0, 0.0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1e308, 1e150, 1.0, 1e-150, 1e-300])
def test_a_group_may_be_of_any_size(kind, size):
    """(x, −x, 0) has the variance 2x²/3: ±√(3/2), whatever x is; ε counts beside the std."""
    if kind in ("jax", "jit"):
        size = float(np.float32(min(max(size, 1e-30), 3e38)))
    values = KINDS[kind]([size, -size, 0.0])
    white = jax.jit(psi.whiten) if kind == "jit" else psi.whiten
    sign = np.array([1, -1, 0])
    tolerance = 8 * np.finfo(np.float32 if kind in ("jax", "jit") else np.float64).eps
    close = {"rtol": 0, "atol": tolerance}
    for got in (psi.whiten(values, epsilon=0.0), psi.grpo(values, ddof=0, epsilon=0.0)):
        np.testing.assert_allclose(np.asarray(got), sign * 1.5**0.5, **close)
    beside = size / (size * (2 / 3) ** 0.5 + 1e-8)
    np.testing.assert_allclose(np.asarray(white(values)), sign * beside, **close)
    np.testing.assert_allclose(np.asarray(psi.dr_grpo(values)) / size, sign, **close)


def test_what_is_too_large_for_the_dtype_is_an_error():
    """1e308 − (−1e308) is no float64, and 3e38 + 3e38 no float32; half of it is."""
    for rule in (psi.rloo, lambda r: psi.remax(r, -r)):
        with pytest.raises(NonFiniteError, match=r"at \(1, 0\) is inf, although .*float64"):
            rule(np.array([[1.0, 2.0], [1e308, -1e308]]))
    with pytest.raises(NonFiniteError, match="float32"):
        psi.rloo(jnp.array([3e38, -3e38]))
    np.testing.assert_allclose(psi.dr_grpo([1e308, -1e308]), [1e308, -1e308])
    np.testing.assert_allclose(psi.opo([1e308, 0.0], [1.0, 3.0]), [0.75e308, -0.25e308])


@pytest.mark.parametrize("convert", [np.float32, jnp.float32])
def test_equal_numbers_whiten_to_nothing(convert):
    """The mean of 2,048 times 0.1 is not 0.1 in float32."""
    np.testing.assert_array_equal(psi.whiten(convert(np.full(2048, 0.1))), 0.0)
