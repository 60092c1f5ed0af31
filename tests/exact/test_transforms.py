"""Inside jit, grad and vmap; dtypes; and what is refused there."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import exact
from logtrick.errors import MDPError, PrecisionError
from logtrick.exact import MatrixFreeMDP
from logtrick.mdp import problems
from logtrick.policies import SoftmaxTable
from random_mdps import as_matrix_free, flat, random_mdp, random_policy, random_table

PLAIN = {
    "state_values": exact.state_values,
    "action_values": exact.action_values,
    "advantages": exact.advantages,
    "visitation": exact.visitation,
    "distribution": lambda m, p: exact.visitation(m, p, normalised=True),
    "objective": exact.objective,
    "total": lambda m, p: exact.objective(m, p, "total"),
}
AVERAGE = {
    "stationary_distribution": exact.stationary_distribution,
    "gain": lambda m, p: exact.gain_and_bias(m, p).gain,
    "bias": lambda m, p: exact.gain_and_bias(m, p).bias,
    "objective": lambda m, p: exact.objective(m, p, "average"),
}


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("average", [False, True])
def test_traced_values_equal_direct_ones(storage, average):
    mdp = random_mdp(11, ends=not average, gamma=0.9, storage=storage)
    table = random_table(mdp, 1)
    functions = AVERAGE if average else PLAIN
    with jax.enable_x64(True):
        traced = jax.jit(lambda t: {name: f(mdp, t) for name, f in functions.items()})(
            jnp.asarray(table)
        )
    for name, function in functions.items():
        assert np.asarray(traced[name]) == pytest.approx(function(mdp, table), rel=1e-11), name


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_many_policies_at_once(storage):
    mdp = random_mdp(5, gamma=1.0, storage=storage)
    tables = np.stack([random_table(mdp, seed) for seed in range(3)])
    with jax.enable_x64(True):
        values = jax.vmap(lambda t: exact.state_values(mdp, t))(jnp.asarray(tables))
        slopes = jax.vmap(jax.grad(lambda t: exact.objective(mdp, t)))(jnp.asarray(tables))
    for table, value, slope in zip(tables, values, slopes, strict=True):
        assert np.asarray(value) == pytest.approx(exact.state_values(mdp, table), rel=1e-11)
        assert np.asarray(slope) == pytest.approx(exact.policy_gradient(mdp, table), rel=1e-11)


def test_the_average_gradient_of_a_table_is_the_one_of_g3():
    mdp = random_mdp(7, ends=False)
    table = random_table(mdp, 7)
    with jax.enable_x64(True):
        slope = jax.grad(lambda t: exact.objective(mdp, t, "average"))(jnp.asarray(table))
    truth = exact.policy_gradient(mdp, table, "average")
    assert np.asarray(slope) == pytest.approx(truth, rel=1e-11)


def test_the_gradient_is_its_own_transform():
    mdp = random_mdp(3, gamma=0.9)
    policy = random_policy(mdp, "mlp", 3)
    direct = flat(exact.policy_gradient(mdp, policy))
    with jax.enable_x64(True):
        wide = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64) if eqx.is_inexact_array(leaf) else leaf,
            policy,
        )
        traced = eqx.filter_jit(lambda p: exact.policy_gradient(mdp, p))(wide)
        assert flat(traced) == pytest.approx(direct, rel=1e-10, abs=1e-13)


def test_float32_is_refused_inside_and_promoted_outside():
    mdp, policy = problems.corridor(), SoftmaxTable(problems.corridor())
    for transform in (
        lambda: jax.jit(lambda p: exact.objective(mdp, SoftmaxTable(mdp, logits=p)))(policy.logits),
        lambda: eqx.filter_grad(lambda p: exact.objective(mdp, p))(policy),
        lambda: jax.vmap(lambda t: exact.state_values(mdp, t))(jnp.full((2, 3, 2), 0.5)),
        lambda: eqx.filter_jit(lambda p: exact.policy_gradient(mdp, p))(policy),
    ):
        with pytest.raises(PrecisionError, match="enable_x64"):
            transform()
    assert policy.logits.dtype == jnp.float32
    gradient = exact.policy_gradient(mdp, policy)
    assert isinstance(gradient, SoftmaxTable)
    assert isinstance(gradient.logits, np.ndarray)
    assert gradient.logits.dtype == np.float64
    assert exact.state_values(mdp, policy).dtype == np.float64


def test_a_concrete_policy_inside_somebody_elses_jit():
    mdp, policy = problems.corridor(), SoftmaxTable(problems.corridor())

    @jax.jit
    def scaled(x):
        return x * exact.objective(mdp, policy)

    assert float(scaled(jnp.float32(2.0))) == -24


def test_improper_policies_are_errors_inside_too():
    mdp = problems.frozen_lake(gamma=1.0, is_slippery=False)
    for storage in ("dense", "sparse"):
        stored = mdp.replace(storage=storage)
        with jax.enable_x64(True), pytest.raises(RuntimeError, match=r"solved|end"):
            eqx.filter_jit(lambda t, m=stored: exact.objective(m, t))(
                jnp.asarray(np.eye(4)[np.zeros(16, int)])
            )


def test_two_closed_classes_are_an_error_inside_too():
    table = [[[(1.0, 0, 1.0, False)]], [[(1.0, 1, 2.0, False)]]]
    mdp = problems.FiniteMDP.from_outcomes(table, gamma=0.9)
    with jax.enable_x64(True), pytest.raises(RuntimeError, match=r"class|solved"):
        eqx.filter_jit(lambda t: exact.objective(mdp, t, "average"))(jnp.ones((2, 1)))


def test_average_reward_of_what_ends_is_an_error_inside_too():
    with jax.enable_x64(True), pytest.raises(MDPError, match="restarting"):
        jax.jit(lambda t: exact.objective(problems.corridor(), t, "average"))(jnp.full((3, 2), 0.5))


# Matrix-free MDPs.


@pytest.mark.parametrize("objective", ["discounted", "total", "average"])
def test_matrix_free(objective):
    mdp = random_mdp(8, ends=objective != "average", gamma=0.95)
    free = as_matrix_free(mdp)
    policy = random_policy(mdp, "table", 8)
    stored, found = (exact.evaluate(m, policy, objective) for m in (mdp, free))
    for name in ("values", "action_values", "visitation", "objective"):
        assert getattr(found, name) == pytest.approx(getattr(stored, name), rel=1e-10), name
    assert abs(found.objective - stored.objective) <= (
        found.objective_error + stored.objective_error
    )
    gradient = flat(exact.policy_gradient(mdp, policy, objective))
    assert flat(exact.policy_gradient(free, policy, objective)) == pytest.approx(
        gradient, rel=1e-9, abs=1e-12
    )
    with jax.enable_x64(True):
        wide = eqx.tree_at(lambda p: p.logits, policy, jnp.asarray(policy.logits, jnp.float64))
        traced = eqx.filter_jit(lambda p: exact.policy_gradient(free, p, objective))(wide)
    assert flat(traced) == pytest.approx(gradient, rel=1e-9, abs=1e-12)


def test_matrix_free_refusals():
    rewards, start = np.zeros((2, 1)), np.array([1.0, 0.0])
    with pytest.raises(MDPError, match="state 0, action 0 sum to 2"):
        MatrixFreeMDP(lambda v: 2 * v[:, None], rewards, gamma=0.5, start=start, terms=1)
    ends = MatrixFreeMDP(lambda v: v[:, None] / 2, rewards, gamma=1.0, start=start, terms=1)
    with pytest.raises(MDPError, match="no average reward"):
        exact.objective(ends, np.ones((2, 1)), "average")
