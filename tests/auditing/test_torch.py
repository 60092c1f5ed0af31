"""Torch modules under audit: the adapter against the same things in JAX, and real losses."""

import importlib.util
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from logtrick.auditing.policies import read_policy
from logtrick.auditing.torch_policy import TorchPolicy, from_torch
from logtrick.errors import ConfigError, EstimatorError, ShapeError

torch = pytest.importorskip("torch", reason="an optional extra")
pytestmark = pytest.mark.torch

MDP = lt.problems.sequences(2, gamma=0.5)
LOGITS = np.random.default_rng(0).normal(size=(3, 3))
EXAMPLES = Path(__file__).parents[2] / "examples"


class Table(torch.nn.Module):
    """A table of logits and a critic that π does not depend on."""

    def __init__(self, logits=LOGITS):
        super().__init__()
        self.critic = torch.nn.Linear(1, 1)
        self.logits = torch.nn.Parameter(torch.tensor(logits, dtype=torch.float32))

    def forward(self, states):
        return self.logits[states]


class ThroughFloat32(torch.nn.Module):
    """As many do: observations become float32 whatever the weights are."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor(LOGITS.T))

    def forward(self, states):
        return self.layer(torch.nn.functional.one_hot(states, 3).float())


def reinforce(module, t, weight=0.5):
    log_pi = module(t.obs).log_softmax(-1).gather(-1, t.action[..., None])[..., 0]
    rewards = torch.where(t.valid, t.reward, 0.0)
    discounted = 0.5**t.step * rewards
    to_go = discounted.flip(-1).cumsum(-1).flip(-1) / 0.5**t.step
    return -(weight**t.step * to_go * log_pi * t.valid).sum(-1).mean()


def without_gamma(module, t):
    return reinforce(module, t, weight=1.0)


def in_jax():
    return lt.SoftmaxTable(MDP, logits=jnp.asarray(np.float32(LOGITS)))


@pytest.mark.parametrize("module", [Table(), ThroughFloat32()], ids=["table", "float32 inside"])
def test_probabilities_and_scores_are_those_of_the_same_table_in_jax(module):
    ours, theirs = read_policy(MDP, in_jax()), TorchPolicy(MDP, module)
    turned = theirs.names == ["layer.weight"]
    scores = theirs.scores.reshape(-1, 3, 3)
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, rtol=0, atol=1e-15)
    flat = (scores.transpose(0, 2, 1) if turned else scores).reshape(-1, 9)
    np.testing.assert_allclose(flat, ours.scores, rtol=0, atol=1e-15)
    assert theirs.theta.dtype == np.float64
    assert module.state_dict()[theirs.names[0]].dtype == torch.float32  # theirs is a copy


def test_a_torch_loss_is_measured_like_the_registered_estimator():
    policy, estimator = from_torch(MDP, Table(), reinforce)
    report = lt.audit(estimator, MDP, policy)
    expected = lt.audit("reward_to_go", MDP, in_jax())
    assert policy.names == ["logits"]  # the critic's parameters have no part in J
    assert report.method == "enumeration"
    assert report.gradient_of == expected.gradient_of == "J discounted"
    assert report.estimator == "reinforce"
    np.testing.assert_allclose(report.mean["logits"], expected.mean.logits, rtol=0, atol=1e-14)
    np.testing.assert_allclose(report.covariance, expected.covariance, rtol=0, atol=1e-14)


def test_a_dropped_gamma_is_found_in_a_torch_loss():
    policy, estimator = from_torch(MDP, Table(), without_gamma)
    report = lt.audit(estimator, MDP, policy)
    expected = lt.audit("reward_to_go_undiscounted", MDP, in_jax())
    assert report.gradient_of == expected.gradient_of == "no function"
    assert report.curl == pytest.approx(expected.curl, rel=1e-5)


def test_a_policy_elsewhere_is_another_module():
    policy = TorchPolicy(MDP, Table())
    there = policy.at(policy.theta + 1.0 * (np.arange(9) == 4))
    assert there.probabilities[4] > policy.probabilities[4]
    np.testing.assert_array_equal(policy.at(policy.theta).probabilities, policy.probabilities)
    np.testing.assert_array_equal(there.unravel(there.theta)["logits"].ravel(), there.theta)


def calls_backward(module, t):
    reinforce(module, t).backward()


def steps(module, t):
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    calls_backward(module, t)
    optimizer.step()


def per_row(module, t):
    return reinforce(module, t) * torch.ones(2)


def detached(module, t):
    return reinforce(Table().double(), t)


def infinite(module, t):
    return reinforce(module, t) * torch.inf


def test_gradients_may_be_left_by_the_losss_own_backward():
    policy, estimator = from_torch(MDP, Table(), calls_backward)
    assert lt.audit(estimator, MDP, policy).gradient_of == "J discounted"


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (steps, "moved the parameter logits: take the optimiser's learning rate to 0"),
        (per_row, r"the loss returned a tensor \[2\]; one number is needed"),
        (detached, "it must use the module that it is given"),
        (infinite, "is nan in parameter|is -?inf in parameter"),
        (lambda module, t: module.nothing, "failed on trajectories .*AttributeError"),
    ],
    ids=["steps", "rows", "detached", "infinite", "raises"],
)
def test_losses_that_break_the_contract_are_named(loss, words):
    policy, estimator = from_torch(MDP, Table(), loss)
    before = policy.theta.copy()
    with pytest.raises(EstimatorError, match=words):
        lt.audit(estimator, MDP, policy)
    np.testing.assert_array_equal(policy.flat(dict(policy.model.named_parameters())), before)


def test_another_structure_is_named():
    policy = TorchPolicy(MDP, Table())
    with pytest.raises(EstimatorError, match=r"a tensor for each of logits \[3, 3\]"):
        lt.audit(lambda module, t: {"critic": torch.zeros(1)}, MDP, policy)


def test_modules_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"a tensor \[3, 2\]; .* need \[3, 3\]"):
        TorchPolicy(MDP, Table(LOGITS[:, :2]))
    with pytest.raises(ConfigError, match="depends on no parameter of this Table"):
        TorchPolicy(MDP, Table(), log_probs=uniform)


def uniform(module, states):
    return torch.zeros(3, 3, requires_grad=True)


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_real_a2c_of_stable_baselines3_by_hand():
    """Its train() on one batch: the mean over steps of (reward-to-go − V) ∇log π, without γ^t."""
    pytest.importorskip("stable_baselines3", reason="an optional package")
    sb3 = example("audit_sb3")
    algorithm = sb3.algorithms(MDP)["A2C, advantages as they are"]
    loss = sb3.training_step(algorithm)
    policy, estimator = from_torch(MDP, algorithm.policy, loss, log_probs=sb3.log_probs)
    outcomes = [[0, 3], [2, -1]]  # the answers "0 0" and "EOS"
    from logtrick.auditing.paths import Paths

    valid = np.array(outcomes) >= 0
    pairs = np.where(valid, outcomes, 0)
    paths = Paths(MDP, pairs, pairs, valid)
    got = policy.runner(estimator)(
        policy, type(t := paths.trajectory(policy.probabilities))(*(x[None] for x in t))
    )[0]
    critic = policy.model.predict_values(torch.arange(3)).detach().numpy()[:, 0]
    to_go = np.array([0.0, 0.0, 0.0])  # neither answer pays
    psi = to_go - critic[[0, 1, 0]]
    expected = psi @ policy.scores[[0, 3, 2]] / 3
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.slow
def test_the_verdicts_on_stable_baselines3():
    pytest.importorskip("stable_baselines3", reason="an optional package")
    reports = example("audit_sb3").audits(MDP)
    assert {report.gradient_of for report in reports.values()} == {"no function"}
    assert all(report.curl > 0.01 for report in reports.values())


@pytest.mark.slow
def test_the_verdicts_on_trl():
    pytest.importorskip("trl", reason="an optional package")
    trl = example("audit_trl")
    reports = trl.audits(trl.contains_zero(2))
    assert reports["dr_grpo"].gradient_of == "0.25 × J discounted"  # (G − 1)/(G L_max)
    assert {reports[name].gradient_of for name in ("grpo", "dapo", "bnpo")} == {"no function"}
