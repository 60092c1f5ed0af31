"""Policies and values: shapes, initial weights, spaces that they refuse."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from logtrick.errors import ConfigError, SpaceError
from logtrick.policies import LinearPolicy, MLPPolicy, MLPValue, SoftmaxTable, ValueTable
from logtrick.policies.actor_critic import ActorCritic, SharedActorCritic
from logtrick.policies.distributions import Categorical, Normal
from logtrick.policies.networks import MLP

BOX = spaces.Box(-1, 1, (3,))


def test_softmax_table_is_a_softmax_over_its_row():
    table = SoftmaxTable(2, 3, logits=jnp.array([[0.0, 0, 0], [1, 2, 3]]))
    weights = np.exp([1.0, 2, 3])
    np.testing.assert_allclose(table(1).probs, weights / weights.sum(), rtol=1e-6)


def test_softmax_table_shares_the_row_of_aliased_states():
    mdp = SimpleNamespace(observations=np.array([0, 0, 0]), num_actions=2)
    assert SoftmaxTable(mdp).logits.shape == (1, 2)
    features = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]])
    table = SoftmaxTable(SimpleNamespace(observations=features, num_actions=2))
    assert table.logits.shape == (2, 2)
    table = SoftmaxTable(
        SimpleNamespace(observations=features, num_actions=2), logits=jnp.array([[1.0, 0], [0, 5]])
    )
    rows = jax.vmap(lambda obs: table(obs).logits)(jnp.asarray(features))
    np.testing.assert_array_equal(rows, [[1, 0], [0, 5], [1, 0]])
    jax.jit(lambda t: t(features[0]).logits)(table)  # hashable, so it can be an argument


def test_mlp_computes_what_it_says():
    mlp = MLP(BOX, 2, hidden=(5, 4), activation="relu", key=3)
    x = np.array([0.1, -0.4, 0.9], np.float32)
    h = x
    for layer in mlp.layers[:-1]:
        h = np.maximum(np.asarray(layer.weight) @ h + np.asarray(layer.bias), 0)
    expected = np.asarray(mlp.layers[-1].weight) @ h + np.asarray(mlp.layers[-1].bias)
    np.testing.assert_allclose(mlp(x), expected, rtol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(64, 4), (4, 64), (8, 8)])
def test_initial_weights_are_orthogonal(rows, columns):
    weight = np.asarray(MLP(spaces.Box(-1, 1, (columns,)), rows, hidden=(), key=1).layers[0].weight)
    gram = weight @ weight.T if rows <= columns else weight.T @ weight
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-5)


def test_orthogonal_matrices_are_uniformly_distributed():
    # Without the sign correction of QR, the diagonal of a 1 x 1 matrix would always be of one sign.
    signs = [
        float(MLP(spaces.Box(-1, 1, (1,)), 1, hidden=(), key=k).layers[0].weight[0, 0])
        for k in range(64)
    ]
    assert 10 < sum(sign > 0 for sign in signs) < 54  # false alarm 1e-8


def test_integers_are_one_hot_encoded():
    policy = MLPPolicy(spaces.Discrete(4), spaces.Discrete(3), key=0)
    assert policy.network.layers[0].weight.shape == (64, 4)
    direct = policy.network.layers[0].weight[:, 2]
    first = jnp.tanh(direct)
    logits = policy.network.layers[2](jnp.tanh(policy.network.layers[1](first)))
    np.testing.assert_allclose(policy(jnp.array(2)).logits, logits, rtol=1e-5)


@pytest.mark.parametrize("make", [MLPPolicy, LinearPolicy])
def test_the_head_follows_the_action_space(make):
    assert isinstance(make(BOX, spaces.Discrete(3))(np.zeros(3)), Categorical)
    normal = make(BOX, spaces.Box(-2, 2, (2,)))(np.zeros(3))
    assert isinstance(normal, Normal)
    np.testing.assert_array_equal(normal.log_std, [0, 0])


def test_keys_decide_the_weights():
    def weights(key):
        return np.asarray(MLPValue(BOX, key=key).network.layers[0].weight)

    np.testing.assert_array_equal(weights(0), weights(0))
    assert np.any(weights(0) != weights(1))
    assert np.any(weights(jax.random.key(0)) != weights(jax.random.key(1)))
    with pytest.raises(ConfigError, match="outside jit and vmap"):
        jax.jit(lambda key: MLPValue(BOX, key=key)(jnp.zeros(3)))(jax.random.key(0))


def test_a_shared_trunk_is_shared():
    model = SharedActorCritic(BOX, spaces.Discrete(2), hidden=(8,), key=0)
    obs = jnp.array([0.1, 0.2, 0.3])
    distribution, value, carry = model(obs)
    assert carry is None
    np.testing.assert_allclose(model.policy(obs).logits, distribution.logits)
    np.testing.assert_allclose(model.state_value(obs), value)
    gradient = jax.grad(lambda m: m.state_value(obs))(model)
    assert jnp.any(gradient.trunk.layers[0].weight != 0)


def test_without_a_critic_values_are_zero():
    model = ActorCritic(MLPPolicy(BOX, spaces.Discrete(2)), None)
    assert float(model(jnp.zeros(3))[1]) == 0


def test_value_table():
    table = ValueTable(3)
    assert float(jax.grad(lambda t: t(1))(table).values[1]) == 1


@pytest.mark.parametrize(
    ("observations", "actions", "match"),
    [
        (spaces.Sequence(BOX), spaces.Discrete(2), "TransformObservation"),
        (BOX, spaces.MultiDiscrete([2, 2], start=[1, 1]), "Actions in MultiDiscrete"),
        (BOX, spaces.Box(-1, 1, (2,), np.int32), "Actions in Box"),
        (BOX, spaces.Dict({}), "no part"),
        (BOX, spaces.Tuple([]), "no part"),
        (BOX, spaces.Box(-1, 1, (0,)), "no part"),
        (spaces.Box(-1, 1, (0,)), spaces.Discrete(2), "nothing to be seen"),
        (spaces.Dict({"a": spaces.Box(-1, 1, (3, 0))}), spaces.Discrete(2), "nothing to be seen"),
        (spaces.Discrete(3, start=1), spaces.Discrete(2), "start at 0"),
    ],
)
def test_spaces_that_do_not_fit_are_named(observations, actions, match):
    with pytest.raises(SpaceError, match=match):
        MLPPolicy(observations, actions)


def test_bad_arguments():
    with pytest.raises(SpaceError, match=r"need \(2, 3\)"):
        SoftmaxTable(2, 3, logits=np.zeros((3, 2)))
    with pytest.raises(ConfigError, match="activation='gelu'"):
        MLP(BOX, 1, activation="gelu")
    with pytest.raises(ConfigError, match="hidden is empty"):
        SharedActorCritic(BOX, spaces.Discrete(2), hidden=())
