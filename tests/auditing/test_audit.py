"""`lt.audit` on problems with known answers."""

import dataclasses
import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_estimators import masked, score_sum
from scipy import stats
from trees import random_softmax, random_tree

import logtrick as lt
from logtrick.auditing.significance import exceeds_sampling_error
from logtrick.errors import ConfigError
from logtrick.psi.registry import ESTIMATORS

ROWS = {row.name: row for row in ESTIMATORS}


def row(name, **choices):
    return dataclasses.replace(ROWS[name], **choices)


def remembered(function):
    """A function of the policy alone, computed once for each θ."""
    known = {}

    def gradient(policy, batch):
        theta = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(policy))
        if theta not in known:
            known[theta] = function(policy)
        return known[theta]

    return gradient


@pytest.fixture(scope="module")
def sequences():
    mdp = lt.problems.sequences(3)
    return mdp, lt.SoftmaxTable(mdp)


# The gates of the specification


def test_the_corridor():
    mdp = lt.problems.corridor()
    report = lt.audit("gae", mdp, lt.SoftmaxTable(mdp))
    assert report.method == "closed form"
    assert report.samples is None
    assert report.standard_error == 0
    np.testing.assert_allclose(report.mean.logits, [[2, -2]], rtol=1e-12)
    np.testing.assert_allclose(report.bias.logits, 0, atol=1e-12)
    assert report.gradient_of == "J discounted"
    assert report.cosine == pytest.approx(1)


@pytest.mark.parametrize(
    ("estimator", "scale", "cosine", "curl", "gradient_of"),
    [
        ("rloo", 1.0, 1.0, 0.0, "J discounted"),
        (row("dr_grpo", normaliser="sequence_sum"), 0.75, 1.0, 0.0, "0.75 × J discounted"),
        (row("dr_grpo", kl="none"), 0.25, 1.0, 0.0, "0.25 × J discounted"),
        (
            row("grpo", normaliser="sequence_sum", ratio="score"),
            1.4303, 1.0, 0.0, "another function",
        ),
        (
            row("rloo", normaliser="sequence_mean"),
            0.566092, 0.952621, 0.2112, "no function",
        ),
    ],
    ids=["rloo", "group mean", "dr_grpo", "group std", "1/length"],
)  # fmt: skip
def test_every_group_of_four_sequences(sequences, estimator, scale, cosine, curl, gradient_of):
    report = lt.audit(estimator, *sequences)
    assert report.method == "enumeration"
    assert report.scale == pytest.approx(scale, abs=5e-5)
    assert report.cosine == pytest.approx(cosine, abs=5e-7)
    assert report.curl == pytest.approx(curl, abs=5e-5)
    assert report.gradient_of == gradient_of


@eqx.filter_grad
def rloo_per_length(policy, batch):
    """Leave one out with 1/length, as a loss of JAX."""
    returns = jnp.sum(masked(batch), axis=1)
    weights = lt.psi.rloo(returns) / jnp.sum(batch.valid, axis=1)
    return score_sum(policy, batch, jnp.repeat(weights[:, None], batch.reward.shape[1], axis=1))


def test_somebody_elses_group_rule():
    mdp = lt.problems.sequences(2)
    policy = random_softmax(mdp, 0)
    report = lt.audit(rloo_per_length, mdp, policy, group_size=3)
    registered = lt.audit(row("rloo", normaliser="sequence_mean"), mdp, policy, group_size=3)
    np.testing.assert_allclose(report.flat.mean, registered.flat.mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(report.covariance, registered.covariance, rtol=1e-11, atol=1e-15)
    assert report.curl == pytest.approx(registered.curl, rel=1e-8)
    assert report.gradient_of == registered.gradient_of == "no function"


@pytest.mark.slow
def test_somebody_elses_group_rule_on_every_group_of_four(sequences):
    """The literals once more, all 15⁴ groups in every order."""
    report = lt.audit(rloo_per_length, *sequences, group_size=4)
    assert report.method == "enumeration"
    assert report.scale == pytest.approx(0.566092, abs=5e-7)
    assert report.cosine == pytest.approx(0.952621, abs=5e-7)
    assert report.curl == pytest.approx(0.2112, abs=5e-5)
    assert report.gradient_of == "no function"


class OneLogit(eqx.Module):
    """π(first of two) = σ(θ), in every state."""

    theta: jax.Array

    def __call__(self, obs):
        return lt.distributions.Categorical(jnp.stack([self.theta, jnp.zeros_like(self.theta)]))


@pytest.mark.parametrize("theta", [-1.0, 0.0, 2.0])
def test_the_fixture_that_opposes_both_objectives(theta):
    """G4: J1 +.25, J2 +6.5, the update without γ^t −.5, all times p(1 − p)."""
    mdp, policy = lt.problems.gamma_t_fixture(), OneLogit(jnp.asarray(theta))
    slope = float(jax.nn.sigmoid(theta) * jax.nn.sigmoid(-theta))
    kept = lt.audit("reward_to_go", mdp, policy)
    dropped = lt.audit("reward_to_go", mdp, policy, weighting="undiscounted")
    total = lt.audit("reward_to_go", mdp, policy, gamma=1.0)
    for report, expected in ((kept, 0.25), (dropped, -0.5), (total, 6.5)):
        assert float(report.mean.theta) / slope == pytest.approx(expected, rel=1e-5)
        assert np.isnan(report.curl)
    assert kept.gradient_of == "J discounted"
    assert total.gradient_of == "J total"
    assert dropped.gradient_of == "undecidable (one parameter)"
    assert dropped.cosine == -1


# Whose gradient


def test_without_gamma_t_it_is_no_gradient_and_with_gamma_one_that_of_the_total():
    mdp = random_tree(1)
    policy = random_softmax(mdp, 2)
    dropped = lt.audit("gae", mdp, policy, weighting="undiscounted")
    assert dropped.estimator == "gae_undiscounted"
    assert dropped.gradient_of == "no function"
    assert dropped.curl > 1e-3
    assert lt.audit("gae", mdp, policy, gamma=1.0).gradient_of == "J total"
    assert lt.audit("gae", mdp, policy).curl < 1e-9


def test_the_average_reward_is_recognised():
    """A function that returns ∇r̄ whatever it is shown."""
    mdp = lt.problems.two_state_loop()
    policy = lt.LinearPolicy(mdp, key=1)

    gradient = remembered(lambda p: lt.exact.policy_gradient(mdp, p, kind="average"))
    report = lt.audit(gradient, mdp, policy, horizon=2, batch_size=4)
    assert report.gradient_of == "J average"
    assert report.variance < 1e-15


def test_another_function_is_told_from_none(sequences):
    """With an imperfect critic GAE ascends nothing; the gradient of J² is that of a function."""
    mdp, policy = sequences
    policy = random_softmax(mdp, 1)

    @remembered
    def of_square(policy):
        j = lt.exact.objective(mdp, policy)
        return jax.tree.map(lambda leaf: 2 * j * leaf, lt.exact.policy_gradient(mdp, policy))

    assert lt.audit(of_square, mdp, policy, batch_size=4).gradient_of == "another function"
    critic = np.random.default_rng(0).normal(size=mdp.num_states)
    assert lt.audit("td_residual", mdp, policy, values=critic).gradient_of == "no function"


def test_nothing_at_all_is_nought_times_j(sequences):
    mdp, policy = sequences
    report = lt.audit(lambda p, batch: jax.tree.map(jnp.zeros_like, p), mdp, policy)
    assert report.gradient_of == "0 × J discounted"
    assert np.isnan(report.cosine)


# Policies


def test_a_table_of_probabilities():
    mdp = random_tree(4)
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(2), size=mdp.num_states)
    report = lt.audit("gae", mdp, table)
    evaluation = lt.exact.evaluate(mdp, table)
    np.testing.assert_allclose(
        report.mean, evaluation.visitation[:, None] * evaluation.advantages, atol=1e-13
    )
    assert report.gradient_of == "J discounted"
    assert report.curl < 1e-8

    def of_entries(table, batch):  # unconstrained derivatives ψ/π, projected by the audit
        to_go = lt.psi.reward_to_go(batch.reward, batch.terminated, batch.truncated, gamma=0.7)
        weights = jnp.where(batch.valid, 0.7**batch.step * to_go, 0.0)
        weights = weights / table[batch.obs, batch.action] / len(weights)
        return jnp.zeros_like(table).at[batch.obs, batch.action].add(weights)

    mdp = mdp.replace(observations=np.arange(5))
    foreign = lt.audit(of_entries, mdp, table)
    assert foreign.gradient_of == "J discounted"
    np.testing.assert_allclose(foreign.mean, report.mean, atol=1e-13)


def test_a_network_is_a_policy_like_another():
    mdp = random_tree(5)
    policy = lt.MLPPolicy(mdp, hidden=(3,), key=2)
    report = lt.audit("advantage", mdp, policy)
    exact = lt.exact.policy_gradient(mdp, policy)
    for one, other in zip(jax.tree.leaves(report.mean), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)
    assert report.gradient_of == "J discounted"
    assert lt.audit("q_value", mdp, policy, weighting="undiscounted").gradient_of == "no function"


def test_a_critic_may_be_a_function():
    mdp = random_tree(6)
    policy = random_softmax(mdp, 0)
    values = np.arange(mdp.num_observations, dtype=float)
    one = lt.audit("td_residual", mdp, policy, values=values[mdp.observations])
    other = lt.audit("td_residual", mdp, policy, values=lambda obs: values[obs])
    np.testing.assert_array_equal(one.flat.mean, other.flat.mean)
    assert one.settings["values"] == "given"


def test_off_policy_vtrace_is_biased():
    mdp = random_tree(7)
    policy, behaviour = random_softmax(mdp, 0), random_softmax(mdp, 1)
    on = lt.audit("vtrace", mdp, policy, method="enumeration", lambda_=0.5)
    np.testing.assert_allclose(
        on.flat.mean, lt.audit("gae", mdp, policy, lambda_=0.5).flat.mean, rtol=1e-12, atol=1e-14
    )
    off = lt.audit("vtrace", mdp, policy, behaviour=behaviour)
    assert off.method == "enumeration"
    assert off.bias_norm > 0.01 * np.linalg.norm(off.flat.gradient)


def test_the_kl_penalty_is_in_the_gradient(sequences):
    """RLOO with k1 in the reward: ∇(J − β KL), by the exact KL of every sequence."""
    mdp, _ = sequences
    policy, reference = random_softmax(mdp, 1), random_softmax(mdp, 2)
    plain = lt.audit("rloo", mdp, policy, group_size=2)
    beta = 0.3
    report = lt.audit(
        row("rloo", kl="k1_in_reward"), mdp, policy, reference=reference, beta=beta, group_size=2
    )
    from logtrick.auditing.paths import list_paths
    from logtrick.auditing.policies import read_policy

    read, other = read_policy(mdp, policy), read_policy(mdp, reference)
    paths = list_paths(mdp, read.probabilities, None, 100)
    log_ratio = np.log(read.probabilities / other.probabilities)[paths.pairs]
    ratios = np.where(paths.valid, log_ratio, 0.0).sum(axis=1)
    scores = np.where(paths.valid[..., None], read.scores[paths.pairs], 0.0).sum(axis=1)
    kl = (paths.chances(read.probabilities) * ratios) @ scores
    np.testing.assert_allclose(report.flat.mean, plain.flat.mean - beta * kl, atol=1e-13)


# The numbers of a report


def test_numbers_fit_one_another(sequences, tmp_path):
    report = lt.audit(row("rloo", normaliser="sequence_mean"), *sequences, batch_size=16)
    np.testing.assert_allclose(report.bias.logits, report.mean.logits - report.gradient.logits)
    assert report.variance == pytest.approx(report.spectrum.sum())
    assert report.mse() == pytest.approx(report.bias_norm**2 + report.variance / 16)
    assert report.mse(1) > report.mse(16) > report.mse(10**9)
    assert report.signal_to_noise(32) == pytest.approx(2 * report.signal_to_noise(16))
    mean, low, high = report.batch_cosine()
    assert low < mean < high < 1
    assert report.batch_cosine(10**9)[0] == pytest.approx(report.cosine, abs=1e-4)
    left = report.flat.mean - report.scale * report.flat.gradient
    assert report.residual == pytest.approx(np.sqrt(1 - report.cosine**2))
    assert abs(left @ report.flat.gradient) < 1e-12
    text = str(report)
    for word in ("no function", "enumeration: exact but for rounding", "0.2112", "nine batches"):
        assert word in text
    report.save(tmp_path / "report.json")
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["gradient_of"] == "no function"
    np.testing.assert_allclose(stored["mean"]["logits"], report.mean.logits)
    np.testing.assert_allclose(stored["covariance"], report.covariance)


@pytest.mark.parametrize("samples", [None, 2000])
def test_where_every_estimate_lies_on_the_line_of_the_gradient_its_side_is_told(samples):
    """The corridor has one observation: two logits, whose gradients are all c (1, −1)."""
    mdp = lt.problems.corridor()
    method = "auto" if samples is None else "sampling"
    policy = lt.SoftmaxTable(mdp)
    report = lt.audit("reward_to_go", mdp, policy, method=method, samples=samples)
    told = re.search(r"of 64 +on the line of ∇J, (\d+) % of batches point its way", str(report))
    expected = 100 * stats.norm.cdf(np.sqrt(report.signal_to_noise()))
    assert float(told[1]) == pytest.approx(expected, abs=3)


def test_json_knows_no_nan():
    mdp = lt.problems.corridor()
    report = lt.audit("gae", mdp, lt.SoftmaxTable(mdp))
    assert np.isnan(report.curl)
    assert json.loads(report.to_json())["curl"] is None


@pytest.mark.parametrize("estimator", ["gae", "rloo"])
def test_batches_are_drawn_from_what_the_report_says(estimator):
    mdp = lt.problems.sequences(2)
    report = lt.audit(estimator, mdp, random_softmax(mdp, 0), method="auto")
    drawn = report.draw(batches=2000, batch_size=16)
    assert drawn.shape == (2000, 9)
    covariance = report.covariance / 16
    assert not exceeds_sampling_error(drawn.mean(axis=0) - report.flat.mean, covariance / 2000)
    assert np.trace(np.cov(drawn.T)) == pytest.approx(np.trace(covariance), rel=0.1)


def test_the_plot(tmp_path):
    for name, mdp in (("a", lt.problems.sequences(2)), ("b", lt.problems.gamma_t_fixture())):
        policy = OneLogit(jnp.zeros(())) if name == "b" else lt.SoftmaxTable(mdp)
        path = tmp_path / f"{name}.{'png' if name == 'a' else 'svg'}"
        lt.audit("gae", mdp, policy).plot(path)
        assert path.stat().st_size > 5000
    with pytest.raises(ConfigError, match="a figure is a"):
        lt.audit("gae", mdp, policy).plot(tmp_path / "a.bmp")
