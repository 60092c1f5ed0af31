"""Fisher products, natural gradients and Hessian products against explicit matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import exact
from logtrick.errors import ConfigError, ShapeError
from logtrick.exact import curvature as natural
from logtrick.mdp import problems
from logtrick.policies import SoftmaxTable
from random_mdps import KINDS, flat, parameters, random_mdp, random_policy, random_table

OBJECTIVES = ("discounted", "total", "average")
SHAPE = (6, 3)


def case(seed, form, objective):
    mdp = random_mdp(seed, ends=objective != "average", shape=SHAPE)
    return mdp, random_policy(mdp, form, seed)


def scores(mdp, policy):
    """∇log π(a | s) as rows [S, A, n], by autodiff of one log-probability at a time."""
    x, build = parameters(policy)
    with jax.enable_x64(True):

        def log_probabilities(vector):
            logits = jax.vmap(lambda obs: build(vector)(obs).log_probs)(
                jnp.asarray(mdp.observations)
            )
            return jax.nn.log_softmax(jnp.where(mdp.available, logits, -1e30), axis=-1)

        return np.asarray(jax.jacobian(log_probabilities)(jnp.asarray(x)))


def fisher(mdp, policy, result):
    """G5 as two loops."""
    rows = scores(mdp, policy)
    matrix = np.zeros((rows.shape[2],) * 2)
    for state in range(mdp.num_states):
        for action in np.flatnonzero(mdp.available[state]):
            score = rows[state, action]
            weight = result.visitation[state] * result.probabilities[state, action]
            matrix += weight * np.outer(score, score)
    return matrix


def as_vector(policy, x):
    return parameters(policy)[1](np.asarray(x))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_fisher_products_and_natural_gradient(seed, form, objective):
    mdp, policy = case(seed, form, objective)
    result = exact.evaluate(mdp, policy, objective)
    matrix = fisher(mdp, policy, result)
    u = np.random.default_rng(seed).normal(size=len(matrix))
    for storage in ("dense", "sparse"):
        stored = mdp.replace(storage=storage)
        product = flat(exact.fisher_vector_product(stored, policy, as_vector(policy, u), objective))
        assert product == pytest.approx(matrix @ u, rel=1e-10, abs=1e-12)
        share = exact.fisher_vector_product(
            stored, policy, as_vector(policy, u), objective, normalised=True
        )
        total = result.visitation.sum()
        assert flat(share) * total == pytest.approx(matrix @ u, rel=1e-10, abs=1e-12)
    gradient = flat(exact.policy_gradient(mdp, policy, objective))
    found = flat(exact.natural_gradient(mdp, policy, objective))
    truth = np.linalg.pinv(matrix, rcond=1e-13, hermitian=True) @ gradient
    scale = max(1.0, np.abs(truth).max())
    assert np.abs(found - truth).max() < 1e-6 * scale  # pinv of F squares the condition of B
    assert np.abs(matrix @ found - gradient).max() < 1e-9 * max(1.0, np.abs(gradient).max())
    found = flat(exact.natural_gradient(mdp, policy, objective, normalised=True))
    assert np.abs(found / total - truth).max() < 1e-6 * scale


@pytest.mark.parametrize("seed", range(5))
def test_natural_gradient_of_a_softmax_table(seed):
    mdp = random_mdp(seed, shape=SHAPE).replace(observations=np.arange(6))
    policy = random_policy(mdp, "table", seed)
    advantages = exact.advantages(mdp, policy)
    found = exact.natural_gradient(mdp, policy).logits
    for state in range(6):
        has = mdp.available[state]
        centred = advantages[state, has] - advantages[state, has].mean()
        assert found[state, has] == pytest.approx(centred, rel=1e-8, abs=1e-9)
        assert np.abs(found[state, ~has]).max(initial=0) < 1e-12


def test_natural_gradient_by_iteration_equals_decomposition(monkeypatch):
    mdp, policy = case(1, "mlp", "discounted")
    dense = flat(exact.natural_gradient(mdp, policy))
    monkeypatch.setattr(natural, "DENSE_ENTRIES", 0)
    assert flat(exact.natural_gradient(mdp, policy)) == pytest.approx(dense, rel=1e-6, abs=1e-8)


def test_natural_gradient_where_the_gradient_vanishes():
    mdp = problems.random_walk(3).replace(gamma=0.0, rewards=np.zeros(6))
    assert not np.any(exact.natural_gradient(mdp, SoftmaxTable(mdp)).logits)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("form", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_hessian_products(seed, form, objective):
    mdp, policy = case(seed, form, objective)
    x, build = parameters(policy)
    u = np.random.default_rng(seed).normal(size=len(x))
    for storage in ("dense", "sparse"):
        found = exact.hessian_vector_product(
            mdp.replace(storage=storage), policy, as_vector(policy, u), objective
        )
        steps = {1: 45, 2: -9, 3: 1}
        slope = sum(
            weight
            * (
                flat(exact.policy_gradient(mdp, build(x + 0.01 * k * u), objective))
                - flat(exact.policy_gradient(mdp, build(x - 0.01 * k * u), objective))
            )
            for k, weight in steps.items()
        ) / (60 * 0.01)
        assert np.abs(flat(found) - slope).max() < 1e-7 * max(1.0, np.abs(slope).max())


@pytest.mark.parametrize("objective", ["discounted", "average"])
def test_hessian_products_of_a_table_of_probabilities(objective):
    mdp = random_mdp(3, ends=objective != "average", shape=SHAPE)
    table = random_table(mdp, 3)
    u = np.random.default_rng(0).normal(size=SHAPE) * mdp.available
    u = np.where(mdp.available, u - (u.sum(1) / mdp.available.sum(1))[:, None], 0.0)
    found = exact.hessian_vector_product(mdp, table, u, objective)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda t: exact.objective(mdp, t, objective))
        truth = np.asarray(jax.jvp(gradient, (jnp.asarray(table),), (jnp.asarray(u),))[1])
    if objective == "average":  # J3 is defined up to a constant in each state
        found, truth = (
            np.where(mdp.available, g - g.mean(axis=1, where=mdp.available, keepdims=True), 0)
            for g in (found, truth)
        )
    assert np.abs(found - truth).max() < 1e-9 * np.abs(truth).max()


def test_hessian_product_inside_a_transform():
    mdp, policy = case(0, "table", "discounted")
    u = as_vector(policy, np.random.default_rng(0).normal(size=parameters(policy)[0].size))
    direct = flat(exact.hessian_vector_product(mdp, policy, u))
    with jax.enable_x64(True):
        policy, u = (
            jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree) for tree in (policy, u)
        )
        for stored in (mdp, mdp.replace(storage="sparse")):
            product = eqx.filter_jit(lambda p, v, m=stored: exact.hessian_vector_product(m, p, v))(
                policy, u
            )
            assert flat(product) == pytest.approx(direct, rel=1e-9, abs=1e-11)


def test_fisher_and_natural_gradient_inside_a_transform():
    mdp, policy = case(2, "table", "discounted")
    u = as_vector(policy, np.random.default_rng(0).normal(size=parameters(policy)[0].size))
    for kind, stored in (("discounted", mdp), ("average", mdp.restarting())):
        product = flat(exact.fisher_vector_product(stored, policy, u, kind))
        natural_ = flat(exact.natural_gradient(stored, policy, kind))
        with jax.enable_x64(True):
            wide, direction = (
                jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), tree)
                for tree in (policy, u)
            )
            traced = eqx.filter_jit(
                lambda p, v, m=stored, k=kind: (
                    exact.fisher_vector_product(m, p, v, k),
                    exact.natural_gradient(m, p, k),
                )
            )(wide, direction)
        assert flat(traced[0]) == pytest.approx(product, rel=1e-9, abs=1e-11)
        assert flat(traced[1]) == pytest.approx(natural_, rel=1e-7, abs=1e-9)


def closed_natural_gradient(mdp, logits):
    """Σ η (A − mean A) of a softmax in each state: Σ η is 1/(1 − γ) where nothing ends."""
    table = np.exp(logits - logits.max(axis=1, keepdims=True)) * mdp.available
    table = table / table.sum(axis=1, keepdims=True)
    transitions = np.einsum("sa,sat->st", table, mdp.dense_transitions())
    rewards = mdp.dense_rewards()
    values = np.linalg.solve(
        np.eye(mdp.num_states) - mdp.gamma * transitions, (table * rewards).sum(axis=1)
    )
    advantages = rewards + mdp.gamma * mdp.dense_transitions() @ values - values[:, None]
    centred = advantages - advantages.mean(axis=1, where=mdp.available, keepdims=True)
    visits = np.linalg.solve((np.eye(mdp.num_states) - mdp.gamma * transitions).T, mdp.start)
    assert visits.sum() == pytest.approx(1 / (1 - mdp.gamma), rel=1e-12)
    return np.where(mdp.available, centred, 0.0) / (1 - mdp.gamma), table, visits


@pytest.mark.parametrize("transform", ["jit", "vmap", "scan"])
def test_the_normalised_natural_gradient_inside_a_transform(transform):
    """With `normalised=True`, under jit, vmap and scan, against the closed form."""
    mdp = random_mdp(1, ends=False, gamma=0.8, shape=SHAPE).replace(observations=np.arange(6))
    drawn = np.random.default_rng(1).normal(size=(3, *SHAPE))

    def natural_gradient(logits):
        policy = SoftmaxTable(mdp, logits=logits)
        return exact.natural_gradient(mdp, policy, normalised=True).logits

    def ascend(logits, _):
        gradient = natural_gradient(logits)
        return logits + 0.01 * gradient, gradient

    with jax.enable_x64(True):
        if transform == "jit":
            found = np.array([jax.jit(natural_gradient)(jnp.asarray(x)) for x in drawn[:1]])
        elif transform == "vmap":
            found = np.asarray(jax.vmap(natural_gradient)(jnp.asarray(drawn)))
        else:
            found = np.asarray(jax.lax.scan(ascend, jnp.asarray(drawn[0]), length=3)[1])
    logits = drawn[0]
    for number, gradient in enumerate(found):
        logits = drawn[number] if transform == "vmap" else logits
        truth, _, _ = closed_natural_gradient(mdp, logits)
        assert np.abs(gradient - truth).max() < 1e-9 * np.abs(truth).max()
        logits = logits + 0.01 * truth


def test_the_normalised_fisher_product_inside_a_transform():
    """F u = η (π u − π Σ π u) in each state of a softmax, divided by Σ η."""
    mdp = random_mdp(1, ends=False, gamma=0.8, shape=SHAPE).replace(observations=np.arange(6))
    logits, u = np.random.default_rng(2).normal(size=(2, *SHAPE))

    def product(logits, u):
        policy, direction = (SoftmaxTable(mdp, logits=x) for x in (logits, u))
        return exact.fisher_vector_product(mdp, policy, direction, normalised=True).logits

    with jax.enable_x64(True):
        found = np.asarray(jax.jit(product)(jnp.asarray(logits), jnp.asarray(u)))
    _, table, visits = closed_natural_gradient(mdp, logits)
    pushed = table * (u - (table * u).sum(axis=1, keepdims=True))
    truth = visits[:, None] / visits.sum() * pushed
    assert np.abs(found - truth).max() < 1e-12


def test_refusals():
    mdp, policy = case(0, "table", "discounted")
    table = random_table(mdp, 0)
    for function in (
        lambda: exact.fisher_vector_product(mdp, table, table),
        lambda: exact.natural_gradient(mdp, table),
    ):
        with pytest.raises(ConfigError, match="no free parameters"):
            function()
    wrong = eqx.tree_at(lambda p: p.logits, policy, jnp.zeros((2, 2)))
    with pytest.raises(ShapeError, match="shaped like"):
        exact.fisher_vector_product(mdp, policy, wrong)
    with pytest.raises(ShapeError, match="shaped like"):
        exact.hessian_vector_product(mdp, policy, wrong)
