"""Each term of each bound, one at a time: arithmetic and sides that err by all that they may.

A test here fails when the term that it names is left out. Elsewhere terms cover for one another:
rounding is seldom as bad as it may be.
"""

from dataclasses import replace
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from logtrick import exact
from logtrick.errors import ConvergenceError
from logtrick.exact import finite_horizon as horizon
from logtrick.exact import policy_evaluation as evaluation
from logtrick.exact.chain import FiniteChain, policy_defect
from logtrick.exact.iterative_side import Side
from logtrick.exact.matrix_free import MatrixFreeChain
from logtrick.exact.resolvent import Certified, Resolvent, dense
from logtrick.exact.sparse_side import iterative
from logtrick.mdp.model import FiniteMDP
from logtrick.support import rounding
from logtrick.support.rounding import EPS, TINY
from random_mdps import as_matrix_free, random_mdp, random_table

HALF = Fraction(1, 2)


class Liar(Side):
    """I − ½ of one state, whose answer is off by as much as it says, and no less."""

    def __init__(self, missing, hidden):
        self.missing, self.hidden = missing, hidden

    def solve(self, b):
        """(b − missing − hidden) · 2: the residual is missing + hidden, of which one is seen."""
        return 2 * (b - self.missing - self.hidden)

    def residual(self, b, x):
        return np.full_like(b, self.missing), np.full_like(b, self.hidden)


def lying(missing, hidden):
    side = Liar(missing, hidden)
    return Resolvent(lambda: side, lambda: side, np.array([1.0]), 0.5, 0.0)


@pytest.mark.parametrize(("missing", "hidden"), [(2.0**-20, 0.0), (0.0, 2.0**-20), (0.0, 0.0)])
@pytest.mark.parametrize("given", [0.0, 2.0**-20])
def test_what_is_missing_hidden_or_given(missing, hidden, given):
    """Residual, its rounding and the error of b: 2 (r + ρ + e) for a contraction of one half."""
    resolvent, b = lying(missing, hidden), np.ones(1)
    truth = 2 * (1 + Fraction(given))
    for found in (resolvent.values(b, given), resolvent.visits(b, given)):
        off = abs(Fraction(float(found.array[0])) - truth)
        assert off <= Fraction(found.bound) <= off * Fraction(1.001)
        assert off == 2 * (Fraction(missing) + Fraction(hidden) + Fraction(given))


def test_the_weights_of_a_long_chain_cover_their_own_residual():
    """W is solved for where the constant would be large; w − γ P w ≥ 1, however the side lies."""

    class Long(Side):
        def solve(self, b):
            return 0.875 * np.array([2.0**20]) * b  # too small: the residual is one eighth

        def residual(self, b, x):
            return b - x * 2.0**-20 - 0.0625, np.full_like(b, 0.0625)

    side, gamma = Long(), 1 - 2.0**-20
    weights = Resolvent(lambda: side, lambda: side, np.array([1.0]), gamma, 0.0).weights
    assert Fraction(float(weights[0])) * (1 - Fraction(gamma)) >= 1
    assert weights[0] <= 2.0**20 * 1.2


def test_the_constant_weight_covers_row_sums_that_are_rounded(monkeypatch):
    """½ and many numbers too small to be added to it: the computed sum is too small."""
    tiny = 4000
    row = np.r_[0.5, np.full(tiny, 2.0**-54), 0.5]
    matrix = sparse.csr_array((row, np.zeros(tiny + 2, int), [0, tiny + 2]), (1, 1))
    # one number after the other, as some libraries add them up
    monkeypatch.setattr(
        sparse.csr_array, "sum", lambda self, axis: np.cumsum(self.data)[-1:], raising=False
    )
    assert matrix.sum(axis=1) == 1.0
    gamma = 1 - 2e-5
    whole = 1 + Fraction(tiny) / 2**54
    for make in (dense, iterative):
        for slack in (0.0, 1e-6):
            weights = make(matrix, gamma, slack).weights
            most = whole * (1 + Fraction(slack))
            assert Fraction(float(weights[0])) * (1 - Fraction(gamma) * most) >= 1


def absorbed(size):
    """A row in whose sum every number after the first is lost to rounding, and its values."""
    row = np.r_[0.5, np.full(size, 2.0**-13)]
    x = np.r_[2.0, np.full(size, 2.0**-40 * 0.99)]
    return row, x


@pytest.mark.parametrize("make", [dense, iterative])
@pytest.mark.parametrize("side", ["forward", "transposed"])
def test_residuals_cover_the_rounding_of_their_sums(make, side):
    """Rows and columns of 400 numbers, most of them lost: the error is in the bound."""
    row, x = absorbed(400)
    size = len(row)
    matrix = np.zeros((size, size))
    if side == "forward":
        matrix[0] = row
    else:
        matrix[:, 0] = row
    found = getattr(make(sparse.csr_array(matrix), 0.9, 0.0), side)
    missing, hidden = found.residual(np.zeros(size), x)
    truth = -Fraction(x[0]) + Fraction(0.9) * sum(
        Fraction(p) * Fraction(v) for p, v in zip(row.tolist(), x.tolist(), strict=True)
    )
    off = abs(Fraction(float(missing[0])) - truth)
    assert 0 < off <= Fraction(float(hidden[0]))


@pytest.mark.parametrize("make", [dense, iterative])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_cover_the_slack_of_every_entry(make, seed):
    """P known up to 1e-6: the solution for the largest P of that kind is within the bounds."""
    rng = np.random.default_rng(seed)
    matrix = rng.dirichlet(np.ones(6), 6)
    slack, gamma, b = 1e-6, 0.95, rng.uniform(0, 1, 6)
    resolvent = make(sparse.csr_array(matrix), gamma, slack)
    far = np.eye(6) - gamma * matrix * (1 + slack)
    values, visits = resolvent.values(b), resolvent.visits(b)
    assert np.abs(values.array - np.linalg.solve(far, b)).max() <= values.bound
    off = np.abs(visits.array - np.linalg.solve(far.T, b)).sum()
    assert off <= visits.bound <= 10 * off
    weights = [Fraction(float(w)) for w in resolvent.weights]
    for s in range(6):
        moved = sum(Fraction(p) * w for p, w in zip(matrix[s].tolist(), weights, strict=True))
        assert weights[s] - Fraction(gamma) * (1 + Fraction(slack)) * moved >= 1


@pytest.mark.parametrize("make", [dense, iterative])
def test_residuals_cover_underflow(make):
    """Each product of 40 loses half of the smallest number: more than their relative error."""
    size = 40
    matrix = np.zeros((size, size))
    matrix[0] = 0.5
    found = (
        make(sparse.csr_array(matrix), 1.0, 0.0)
        if make is iterative
        else make(sparse.csr_array(matrix), 0.9, 0.0)
    )
    x = np.r_[0.0, np.full(size - 1, TINY)]
    missing, hidden = found.forward.residual(np.zeros(size), x)
    gamma = Fraction(found.forward.gamma)
    truth = gamma * HALF * (size - 1) * Fraction(TINY)
    assert 0 < abs(Fraction(float(missing[0])) - truth) <= Fraction(float(hidden[0]))


def as_function(expect, size, terms=1):
    """A matrix-free chain with one action."""
    start = np.eye(1, size)[0]
    mdp = exact.MatrixFreeMDP(expect, np.zeros((size, 1)), gamma=0.5, start=start, terms=terms)
    return MatrixFreeChain(mdp, np.ones((size, 1)))


@pytest.mark.parametrize("make", [dense, iterative, None], ids=["dense", "sparse", "function"])
@pytest.mark.parametrize(
    ("b", "x"),
    [
        ([1.0, 0.0], [2.0**-60, 0.0]),
        ([2.0**-60, 0.0], [1.0, 0.0]),
        ([0.0, 0.0], [2.0**-60, 1.0]),
    ],
    ids=["right-hand side", "solution", "product"],
)
def test_residuals_cover_the_rounding_of_their_differences(make, b, x):
    """Of b − x + γ P x one is large: the others are lost beside it, wholly."""
    matrix = sparse.csr_array(np.array([[0.0, 1.0], [0.0, 0.0]]))
    if make is None:
        swapped = as_function(lambda v: jnp.stack([v[1], 0 * v[0]])[:, None], 2)
        found = swapped.resolvent(0.5)
    else:
        found = make(matrix, 0.5, 0.0)
    missing, hidden = found.forward.residual(np.array(b), np.array(x))
    truth = Fraction(b[0]) - Fraction(x[0]) + HALF * Fraction(x[1])
    off = abs(Fraction(float(missing[0])) - truth)
    assert off == Fraction(2) ** -60
    assert off <= Fraction(float(hidden[0]))


def test_residuals_of_a_function_cover_slack_and_sums():
    """400 numbers that are added one after the other, in a row and in a column, are lost."""
    row, x = absorbed(400)
    size = len(row)

    def in_a_row(v):
        total, _ = jax.lax.scan(lambda c, p: (c + p[0] * p[1], None), 0.0, (jnp.asarray(row), v))
        return jnp.zeros((size, 1)).at[0, 0].set(total)

    def in_a_column(v):  # whose transpose adds from the last to the first
        _, moved = jax.lax.scan(lambda c, p: (c, p * c), v[-1], jnp.asarray(row[::-1]))
        return moved[:, None]

    truth = sum(Fraction(p) * Fraction(v) for p, v in zip(row.tolist(), x.tolist(), strict=True))
    for expect, terms, side, place, values in (
        (in_a_row, size, "forward", 0, x),
        (in_a_column, 1, "transposed", size - 1, x[::-1]),
    ):
        with jax.enable_x64(True):
            chain = as_function(expect, size, terms)
        missing, hidden = getattr(chain.resolvent(0.5), side).residual(np.zeros(size), values)
        off = abs(Fraction(float(missing[place])) - (HALF * truth - Fraction(x[0])))
        assert 90 * EPS < off <= Fraction(float(hidden[place]))
    chain.slack = 1e-6
    _, hidden = chain.resolvent(0.5).transposed.residual(np.zeros(size), x)
    assert hidden[-1] >= 1e-6 * 0.5 * x[-1]
    assert hidden.sum() >= 1e-6 * 0.5 * float(truth)


def spread(row):
    """State 0 goes to each state by one number of `row`; the others go back to it."""
    table = [[[(float(p), s, 0.0, False) for s, p in enumerate(row)]]]
    table += [[[(1.0, 0, 1.0, False)]]] * (len(row) - 1)
    return FiniteMDP.from_outcomes(table, gamma=0.9, storage="sparse")


#: Four numbers that add up to 1 in float64, one after the other, and to 1 + 2⁻⁵³ in truth.
SEEMS_ONE = np.array([0.5, 2.0**-54, 2.0**-54, 0.5])


def test_the_slack_of_a_chain_has_its_rows_and_its_policy_in_it():
    row = np.full(64, 1 / 64)
    row[0] -= 60 * EPS
    mdp = spread(row)
    assert mdp.probabilities[0] == row[0]
    assert mdp.row_defect >= 59 * EPS
    chain = FiniteChain(mdp, np.ones((64, 1)))
    assert chain.slack >= 59 * EPS
    table = np.full((1, 64), 1 / 64)
    table[0, 0] -= 60 * EPS
    assert policy_defect(table) >= 59 * EPS
    assert SEEMS_ONE.sum() == 1
    assert policy_defect(SEEMS_ONE[None]) >= 2.0**-53
    assert spread(SEEMS_ONE).row_defect >= 2.0**-53
    loops = {a: [(1.0, 0, 0.0, True)] for a in range(64)}
    loops = FiniteMDP.from_outcomes([loops], gamma=0.9)
    assert FiniteChain(loops, table).slack >= 59 * EPS
    free = as_matrix_free(loops)
    assert MatrixFreeChain(free, table).slack >= 59 * EPS


def test_a_chain_covers_the_rounding_of_its_sums():
    """½ · 2 = 1, and 400 numbers that are lost when they are added to it; rows that are exact."""
    size = 400
    mdp = spread(np.r_[0.5, np.full(size, 0.5 / size)])
    chain = FiniteChain(mdp, np.ones((size + 1, 1)))
    chain.slack = chain.reward_scale = 0.0
    values = np.r_[2.0, np.full(size, 2.0**-53 * size * 0.9)]
    truth = sum(
        Fraction(p) * Fraction(v)
        for p, v in zip(mdp.probabilities[: size + 1].tolist(), values.tolist(), strict=True)
    )
    off = abs(Fraction(float(chain.step(values)[0])) - truth)
    assert 80 * EPS < off <= chain.backup_error(2.0)
    chain.slack = 2.0**-10  # every entry of P may be off by that share
    assert chain.backup_error(2.0) >= 2.0**-10 * float(truth)


def test_merged_outcomes_count():
    """A pair that lists one successor 4,000 times: the merged number carries its additions."""
    row = np.r_[0.5, np.full(4000, 2.0**-55), 0.5 - 4000 * 2.0**-55]
    table = [[[(float(p), 0, 1.0, False) for p in row] + [(0.0, 1, 0.0, False)]]]
    table.append([[(1.0, 1, 1.0, True)]])
    mdp = FiniteMDP.from_outcomes(table, gamma=0.9)
    chain = FiniteChain(mdp, np.ones((2, 1)))
    truth = sum(map(Fraction, row.tolist()))
    off = abs(Fraction(float(chain.transitions[0, 0])) - truth)
    assert off <= Fraction(chain.slack)
    assert chain.slack >= 4000 * EPS


@pytest.mark.parametrize("size", [1e3, 1e8, 1e13])
def test_rewards_that_cancel_carry_the_rounding_of_what_they_were(size):
    """R is 0 but for rounding of ±size: V is known up to that, not up to the rounding of V."""
    p = [0.1, 0.2, 0.3, 0.4]
    signs = [4.0, -1.0, -2.0, 1.0]  # Σ p · signs = 0 in decimals
    outcomes = [(q, 0, size * sign, False) for q, sign in zip(p, signs, strict=True)]
    other = [(q, 1, 0.0, False) for q in p]
    for storage in ("dense", "sparse"):
        mdp = FiniteMDP.from_outcomes([[outcomes], [[*other[:3], (0.4, 0, 0.0, False)]]],
                                      gamma=0.9, storage=storage)  # fmt: skip
        truth = sum(Fraction(q) * Fraction(size * s) for q, s in zip(p, signs, strict=True))
        total = truth / (1 - Fraction(0.9) * sum(map(Fraction, p)))
        found = exact.evaluate(mdp, np.ones((2, 1)))
        assert abs(Fraction(float(found.values[0])) - total) <= found.error_bound
        assert found.error_bound >= EPS * size
        assert found.action_values_error >= EPS * size
        steps = exact.evaluate(mdp, np.ones((2, 1)), horizon=1)
        assert steps.error_bound >= EPS * size
        if size > 1e6:  # the default tolerance is beyond what can be known
            with pytest.raises(ConvergenceError, match="the state values"):
                exact.state_values(mdp, np.ones((2, 1)))


def test_the_objective_has_start_values_and_products_in_it():
    values = Certified(np.array([3.0, -1.0]), 2.0**-30)
    start = np.array([0.5, 0.5 + 2.0**-20])
    j, bound = evaluation.objective_of(start, values)
    normal = Fraction(float(start[0])) + Fraction(float(start[1]))
    for shift in (2.0**-30, -(2.0**-30)):  # what the values may be
        shifted = [Fraction(float(v)) + Fraction(shift) for v in values.array]
        rho = [Fraction(float(p)) for p in start]
        for total in (1, normal):  # what the start may be
            truth = sum(p * v for p, v in zip(rho, shifted, strict=True)) / total
            assert abs(Fraction(j) - truth) <= bound
    assert bound >= 2.0**-30
    assert bound >= 2.0**-20
    _, bound = evaluation.objective_of(np.array([0.5, 0.5]), values)
    assert bound >= 2.0**-30  # the values' alone
    _, bound = evaluation.objective_of(np.array([0.5, 0.5]), Certified(np.ones(2), 0.0))
    assert bound >= 1.5 * EPS  # u each: the products, their sum, and the start's
    third = np.array([1 / 3, 1 / 3, 1 / 3])
    value = np.array([0.1, 0.7, 1.1])
    found, hidden = evaluation.mean(third, value)
    truth = sum(Fraction(1 / 3) * Fraction(v) for v in value.tolist())
    assert 0 < abs(Fraction(found) - truth) <= hidden
    found, hidden = evaluation.mean(np.full(4, 0.5), np.full(4, TINY))
    assert abs(Fraction(found) - 2 * Fraction(TINY)) <= hidden


def test_shares_err_by_twice_the_visits_and_by_their_rounding():
    """x/Σx with all of the error in one entry: as far as it can be."""
    visits = Certified(np.array([1.0, 3.0]), 2.0**-20)
    share = evaluation.shares(visits)
    true = np.array([1.0 + 2.0**-20, 3.0])
    off = np.abs(share.array - true / true.sum()).sum()
    assert off <= share.bound
    both = np.array([1.0 + 2.0**-21, 3.0 - 2.0**-21])
    assert np.abs(share.array - both / both.sum()).sum() <= share.bound
    third = evaluation.shares(Certified(np.array([1.0, 1.0, 1.0]), 0.0))
    off = sum(abs(Fraction(float(p)) - Fraction(1, 3)) for p in third.array)
    assert 0 < off <= third.bound


def swap(rewards):
    """Two states that swap, half of the time."""
    table = [[[(0.5, 0, r, False), (0.5, 1, r, False)]] for r in rewards]
    return FiniteMDP.from_outcomes(table, gamma=0.9)


def test_the_gain_and_bias_have_their_drift_in_them(monkeypatch):
    """r + P h − h that is not constant bounds the gain's error; twice that, w times, the bias'."""
    mdp, table = swap([1.0, 0.0]), np.ones((2, 1))
    chain = FiniteChain(mdp, table)
    honest = exact.evaluate(mdp, table, "average")
    anchor, resolvent = chain.anchored()
    e = 2.0**-20

    class Off(FiniteChain):
        def anchored(self):
            return anchor, OffResolvent()

    class OffResolvent:
        weights = resolvent.weights

        def values(self, b, error=0.0):
            return Certified(resolvent.values(b).array + e * np.arange(2.0), 0.0)

        def visits(self, b, error=0.0):
            return Certified(resolvent.visits(b).array, e)

    found = evaluation._average(mdp, Off(mdp, table), table)
    assert abs(found.objective - 0.5) <= found.objective_error
    assert found.objective_error >= e / 8
    assert found.visitation_error >= e / 2
    assert np.abs(found.values - honest.values).max() <= found.error_bound
    # h − h* at the anchor's level solves (I − P̃) e = drift − gain: each at most the gain's error,
    # and the level that is taken off, d · h, errs by as much again, and by d's error times h
    anchored = 4 * float(resolvent.weights.max()) * found.objective_error
    left = found.error_bound - anchored * (1 - 1e-12)
    assert left >= 0.9 * found.visitation_error * np.abs(found.values).max()
    assert found.action_values_error >= found.error_bound + found.objective_error


def test_the_bias_has_the_rounding_of_its_level_in_it(monkeypatch):
    """A chain of halves, of which all is exact but the level, and what is taken off by it."""
    mdp, table = swap([1.0, 0.0]), np.ones((2, 1))
    chain = FiniteChain(mdp, table)
    monkeypatch.setattr(FiniteChain, "backup_error", lambda self, size: 0.0)
    monkeypatch.setattr(evaluation, "shares", lambda v: Certified(v.array / v.array.sum(), 0.0))
    monkeypatch.setattr(evaluation, "mean", lambda weights, values: (0.1, 0.0))
    found = evaluation._average(mdp, chain, table)  # (0, −1) − 0.1
    off = abs(Fraction(float(found.values[1])) - (-1 - Fraction(0.1)))
    assert 0 < off <= Fraction(found.error_bound)
    monkeypatch.setattr(evaluation, "mean", lambda weights, values: (0.1, 2.0**-10))
    found = evaluation._average(mdp, chain, table)
    assert found.error_bound >= 2.0**-10
    monkeypatch.setattr(FiniteChain, "backup_error", lambda self, size: 2.0**-12)
    found = evaluation._average(mdp, chain, table)
    own = found.action_values_error - found.error_bound - found.objective_error
    assert own >= 2.0**-12 * (1 - 1e-9)


def test_the_visits_have_what_the_start_lacks_in_them(monkeypatch):
    """A start that is 1 + δ times the one that was meant: so are all visits."""
    mdp = random_mdp(0, gamma=0.9)
    monkeypatch.setattr(evaluation, "start_defect", lambda start: 2.0**-10)
    found = exact.evaluate(mdp, random_table(mdp, 0))
    assert found.visitation_error >= 2.0**-10 * found.visitation.sum()
    monkeypatch.setattr("logtrick.exact.values.start_defect", lambda start: 2.0**-10)
    with pytest.raises(ConvergenceError, match="the visits"):
        exact.visitation(mdp, random_table(mdp, 0))


def test_action_values_have_values_and_their_own_rounding_in_them(monkeypatch):
    mdp = random_mdp(0, gamma=0.9)
    chain = FiniteChain(mdp, random_table(mdp, 0))
    values = Certified(np.full(mdp.num_states, 8.0), 2.0**-10)
    assert evaluation.action_values_error(chain, 0.9, values) >= 0.9 * 2.0**-10
    values = Certified(np.full(mdp.num_states, 2.0**30), 0.0)
    assert evaluation.action_values_error(chain, 0.9, values) >= 0.9 * EPS * 2.0**30
    chain.slack = 0.25  # rows may sum to 1¼, and so may what they carry of an error
    monkeypatch.setattr(FiniteChain, "backup_error", lambda self, size: 0.0)
    values = Certified(np.full(mdp.num_states, 8.0), 2.0**-10)
    assert evaluation.action_values_error(chain, 0.9, values) >= 0.9 * 1.25 * 2.0**-10


def test_what_is_refused_is_judged_by_its_own_error():
    """A tolerance that the neighbouring number meets, and this one does not."""
    mdp = random_mdp(3, ends=False, gamma=0.9)
    table = random_table(mdp, 3)
    found = exact.evaluate(mdp, table, "average")
    gain = found.objective_error / max(1.0, abs(found.objective))
    bias = found.error_bound / max(1.0, np.abs(found.values).max())
    assert 2 * gain < bias
    with pytest.raises(ConvergenceError, match="the bias"):
        exact.gain_and_bias(mdp, table, tol=(gain * bias) ** 0.5)
    found = exact.evaluate(mdp, table)
    size = max(1.0, np.abs(found.table_gradient).sum())
    own, other = found.gradient_error / size, found.objective_error / size
    assert 2 * other < own
    with pytest.raises(ConvergenceError, match="the gradient"):
        exact.policy_gradient(mdp, table, tol=(own * other) ** 0.5)
    size = max(1.0, np.abs(found.values).max())
    both = (found.error_bound + found.action_values_error) / size
    assert found.action_values_error < 0.6 * size * both
    with pytest.raises(ConvergenceError, match="action values"):
        exact.advantages(mdp, table, tol=0.8 * both)
    exact.advantages(mdp, table, tol=1.01 * both)


@pytest.mark.parametrize("horizon_", [None, 2])
def test_the_gradient_has_visits_values_and_products_in_it(horizon_):
    """η and Q off by all that their bounds allow, each alone and both."""
    mdp = random_mdp(4, gamma=0.9)
    found = exact.evaluate(mdp, random_table(mdp, 4), horizon=horizon_)
    tight = replace(found, action_values_error=0.0, visitation_error=0.0)
    for dv, dq in ((2.0**-10, 0.0), (0.0, 2.0**-10), (0.25, 0.25)):
        stated = replace(tight, visitation_error=dv, action_values_error=dq)
        moved = np.zeros_like(found.visitation)
        largest = np.where(np.isfinite(found.action_values), np.abs(found.action_values), 0.0)
        by_state = largest.sum(axis=-1)
        state = int(np.argmax(by_state.reshape(-1, mdp.num_states).max(axis=0)))
        moved[state] = dv
        steps = found.step_visitation
        if steps is not None:
            steps = steps.copy()
            t = int(np.argmax(by_state[:, state]))
            steps[t, state] += dv
        worse = replace(
            found,
            visitation=found.visitation + moved,
            step_visitation=steps,
            action_values=found.action_values + dq * np.sign(np.nan_to_num(found.action_values)),
        )
        off = np.abs(worse.table_gradient - found.table_gradient).sum()
        assert off <= stated.gradient_error * (1 + 1e-9)
    product = replace(tight, action_values_error=0.0)
    assert product.gradient_error >= EPS * np.abs(found.table_gradient).max()
    nothing = replace(tight, action_values=TINY * np.ones_like(found.action_values))
    off = (np.asarray(found.visitation) < 1).sum() * TINY * 0.5
    assert nothing.gradient_error >= off


def test_the_gradient_has_both_errors_at_once_in_it():
    """One state and action: η = Q = 1, each off by a half, may be 1½ · 1½."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 1.0, True)]]], gamma=0.5)
    found = replace(
        exact.evaluate(mdp, np.ones((1, 1))), visitation_error=0.5, action_values_error=0.5
    )
    assert (found.visitation[0], found.action_values[0, 0]) == (1.0, 1.0)
    assert 1.5 * 1.5 - 1.0 <= found.gradient_error <= 1.5 * 1.5 - 1.0 + 10 * EPS


def test_the_gradient_has_its_sum_over_steps_in_it():
    """A visit to either state, and then 4,000 of which each is lost when it is added to it."""
    steps = 4000
    visits = np.full((steps + 1, 2), 0.99 * 2.0**-53)
    visits[0] = 1.0
    found = evaluation.Evaluation(
        kind="total",
        gamma=1.0,
        probabilities=np.ones((2, 1)),
        values=np.ones((steps + 1, 2)),
        action_values=np.ones((steps, 2, 1)),
        visitation=np.ones(2),
        objective=1.0,
        error_bound=0.0,
        visitation_error=0.0,
        objective_error=0.0,
        action_values_error=0.0,
        step_visitation=visits,
    )
    truth = sum(map(Fraction, visits[:-1, 0].tolist()))
    off = sum(abs(Fraction(float(g)) - truth) for g in found.table_gradient.ravel())
    assert 3800 * EPS < off <= Fraction(found.gradient_error)


def test_visits_over_a_horizon_have_their_sums_in_them(monkeypatch):
    """400 states that meet in one, and 4,000 steps: what is added last is lost, every time."""
    monkeypatch.setattr(horizon, "start_defect", lambda start: 0.0)
    size = 400
    start = np.r_[1.0 - 2.0**-40, np.full(size, 0.99 * 2.0**-54)]
    table = [[[(1.0, 0, 1.0, False)]]] * (size + 1)
    mdp = FiniteMDP.from_outcomes(table, gamma=0.9)
    object.__setattr__(mdp, "start", start)
    chain = FiniteChain(mdp, np.ones((size + 1, 1)))
    chain.slack = 0.0
    visits, bound = horizon._forward(mdp, [chain], np.ones((size + 1, 1)), 1.0)
    off = abs(Fraction(float(visits[1, 0])) - sum(map(Fraction, start.tolist())))
    assert 90 * EPS < off <= Fraction(bound)
    chain.slack = 2.0**-10
    _, bound = horizon._forward(mdp, [chain], np.ones((size + 1, 1)), 0.5)
    assert bound >= 2.0**-10 * 0.5 * start.sum()

    class Late(FiniteChain):
        """Which moves exactly, and hides nothing of it."""

        arrivals, mass = -8, 0.0

        def arrive(self, flow):
            return np.full(2, 0.99 * 2.0**-53)

    steps, mdp, table = 4000, swap([1.0, 0.0]), np.ones((2, 1))
    object.__setattr__(mdp, "start", np.ones(2))
    late = Late(mdp, table)
    late.slack = 0.0
    visits, bound = horizon._forward(mdp, [late] * steps, table, 1.0)
    truth = sum(map(Fraction, visits[:-1, 0].tolist()))
    off = sum(abs(Fraction(float(v)) - truth) for v in visits[:-1].sum(axis=0))
    assert 3800 * EPS < off <= Fraction(bound)


def test_a_horizon_carries_what_the_next_step_errs(monkeypatch):
    """E_t = γ m E_{t+1} + its own; and visits err by what they were moved from, added up."""
    mdp = swap([1.0, 0.0])
    table = np.ones((2, 1))
    chain = FiniteChain(mdp, table)
    monkeypatch.setattr(FiniteChain, "backup_error", lambda self, size: 1.0)
    _, _, errors = horizon._backward(mdp, [chain] * 4, table, 0.5, np.zeros(2))
    assert errors == pytest.approx([1.875, 1.75, 1.5, 1.0, 0.0], rel=1e-12)
    chain.slack = 0.25  # rows may sum to 1¼
    _, _, errors = horizon._backward(mdp, [chain] * 2, table, 0.5, np.zeros(2))
    assert errors == pytest.approx([1 + 0.5 * 1.25, 1.0, 0.0], rel=1e-12)
    chain.slack = 0.0
    monkeypatch.undo()
    monkeypatch.setattr(horizon, "start_defect", lambda start: 1.0)
    _, total = horizon._forward(mdp, [chain] * 3, table, 0.5)
    assert total == pytest.approx(1 + 0.5 + 0.25 + 0.125, rel=1e-9)
    monkeypatch.setattr(horizon, "start_defect", lambda start: 0.0)
    _, total = horizon._forward(mdp, [chain], table, 0.5)
    assert EPS * 0.5 <= total <= 100 * EPS
    _, many = horizon._forward(mdp, [chain] * 1000, table, 1.0)
    assert many >= 1000 * 1000 * EPS  # Σ_t t · EPS and the sum over steps


def test_subnormal_rounding_of_what_is_hidden():
    assert float(rounding.hidden(0.0, 1.0, 1)) >= TINY
    assert float(rounding.hidden(0.0, 1.0, 100)) >= 50 * TINY
    assert float(rounding.hidden(EPS, 1.0, 1)) >= EPS


def test_the_mass_of_a_function_above_one_is_in_its_bounds():
    """Rows that sum to 1 + 9e-10 are accepted from a function, which nobody can divide."""
    free = as_matrix_free(random_mdp(0, ends=False))
    more = exact.MatrixFreeMDP(
        lambda v: free.expect(v) * (1 + 9e-10),
        free.rewards,
        gamma=0.5,
        start=free.start,
        terms=free.terms,
        available=free.available,
    )
    assert more.row_excess == pytest.approx(9e-10, rel=1e-5)
    table = random_table(more, 0)
    chain = MatrixFreeChain(more, table)
    assert chain.slack >= 8.9e-10
    assert chain.mass >= 1 + 8.9e-10
    chain.slack = 1e-6
    weights = chain.resolvent(0.95).weights
    assert (weights - 0.95 * (1 + 1e-6) * chain.step(weights) >= 1).all()
    less = exact.MatrixFreeMDP(
        lambda v: free.expect(v) * (1 - 9e-10),
        free.rewards,
        gamma=0.5,
        start=free.start,
        terms=free.terms,
        available=free.available,
    )
    chain = MatrixFreeChain(less, table)
    chain.anchored()
    assert chain.slack >= 8.9e-10
