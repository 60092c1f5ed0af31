"""Sweeps and systems in machine code against NumPy on the whole matrix."""

import math

import numpy as np
import pytest
from scipy import sparse

from logtrick.mdp import problems
from logtrick.mdp.arrays import frozen
from logtrick.planning.iteration import Followed
from logtrick.planning.operators import Operator
from logtrick.planning.sparse import krylov, threads
from logtrick.planning.sparse import sweep_kernels as kernels
from logtrick.planning.sparse.chains import SparseChain
from logtrick.planning.sparse.threads import Team


@pytest.fixture(params=[1, 3], ids=["alone", "three threads"])
def team(request, monkeypatch):
    """A team that shares even the smallest work, over blocks of 8 rows."""
    monkeypatch.setattr(threads, "SHARED_WORK", 0)
    monkeypatch.setattr(threads, "BLOCK", 8)
    monkeypatch.setattr("logtrick.planning.sparse.chains.BLOCK", 1)
    run = Team.run

    def small(self, kernel, rows, work, *arguments, block=8):
        run(self, kernel, rows, work, *arguments, block=block)

    monkeypatch.setattr(Team, "run", small)
    with Team(request.param) as members:
        yield members


def mixed(size, seed=0, gamma=0.9):
    """Pairs with one to nine outcomes, some of which end."""
    rng = np.random.default_rng(seed)
    table = []
    for _ in range(size):
        actions = []
        for _ in range(rng.integers(1, 4)):
            count = rng.integers(1, 10)
            p = rng.dirichlet(np.ones(count))
            actions.append(
                [
                    (p[i], int(rng.integers(size)), float(rng.normal()), rng.random() < 0.2)
                    for i in range(count)
                ]
            )
        table.append(actions)
    return problems.FiniteMDP.from_outcomes(table, gamma=gamma)


def action_values(mdp, values):
    return mdp.pair_rewards + mdp.gamma * (mdp.continuation @ values)


@pytest.mark.parametrize("size", [1, 7, 50])
def test_backup(team, size):
    mdp = mixed(size)
    values = np.random.default_rng(1).normal(size=size)
    operator = Operator.from_mdp(mdp, mdp.gamma, team)
    out, choice = np.empty(size), np.zeros(size, np.uint32)
    found = operator.backup(values, out, choice)
    q = action_values(mdp, values)
    best = np.maximum.reduceat(q, mdp.pair_offsets[:-1])
    np.testing.assert_allclose(out, best, rtol=1e-13)
    np.testing.assert_array_equal(q[operator.pairs(choice)], best)
    assert found.low == pytest.approx((best - values).min(), rel=1e-12)
    assert found.high == pytest.approx((best - values).max(), rel=1e-12)
    assert found.size == pytest.approx(np.abs(best).max(), rel=1e-12)
    assert found.changes == (choice > 0).sum()
    assert operator.backup(values, out, choice).changes == 0


def test_a_choice_changes_only_for_more_than_the_margin(team):
    mdp = mixed(50)
    operator = Operator.from_mdp(mdp, mdp.gamma, team)
    values, out = np.zeros(50), np.empty(50)
    q = action_values(mdp, values)
    best = np.maximum.reduceat(q, mdp.pair_offsets[:-1])
    gaps = best - q[mdp.pair_offsets[:-1]]
    choice = np.zeros(50, np.uint32)
    operator.backup(values, out, choice, margin=0.5)
    np.testing.assert_array_equal(choice > 0, gaps > 0.5)


def test_gauss_seidel_sweep_uses_new_values_within_a_block(team):
    mdp = mixed(50)
    operator = Operator.from_mdp(mdp, mdp.gamma, team)
    values, out = np.random.default_rng(1).normal(size=50), np.empty(50)
    operator.gauss_seidel(values, out)
    expected = values.copy()
    for s in range(50):
        begin = s // 8 * 8
        seen = values.copy()
        seen[begin : begin + 8] = expected[begin : begin + 8]
        q = action_values(mdp, seen)
        expected[s] = q[mdp.pair_offsets[s] : mdp.pair_offsets[s + 1]].max()
    np.testing.assert_allclose(out, expected, rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_what_ends_has_no_weight(team, gamma):
    mdp = mixed(50).replace(gamma=gamma)
    operator = Operator.from_mdp(mdp, gamma, team)
    assert len(operator.successors) == (mdp.num_outcomes if gamma < 1 else (~mdp.terminated).sum())
    np.testing.assert_allclose(operator.rewards, mdp.pair_rewards, rtol=1e-14)
    masses = mdp.continuation.sum(axis=1)
    sums = [math.fsum(row) - 1 for row in np.split(mdp.probabilities, mdp.outcome_offsets[1:-1])]
    *limits, defect = operator.limits
    assert limits == pytest.approx(
        [np.abs(mdp.rewards).max(), np.diff(mdp.outcome_offsets).max(), masses.min(), masses.max()],
        rel=1e-14,
    )
    assert defect == pytest.approx(max(map(abs, sums)), abs=2.0**-53)
    values = np.random.default_rng(1).normal(size=50)
    np.testing.assert_allclose(
        operator.action_values(values), action_values(mdp, values), rtol=1e-12, atol=1e-14
    )


def chain_of(mdp, team, choice=None):
    operator = Operator.from_mdp(mdp, mdp.gamma, team)
    return operator.chain(np.zeros(mdp.num_states, np.uint32) if choice is None else choice)


def test_the_chain_of_a_policy(team):
    mdp = mixed(50)
    choice = (np.diff(mdp.pair_offsets) - 1).astype(np.uint32)
    chain, rewards = chain_of(mdp, team, choice)
    rows = mdp.pair_offsets[1:] - 1
    np.testing.assert_allclose(chain.matrix().toarray(), mdp.continuation[rows].toarray())
    np.testing.assert_allclose(rewards, mdp.pair_rewards[rows], rtol=1e-15)
    np.testing.assert_array_equal(chain.transposed().matrix().toarray(), chain.matrix().T.toarray())


def test_products_and_sweeps_of_a_chain(team):
    mdp = mixed(50)
    chain, rewards = chain_of(mdp, team)
    matrix = chain.matrix().toarray()
    rng = np.random.default_rng(2)
    x, other, out = rng.normal(size=50), rng.normal(size=50), np.empty(50)
    dot, square = chain.apply(0.9, x, 0.25, other, out)
    expected = x - 0.9 * matrix @ x + 0.25
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    assert (dot, square) == pytest.approx((expected @ other, expected @ expected))
    low, high = chain.advance(rewards, 0.9, x, out)
    np.testing.assert_allclose(out, rewards + 0.9 * matrix @ x, rtol=1e-12, atol=1e-14)
    assert (low, high) == pytest.approx(((out - x).min(), (out - x).max()))


def test_vector_updates(team):
    rng = np.random.default_rng(3)
    x, y, z, s, t, shadow, r = rng.normal(size=(7, 50))
    out = np.empty(50)
    team.run(kernels.combine, 50, 0, x, 2.0, y, -3.0, z, out)
    np.testing.assert_allclose(out, x + 2 * y - 3 * z)
    dots, sizes = np.zeros((2, 7))
    before, residual = x.copy(), r.copy()
    team.run(kernels.descend, 50, 0, 0.5, y, 0.25, s, t, shadow, x, residual, dots, sizes)
    np.testing.assert_allclose(x, before + 0.5 * y + 0.25 * s)
    np.testing.assert_allclose(residual, r - 0.25 * t)
    assert dots.sum() == pytest.approx(shadow @ residual)
    assert sizes.max() == np.abs(residual).max()


def test_the_preconditioner_is_the_product_of_triangles(team):
    """Blocks of 16 rows here: within each, (D − γL) D⁻¹ (D − γU)."""
    mdp = mixed(50)
    chain, _ = chain_of(mdp, team)
    system = np.eye(50) - 0.9 * chain.matrix().toarray()
    b = np.random.default_rng(4).normal(size=50)
    expected = np.empty(50)
    for begin in range(0, 50, 16):
        block = slice(begin, min(begin + 16, 50))
        inner = system[block, block]
        diagonal = np.diag(np.diag(inner))
        product = np.tril(inner) @ np.linalg.inv(diagonal) @ np.triu(inner)
        expected[block] = np.linalg.solve(product, b[block])
    np.testing.assert_allclose(chain.gauss_seidel(0.9, b), expected, rtol=1e-10)


@pytest.mark.parametrize("window", [None, 8], ids=["spread out", "drifting"])
@pytest.mark.parametrize("gamma", [0.9, 0.999])
def test_krylov_solves_values_and_visits(team, window, gamma):
    mdp = problems.garnet(300, 2, 4, window=window, gamma=gamma)
    chain, rewards = chain_of(mdp, team)
    matrix = np.eye(300) - gamma * chain.matrix().toarray()
    answer = krylov.solve(chain, rewards, gamma, tolerance=1e-11)
    assert answer.residual <= 1e-11
    exact = np.linalg.solve(matrix, rewards)
    np.testing.assert_allclose(answer.x, exact, rtol=0, atol=1e-11 / (1 - gamma))
    start = np.full(300, 1 / 300)
    visits = krylov.solve(chain.transposed(), start, gamma, tolerance=1e-13).x
    np.testing.assert_allclose(visits, np.linalg.solve(matrix.T, start), rtol=0, atol=1e-9)
    assert visits.sum() == pytest.approx(1 / (1 - gamma))


def test_a_drifting_chain_is_preconditioned_and_this_is_remembered():
    mdp = problems.garnet(3000, 2, 4, window=8, gamma=0.999)
    chain, rewards = chain_of(mdp, Team(1))
    preference = krylov.Preference()
    first, again = (
        krylov.solve(chain, rewards, 0.999, tolerance=1e-9, preference=preference) for _ in "12"
    )
    assert preference.precondition is True
    assert again.products < first.products


@pytest.mark.parametrize("solve", ["iterated", "factorised"])
def test_gain_and_bias_by_a_pinned_state(team, solve):
    """V7 with x[0] in the place of the gain."""
    mdp = problems.garnet(100, 2, 3, gamma=0.9)
    chain, rewards = chain_of(mdp, team)
    if solve == "iterated":
        answer = krylov.solve(chain, rewards, 1.0, tolerance=1e-11, pin=0)
    else:
        answer = krylov.factorised(chain, rewards, 1.0, pin=0)
    x = answer.x
    np.testing.assert_allclose(rewards - x[0] + chain.matrix() @ x, x, atol=1e-10)
    values, vectors = np.linalg.eig(chain.matrix().toarray().T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    assert x[0] == pytest.approx(stationary @ rewards)


def test_a_singular_system_is_not_solved(team):
    loops = SparseChain.of(sparse.eye_array(4, format="csr"), team)
    assert krylov.factorised(loops, np.ones(4), 1.0) is None
    answer = krylov.solve(loops, np.ones(4), 1.0, tolerance=1e-9)
    assert answer.residual >= 1
    assert np.isfinite(answer.x).all()


def test_kernels_see_read_only_views():
    array = np.zeros(3)
    view = frozen(array)
    assert not view.flags.writeable
    assert array.flags.writeable


def test_the_chain_that_is_followed_is_that_of_the_policy(team):
    for mdp in (mixed(50), problems.garnet(50, 4, branching=3, gamma=0.9)):
        operator = Operator.from_mdp(mdp, mdp.gamma, team)
        followed, rng = Followed(operator), np.random.default_rng(3)
        counts = np.diff(mdp.pair_offsets)
        choice = np.zeros(50, np.uint32)
        for changed, dtype in ((50, np.float64), (3, np.float64), (0, np.float64), (9, np.float32)):
            some = rng.choice(50, changed, replace=False)
            choice[some] = rng.integers(counts[some])
            chain, (fresh, _) = followed.chain(choice, dtype), operator.chain(choice)
            assert chain.probabilities.dtype == dtype
            np.testing.assert_array_equal(chain.offsets, fresh.offsets)
            np.testing.assert_array_equal(chain.successors, fresh.successors)
            np.testing.assert_array_equal(chain.probabilities, fresh.probabilities.astype(dtype))


def test_rows_of_one_length_are_overwritten_where_they_stand(team):
    mdp = problems.garnet(50, 4, branching=3, gamma=0.9)
    operator = Operator.from_mdp(mdp, mdp.gamma, team)
    followed = Followed(operator)
    there, back = np.full(50, 3, np.uint32), np.zeros(50, np.uint32)
    chains = [followed.chain(choice) for choice in (back, there, back)]
    assert all(np.shares_memory(chains[0].successors, chain.successors) for chain in chains)
    np.testing.assert_array_equal(chains[0].successors, operator.chain(back)[0].successors)
