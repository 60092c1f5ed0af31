"""Each term of each bound of planning, one at a time: an adversary errs by all that it may.

`Rounding.backup_error` says how far a computed backup may be from T v. The tests here compute T v
in rational arithmetic, move it by exactly that much in the worst direction, and ask whether what
the certificates conclude still holds. A term that is left out is then missed.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import rational

from logtrick import planning, problems
from logtrick.errors import ConvergenceError
from logtrick.mdp.model import FiniteMDP
from logtrick.planning import certificates, horizon, steps
from logtrick.planning.certificates import TINY, UNIT_ROUNDOFF, Rounding
from logtrick.planning.operators import Backup, Operator
from logtrick.planning.sparse.chains import SparseChain
from logtrick.planning.sparse.threads import Team
from logtrick.planning.total import cycle_gain
from random_mdps import random_mdp, with_large_rewards
from rationals import normalised

TEAM = Team(1)


def model(gamma=0.9, **changes):
    """A rounding model whose errors are large enough to be seen."""
    fields = {
        "terms": 0, "defect": 2.0**-20, "reward_scale": 1.0, "gamma": gamma, "least_mass": 1.0,
        "most_mass": 1.0,
    }  # fmt: skip
    return Rounding(**fields | changes)


def certificate(rounding, loop, reward, value, error):
    """V5 for one state that goes on with probability `loop`, T v off by `error` and T v − v too."""
    gamma = Fraction(rounding.gamma)
    exact = Fraction(reward) + gamma * loop * Fraction(value)
    computed = float(exact + Fraction(error))
    difference = float(exact - Fraction(value) + Fraction(error))
    backup = Backup(difference, difference, abs(computed), 0)
    interval = certificates.discounted(backup, rounding)
    optimum = Fraction(reward) / (1 - gamma * loop)
    return Fraction(computed) + Fraction(interval.low), optimum, computed + interval.high


@pytest.mark.parametrize("loop", [Fraction(1), Fraction(1, 4)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("value", [-5.0, 0.0, 1.0, 200.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_V5_holds_for_every_backup_within_the_rounding_model(sign, value, gamma, loop):
    """The error of T v enters twice: through the residual, added up, and by itself."""
    rounding = model(gamma, least_mass=float(loop), most_mass=float(loop))
    exact = 1 + Fraction(gamma) * loop * Fraction(value)
    size = float(max(abs(exact), abs(Fraction(value))))
    error = sign * 0.99 * rounding.backup_error(size)
    low, optimum, high = certificate(rounding, loop, 1.0, value, error)
    assert low <= optimum <= high


@pytest.mark.parametrize(("high", "mass"), [(1.0, 0.75), (-1.0, 0.25)])
def test_V5_takes_the_worse_of_the_masses(high, mass):
    """A gain is added up by those who go on most, a loss by those who go on least."""
    rounding = model(0.8, defect=0.0, least_mass=0.25, most_mass=0.75)
    ratio = Fraction(0.8) * Fraction(mass)
    assert certificates._discounted_sum(high, rounding) >= Fraction(high) * ratio / (1 - ratio)


def test_V5_rounds_its_own_sums_up():
    """For thousands of γ and residuals the computed sum is no less than the exact one."""
    rng = np.random.default_rng(0)
    for gamma in (*rng.uniform(0, 1, 2000), *(1 - 10.0 ** -rng.uniform(1, 12, 2000))):
        rounding = model(float(gamma), defect=0.0)
        bound = float(rng.normal() * 10.0 ** rng.integers(-300, 200))
        ratio = Fraction(float(gamma))
        exact = Fraction(bound) * ratio / (1 - ratio)
        assert Fraction(certificates._discounted_sum(bound, rounding)) >= exact
    for gamma in (0.3, 0.4, 0.6):  # 3/7 of the smallest number is rounded to 0
        tiny = certificates._discounted_sum(TINY, model(gamma, defect=0.0))
        assert Fraction(tiny) >= Fraction(TINY) * Fraction(gamma) / (1 - Fraction(gamma))


def test_V5_is_no_wider_than_it_must_be():
    """Σ_{t≥1} γ^t δ is δ γ/(1 − γ), which one state attains: nothing more is to be added."""
    for gamma in (0.25, 0.5, 0.75):
        found = certificates._discounted_sum(1.0, model(gamma, defect=0.0))
        assert found == pytest.approx(gamma / (1 - gamma), rel=1e-14)


def test_the_width_of_an_interval_is_rounded_up():
    rng = np.random.default_rng(1)
    for low, high in np.sort(rng.normal(size=(1000, 2)), axis=1).tolist():
        interval = certificates.Enclosure(low, high)
        assert Fraction(interval.width) >= Fraction(high) - Fraction(low)


@pytest.mark.parametrize("sign", [-1, 1])
def test_V7_holds_for_every_backup_within_the_rounding_model(sign):
    """One state: T v − v is its reward, which is the gain."""
    rounding = model(1.0)
    for value in (0.0, 100.0):
        error = sign * 0.99 * rounding.backup_error(value + 1)
        backup = Backup(1 + error, 1 + error, value + 1 + error, 0)
        interval = certificates.average(backup, rounding)
        assert interval.low <= 1 <= interval.high


def operator_of(mdp, gamma=None):
    return Operator.from_mdp(mdp, mdp.gamma if gamma is None else gamma, TEAM)


def true_backup(mdp, values, gamma):
    """T v in fractions."""
    best = []
    for first, last in zip(mdp.pair_offsets[:-1], mdp.pair_offsets[1:], strict=True):
        best.append(
            max(
                sum(
                    p * (r + (0 if end else Fraction(gamma) * Fraction(float(values[s]))))
                    for p, s, r, end in rational.outcomes(mdp, pair)
                )
                for pair in range(first, last)
            )
        )
    return best


def check_backup(mdp, values, truth_mdp=None):
    operator = operator_of(mdp)
    out = np.empty(mdp.num_states)
    operator.backup(values, out, np.zeros(mdp.num_states, np.uint32))
    bound = Rounding.of(operator).backup_error(float(np.abs(values).max()))
    truth = true_backup(mdp if truth_mdp is None else truth_mdp, values, mdp.gamma)
    off = max(abs(t - Fraction(v)) for t, v in zip(truth, out.tolist(), strict=True))
    assert off <= Fraction(bound)
    return off


def test_a_backup_whose_additions_all_lose():
    """½ · 2 = 1, and 1,000 numbers of 2⁻⁵³ that are all lost: 250 times the unit roundoff."""
    size = 1000
    outcomes = [(0.5, 0, 0.0, False)] + [(0.5 / size, 1, 0.0, False)] * size
    mdp = FiniteMDP.from_outcomes([[outcomes], [[(1.0, 1, 2.0**-60, False)]]], gamma=1.0)
    off = check_backup(mdp, np.array([2.0, 2.0**-53 * size * 0.45]))
    assert off > 60 * UNIT_ROUNDOFF


@pytest.mark.parametrize("size", [1e3, 1e13])
def test_a_backup_of_nothing_but_rewards_that_cancel(size):
    """Σ p r is 0 in decimals and rounding of the rewards in float64; there are no values."""
    pays = [(0.1, 4.0), (0.2, -1.0), (0.3, -2.0), (0.4, 1.0)]
    outcomes = [(p, 0, size * r, False) for p, r in pays]
    mdp = FiniteMDP.from_outcomes([[outcomes]], gamma=0.9)
    assert check_backup(mdp, np.zeros(1)) > 0


def test_a_backup_whose_products_underflow():
    size = 40
    outcomes = [(0.5, 0, 0.0, False)] + [(0.5 / size, 1, 0.0, False)] * size
    mdp = FiniteMDP.from_outcomes([[outcomes], [[(1.0, 1, TINY, False)]]], gamma=0.9)
    off = check_backup(mdp, np.array([0.0, 30 * TINY]))
    assert off > 2 * Fraction(TINY)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_backup_of_rows_that_are_off_by_rounding(sign):
    """Rows that are not divided, and so do not sum to one: the bound is for either chain."""
    size = 60
    p = np.full(size, 1 / size)
    p[0] += sign * 60 * 2 * UNIT_ROUNDOFF
    outcomes = [[(float(q), s, 0.0, False) for s, q in enumerate(p)]]
    mdp = FiniteMDP.from_outcomes(
        [outcomes] + [[[(1.0, 0, 2.0**-60, False)]]] * (size - 1), gamma=1.0
    )
    assert mdp.probabilities[0] == p[0]
    truth = normalised(mdp)
    truth_mdp = type("Exact", (), {name: getattr(truth, name) for name in (
        "probabilities", "outcome_offsets", "pair_offsets", "successors", "rewards", "terminated",
    )})  # fmt: skip
    values = np.ones(size)
    operator = operator_of(mdp)
    out = np.empty(size)
    operator.backup(values, out, np.zeros(size, np.uint32))
    rounding = Rounding.of(operator)
    total = sum(Fraction(q) for q in truth_mdp.probabilities[:size])
    assert total == 1
    off = abs(Fraction(float(out[0])) - 1)
    assert off > 1.5 * 66 * Fraction(UNIT_ROUNDOFF)  # more than n + 6 roundings of v alone
    assert off <= rounding.backup_error(1.0)
    assert rounding.most_mass >= 1
    assert rounding.least_mass <= 1


def test_masses_are_rounded_outwards():
    """1/3 + 1/3 goes on: the computed mass is not the exact one, and the certificate needs it."""
    table = [[[(1 / 3, 0, 1.0, False), (1 / 3, 0, 1.0, False), (1 / 3, 0, 1.0, True)]]]
    rounding = Rounding.of(operator_of(FiniteMDP.from_outcomes(table, gamma=0.9)))
    assert rounding.least_mass < Fraction(2, 3) < rounding.most_mass
    ends = [(0.1, 0, 1.0, False), (0.2, 0, 1.0, False), (0.7, 0, 1.0, True)]
    rounding = Rounding.of(operator_of(FiniteMDP.from_outcomes([[ends]], gamma=0.9)))
    assert Fraction(0.1 + 0.2) > Fraction(0.1) + Fraction(0.2) >= rounding.least_mass
    size = 1000
    rows = [(0.5, 0, 1.0, False)] + [(2.0**-54, 0, 1.0, False)] * size + [(0.5, 0, 1.0, True)]
    rounding = Rounding.of(operator_of(FiniteMDP.from_outcomes([[rows]], gamma=0.9)))
    assert rounding.most_mass >= Fraction(1, 2) + size * Fraction(2) ** -54


@pytest.mark.parametrize("horizon_", [1, 2, 5])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_horizon_carries_the_error_of_the_next_step(horizon_, sign, monkeypatch):
    """Every backup off by its bound: V_0 errs by the sum Σ γ^t, and the policy by twice that."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], gamma=0.5)
    operator, e = operator_of(mdp), 2.0**-10
    backup = Operator.backup

    def lying(self, values, out, choice, margin=0.0):
        found = backup(self, values, out, choice, margin)
        out += sign * e
        return found

    monkeypatch.setattr(Operator, "backup", lying)
    monkeypatch.setattr(Rounding, "backup_error", lambda self, size: e)
    plan = horizon.backward_induction(
        operator, horizon_, np.zeros(1), 1.0, lambda iteration, bound: None
    )
    truth = sum(0.5**t for t in range(horizon_))
    off = abs(plan.values[0, 0] - truth)
    assert off == pytest.approx(e * (2 - 2 * 0.5**horizon_))
    assert 2 * off <= plan.error_bound * (1 + 1e-12)


def test_a_horizon_carries_what_goes_on(monkeypatch):
    """E_t = γ m E_{t+1} + its own, of numbers as large as the terminal values to begin with."""
    mdp = FiniteMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], gamma=0.5)
    sizes = []

    def watched(self, size):
        sizes.append(size)
        return 1.0

    monkeypatch.setattr(Rounding, "of", lambda operator: model(0.5, most_mass=1.25))
    monkeypatch.setattr(Rounding, "backup_error", watched)
    plan = horizon.backward_induction(
        operator_of(mdp), 3, np.array([-64.0]), 1.0, lambda iteration, bound: None
    )
    carried = 0.5 * 1.25
    assert plan.error_bound == pytest.approx(2 * (1 + carried + carried**2), rel=1e-12)
    assert sizes == [64.0, 31.0, 14.5]  # |1 − γ 64|, |1 − γ 31|


def test_the_tolerance_of_a_horizon_is_that_of_its_bound():
    """What float64 proves is told in the error, and is asked for in vain below that."""
    mdp = random_mdp(1, gamma=0.9)
    plan = planning.solve(mdp, horizon=4)
    size = max(1.0, np.abs(plan.values).max())
    planning.solve(mdp, horizon=4, tol=1.01 * plan.error_bound / size)
    with pytest.raises(ConvergenceError, match="after 4 backups"):
        planning.solve(mdp, horizon=4, tol=0.99 * plan.error_bound / size)


def test_values_stand_in_the_middle_of_their_interval():
    """The width bounds twice the error, so that half of it would do for a loose tolerance."""
    for mdp in (problems.example_3_5_grid(), problems.garnet(20, 3, 2, seed=1, gamma=0.9)):
        best = planning.solve(mdp, method="policy_iteration")
        found = planning.solve(mdp, method="value_iteration", tol=0.05)
        assert found.error_bound > 1
        off = np.abs(found.values - best.values).max()
        assert off <= 0.5 * found.error_bound + best.error_bound
    mdp = random_mdp(0, ends=False)
    best = planning.solve(mdp, "average", method="policy_iteration")
    found = planning.solve(mdp, "average", method="value_iteration", tol=0.2)
    assert found.error_bound > 0.02
    assert abs(found.gain - best.gain) <= 0.5 * found.error_bound + best.error_bound


@pytest.mark.parametrize("tol", [0.5, 0.1, 0.02, 1e-3])
def test_a_search_stops_where_its_bound_is_met(tol):
    """Not at twice the tolerance, to which a sweep of γ = .9 comes before."""
    found = planning.solve(problems.example_3_5_grid(), method="value_iteration", tol=tol)
    assert found.error_bound <= tol * max(1.0, np.abs(found.values).max())


def test_a_horizon_of_large_rewards_that_cancel():
    """Filed: without the next step's error, ±10¹² that cancel err by 4.9e-5 against 6e-15."""
    for seed in range(6):
        mdp = with_large_rewards(random_mdp(seed, gamma=0.9), seed)
        plan = planning.solve(mdp, horizon=4, tol=1e30)
        values = [Fraction(0)] * mdp.num_states
        for t in reversed(range(4)):
            values = true_backup_of(mdp, values)
            for s in range(mdp.num_states):
                off = abs(values[s] - Fraction(float(plan.values[t, s])))
                assert off <= Fraction(plan.error_bound)


def true_backup_of(mdp, values):
    q = [
        sum(
            p * (r + (0 if end else Fraction(mdp.gamma) * values[s]))
            for p, s, r, end in rational.outcomes(mdp, pair)
        )
        for pair in range(mdp.num_pairs)
    ]
    offsets = mdp.pair_offsets.tolist()
    return [max(q[a:b]) for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", ["value_iteration", "inexact_policy_iteration"])
def test_optima_of_large_rewards_that_cancel(seed, method):
    """Rewards from 10³ to 10¹³ against every policy in rational arithmetic."""
    mdp = with_large_rewards(random_mdp(seed, gamma=0.9, shape=(3, 2)), seed)
    solution = planning.solve(mdp, method=method)
    candidates = list(rational.policies(mdp))
    best = rational.best(mdp, Fraction(mdp.gamma), candidates)
    for value, truth in zip(solution.values.tolist(), best, strict=True):
        assert abs(truth - Fraction(value)) <= Fraction(solution.error_bound)


def certified(value, choice_error, monkeypatch, gamma_error):
    """V6 of one state that pays −1 and ends half of the time: V = −2."""
    table = [[[(0.5, 0, -1.0, False), (0.5, 0, -1.0, True)]]]
    operator = operator_of(FiniteMDP.from_outcomes(table, gamma=1.0))
    monkeypatch.setattr(Rounding, "backup_error", lambda self, size: gamma_error)
    ends, choice = np.ones(1, np.bool_), np.zeros(1, np.uint32)
    rounding = Rounding.of(operator)
    return steps.certify(operator, ends, np.array([value]), choice, rounding, 1.0, str)


@pytest.mark.parametrize("error", [0.0, 2.0**-10])
@pytest.mark.parametrize("off", [-(2.0**-8), 0.0, 2.0**-8])
def test_V6_leaves_room_for_the_rounding_of_its_checks(off, error, monkeypatch):
    """R may be off by the error of a backup: V by twice that (two steps), on either side."""
    proof = certified(-2.0 + off, 0.0, monkeypatch, error)
    assert proof.bound >= abs(off) + 2 * error
    assert proof.bound <= 12 * (abs(off) + 10 * error)


def test_V6_bounds_values_by_all_that_they_may_be(monkeypatch):
    """The checks are of v ± ε h: their rounding is that of numbers as large as those."""
    sizes = []
    error = Rounding.backup_error

    def watched(self, size):
        sizes.append(size)
        return error(self, size)

    table = [[[(0.5, 0, -1.0, False), (0.5, 0, -1.0, True)]]]
    operator = operator_of(FiniteMDP.from_outcomes(table, gamma=1.0))
    monkeypatch.setattr(Rounding, "backup_error", watched)
    ends, choice, v = np.ones(1, np.bool_), np.zeros(1, np.uint32), np.array([100.0])
    proof = steps.certify(operator, ends, v, choice, Rounding.of(operator), 1e3, str)
    assert sizes[0] >= 100
    assert sizes[-1] >= 100 + proof.bound / 2 * 0.99


def two_ways(difference):
    """A state that ends half of the time, for −1, or for `difference` more; π takes the first."""
    pays = [[(0.5, 0, r, False), (0.5, 0, r, True)] for r in (-1.0, -1.0 + difference)]
    operator = operator_of(FiniteMDP.from_outcomes([pays], gamma=1.0))
    return operator, np.ones(2, np.bool_), np.zeros(1, np.uint32)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_V6_bounds_what_the_policy_loses_and_what_is_gained(share):
    """V_π = −2 and V_* = −2 + 2δ, v anywhere between: |v − V_*| and V_* − V_π are in the bound."""
    difference = 2.0**-10
    operator, ends, choice = two_ways(difference)
    value = -2.0 + 2 * difference * share
    rounding = Rounding.of(operator)
    proof = steps.certify(operator, ends, np.array([value]), choice, rounding, 1.0, str)
    assert 2 * difference <= proof.bound <= 8 * difference


@pytest.mark.parametrize("lies", ["above", "below", "rounding"])
def test_V6_checks_both_sides_with_rounding(lies, monkeypatch):
    """Where T(v + εh) ≤ v + εh, or T_π(v − εh) ≥ v − εh, is not seen, nothing is proved."""
    operator, ends, choice = two_ways(2.0**-10)
    error, calls = 2.0**-12, []
    backup, advance = Operator.backup, SparseChain.advance

    def lying_backup(self, values, out, choice, margin=0.0):
        found = backup(self, values, out, choice, margin)
        calls.append("backup")
        if calls.count("backup") == 1 or self is not operator or lies == "below":
            return found
        return found._replace(high=1.0 if lies == "above" else -0.5 * error)

    def lying_advance(self, rewards, gamma, values, out):
        low, high = advance(self, rewards, gamma, values, out)
        wrong = lies == "below" and values[0] < -2.0  # v − εh
        return (-1.0, high) if wrong else (low, high)

    rounding = Rounding.of(operator)
    monkeypatch.setattr(Rounding, "backup_error", lambda self, size: error)
    monkeypatch.setattr(Operator, "backup", lying_backup)
    monkeypatch.setattr(SparseChain, "advance", lying_advance)
    proof = steps.certify(operator, ends, np.array([-2.0]), choice, rounding, 1.0, str)
    assert proof.bound == np.inf


def test_h_counts_at_least_one_for_each_step():
    """h ≥ 1 + P h in rational arithmetic, though h is solved for to a few digits only."""
    for seed in range(20):
        mdp = random_mdp(seed, gamma=1.0, shape=(12, 1))
        operator = operator_of(mdp)
        every = np.ones(mdp.num_pairs, np.bool_)
        h, _ = steps.longest_episodes(operator, every, every, np.zeros(12, np.uint32))
        for s in range(mdp.num_states):
            moved = sum(
                p * Fraction(float(h[following]))
                for p, following, _, end in rational.outcomes(mdp, s)
                if not end
            )
            assert Fraction(float(h[s])) >= 1 + moved


def test_the_gain_of_a_cycle_has_its_rounding_in_it(monkeypatch):
    table = [[[(1.0, 1, 2.0, False)]], [[(1.0, 0, -1.0, False)]]]
    operator = operator_of(FiniteMDP.from_outcomes(table, gamma=1.0))
    chain, rewards = operator.chain(np.zeros(2, np.uint32))
    monkeypatch.setattr(Rounding, "backup_error", lambda self, size: 2.0**-10)
    gain = cycle_gain(chain, rewards, np.arange(2), operator)
    assert gain.low == pytest.approx(0.5 - 2.0**-10, abs=1e-12)
    assert gain.high == pytest.approx(0.5 + 2.0**-10, abs=1e-12)
