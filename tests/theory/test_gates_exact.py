"""Published and closed-form numbers of small MDPs, through dense and through sparse storage.

None of the literals was computed by this library.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import exact
from logtrick.mdp import problems
from logtrick.policies import SoftmaxTable
from logtrick.policies.distributions import Categorical

STORAGES = ("dense", "sparse")


@pytest.fixture(params=STORAGES)
def storage(request):
    return request.param


class OneProbability(eqx.Module):
    """p = σ(θ), the same in every state: the probability of the first of two actions."""

    theta: jax.Array

    def __call__(self, obs):
        return Categorical(jnp.stack([self.theta, jnp.zeros_like(self.theta)]))


def one(p):
    return OneProbability(jnp.asarray(math.log(p / (1 - p))))


def uniform(mdp):
    return mdp.available / mdp.available.sum(axis=1, keepdims=True)


# The short corridor, Sutton & Barto (2018), example 13.1.


def corridor_objective(p):
    return (2 * p - 4) / (p * (1 - p))


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 2 - math.sqrt(2), 0.95])
def test_corridor_objective(storage, p):
    mdp = problems.corridor().replace(storage=storage)
    table = np.tile([p, 1 - p], (3, 1))
    assert exact.objective(mdp, table) == pytest.approx(corridor_objective(p), rel=1e-12)


def test_corridor_at_its_best(storage):
    mdp = problems.corridor().replace(storage=storage)
    best = one(2 - math.sqrt(2))
    assert exact.objective(mdp, best) == pytest.approx(-(6 + 4 * math.sqrt(2)), rel=1e-7)
    assert abs(float(exact.policy_gradient(mdp, best).theta)) < 1e-5  # θ is rounded to float32


def test_corridor_printed_figures(storage):
    mdp = problems.corridor().replace(storage=storage)
    found = [exact.objective(mdp, np.tile([p, 1 - p], (3, 1))) for p in (0.05, 0.95)]
    assert np.round(found, 1).tolist() == [-82.1, -44.2]


def test_corridor_with_one_parameter(storage):
    mdp = problems.corridor().replace(storage=storage)
    policy, unit = one(0.5), OneProbability(np.asarray(1.0))
    assert exact.objective(mdp, policy, "total") == pytest.approx(-12, rel=1e-13)
    assert float(exact.policy_gradient(mdp, policy).theta) == pytest.approx(2, rel=1e-12)
    assert float(exact.hessian_vector_product(mdp, policy, unit).theta) == pytest.approx(-6)
    assert float(exact.fisher_vector_product(mdp, policy, unit).theta) == pytest.approx(3)
    assert float(exact.natural_gradient(mdp, policy).theta) == pytest.approx(2 / 3)


def test_corridor_with_two_logits(storage):
    mdp = problems.corridor().replace(storage=storage)
    policy = SoftmaxTable(mdp)

    def matrix(product):
        def column(unit):
            vector = eqx.tree_at(lambda p: p.logits, policy, jnp.asarray(unit)[None])
            return product(mdp, policy, vector).logits[0]

        return np.stack([column([1.0, 0.0]), column([0.0, 1.0])], axis=1)

    assert exact.policy_gradient(mdp, policy).logits == pytest.approx(np.array([[2, -2]]))
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert matrix(exact.hessian_vector_product) == pytest.approx(-6 * signs)
    assert matrix(exact.fisher_vector_product) == pytest.approx(3 * signs)
    natural = exact.natural_gradient(mdp, policy).logits
    assert natural == pytest.approx(np.array([[1 / 3, -1 / 3]]))


def test_corridor_restarting_has_gain_minus_one(storage):
    mdp = problems.corridor().restarting().replace(storage=storage)
    for p in (0.1, 0.5, 0.8):
        assert exact.objective(mdp, one(p), "average") == pytest.approx(-1, rel=1e-12)


# Values of known policies.


def test_puterman_two_states(storage):
    mdp = problems.puterman_two_state(gamma=0.95).replace(storage=storage)
    gamma = 0.95
    closed = [(5 - 5.5 * gamma) / ((1 - 0.5 * gamma) * (1 - gamma)), -1 / (1 - gamma)]
    values = exact.state_values(mdp, np.array([0, 0]))
    assert values == pytest.approx(np.array(closed), rel=1e-13)
    assert np.round(values, 4).tolist() == [-8.5714, -20]


def test_forest_by_waiting(storage):
    mdp = problems.forest().replace(storage=storage)
    wait = np.zeros(3, int)
    assert exact.state_values(mdp, wait) == pytest.approx(np.array([26.244, 29.484, 33.484]))
    assert exact.objective(mdp, wait, "average") == pytest.approx(3.24, rel=1e-13)


def test_grid_of_example_3_5_under_the_random_policy(storage):
    mdp = problems.example_3_5_grid().replace(storage=storage)
    values = np.round(exact.state_values(mdp, uniform(mdp)).reshape(5, 5), 1)
    assert values[0].tolist() == [3.3, 8.8, 4.4, 5.3, 1.5]
    assert values[4].tolist() == [-1.9, -1.3, -1.2, -1.4, -2.0]


def test_grid_of_example_3_5_to_a_and_back(storage):
    mdp = problems.example_3_5_grid().replace(storage=storage)
    up, right = 0, 1
    actions = np.array([right] + [up] * 24)  # from A' up the column into A
    values = exact.state_values(mdp, actions)
    assert values[1] == pytest.approx(10 / (1 - 0.9**5), rel=1e-13)
    assert values[1] == pytest.approx(24.4194281, abs=5e-8)


def test_random_walk(storage):
    mdp = problems.random_walk(5).replace(storage=storage)
    values = exact.state_values(mdp, uniform(mdp))
    assert values == pytest.approx(np.arange(1, 6) / 6, rel=1e-13)


def test_cliff_walking_along_the_edge(storage):
    mdp = problems.cliff_walking().replace(storage=storage)
    up, right, down = 0, 1, 2
    actions = np.full((4, 12), right)
    actions[:, 11] = down
    actions[3] = up
    assert exact.objective(mdp, actions.ravel()) == pytest.approx(-13, rel=1e-13)


def policy_iteration(mdp, rounds=20):
    """By the library's own action values, from the uniform policy."""
    policy = uniform(mdp)
    for _ in range(rounds):
        policy = np.argmax(np.round(exact.action_values(mdp, policy), 12), axis=1)
    return policy


def test_frozen_lake_discounted(storage):
    mdp = problems.frozen_lake(gamma=0.99).replace(storage=storage)
    values = exact.state_values(mdp, policy_iteration(mdp))
    assert values[0] == pytest.approx(0.5420259320, abs=5e-11)


def test_frozen_lake_at_gamma_one(storage):
    mdp = problems.frozen_lake(gamma=1.0).replace(storage=storage)
    best = policy_iteration(mdp.replace(gamma=0.9999))  # greedy for exact V_* may never end
    assert exact.state_values(mdp, best)[0] == pytest.approx(14 / 17, rel=1e-12)


# The missing γ^t (G4).


def test_gamma_t_fixture(storage):
    mdp = problems.gamma_t_fixture().replace(storage=storage)
    for p in (0.2, 0.5, 0.9):
        policy = one(p)
        scale = float(jax.nn.sigmoid(policy.theta) * jax.nn.sigmoid(-policy.theta))
        slope = [
            float(exact.policy_gradient(mdp, policy, kind).theta) / scale
            for kind in ("discounted", "total")
        ]
        assert slope == pytest.approx([0.25, 6.5], rel=1e-5)  # scale is float32
        # Without γ^t, visits are counted undiscounted while Q_γ stays.
        visits = exact.visitation(mdp.replace(gamma=1.0), policy)
        gap = np.diff(exact.action_values(mdp, policy), axis=1)[:, 0]
        assert -visits @ gap == pytest.approx(-0.5, rel=1e-5)


def test_sequences():
    mdp = problems.sequences()
    assert exact.objective(mdp, SoftmaxTable(mdp)) == pytest.approx(2 / 9, rel=1e-13)
    assert exact.visitation(mdp, SoftmaxTable(mdp)).sum() == pytest.approx(1 + 2 / 3 + 4 / 9)
