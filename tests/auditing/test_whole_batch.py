"""Whitening over a whole batch, its prompts drawn independently: against plain NumPy.

Two prompts, one token of two; the reward is 1 or 10 for the same token. A batch of N is known by
how often each of the four (prompt, token) comes in it, so all batches can be listed for any N.
"""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from logtrick.auditing.enumeration import enumerate_groups
from logtrick.auditing.policies import read_policy
from logtrick.auditing.rules import Rule
from logtrick.auditing.settings import Settings
from logtrick.auditing.significance import exceeds_sampling_error
from logtrick.mdp.problems import SequenceTask
from logtrick.psi.registry import ESTIMATORS

LOGITS = np.array([[0.3, 0.0], [-0.2, 0.0]])
REWARDS = np.array([1.0, 0.0, 10.0, 0.0])
TASK = SequenceTask(
    vocabulary=2,
    eos=1,
    limit=1,
    prompts=((0,), (1,)),
    reward=lambda prompt, answer: (10.0 if prompt == (1,) else 1.0) * (answer == (0,)),
)


def listed(size):
    """(mean of the whitened update [4], ∇J [4])."""
    odds = np.exp(LOGITS)
    pi = odds / odds.sum(axis=1, keepdims=True)
    scores = np.zeros((4, 2, 2))
    for prompt in range(2):
        for token in range(2):
            scores[2 * prompt + token, prompt] = np.eye(2)[token] - pi[prompt]
    scores, chances = scores.reshape(4, 4), pi.ravel() / 2
    counts = np.array(
        [
            (a, b, c, size - a - b - c)
            for a in range(size + 1)
            for b in range(size + 1 - a)
            for c in range(size + 1 - a - b)
        ],
        float,
    )
    factorials = np.array([math.lgamma(k + 1) for k in range(size + 1)])
    log_chance = factorials[size] - factorials[counts.astype(int)].sum(1) + counts @ np.log(chances)
    mean = counts @ REWARDS / size
    centred = REWARDS - mean[:, None]
    std = np.sqrt(np.sum(counts * centred**2, axis=1) / size)
    psi = np.where(std[:, None] > 0, centred / (std[:, None] + 1e-8), 0)
    each = (counts * psi) @ scores / size
    return np.exp(log_chance) @ each, (chances * REWARDS) @ scores


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.fixture(scope="module")
def problem():
    mdp = TASK.mdp()
    return mdp, lt.SoftmaxTable(mdp, logits=jnp.array(LOGITS))


def test_the_numbers_of_the_enumeration():
    assert cosine(*listed(8)) == pytest.approx(0.992867, abs=5e-7)
    assert cosine(*listed(128)) == pytest.approx(0.9999997, abs=5e-8)


@pytest.mark.parametrize("size", [2, 8])
def test_the_audit_lists_the_same_batches(problem, size):
    report = lt.audit("reinforce_plus_plus", *problem, group_size=size)
    mean, exact = listed(size)
    assert report.method == "enumeration"
    # The logits are float32, hence the chances.
    np.testing.assert_allclose(report.flat.mean, mean, rtol=0, atol=2e-7)
    assert report.cosine == pytest.approx(cosine(mean, exact), abs=5e-7)


def test_a_large_batch_is_sampled_by_the_same_law(problem):
    report = lt.audit("reinforce_plus_plus", *problem, group_size=128)
    assert report.method == "sampling"
    difference = report.flat.mean - listed(128)[0]
    assert not exceeds_sampling_error(difference, report.flat.covariance / report.samples)
    assert report.cosine > 0.9999


def test_other_group_rules_share_a_prompt():
    own = {row.name for row in ESTIMATORS if not Rule(row, Settings(gamma=1.0)).same_start}
    assert own == {"reinforce_plus_plus"}


def test_groups_of_hundreds_can_be_listed(problem):
    """200! is beyond float64, and the number of orders of each group is not."""
    policy = read_policy(*problem)
    (row,) = (row for row in ESTIMATORS if row.name == "rloo")
    rule = Rule(row, Settings(gamma=1.0, group_size=200))
    mean = enumerate_groups(problem[0], rule, policy, None, 1000).mean(rule, policy, policy)
    np.testing.assert_allclose(mean, listed(1)[1], rtol=0, atol=2e-7)
