"""Distributions against closed forms, numerical integrals and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick.errors import ShapeError
from logtrick.policies.distributions import (
    Beta,
    Categorical,
    MultiCategorical,
    Normal,
    Product,
    Reshaped,
    TanhNormal,
    masked,
)

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


def every_kind():
    """One of each, with the other of the same kind for divergences."""
    inf = jnp.inf
    kinds = {
        "categorical": (Categorical, [[0.5, -1.0, 0.1]], [[0.0, 0.2, -0.4]]),
        "masked": (Categorical, [[0.5, -inf, 0.1]], [[0.0, -inf, -0.4]]),
        "multi": (
            MultiCategorical,
            [[[0.5, -1.0, -inf], [0.1, 0.2, 0.3]]],
            [[[0.0, 0.3, -inf], [0.4, 0.0, -1.0]]],
        ),
        "normal": (Normal, [[0.3], [-0.4]], [[-0.2], [0.1]]),
        "tanh_normal": (
            lambda m, s: TanhNormal(m, s, (-2.0, 0.0), (2.0, 1.0)),
            [[0.3, -0.5], [-0.4, 0.2]],
            [[-0.2, 0.4], [0.1, -0.3]],
        ),
        "beta": (
            lambda a, b: Beta(a, b, (-1.0, 0.0), (1.0, 5.0)),
            [[2.0, 1.3], [1.5, 3.0]],
            [[1.2, 2.0], [2.5, 1.1]],
        ),
    }
    made = {
        name: tuple(make(*map(jnp.array, arrays)) for arrays in both)
        for name, (make, *both) in kinds.items()
    }
    parts = ("masked", "tanh_normal", "multi")
    for shape in ((2, 1), (1, 1, 2)):
        made[f"reshaped{len(shape)}"] = tuple(Reshaped(d, shape) for d in made["beta"])
    one = Normal(jnp.array([0.3]), jnp.array([-0.4]))
    made["scalar"] = (Reshaped(one, ()), Reshaped(Normal(jnp.zeros(1), jnp.zeros(1)), ()))
    made["product"] = tuple(Product({k: made[k][i] for k in parts}) for i in (0, 1))
    return made


KINDS = every_kind()


def test_a_masked_action_changes_nothing():
    """Like the distribution without it, gradients included; and nothing is ever NaN."""
    with jax.enable_x64(True):
        logits, mask = jnp.array([0.3, 9.0, -0.2]), jnp.array([1, 0, 1])
        other = jnp.array([0.1, -9.0, 0.5])

        def of_all(function):
            return jax.grad(lambda x: function(Categorical(masked(x, mask))))(logits)

        def of_two(function):
            return jax.grad(lambda x: function(Categorical(x)))(logits[jnp.array([0, 2])])

        for whole, pair in (
            (lambda d: d.entropy(), lambda d: d.entropy()),
            (lambda d: d.log_prob(jnp.array(2)), lambda d: d.log_prob(jnp.array(1))),
            (
                lambda d: d.kl(Categorical(masked(other, mask))),
                lambda d: d.kl(Categorical(other[jnp.array([0, 2])])),
            ),
            (
                lambda d: Categorical(masked(other, mask)).kl(d),
                lambda d: Categorical(other[jnp.array([0, 2])]).kl(d),
            ),
        ):
            gradient = of_all(whole)
            assert gradient[1] == 0
            np.testing.assert_allclose(gradient[jnp.array([0, 2])], of_two(pair), rtol=1e-12)


def test_a_mask_that_allows_nothing_is_ignored():
    rows = masked(jnp.zeros((2, 3)), jnp.array([[0, 0, 0], [0, 1, 0]]))
    np.testing.assert_allclose(jax.nn.softmax(rows), [[1 / 3] * 3, [0, 1, 0]], rtol=1e-6)


def test_multi_categorical_is_the_product_of_its_coordinates():
    with jax.enable_x64(True):
        p, q = (MultiCategorical(jnp.array(d.logits, float)) for d in KINDS["multi"])
        actions = [(a, b) for a in range(2) for b in range(3)]
        log_p, log_q = (
            np.array([float(d.log_prob(jnp.array(action))) for action in actions]) for d in (p, q)
        )
        np.testing.assert_allclose(np.exp(log_p).sum(), 1, rtol=1e-12)
        np.testing.assert_allclose(p.entropy(), -(np.exp(log_p) * log_p).sum(), rtol=1e-12)
        np.testing.assert_allclose(p.kl(q), (np.exp(log_p) * (log_p - log_q)).sum(), rtol=1e-12)
        assert actions[int(np.argmax(log_p))] == tuple(p.mode.tolist())


@pytest.mark.parametrize("name", ["tanh_normal", "beta"])
def test_bounded_densities_by_quadrature(name):
    """They integrate to 1; entropy and divergence are those of the density."""
    with jax.enable_x64(True):
        p, q = (jax.tree.map(lambda x: jnp.array(x, float), d) for d in KINDS[name])
        x, w = np.polynomial.legendre.leggauss(400)
        # A substitution that flattens the ends, where the densities are steep.
        s = (1 + np.tanh(8 * x)) / 2
        weights = w * 8 * (1 - np.tanh(8 * x) ** 2) / 2
        mass, entropy, divergence = 1.0, 0.0, 0.0
        for d in range(2):
            low, width = p.low[d], p.high[d] - p.low[d]
            one = [
                type(p)(*(leaf[d : d + 1] for leaf in jax.tree.leaves(k)), (low,), (low + width,))
                for k in (p, q)
            ]
            points = jnp.array(low + width * s)[:, None]
            log_p, log_q = (np.asarray(jax.vmap(k.log_prob)(points)) for k in one)
            dx = weights * width
            mass *= (np.exp(log_p) * dx).sum()
            entropy -= (np.exp(log_p) * log_p * dx).sum()
            divergence += (np.exp(log_p) * (log_p - log_q) * dx).sum()
        np.testing.assert_allclose(mass, 1, rtol=1e-5)
        np.testing.assert_allclose(p.entropy(), entropy, rtol=1e-4)
        np.testing.assert_allclose(p.kl(q), divergence, rtol=1e-4)


def test_beta_agrees_with_scipy():
    with jax.enable_x64(True):
        p = jax.tree.map(lambda x: jnp.array(x, float), KINDS["beta"][0])
        reference = scipy.stats.beta([2.0, 1.3], [1.5, 3.0], loc=[-1, 0], scale=[2, 5])
        action = np.array([0.3, 1.7])
        np.testing.assert_allclose(p.log_prob(jnp.array(action)), reference.logpdf(action).sum())
        np.testing.assert_allclose(p.entropy(), reference.entropy().sum())


def test_squashed_actions_have_the_density_of_what_was_drawn():
    """float32, far into the tails: log-prob and its gradient against float64 at the drawn u."""
    mean, log_std = 1.0, 0.5
    for noise in (-3.0, -1.0, 0.0, 2.0, 3.5):
        policy = TanhNormal(jnp.array([mean]), jnp.array([log_std]), (-2.0,), (2.0,))
        action = policy.from_noise(jnp.array([noise]))
        u = mean + np.exp(log_std) * noise
        exact = scipy.stats.norm(mean, np.exp(log_std)).logpdf(u)
        exact -= np.log(2) + 2 * (np.log(2) - u - np.logaddexp(0, -2 * u))
        np.testing.assert_allclose(policy.log_prob(action), exact, atol=0.1 if noise > 3 else 2e-3)
    far = TanhNormal(jnp.array([40.0]), jnp.array([0.0]), (-2.0,), (2.0,))
    value, gradient = jax.value_and_grad(lambda d: d.log_prob(d.from_noise(jnp.zeros(1))))(far)
    assert jnp.isfinite(value)
    assert all(jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(gradient))


def test_a_product_adds_up_and_keeps_its_structure():
    p, q = KINDS["product"]
    action = p.sample(jax.random.key(3))
    assert set(action) == {"masked", "tanh_normal", "multi"}
    for total, of_part in (
        (p.log_prob(action), lambda k: p.parts[k].log_prob(action[k])),
        (p.entropy(), lambda k: p.parts[k].entropy()),
        (p.kl(q), lambda k: p.parts[k].kl(q.parts[k])),
    ):
        np.testing.assert_allclose(total, sum(of_part(k) for k in p.parts), rtol=1e-6)
    # The parts are drawn apart: their correlation is that of chance (|z| < 6, below 1e-8).
    pair = Product((Normal(jnp.zeros(1), jnp.zeros(1)), Normal(jnp.zeros(1), jnp.zeros(1))))
    a, b = jax.vmap(pair.sample)(jax.random.split(jax.random.key(0), 10_000))
    assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) < 6 / 100


def test_reshaped_actions_are_the_same_numbers_in_a_row():
    flat = Normal(jnp.arange(6.0).reshape(1, 6), jnp.zeros((1, 6)))
    board, key = Reshaped(flat, (2, 3)), jax.random.key(0)
    np.testing.assert_array_equal(board.mode, [[[0, 1, 2], [3, 4, 5]]])
    drawn = board.sample(key)
    np.testing.assert_array_equal(drawn, flat.sample(key).reshape(1, 2, 3))
    np.testing.assert_array_equal(board.log_prob(drawn), flat.log_prob(drawn.reshape(1, 6)))
    with pytest.raises(ShapeError, match=r"6 numbers cannot be laid out in \(2, 2\)"):
        _ = Reshaped(flat, (2, 2)).mode


@pytest.mark.parametrize("name", KINDS)
def test_batches_are_rows(name):
    """Leading axes are batch axes: two rows at once are each row alone."""
    rows = KINDS[name]
    both = jax.tree.map(lambda *x: jnp.stack(x), *rows)
    actions = [row.sample(jax.random.key(i)) for i, row in enumerate(rows)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *actions)
    alone = [row.log_prob(a) for row, a in zip(rows, actions, strict=True)]
    np.testing.assert_allclose(both.log_prob(stacked), jnp.stack(alone), rtol=1e-5)
    alone = [row.entropy() for row in rows]
    np.testing.assert_allclose(both.entropy(), jnp.stack(alone), rtol=1e-5)
    backwards = jax.tree.map(lambda *x: jnp.stack(x), *reversed(rows))
    alone = [rows[0].kl(rows[1]), rows[1].kl(rows[0])]
    np.testing.assert_allclose(both.kl(backwards), jnp.stack(alone), rtol=1e-5)
    np.testing.assert_allclose(rows[0].kl(rows[0]), 0, atol=1e-6)
    modes = jax.tree.map(lambda *x: jnp.stack(x), *(row.mode for row in rows))
    jax.tree.map(np.testing.assert_array_equal, both.mode, modes)


@pytest.mark.parametrize("distribution", [both[0] for both in KINDS.values()], ids=list(KINDS))
def test_samples_have_the_stated_entropy_and_score_mean_zero(distribution):
    # False alarm: |z| > 6 in 1 + 11 coordinates at most, less than 1e-7.
    keys = jax.random.split(jax.random.key(0), 100_000)
    actions = jax.vmap(distribution.sample)(keys)
    log_probs = np.asarray(jax.vmap(distribution.log_prob)(actions), float)
    error = -log_probs.mean() - float(distribution.entropy())
    assert abs(error) < 6 * log_probs.std() / np.sqrt(len(log_probs))

    def score(action):
        return jax.grad(lambda d: d.log_prob(action))(distribution)

    for coordinates in jax.tree.leaves(jax.vmap(score)(actions)):
        mean, std = np.mean(coordinates, axis=0), np.std(coordinates, axis=0)
        assert np.all(np.abs(mean) <= 6 * std / np.sqrt(len(log_probs)))


def test_mode_is_the_most_probable_action():
    assert int(Categorical(jnp.array([0.0, 2.0, 1.0])).mode) == 1
    np.testing.assert_array_equal(Normal(jnp.array([1.5]), jnp.zeros(1)).mode, [1.5])
