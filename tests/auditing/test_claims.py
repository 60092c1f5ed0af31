"""The claimed mean of every registered estimator, by enumeration and by closed form."""

import dataclasses

import numpy as np
import pytest
from trees import TRAJECTORIES, random_softmax, random_tree

import logtrick as lt
from logtrick.auditing import closed_form
from logtrick.auditing.enumeration import enumerate_groups
from logtrick.auditing.policies import read_policy
from logtrick.auditing.rules import Rule
from logtrick.auditing.settings import Settings
from logtrick.psi.registry import ESTIMATORS, Claim

LONGEST, SEEDS = 3, range(50)
WRONG = np.random.default_rng(1).normal(size=5)


def settings(mdp, **more):
    return Settings(gamma=mdp.gamma, max_length=LONGEST, **{"group_size": 2, "n": 2, **more})


def enumerated(row, mdp, policy, told):
    rule = Rule(row, dataclasses.replace(told, weighting=row.weighting))
    listed = enumerate_groups(mdp, rule, policy, None, 100_000)
    return listed.moments(rule, policy, policy)


def relative(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def exact_gradient(mdp, policy):
    return np.ravel(lt.exact.policy_gradient(mdp, policy).logits)


@pytest.mark.parametrize("row", ESTIMATORS, ids=lambda row: row.name)
def test_on_fifty_random_mdps(row):
    biases, curled = [], 0
    for seed in SEEDS:
        mdp = random_tree(seed)
        softmax = random_softmax(mdp, seed + 100)
        policy, exact = read_policy(mdp, softmax), exact_gradient(mdp, softmax)
        mean = enumerated(row, mdp, policy, settings(mdp)).mean
        wrong = mean
        if row.rule.needs_critic:
            wrong = enumerated(row, mdp, policy, settings(mdp, values=WRONG)).mean
        biases.append(relative(mean, exact))
        if row.weighting == "undiscounted" and not row.rule.of_sequences:
            assert biases[-1] > 1e-3  # G4
        elif row.claim is Claim.UNBIASED:
            assert biases[-1] < 1e-12
            assert relative(wrong, exact) < 1e-12
        elif row.claim in (Claim.UNLESS_EXACT, Claim.UNLESS_ON_POLICY):
            assert biases[-1] < 1e-12
            assert relative(wrong, exact) > 1e-3
        elif row.claim is Claim.GROUP_PER_LENGTH:
            assert relative(mean, exact / 2 / LONGEST) < 1e-12
        else:
            assert row.claim in (Claim.NO_FUNCTION, Claim.LARGE_BATCH)
            curled += relative(mean * (exact @ exact) / (mean @ exact), exact) > 1e-3
    if row.claim in (Claim.NO_FUNCTION, Claim.LARGE_BATCH) and row.ratio != "score":
        assert curled == len(SEEDS)  # not parallel to ∇J on any of them


@pytest.mark.parametrize("name", closed_form.ESTIMATORS)
@pytest.mark.parametrize("weighting", ["discounted", "undiscounted"])
def test_the_closed_form_is_the_enumeration(name, weighting):
    """Mean to 1e-12, covariance to 1e-10, with a critic that is wrong."""
    row = next(row for row in ESTIMATORS if row.psi == name and row.weighting == weighting)
    for seed in SEEDS:
        mdp = random_tree(seed)
        policy = read_policy(mdp, random_softmax(mdp, seed + 100))
        told = settings(mdp, values=WRONG, weighting=weighting)
        listed = enumerated(row, mdp, policy, told)
        equations = closed_form.equations(name, mdp, policy.probabilities, policy.scores, told)
        moments = equations.moments()
        assert relative(moments.mean, listed.mean) < 1e-12
        assert relative(equations.mean(), moments.mean) < 1e-13
        assert relative(moments.covariance, listed.covariance) < 1e-10


@pytest.mark.parametrize("name", ["opo", "reinforce_plus_plus"])
def test_what_is_claimed_of_large_batches(name):
    """Both are parallel to ∇J in the limit: the angle shrinks with G."""
    row = next(row for row in ESTIMATORS if row.name == name)
    mdp = lt.problems.sequences(2)
    softmax = random_softmax(mdp, 0)
    policy, exact = read_policy(mdp, softmax), exact_gradient(mdp, softmax)
    angles = []
    for size in (2, 4, 8):
        mean = enumerated(row, mdp, policy, settings(mdp, group_size=size)).mean
        angles.append(np.arccos(mean @ exact / np.linalg.norm(mean) / np.linalg.norm(exact)))
    assert angles[2] < 0.6 * angles[1] < 0.36 * angles[0]


def test_the_list_is_complete():
    mdp = random_tree(0)
    policy = read_policy(mdp, random_softmax(mdp, 0))
    row = next(row for row in ESTIMATORS if row.name == "rloo")
    rule = Rule(row, settings(mdp, group_size=3))
    listed = enumerate_groups(mdp, rule, policy, None, 100_000)
    assert len(listed.paths.valid) == TRAJECTORIES
    chances = listed.paths.chances(policy.probabilities)[listed.members].prod(axis=1)
    starts = mdp.start[listed.paths.states[listed.members[:, 0], 0]]
    np.testing.assert_allclose(np.sum(chances * starts * listed.orders), 1, rtol=1e-13)


def test_groups_counted_once_are_all_groups():
    """Multisets with their number of orders against all tuples."""
    mdp = lt.problems.sequences(2)
    policy = read_policy(mdp, random_softmax(mdp, 3))
    row = next(row for row in ESTIMATORS if row.name == "grpo")
    rule = Rule(row, settings(mdp, group_size=3))

    class Ordered(Rule):
        symmetric = False

    ordered = Ordered(row, rule.settings)
    few = enumerate_groups(mdp, rule, policy, None, 10_000)
    all_ = enumerate_groups(mdp, ordered, policy, None, 10_000)
    assert len(few.members) == 84
    assert len(all_.members) == 7**3
    one, other = few.moments(rule, policy, policy), all_.moments(ordered, policy, policy)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-12, atol=1e-15)
