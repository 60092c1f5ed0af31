"""`solve` as a whole: methods agree, threads and devices do not matter, progress is reported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick import planning
from logtrick.mdp import problems
from logtrick.planning import accelerator
from logtrick.planning.methods import METHODS
from logtrick.planning.operators import Operator
from logtrick.planning.sparse.threads import Team


def ragged(gamma=0.97, ends=0.05, size=400):
    """A Garnet with a different number of actions in each state."""
    mdp = problems.garnet(size, 4, 3, seed=4, ends=ends, gamma=gamma)
    keep = np.ones(mdp.num_pairs, np.bool_)
    rng = np.random.default_rng(1)
    keep[rng.permutation(mdp.num_pairs)[: size // 2]] = False
    keep[mdp.pair_offsets[:-1]] = True
    outcomes = np.repeat(keep, np.diff(mdp.outcome_offsets))
    return dataclasses.replace(
        mdp,
        pair_offsets=np.concatenate([[0], np.cumsum(keep)])[mdp.pair_offsets],
        pair_actions=mdp.pair_actions[keep],
        outcome_offsets=np.concatenate([[0], np.cumsum(outcomes)])[
            mdp.outcome_offsets[np.append(np.flatnonzero(keep), mdp.num_pairs)]
        ],
        successors=mdp.successors[outcomes],
        probabilities=mdp.probabilities[outcomes],
        rewards=mdp.rewards[outcomes],
        terminated=mdp.terminated[outcomes],
    )


MDPS = {
    "spread out": problems.garnet(600, 4, 4, seed=1, gamma=0.98),
    "drifting": problems.garnet(600, 3, 4, seed=2, window=8, gamma=0.98),
    "ragged and ending": ragged(),
    "sparse actions": problems.river_swim(20, gamma=0.95),
}


@pytest.mark.parametrize("name", MDPS)
@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_methods_agree(name, method):
    mdp = MDPS[name]
    reference = value_iteration(mdp, 3000)
    solution = planning.solve(mdp, method=method)
    assert solution.error_bound <= 1e-8 * np.abs(solution.values).max()
    np.testing.assert_allclose(solution.values, reference, rtol=0, atol=solution.error_bound)
    assert_attained(mdp, solution)


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree_undiscounted(method):
    mdp = ragged(gamma=1.0)
    mdp = mdp.replace(rewards=-np.abs(mdp.rewards))
    solution = planning.solve(mdp, method=method)
    reference = value_iteration(mdp, 3000)
    np.testing.assert_allclose(solution.values, reference, rtol=0, atol=solution.error_bound)
    assert_attained(mdp, solution)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"gauss_seidel"}))
def test_methods_agree_on_averages(method):
    mdp = MDPS["spread out"]
    solution = planning.solve(mdp, kind="average", method=method)
    h, gain = solution.values, solution.gain
    q = mdp.pair_rewards + mdp.continuation @ h
    best = np.maximum.reduceat(q, mdp.pair_offsets[:-1])
    np.testing.assert_allclose(best - h, gain, rtol=0, atol=solution.error_bound)
    near = planning.solve(mdp.replace(gamma=0.99999), tol=1e-4)
    assert gain == pytest.approx((1 - 0.99999) * near.values.mean(), abs=1e-3)


def value_iteration(mdp, sweeps):
    """V5's T, slowly."""
    values = np.zeros(mdp.num_states)
    for _ in range(sweeps):
        q = mdp.pair_rewards + mdp.gamma * (mdp.continuation @ values)
        values = np.maximum.reduceat(q, mdp.pair_offsets[:-1])
    return values


def assert_attained(mdp, solution):
    """The policy's own value, by a dense solve, is V_* within the bound."""
    pairs = [
        int(a) + mdp.pair_actions[a:b].tolist().index(action)
        for a, b, action in zip(
            mdp.pair_offsets[:-1], mdp.pair_offsets[1:], solution.policy, strict=True
        )
    ]
    matrix = np.eye(mdp.num_states) - mdp.gamma * mdp.continuation[pairs].toarray()
    own = np.linalg.solve(matrix, mdp.pair_rewards[pairs])
    np.testing.assert_allclose(own, solution.values, rtol=0, atol=2 * solution.error_bound)


def test_auto_takes_a_krylov_method_for_many_states():
    assert planning.solve(MDPS["spread out"]).method == "inexact_policy_iteration"
    assert planning.solve(problems.forest(gamma=0.9)).method == "policy_iteration"


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"policy_iteration"}))
def test_threads_do_not_change_a_bit(method, monkeypatch):
    monkeypatch.setattr("logtrick.planning.sparse.threads.SHARED_WORK", 0)
    mdp = problems.garnet(20_000, 2, 3, gamma=0.8)
    one, three = (planning.solve(mdp, method=method, threads=n) for n in (1, 3))
    assert np.array_equal(one.values, three.values)
    assert np.array_equal(one.policy, three.policy)
    assert one.error_bound == three.error_bound


@pytest.mark.parametrize("mdp", [MDPS["spread out"], MDPS["ragged and ending"]])
def test_the_accelerator_gives_the_same(mdp):
    solution = planning.solve(mdp, device="accelerator")
    other = planning.solve(mdp)
    apart = solution.error_bound + other.error_bound
    np.testing.assert_allclose(solution.values, other.values, rtol=0, atol=apart)
    assert solution.error_bound <= 1e-8 * np.abs(solution.values).max()
    assert solution.iterations <= 4


@pytest.mark.parametrize("mdp", [MDPS["spread out"], MDPS["ragged and ending"]])
def test_the_accelerator_sweeps_as_the_kernel_does(mdp):
    values = np.random.default_rng(0).normal(size=mdp.num_states)
    backed_up = np.empty_like(values)
    with Team(1) as team:
        operator = Operator.from_mdp(mdp, mdp.gamma, team)
        operator.backup(values, backed_up, np.zeros(len(values), np.uint32))
    with jax.enable_x64(True):
        swept = accelerator._sweep(operator)(jnp.asarray(values))
        assert swept.dtype == jnp.float64
        np.testing.assert_allclose(np.asarray(swept), backed_up, rtol=1e-13, atol=1e-13)


def test_the_accelerator_on_averages():
    mdp = MDPS["spread out"]
    solution = planning.solve(mdp, kind="average", device="accelerator")
    assert solution.gain == pytest.approx(planning.solve(mdp, kind="average").gain, abs=2e-8)


def test_gamma_one_means_total():
    mdp = problems.cliff_walking(gamma=1.0)
    assert planning.solve(mdp).kind == "total"
    discounted = problems.cliff_walking(gamma=0.5)
    assert planning.solve(discounted).kind == "discounted"
    assert np.array_equal(
        planning.solve(discounted, kind="total").values, planning.solve(mdp).values
    )


def test_a_long_horizon_comes_near_the_infinite_one():
    mdp = problems.forest(gamma=0.9)
    far = planning.solve(mdp, horizon=400)
    np.testing.assert_allclose(far.values[0], planning.solve(mdp).values, atol=1e-8)
    assert far.iterations == 400


def test_an_empty_horizon():
    nothing = planning.solve(problems.forest(gamma=0.9), horizon=0)
    assert nothing.values.tolist() == [[0, 0, 0]]
    assert nothing.policy.shape == (0, 3)


def test_progress_is_reported_and_may_interrupt():
    seen = []
    planning.solve(problems.frozen_lake(gamma=0.99), method="value_iteration", progress=seen.append)
    assert seen[0].iteration == 1
    assert np.isfinite(seen[0].error_bound)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planning.solve(problems.frozen_lake(gamma=0.99), progress=stop)


def chain_of_drifts(gamma=0.9999):
    """Neighbours as successors, and far to see: a policy takes many products to evaluate."""
    return problems.garnet(3000, 3, 3, window=40, gamma=gamma)


def costs_until_the_end():
    mdp = problems.garnet(2000, 3, 3, ends=0.001, gamma=1.0, window=9)
    return mdp.replace(rewards=-np.abs(mdp.rewards))


@pytest.mark.parametrize("mdp", [chain_of_drifts(), costs_until_the_end()])
def test_progress_goes_on_inside_an_evaluation(mdp, monkeypatch):
    """No policy's evaluation, and no proof, is silent however long it takes."""
    monkeypatch.setattr("logtrick.planning.solver.INTERVAL", 0.0)
    seen = []
    solution = planning.solve(
        mdp, method="inexact_policy_iteration", tol=1e-5, progress=seen.append
    )
    inside = np.bincount([report.iteration for report in seen])
    assert len(inside) == solution.iterations + 1
    assert inside.max() > 20
    assert [report.seconds for report in seen] == sorted(report.seconds for report in seen)


def test_a_guess_saves_work_and_is_left_alone():
    mdp = MDPS["spread out"]
    first = planning.solve(mdp, method="value_iteration")
    guess = first.values.copy()
    again = planning.solve(mdp, method="value_iteration", guess=guess)
    assert again.iterations <= 2 < first.iterations
    assert np.array_equal(guess, first.values)


@pytest.mark.parametrize("gamma", [0.9, 0.999, 1 - 1e-5])
def test_corrections_in_single_and_in_double_precision(gamma):
    """Single precision only where its rounding is far below what is wanted; never in the answer."""
    mdp = problems.garnet(600, 3, 3, window=30, gamma=gamma)
    exactly = planning.solve(mdp, method="policy_iteration", tol=1e-9)
    found = planning.solve(mdp, method="inexact_policy_iteration", tol=1e-9)
    assert found.values.dtype == np.float64
    apart = exactly.error_bound + found.error_bound
    np.testing.assert_allclose(found.values, exactly.values, rtol=0, atol=apart)


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.99, 0.999])
def test_a_million_states(gamma):
    mdp = problems.garnet(10**6, 4, 4, gamma=gamma)
    solution = planning.solve(mdp, tol=1e-7)
    q = mdp.pair_rewards + gamma * (mdp.continuation @ solution.values)
    backed_up = np.maximum.reduceat(q, mdp.pair_offsets[:-1])
    assert np.abs(backed_up - solution.values).max() <= 1e-7
