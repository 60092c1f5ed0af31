"""Policies with memory on finite MDPs, against sums over trajectories written out by hand."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.spaces import Discrete

import logtrick as lt
from logtrick import exact
from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.policies.recurrent import RecurrentPolicy

# A cue, then a fork that looks the same after either cue and pays 1 where the cue said, but for a
# door that is found shut one time in four. States: the cues, the forks, the shut doors.
CUE = lt.FiniteMDP.from_outcomes(
    [[[(0.75, 2 + cue, 0.0, False), (0.25, 4, 0.1, False)]] * 2 for cue in range(2)]
    + [[[(1.0, 4, float(way == cue), True)] for way in range(2)] for cue in range(2)]
    + [[[(1.0, 4, 0.2 * way, True)] for way in range(2)]],
    gamma=0.5,
    start=[0.4, 0.6, 0, 0, 0],
    observations=np.array([0, 1, 2, 2, 3]),
)


def recurrent(cell="gru", seed=0):
    policy = RecurrentPolicy(CUE, Discrete(2), cell=cell, width=3, hidden=(3,), key=seed)
    noise = np.random.default_rng(seed)
    return jax.tree.map(lambda x: noise.normal(size=x.shape), policy)


def softmax_table(seed):
    logits = np.random.default_rng(seed).normal(size=(4, 2))
    return eqx.tree_at(lambda p: p.logits, lt.SoftmaxTable(CUE), jnp.asarray(logits))


def by_hand(policy):
    """J of the cue world: every trajectory's chance times its return."""
    total = 0.0
    for cue, chance in ((0, 0.4), (1, 0.6)):
        first, carry = policy(jnp.asarray(cue), policy.initial_carry())
        at_fork, _ = policy(jnp.asarray(2), carry)
        at_door, _ = policy(jnp.asarray(3), carry)
        for step, way in itertools.product(range(2), repeat=2):
            fork = 0.75 * at_fork.probs[way] * (0.5 * (way == cue))
            door = 0.25 * at_door.probs[way] * (0.1 + 0.5 * 0.2 * way)
            total += chance * first.probs[step] * (fork + door)
    return total


def same(found, expected, tolerance=1e-12):
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for x, y in pairs:
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_exact_gradient_of_a_policy_with_memory(cell):
    policy = recurrent(cell)
    tree = lt.Histories(CUE)
    with jax.enable_x64(True):
        value, gradient = jax.value_and_grad(by_hand)(policy)
    assert exact.objective(tree.mdp, tree.policy(policy)) == pytest.approx(float(value), abs=1e-14)
    same(exact.policy_gradient(tree.mdp, tree.policy(policy)).policy, gradient)


@pytest.mark.parametrize("method", ["closed form", "enumeration"])
def test_the_audit_of_a_policy_with_memory(method):
    policy = recurrent()
    with jax.enable_x64(True):
        gradient = jax.grad(by_hand)(policy)
    report = lt.audit("reward_to_go", CUE, policy, method=method)
    same(report.gradient, gradient)
    same(report.mean, gradient)
    assert report.gradient_of == "J discounted"
    dropped = lt.audit("reward_to_go", CUE, policy, method=method, weighting="undiscounted")
    assert dropped.gradient_of == "2 × J discounted"  # only what is done at step 1 matters
    assert dropped.bias.output.bias.shape == policy.output.bias.shape


class Constant(eqx.Module):
    """The same two logits everywhere."""

    logits: np.ndarray

    def __call__(self, obs):
        return lt.distributions.Categorical(jnp.asarray(self.logits))


def test_actors_and_critics_are_carried_over():
    """A memory that never stirs, against the same policy without one: off-policy, a critic."""
    bias = np.array([0.3, -0.4])
    idle = eqx.tree_at(lambda p: p.output.bias, jax.tree.map(jnp.zeros_like, recurrent()), bias)
    given = {"behaviour": softmax_table(3), "values": np.arange(5.0), "gamma": 0.5}
    found = lt.audit("vtrace", CUE, idle, **given)
    expected = lt.audit("vtrace", CUE, Constant(bias), **given)
    assert found.method == expected.method == "enumeration"
    same(found.mean.output.bias, expected.mean.logits)
    same(found.gradient.output.bias, expected.gradient.logits)
    assert np.abs(found.bias.output.bias).max() > 1e-3
    with pytest.raises(ShapeError, match="5 states"):
        lt.audit("gae", CUE, idle, values=np.zeros(3))
    with pytest.raises(ShapeError, match=r"it is \[5\]"):
        lt.Histories(CUE).values(np.zeros(3))


def test_without_memory_histories_change_nothing():
    tree = lt.Histories(CUE)
    policy = softmax_table(1)
    lifted = tree.policy(policy)
    assert exact.objective(tree.mdp, lifted) == pytest.approx(exact.objective(CUE, policy))
    same(exact.policy_gradient(tree.mdp, lifted).policy, exact.policy_gradient(CUE, policy))
    table = np.random.default_rng(0).dirichlet(np.ones(2), size=5)
    assert exact.objective(tree.mdp, tree.policy(table)) == pytest.approx(
        exact.objective(CUE, table)
    )
    np.testing.assert_allclose(
        exact.state_values(tree.mdp, lifted)[:2], exact.state_values(CUE, policy)[:2], rtol=1e-14
    )


def test_memory_is_worth_something():
    """With the cue forgotten, .4 and .6 are mixed; remembered, every fork pays."""
    tree = lt.Histories(CUE)
    best = lt.planning.solve(tree.mdp).values @ tree.mdp.start
    assert best == pytest.approx(0.75 * 0.5 + 0.25 * (0.1 + 0.5 * 0.2))
    blind = max(exact.objective(CUE, np.eye(2)[[0, 0, way, way, 1]]) for way in range(2))
    assert blind == pytest.approx(best - 0.75 * 0.5 * 0.4)


def test_histories_without_a_bound_are_refused():
    with pytest.raises(MDPError, match="no bound on their length"):
        _ = lt.Histories(lt.problems.corridor()).mdp
    layers = 18  # each state of which leads to both of the next one
    both = [[[(0.5, 2 * i + 2, 0, False), (0.5, 2 * i + 3, 0, False)]] for i in range(layers)]
    last = [[[(1.0, 0, 1, True)]]] * 2
    table = [row for row in both for _ in range(2)] + last
    with pytest.raises(MDPError, match="more than 100,000 histories"):
        _ = lt.Histories(lt.FiniteMDP.from_outcomes(table, gamma=0.9, start=0)).mdp
    with pytest.raises(ConfigError, match="tree of histories"):
        exact.policy_gradient(CUE, recurrent())
