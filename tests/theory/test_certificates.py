"""V5, V6 and V7: what a backup of any v proves, against the truth in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from logtrick.mdp import problems
from logtrick.planning import certificates, steps
from logtrick.planning.certificates import Rounding
from logtrick.planning.operators import Operator
from logtrick.planning.sparse.threads import Team

TEAM = Team(1)


def backup(mdp, values, gamma=None):
    """(operator, rounding, T v, what it says)."""
    operator = Operator.from_mdp(mdp, mdp.gamma if gamma is None else gamma, TEAM)
    out, choice = np.empty_like(values), np.zeros(mdp.num_states, np.uint32)
    found = operator.backup(values, out, choice)
    return operator, Rounding.of(operator), out, found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ends", [0.0, 0.3])
def test_V5_holds_for_any_v_and_is_attained(seed, ends):
    """T v + low ≤ V_* ≤ T v + high; with nothing that ends, a constant error closes the gap."""
    mdp = problems.garnet(30, 3, 3, seed=seed, ends=ends, gamma=0.8)
    optimum = iterate(mdp, 400)
    rng = np.random.default_rng(seed)
    for scale in (10.0, 1e-3, 1e-9):
        values = optimum + scale * rng.uniform(-1, 3, 30)
        _, rounding, out, found = backup(mdp, values)
        interval = certificates.discounted(found, rounding)
        assert (out + interval.low <= optimum).all()
        assert (optimum <= out + interval.high).all()
        naive = max(found.high, -found.low) / (1 - mdp.gamma)
        assert interval.width <= 2 * naive + 1e-12
    _, rounding, _, found = backup(mdp, optimum + 7.0)
    width = certificates.discounted(found, rounding).width
    assert width < 1e-12 if ends == 0 else width > 1.0


def iterate(mdp, sweeps):
    values = np.zeros(mdp.num_states)
    for _ in range(sweeps):
        values = backed_up(mdp, mdp.gamma * values)
    return values


@pytest.mark.parametrize("seed", range(10))
def test_rounding_is_within_its_bound(seed):
    """One computed backup against the same sums in Fractions, with large and mixed numbers."""
    rng = np.random.default_rng(seed)
    mdp = problems.garnet(8, 2, 5, seed=seed, gamma=0.99)
    values = rng.standard_normal(8) * 10.0 ** rng.integers(-3, 9, 8)
    _, rounding, out, _ = backup(mdp, values)
    bound = rounding.backup_error(np.abs(values).max())
    exact = []
    for pair in range(mdp.num_pairs):
        k = slice(*mdp.outcome_offsets[pair : pair + 2].tolist())
        exact.append(
            sum(
                Fraction(p) * (Fraction(r) + Fraction(mdp.gamma) * Fraction(values[s]))
                for p, r, s in zip(
                    mdp.probabilities[k].tolist(),
                    mdp.rewards[k].tolist(),
                    mdp.successors[k].tolist(),
                    strict=True,
                )
            )
        )
    errors = [
        abs(max(exact[2 * s : 2 * s + 2]) - Fraction(value)) for s, value in enumerate(out.tolist())
    ]
    assert max(errors) <= bound
    assert bound <= 1e-14 * np.abs(values).max()


def test_V6_a_residual_of_zero_proves_nothing():
    """On FrozenLake v = 1 off the holes is almost a fixed point of T: 14/17 is the truth."""
    mdp = problems.frozen_lake(gamma=1.0)
    values = np.where(mdp.terminal, 0.0, 1.0)
    for _ in range(2000):
        _, _, values, found = backup(mdp, values)
    assert max(found.high, -found.low) < 1e-13
    assert values[0] == pytest.approx(1, abs=1e-9)


def shortest_path():
    """Right costs 1, left 3, from each of six states in a row; right leads out at the end."""
    mdp = problems.random_walk(6)
    outcomes = {
        s: {
            0: [(1.0, max(s - 1, 0), -3.0, False)],
            1: [(1.0, min(s + 1, 5), -1.0, s == 5)],
        }
        for s in range(6)
    }
    return type(mdp).from_outcomes(outcomes, gamma=1.0)


def certify(values, choice, tol):
    mdp = shortest_path()
    operator = Operator.from_mdp(mdp, 1.0, TEAM)
    ends = np.zeros(12, np.bool_)
    ends[11] = True
    right = np.ones(6, np.uint32)
    assert (choice == right).all()
    return steps.certify(operator, ends, values, right, Rounding.of(operator), tol, str)


def test_V6_bounds_the_error_by_the_length_of_the_episode():
    """An error ε per step from a policy of up to six steps: the bound is 2 · 6 ε, little more."""
    exact = -np.arange(6.0, 0, -1)
    right = np.ones(6, np.uint32)
    assert certify(exact, right, 1e-8).bound < 1e-12
    for epsilon in (1e-3, 1e-9):
        values = exact + epsilon * np.arange(6.0, 0, -1)
        proof = certify(values, right, 0.1)
        assert 6 * epsilon <= proof.bound <= 2 * 8 * epsilon + 1e-12
        assert 6 <= proof.longest <= 8


def test_V6_no_proof_for_values_too_far_away():
    """Values so wrong that another action looks best: no finite bound on this policy."""
    values = -np.arange(6.0, 0, -1)
    values[3] += 4.5
    assert certify(values, np.ones(6, np.uint32), 1e-3).bound == np.inf


@pytest.mark.parametrize("seed", range(20))
def test_V7_holds_for_any_v(seed):
    """Min and max of T v − v enclose the gain, and the greedy policy's gain is above the least."""
    mdp = problems.garnet(12, 3, 3, seed=seed, gamma=0.9)
    rng = np.random.default_rng(seed)
    h = np.zeros(12)
    for _ in range(3000):
        h = 0.5 * (h + backed_up(mdp, h) - (backed_up(mdp, h) - h)[0])
    gain = (backed_up(mdp, h) - h)[0]
    for scale in (5.0, 1e-4):
        values = h - h[0] + scale * rng.standard_normal(12)
        _, rounding, _, found = backup(mdp, values, gamma=1.0)
        interval = certificates.average(found, rounding)
        assert interval.low <= gain + 1e-9
        assert gain <= interval.high + 1e-9
        assert interval.width <= 20 * scale


def backed_up(mdp, h):
    return np.maximum.reduceat(mdp.pair_rewards + mdp.continuation @ h, mdp.pair_offsets[:-1])
