"""What is 0 but for rounding is called 0, whatever its digits say."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_estimators import masked, score_sum
from trees import random_softmax, random_tree

import logtrick as lt
from logtrick.auditing import survey
from logtrick.auditing.significance import exceeds_sampling_error
from logtrick.auditing.verdict import ROUNDED, ZERO
from logtrick.exact.derivation import derive


def paying(mdp, reward):
    """The same MDP where every step pays the same."""
    return mdp.replace(rewards=np.full_like(mdp.rewards, reward))


@pytest.mark.parametrize("name", ["random_walk(5)", "random_walk(31)", "sequences(2)", "chain"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_a_baselined_return_of_nothing_has_the_zero_gradient(name, scale):
    """Σ_t γ^t (0 − V(s_t)) ∇log π has the mean 0 for every V, and a variance."""
    mdp = paying(lt.problems.make(name), 0.0)
    values = scale * np.random.default_rng(3).normal(size=mdp.num_states)
    report = lt.audit("baselined_return", mdp, random_softmax(mdp, 0), values=values)
    assert report.gradient_of == ZERO
    assert report.variance > 0
    assert np.isnan([report.curl, report.cosine, report.scale, report.residual]).all()
    assert "none: ∇J is 0" in str(report)
    assert "nan" not in str(report)


def test_a_gradient_that_cancels_is_zero_too():
    """All actions pay 0.1 for ever: V = 0.1/(1 − γ) everywhere, and no action is better."""
    mdp = paying(lt.problems.make("garnet(5, 2, 2, gamma=0.9)"), 0.1)
    policy = random_softmax(mdp, 0)
    for name in ("advantage", "gae", "q_value", "td_residual"):
        report = lt.audit(name, mdp, policy)
        assert report.gradient_of == ZERO, name
        assert np.isnan(report.cosine)


def test_nothing_where_there_is_something_to_ascend():
    """The mean is 0 and ∇J is not: the multiple is 0, and its curl 0/0."""
    mdp = random_tree(1)
    policy = random_softmax(mdp, 0)
    report = lt.audit(lambda p, batch: jax.tree.map(jnp.zeros_like, p), mdp, policy)
    assert report.gradient_of == "0 × J discounted"
    assert np.isnan(report.curl)
    assert "the mean is 0" in str(report)
    assert np.isnan(report.signal_to_noise())


def test_an_update_that_is_not_zero_on_zero_rewards_is_judged():
    """One TD residual with a wrong critic is biased, and its curl is no rounding."""
    mdp = paying(random_tree(1), 0.0)
    values = np.random.default_rng(0).normal(size=mdp.num_states)
    report = lt.audit("td_residual", mdp, random_softmax(mdp, 0), values=values)
    assert report.gradient_of == "no function"
    assert report.curl > 1e-3


def test_where_rounding_hides_the_update_nothing_is_decided():
    """A critic of 1e13 leaves three digits of a mean of about 1 in float64."""
    mdp = random_tree(1)
    report = lt.audit(
        "baselined_return", mdp, random_softmax(mdp, 0), values=np.full(mdp.num_states, 1e13)
    )
    assert report.gradient_of == ROUNDED


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_the_verdict_has_no_unit(size):
    mdp = random_tree(1)
    mdp = mdp.replace(rewards=size * mdp.rewards)
    policy = random_softmax(mdp, 2)
    assert lt.audit("gae", mdp, policy).gradient_of == "J discounted"
    dropped = lt.audit("gae", mdp, policy, weighting="undiscounted")
    assert dropped.gradient_of == "no function"
    assert dropped.curl == pytest.approx(0.0449, abs=0.05)


def test_returns_less_their_mean_in_any_order():
    """Σ_i (R_i − mean R) is rounding, and rounding depends on the order of the trajectories."""

    def centred(policy, batch):
        returns = jnp.sum(masked(batch), axis=1)
        return jax.tree.map(lambda x: x * 0 + jnp.sum(returns - jnp.mean(returns)), policy)

    mdp = random_tree(0)
    policy = random_softmax(mdp, 0)
    report = lt.audit(centred, mdp, policy, samples=1 << 10, method="sampling")
    assert report.bias_is_significant
    enumerated = lt.audit(centred, mdp, policy, batch_size=2)
    assert enumerated.gradient_of == "0 × J discounted"


def test_a_constant_estimate_errs_by_rounding_alone():
    """What returns ∇J whatever it sees has no variance, and no bias either."""
    mdp = random_tree(2)
    policy = random_softmax(mdp, 1)
    exact = lt.exact.policy_gradient(mdp, policy)

    def knows(policy, batch):
        shifted = jax.tree.map(lambda leaf: jnp.asarray(leaf) * (1 + 1e-15), exact)
        return jax.tree.map(lambda leaf, like: leaf + 0 * like, shifted, policy)

    report = lt.audit(knows, mdp, policy, method="sampling", samples=1 << 10)
    assert not report.bias_is_significant
    assert report.gradient_of == "undecided (sampled; consistent with J discounted)"
    assert np.isnan(report.detectable_bias)
    assert "says nothing of rarer ones" in str(report)
    assert not exceeds_sampling_error(np.array([1e-17]), np.zeros((1, 1)), 1e-12)
    assert exceeds_sampling_error(np.array([1e-11]), np.zeros((1, 1)), 1e-12)


def test_the_survey_takes_a_zero_gradient_for_what_it_is(monkeypatch):
    monkeypatch.setattr(survey.problems, "make", lambda _: paying(lt.problems.sequences(1), 0.0))
    cells = list(survey.survey(["no rewards"]))
    assert {cell.measured for cell in cells if cell.critic == "V_π"} == {ZERO}
    wrong = [cell for cell in cells if cell.estimator == "baselined_return"]
    assert [cell.measured for cell in wrong] == [ZERO, ZERO]
    assert all(cell.agrees for cell in cells), [c for c in cells if not c.agrees]
    assert "J = 0" in survey.page(cells)


@pytest.mark.parametrize("reading", ["start", "stationary", "average"])
@pytest.mark.parametrize("reward", [0.0, 0.1])
def test_a_derivation_of_nothing_has_no_angles(reading, reward):
    mdp = paying(lt.problems.make("garnet(4, 2, 2, gamma=0.9)"), reward)
    found = derive(mdp, random_softmax(mdp, 0), reading=reading)
    assert np.isnan([line.angle for line in found.lines]).all()
    assert [line.residual for line in found.lines] == [0.0] * 7
    assert all(identity.residual < 1e-9 for identity in found.identities)


def test_a_derivation_of_something_small_has_angles():
    mdp = lt.problems.make("garnet(4, 2, 2, gamma=0.9)")
    policy = random_softmax(mdp, 0)
    small = mdp.replace(rewards=1e-12 * mdp.rewards)
    one, other = (derive(m, policy, reading="stationary") for m in (mdp, small))
    angles = [[line.angle for line in found.lines] for found in (one, other)]
    np.testing.assert_allclose(*angles, rtol=1e-6, atol=1e-6)
    assert angles[0][1] > 0.01


def test_rounding_of_single_precision_is_no_curl():
    """Leave one out in float32: every estimate errs by 1e-7 of itself, the mean by more."""

    @eqx.filter_grad
    def in_float32(policy, batch):
        policy = jax.tree.map(lambda x: x.astype(jnp.float32), policy)
        returns = jnp.sum(masked(batch), axis=1).astype(jnp.float32)
        weights = jnp.broadcast_to(lt.psi.rloo(returns)[:, None], batch.reward.shape)
        return score_sum(policy, batch, weights + 0.0)

    mdp = lt.problems.sequences(1, task="parity")
    report = lt.audit(in_float32, mdp, random_softmax(mdp, 0), group_size=2)
    assert report.gradient_of == "J discounted"
