"""What becomes of an observation, and of a network's outputs, space by space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from gymnasium import spaces

from logtrick.errors import ConfigError, SpaceError
from logtrick.policies import MLPPolicy
from logtrick.policies.distributions import (
    Beta,
    MultiCategorical,
    Normal,
    Product,
    Reshaped,
    TanhNormal,
)
from logtrick.policies.encoders import Convolution, encoder
from logtrick.policies.heads import head

BOX = spaces.Box(-1, 1, (3,))


def encoded(space, obs, images="auto"):
    return np.asarray(encoder(space, np.random.default_rng(0), images=images)(obs, jnp.float32))


def test_numbers_are_one_hot_and_boxes_are_flat():
    np.testing.assert_array_equal(encoded(spaces.Discrete(3), 2), [0, 0, 1])
    two = spaces.MultiDiscrete([2, 3])
    np.testing.assert_array_equal(encoded(two, np.array([1, 0])), [0, 1, 1, 0, 0])
    np.testing.assert_array_equal(encoded(spaces.MultiBinary(3), np.array([1, 0, 1])), [1, 0, 1])
    grid = spaces.Box(-1, 1, (2, 2))
    np.testing.assert_array_equal(encoded(grid, np.eye(2)), [1, 0, 0, 1])


def test_parts_stand_side_by_side_without_the_mask():
    space = spaces.Dict(
        {
            "a": spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (2,))]),
            "action_mask": spaces.MultiBinary(4),
            "z": spaces.Discrete(3),
        }
    )
    obs = {"a": (1, np.array([0.5, -0.5])), "action_mask": np.ones(4), "z": 0}
    np.testing.assert_array_equal(encoded(space, obs), [0, 1, 0.5, -0.5, 1, 0, 0])
    with pytest.raises(SpaceError, match="no part besides 'action_mask'"):
        encoded(spaces.Dict({"action_mask": spaces.MultiBinary(4)}), {})
    with pytest.raises(SpaceError, match="'inner' of the observation has a part 'action_mask'"):
        encoded(spaces.Dict({"inner": space}), {})


def correlation(image, weight):
    """[rows, columns, filters], by SciPy."""
    over_channels = [
        [scipy.signal.correlate2d(image[..., c], f[c], mode="valid") for c in range(len(f))]
        for f in weight
    ]
    return np.sum(over_channels, axis=1).transpose(1, 2, 0)


@pytest.mark.parametrize(("side", "stride"), [(3, 1), (4, 2), (8, 4), (3, 3)])
@pytest.mark.parametrize("size", [(12, 12), (13, 10), (15, 18)])
def test_a_convolution_is_a_correlation_at_every_stride(side, stride, size):
    layer = Convolution(np.random.default_rng(0), 2, 5, side, stride)
    image = np.random.default_rng(1).normal(size=(*size, 2))
    expected = correlation(image, np.asarray(layer.weight))[::stride, ::stride]
    found = layer(jnp.asarray(image, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels_last", [True, False])
def test_small_images_meet_one_convolution(channels_last):
    """MinAtar's sizes, against SciPy's correlation; either axis may hold the channels."""
    rng = np.random.default_rng(1)
    image = rng.random((10, 10, 4)) < 0.3
    shape = (10, 10, 4) if channels_last else (4, 10, 10)
    made = encoder(spaces.Box(0, 1, shape, bool), np.random.default_rng(0))
    assert made.width == 16 * 8 * 8
    found = made(image if channels_last else np.moveaxis(image, -1, 0), jnp.float32)
    weight = np.asarray(made.convolutions[0].weight)
    expected = correlation(image.astype(float), weight)
    np.testing.assert_allclose(found, np.maximum(np.ravel(expected), 0), rtol=1e-4, atol=1e-5)
    gram = weight.reshape(16, -1) @ weight.reshape(16, -1).T
    np.testing.assert_allclose(gram, 2 * np.eye(16), atol=1e-5)


def test_large_images_meet_three_and_bytes_are_scaled():
    """Mnih et al. (2015): 84 × 84 × 4 becomes 20 × 20 × 32, 9 × 9 × 64, 7 × 7 × 64."""
    space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    made = encoder(space, np.random.default_rng(0))
    assert [c.weight.shape for c in made.convolutions] == [
        (32, 4, 8, 8),
        (64, 32, 4, 4),
        (64, 64, 3, 3),
    ]
    assert made.width == 7 * 7 * 64
    white = made(np.full(space.shape, 255, np.uint8), jnp.float32)
    same = encoder(spaces.Box(0, 1, space.shape), np.random.default_rng(0))
    np.testing.assert_allclose(white, same(np.ones(space.shape), jnp.float32), rtol=1e-5, atol=1e-5)
    assert encoder(space, np.random.default_rng(0), images="flat").width == 4 * 84 * 84


def test_boxes_that_are_no_images_are_flat():
    assert encoder(spaces.Box(0, 1, (3, 4, 9)), np.random.default_rng(0)).width == 108
    with pytest.raises(ConfigError, match="images='cnn'"):
        encoded(BOX, np.zeros(3), images="cnn")
    with pytest.raises(SpaceError, match="does not start at 0"):
        encoded(spaces.MultiDiscrete([2, 2], start=[1, 0]), np.array([1, 0]))


def test_convolutions_learn():
    policy = MLPPolicy(spaces.Box(0, 1, (10, 10, 4), bool), spaces.Discrete(3), hidden=(8,))
    obs = jnp.ones((10, 10, 4), bool)
    gradient = jax.grad(lambda p: p(obs).log_prob(jnp.array(1)))(policy)
    assert np.any(gradient.network.encoder.convolutions[0].weight != 0)


@pytest.mark.parametrize(
    ("actions", "distribution", "kind", "width"),
    [
        (spaces.Box(-2, 2, (3,)), "normal", Normal, 3),
        (spaces.Box(-2, 2, (3,)), "tanh_normal", TanhNormal, 3),
        (spaces.Box(-2, 2, (3,)), "beta", Beta, 6),
        (spaces.MultiDiscrete([2, 4]), "normal", MultiCategorical, 6),
        (spaces.MultiBinary(2), "normal", MultiCategorical, 4),
        (spaces.Dict({"a": spaces.Discrete(2), "b": BOX}), "beta", Product, 8),
        (spaces.Box(-2, 2, (2, 3)), "beta", Reshaped, 12),
        (spaces.Box(-2, 2, ()), "tanh_normal", Reshaped, 1),
        (spaces.MultiDiscrete([[2, 4], [3, 2]]), "normal", Reshaped, 11),
        (spaces.MultiBinary((2, 3)), "normal", Reshaped, 12),
    ],
)
def test_the_action_space_picks_the_distribution(actions, distribution, kind, width):
    policy = MLPPolicy(BOX, actions, distribution=distribution, hidden=(4,))
    made = policy(np.zeros(3))
    assert isinstance(made, kind)
    assert policy.head.width == width
    action = jax.tree.map(lambda x, y: np.asarray(x, y.dtype), made.mode, actions.sample())
    assert actions.contains(action)
    assert np.isfinite(made.log_prob(made.sample(jax.random.key(0))))


def test_masks_reach_their_coordinates():
    space = spaces.Dict({"x": BOX, "action_mask": spaces.MultiBinary(5)})
    policy = MLPPolicy(space, spaces.MultiDiscrete([2, 3]), hidden=(4,))
    mask = np.array([0, 1, 1, 0, 1])
    probs = policy({"x": np.zeros(3), "action_mask": mask}).coordinates.probs
    np.testing.assert_array_equal(probs > 0, [[False, True, False], [True, False, True]])
    policy = MLPPolicy(space, spaces.MultiDiscrete([[2], [3]]), hidden=(4,))
    board = policy({"x": np.zeros(3), "action_mask": mask})
    np.testing.assert_array_equal(board.flat.coordinates.probs > 0, probs > 0)
    assert board.mode.shape == (2, 1)


@pytest.mark.parametrize(
    ("mask", "actions", "match"),
    [
        (spaces.MultiBinary(3), spaces.Discrete(4), "needs 4 entries"),
        (spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3]), "needs 5 entries"),
        (spaces.MultiBinary(2), BOX, "Box actions have none"),
        (spaces.Box(-np.inf, 0, (2,)), spaces.Discrete(2), "no summand of logits"),
        (spaces.MultiBinary(2), spaces.Dict({"a": spaces.Discrete(2)}), "a Dict of masks"),
        (
            spaces.Dict({"c": spaces.MultiBinary(2)}),
            spaces.Dict({"a": spaces.Discrete(2)}),
            "some of their keys",
        ),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, actions, match):
    with pytest.raises(SpaceError, match=match):
        head(spaces.Dict({"x": BOX, "action_mask": mask}), actions)


def test_bounds_that_are_needed_are_asked_for():
    unbounded = spaces.Box(-np.inf, np.inf, (2,))
    for distribution in ("tanh_normal", "beta"):
        with pytest.raises(SpaceError, match=r"needs finite bounds.*TransformAction"):
            head(None, unbounded, distribution=distribution)
    with pytest.raises(ConfigError, match="'gauss' is unknown"):
        head(None, unbounded, distribution="gauss")
    point = spaces.Box(np.array([0, 1], np.float32), np.ones(2, np.float32))
    assert head(None, point).width == 2
    for distribution in ("tanh_normal", "beta"):
        with pytest.raises(SpaceError, match="one is a single point"):
            head(None, point, distribution=distribution)
