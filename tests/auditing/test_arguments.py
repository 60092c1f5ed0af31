"""Every argument of `lt.audit`, and every field of a row, is used or refused by its name."""

import dataclasses
import inspect

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from own_estimators import masked, score_sum
from trees import random_softmax, random_tree

import logtrick as lt
from logtrick.auditing import arguments
from logtrick.auditing.settings import Settings
from logtrick.auditing.verdict import Judge, Verdict
from logtrick.errors import ConfigError, EstimatorError
from logtrick.psi.registry import CHOICES, ESTIMATORS

ROWS = {row.name: row for row in ESTIMATORS}
MDP = random_tree(3)
POLICY, OTHER, THIRD, FOURTH = (random_softmax(MDP, seed) for seed in (4, 5, 6, 7))
GROUPS = [
    row.name for row in ESTIMATORS if row.weighting == "undiscounted" and "_un" not in row.name
]

CHANGED = {
    "values": np.arange(5.0),
    "gamma": 0.4,
    "lambda_": 0.3,
    "weighting": "discounted",
    "horizon": 2,
    "batch_size": 7,
    "key": 1,
    "method": "sampling",
    "samples": 100,
    "group_size": 3,
    "n": 1,
    "ddof": 0,
    "epsilon": 0.5,
    "epsilon_low": 0.01,
    "epsilon_high": 0.01,
    "beta": 2.0,
    "max_length": 7,
    "reference": OTHER,
    "behaviour": OTHER,
}
"""Every argument, each with a value that is not its default."""


FEW = ("gae", "rloo", "grpo", "reinforce_plus_plus")
"""One of each kind of row; a commit asks these, and `-m slow` all others too."""


def each(names):
    """Parameters: those of `FEW`, and the others marked as slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=() if name in FEW else slow) for name in names]


@pytest.fixture(autouse=True)
def _without_verdicts(monkeypatch):
    """They take most of the time, and are about the same means."""
    monkeypatch.setattr(Judge, "decide", lambda *_: Verdict("not asked", float("nan")))


def outcome(estimator, **told):
    """The report of an audit; the message where it is refused."""
    told = {"group_size": 2} | told if estimator in GROUPS else told
    try:
        return lt.audit(estimator, MDP, POLICY, **told)
    except ConfigError as error:
        return str(error)


def differ(one, other):
    """Whether any number does; batches are drawn only where nothing else does."""
    return (
        not np.array_equal(one.flat.mean, other.flat.mean)
        or not np.array_equal(one.covariance, other.covariance)
        or one.mse() != other.mse()
        or not np.array_equal(*(r.draw(batches=5, batch_size=4) for r in (one, other)))
    )


def test_no_argument_was_forgotten():
    named = set(inspect.signature(lt.audit).parameters) - {"estimator", "mdp", "policy", "settings"}
    assert set(CHANGED) == named | set(Settings.__dataclass_fields__)


def contexts(row):
    """On-policy; off-policy, with a KL where there is one; and sampled."""
    reference = {"reference": FOURTH} if row.kl != "none" else {}
    return {}, {"behaviour": THIRD} | reference, {"method": "sampling", "samples": 64}


@pytest.mark.parametrize("name", each(ROWS))
def test_each_changes_the_numbers_or_is_refused(name):
    used = set()
    for context in contexts(ROWS[name]):
        before = outcome(name, **context)
        sampled = "method" in context
        for argument, value in CHANGED.items():
            if sampled and argument not in ("samples", "key"):
                continue
            if argument == "ddof":
                value = 1 - (ROWS[name].setting("ddof") or 0)
            more = {"samples": 64} if argument == "method" else {}
            after = outcome(name, **context | {argument: value} | more)
            if isinstance(after, str):
                assert argument in after
                continue
            used.add(argument)
            said_by_name = argument == "weighting" and value == ROWS[name].weighting
            assert said_by_name or differ(before, after), (argument, context)
            if argument in arguments.ORDER:
                assert argument in after.settings, (argument, context)
    assert {"gamma", "horizon", "batch_size", "key", "samples", "method", "behaviour"} <= used
    assert ("lambda_" in used) == (ROWS[name].psi in ("gae", "vtrace"))
    assert ("group_size" in used) == (name in GROUPS)
    assert ("beta" in used) == ("reference" in used) == (ROWS[name].kl != "none")


def replaced_outcome(row):
    group = row.psi in {ROWS[name].psi for name in GROUPS}  # which "rubbish" is not
    told = {"group_size": 2} if group else {}
    told |= {"reference": OTHER} if group and row.kl in KLS else {}
    return outcome(row, behaviour=THIRD, **told)


KLS = {choice.name for choice in CHOICES if choice.axis == "kl"} - {"none"}


@pytest.mark.parametrize("name", each(sorted({*GROUPS, "total_return", "gae"})))
def test_each_field_of_a_row_changes_the_numbers_or_is_refused(name):
    row = ROWS[name]
    before = replaced_outcome(row)
    for axis in arguments.AXES:
        choices = [choice.name for choice in CHOICES if choice.axis == axis]
        for choice in {*choices, "rubbish"} - {getattr(row, axis)}:
            after = replaced_outcome(dataclasses.replace(row, **{axis: choice}))
            if isinstance(after, str):
                # A ψ of another kind may be refused for what else it has no place for.
                assert axis in after or axis == "psi"
                assert choice != "rubbish" or "'rubbish'" in after
            else:
                assert choice != "rubbish"
                assert differ(before, after), (axis, choice)


@pytest.mark.parametrize(
    ("estimator", "told", "message"),
    [
        (dataclasses.replace(ROWS["gae"], ratio="rubbish"), {}, "no ratio is called 'rubbish'"),
        (
            dataclasses.replace(ROWS["gae"], normaliser="token_mean"),
            {},
            "normaliser = 'token_mean'",
        ),
        (dataclasses.replace(ROWS["gae"], kl="k3_in_loss"), {}, "kl = 'k3_in_loss'"),
        (dataclasses.replace(ROWS["rloo"], kl="k3_in_loss"), {}, "give reference="),
        ("rloo", {"epsilon": 1e6}, "epsilon has no effect on rloo: it has no std"),
        ("gae", {"ddof": 1}, "ddof has no effect"),
        (
            dataclasses.replace(ROWS["dapo"], settings=(("epsilon_hihg", 0.3),)),
            {},
            "no 'epsilon_hihg'. Did you mean epsilon_high",
        ),
        ("rloo", {"reference": POLICY}, "reference has no effect on rloo: its kl is 'none'"),
        ("grpo", {"beta": 0.1}, "beta has no effect on grpo: without reference="),
        ("grpo", {"epsilon_low": 0.1}, "on-policy every ratio is 1"),
        ("gae_undiscounted", {"weighting": "discounted"}, "says itself 'undiscounted'"),
        (ROWS["gae"], {"weighting": "undiscounted"}, "says itself 'discounted'"),
        ("gae", {"samples": 10}, "samples has no effect .* closed form is exact"),
    ],
)
def test_the_message_says_why(estimator, told, message):
    with pytest.raises(ConfigError, match=message):
        lt.audit(estimator, MDP, POLICY, **told)


@eqx.filter_grad
def returns(policy, batch):
    return score_sum(policy, batch, jnp.sum(masked(batch), axis=1, keepdims=True))


@pytest.mark.parametrize("argument", CHANGED)
def test_a_function_is_told_nothing_that_it_does_not_get(argument):
    before = outcome(returns)
    more = {"samples": 64} if argument == "method" else {}
    after = outcome(returns, **{argument: CHANGED[argument]} | more)
    if argument not in ("horizon", "group_size", "behaviour", "batch_size", "key", "method"):
        assert f"{argument} has no effect on" in after
    elif argument == "group_size":  # a mean over trajectories is that of any group
        assert after.settings[argument] == 3
    else:
        assert differ(before, after)


def test_what_is_left_out_is_said():
    """GRPO's KL needs a reference, and a report without one says that there was none."""
    report = lt.audit("grpo", MDP, POLICY, group_size=2)
    assert report.settings["kl"] == "left out (no reference)"
    assert "beta" not in report.settings
    report = lt.audit("grpo", MDP, POLICY, group_size=2, reference=OTHER, behaviour=THIRD)
    assert "kl" not in report.settings
    assert {"beta", "epsilon_low", "reference", "behaviour", "ddof"} <= set(report.settings)
    assert "key" in lt.audit("gae", MDP, POLICY, method="sampling", samples=9).settings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mdp": "frozen_lake"}, r"mdp is a str, .* logtrick\.problems\.make"),
        ({"mdp": POLICY, "policy": MDP}, r"the order is audit\(estimator, mdp, policy\)"),
        ({"estimator": MDP, "mdp": POLICY, "policy": "gae"}, "the order is audit"),
        ({"estimator": POLICY, "policy": "gae"}, "policy is a str: .* the order is audit"),
        ({"policy": None}, "policy is a NoneType"),
        ({"estimator": "rloo", "group_size": 2.0}, r"group_size = 2\.0; it must be a whole number"),
        ({"estimator": "rloo", "group_size": True}, "group_size = True"),
        ({"horizon": "3"}, "horizon = '3'"),
        ({"gamma": "a"}, "gamma = 'a'"),
        ({"gamma": np.nan}, "gamma = nan"),
        ({"lambda_": [1]}, r"lambda_ = \[1\]"),
        ({"estimator": "grpo", "epsilon": np.inf}, "epsilon = inf"),
        ({"estimator": "grpo", "ddof": 5}, "ddof = 5"),
        ({"estimator": "n_step", "n": 1.5}, r"n = 1\.5"),
        ({"behaviour": "gae"}, "str is no policy"),
    ],
)
def test_another_type_or_order_is_told_in_words(changed, message):
    with pytest.raises(ConfigError, match=message):
        lt.audit(**{"estimator": "gae", "mdp": MDP, "policy": POLICY, **changed})


def test_values_that_are_no_numbers():
    with pytest.raises(lt.errors.ShapeError, match="values are no numbers"):
        lt.audit("gae", MDP, POLICY, values="abc")
    with pytest.raises(lt.errors.ShapeError, match="values are no numbers"):
        lt.audit("gae", MDP, POLICY, values=lambda obs: None)


def test_numbers_of_numpy_are_numbers():
    report = lt.audit("rloo", MDP, POLICY, group_size=np.int64(2), gamma=np.float32(0.5))
    assert '"group_size": 2' in report.to_json()


# Who acts needs no score


BANDIT = lt.FiniteMDP.from_outcomes([[[(1.0, 0, 1.0, True)], [(1.0, 0, 3.0, True)]]], gamma=0.9)
HALF = lt.SoftmaxTable(BANDIT)


@pytest.mark.parametrize(
    "behaviour",
    [
        np.array([[1.0, 0.0]]),
        np.array([0]),
        lambda obs: lt.distributions.Categorical(jnp.array([0.0, -jnp.inf])),
    ],
    ids=["table", "actions", "function"],
)
def test_an_actor_may_leave_actions_out(behaviour):
    """It always takes action 0, which pays 1, and whose score is (1/2, −1/2)."""
    told = {"behaviour": behaviour}
    report = lt.audit("reward_to_go", BANDIT, HALF, **told)
    np.testing.assert_allclose(report.mean.logits, [[0.5, -0.5]], rtol=1e-12)
    assert report.variance == pytest.approx(0, abs=1e-15)
    # V-trace weighs it by π/μ = 1/2.
    report = lt.audit("vtrace", BANDIT, HALF, values=[0.0], **told)
    np.testing.assert_allclose(report.mean.logits, [[0.25, -0.25]], rtol=1e-12)
    # So does an importance ratio: R less the mean of the group is 0, since all get the same.
    row = dataclasses.replace(ROWS["rloo"], ratio="importance", psi="remax")
    report = lt.audit(row, BANDIT, HALF, group_size=1, **told)
    assert report.bias_norm == pytest.approx(np.linalg.norm(report.flat.gradient))
    report = lt.audit(returns, BANDIT, HALF, **told)
    np.testing.assert_allclose(report.mean.logits, [[0.5, -0.5]], rtol=1e-12)
    sampled = lt.audit("gae", BANDIT, HALF, method="sampling", samples=64, **told)
    assert np.isfinite(sampled.flat.mean).all()


def test_a_reference_without_an_action_has_an_infinite_kl():
    row = dataclasses.replace(ROWS["rloo"], kl="k1_in_reward")
    with pytest.raises(
        EstimatorError, match=r"action 1 was sampled, but the reference .* infinite"
    ):
        lt.audit(row, BANDIT, HALF, reference=np.array([[1.0, 0.0]]))


def test_a_zero_in_a_row_that_is_padding_is_no_infinity():
    """Pair 0 fills what follows an end; whoever acts may never take it."""
    acts = np.array([[0.0, 1.0]] * 5)
    for name in ("gae", "vtrace", "rloo", "grpo"):
        told = {"group_size": 2} if name in GROUPS else {}
        report = lt.audit(name, MDP, POLICY, behaviour=acts, **told)
        assert np.isfinite(report.flat.mean).all()
        assert np.isfinite(report.covariance).all()
