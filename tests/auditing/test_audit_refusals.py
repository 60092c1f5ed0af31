"""What `lt.audit` refuses: settings, policies, and estimators that break the contract."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_estimators import masked, score_sum
from trees import random_softmax, random_tree

import logtrick as lt
from logtrick.errors import ConfigError, EstimatorError, MDPError, ShapeError


@pytest.mark.parametrize(
    ("told", "error", "message"),
    [
        ({"estimator": "gea"}, ConfigError, "Did you mean gae"),
        ({"estimator": 3}, ConfigError, "this is a int"),
        ({"method": "guess"}, ConfigError, "method = 'guess'"),
        ({"weighting": "both"}, ConfigError, "weighting = 'both'"),
        ({"lambda_": 1.5}, ConfigError, r"lambda_ = 1\.5"),
        ({"lamda": 1.0}, ConfigError, "no setting 'lamda'. Did you mean lambda_"),
        ({"batch_size": 0}, ConfigError, "batch_size=0"),
        ({"samples": 1}, ConfigError, "samples=1"),
        ({"values": np.zeros(2)}, ShapeError, "one number for each of 7 states"),
        ({"values": np.full(7, np.nan)}, ShapeError, "value of state 0 is not finite"),
        ({"estimator": "rloo", "group_size": 1}, ConfigError, "nothing to compare"),
        ({"estimator": "rloo", "group_size": 0}, ConfigError, "group_size = 0"),
        ({"estimator": "rloo", "method": "closed form"}, ConfigError, "no closed form"),
        (
            {"estimator": "rloo", "group_size": 40, "method": "enumeration"},
            ConfigError,
            "more than 40,000 groups of 40 trajectories",
        ),
        ({"policy": np.eye(3)[np.zeros(7, int)]}, EstimatorError, "state 0, action 1: the table"),
        ({"policy": np.full((7, 3), 0.5)}, MDPError, "sums to"),
    ],
)
def test_what_cannot_be_meant(told, error, message):
    mdp = lt.problems.sequences(3)
    policy = lt.SoftmaxTable(mdp)
    with pytest.raises(error, match=message):
        lt.audit(**{"estimator": "gae", "mdp": mdp, "policy": policy, **told})


def test_group_rules_want_episodes():
    for_ever = lt.problems.two_state_loop()
    policy = lt.SoftmaxTable(for_ever)
    with pytest.raises(EstimatorError, match="no episode ends, and rloo"):
        lt.audit("rloo", for_ever, policy)
    walk = lt.problems.random_walk(5)
    with pytest.raises(EstimatorError, match="no episode ends within horizon = 2"):
        lt.audit("grpo", walk, lt.SoftmaxTable(walk), horizon=2)
    with pytest.raises(ConfigError, match="divides by L_max"):
        lt.audit("dr_grpo", walk, lt.SoftmaxTable(walk))
    with pytest.raises(EstimatorError, match="infinite"):
        lt.audit("gae", for_ever, policy, weighting="undiscounted")


def test_an_action_without_a_score():
    mdp = random_tree(0)
    logits = np.zeros((4, 2), np.float32)
    logits[0, 1] = -np.inf
    policy = lt.SoftmaxTable(mdp, logits=logits)
    with pytest.raises(EstimatorError, match="state 0, action 1 was sampled"):
        lt.audit("vtrace", mdp, policy, behaviour=lt.SoftmaxTable(mdp))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (lambda p, b: p.logits, r"returned array \[4, 2\]; a gradient .* .logits \[4, 2\]"),
        (lambda p, b: lt.SoftmaxTable(3, 2), r"returned .logits \[3, 2\]"),
        (lambda p, b: None, "returned NoneType"),
        (lambda p, b: jax.tree.map(lambda x: x * jnp.nan, p), "is nan in parameter 0 of 8"),
        (lambda p, b: b.nothing, "failed on trajectories .*AttributeError"),
        (
            eqx.filter_grad(lambda p, b: score_sum(p, b, jnp.cumsum(b.reward, axis=1))),
            None,  # what stands before the end is valid: this one is only biased
        ),
        (
            eqx.filter_grad(lambda p, b: score_sum(p, b, b.reward + b.reward.sum())),
            "rows that are not valid",
        ),
        (
            eqx.filter_grad(
                lambda p, b: score_sum(p, b, masked(b) + jnp.roll(masked(b), 1, axis=0)[:, :1])
            ),
            "the order of the trajectories",
        ),
    ],
)
def test_estimators_that_break_the_contract(estimator, message):
    mdp = random_tree(0)
    policy = random_softmax(mdp, 0)
    if message is None:
        assert lt.audit(estimator, mdp, policy).gradient_of == "no function"
        return
    with pytest.raises(EstimatorError, match=message):
        lt.audit(estimator, mdp, policy)


def test_an_estimator_with_its_own_dice_is_named():
    mdp = random_tree(0)
    rng = np.random.default_rng(0)

    def noisy(policy, batch):
        return jax.tree.map(lambda leaf: np.asarray(leaf) + rng.normal(), policy)

    with pytest.raises(EstimatorError, match="two calls on the same trajectories differ"):
        lt.audit(noisy, mdp, random_softmax(mdp, 0), batch_size=4)


def test_the_padded_length_must_not_matter_unless_it_is_fixed():
    mdp = lt.problems.random_walk(5)
    policy = lt.SoftmaxTable(mdp)

    def by_rows(policy, batch):
        return jax.tree.map(lambda x: x / batch.reward.shape[1], score(policy, batch))

    score = eqx.filter_grad(lambda p, b: score_sum(p, b, masked(b)))
    with pytest.raises(EstimatorError, match="depends on T, the padded length"):
        lt.audit(by_rows, mdp, policy, samples=64)
    report = lt.audit(by_rows, mdp, policy, horizon=4)
    whole = lt.audit(score, mdp, policy, horizon=4)
    np.testing.assert_allclose(report.flat.mean, whole.flat.mean / 4, rtol=1e-12)
