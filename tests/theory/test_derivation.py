"""D1–D7 and I1–I5: every line against its printed formula in slow NumPy, and what steps drop."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_gates_exact import one

from logtrick import exact
from logtrick.errors import ConfigError, ImproperPolicyError, MDPError, MultichainError
from logtrick.exact.derivation import derive
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from logtrick.policies import SoftmaxTable
from random_mdps import random_mdp, random_policy
from slow_mdp import Slow

READINGS = ("start", "stationary", "average")


def softmax_table(mdp, seed):
    return random_policy(mdp, "table", seed)


class Lines(Slow):
    """D1 to D7 as they are printed."""

    def sampled(self, weights, psi):
        """Σ_s w Σ_a π ψ ∇log π, two loops."""
        scores, table = self.scores(), self.policy(self.theta)
        total = np.zeros(len(self.theta))
        for s in range(self.mdp.num_states):
            for a in np.flatnonzero(self.mdp.available[s]):
                total += weights[s] * table[s, a] * psi[s, a] * scores[s, a]
        return total

    def over_time(self, first, gamma, psi):
        """E[Σ_t γ^t ψ ∇log π], step by step."""
        chain, weights, total = self.chain(self.theta), first, np.zeros(self.mdp.num_states)
        for _ in range(3000):
            total, weights = total + weights, gamma * weights @ chain
        return self.sampled(total, psi)

    def start_lines(self):
        rho, visits, q = self.mdp.start, self.visits(self.theta), self.action_values(self.theta)
        pi = self.derivative(self.policy)
        return [
            self.derivative(lambda t: rho @ self.values(t)),
            rho @ self.derivative(self.values),
            rho @ self.derivative(lambda t: (self.policy(t) * self.action_values(t)).sum(1)),
            np.einsum("s,sa,san->n", visits, q, pi),
            self.sampled(visits, q),
            self.sampled(visits / visits.sum(), q),
            self.over_time(rho, self.gamma, q),
        ]

    def stationary_lines(self):
        d, q = self.stationary(self.theta), self.action_values(self.theta)
        pi = self.derivative(self.policy)
        return [
            self.derivative(lambda t: self.stationary(t) @ self.values(t)),
            d @ self.derivative(self.values),
            d @ self.derivative(lambda t: (self.policy(t) * self.action_values(t)).sum(1)),
            np.einsum("s,sa,san->n", d, q, pi),
            self.sampled(d, q),
            self.sampled(d, q),
            self.over_time(d, self.gamma, q),
        ]

    def average_lines(self):
        d, h = self.stationary(self.theta), self.bias(self.theta)
        psi = self.mdp.dense_rewards() - self.gain(self.theta) + self.expect(h)
        pi = self.derivative(self.policy)

        def u(t):
            return self.rewards(t) + self.chain(t) @ self.bias(t) - self.bias(t)

        assert u(self.theta) == pytest.approx(np.full(len(d), self.gain(self.theta)))
        return [
            self.derivative(lambda t: self.stationary(t) @ u(t)),
            d @ self.derivative(u),
            d
            @ self.derivative(
                lambda t: (
                    (self.policy(t) * (self.mdp.dense_rewards() + self.expect(self.bias(t)))).sum(1)
                    - self.bias(t)
                )
            ),
            np.einsum("s,sa,san->n", d, psi * self.mdp.available, pi),
            self.sampled(d, psi),
            self.sampled(d, psi),
            self.sampled(d @ np.linalg.matrix_power(self.chain(self.theta), 7), psi),
        ]


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("seed", range(2))
def test_every_line_against_its_printed_formula(seed, reading):
    mdp = random_mdp(seed, ends=reading == "start" and seed % 2 == 0, gamma=0.9, shape=(5, 3))
    policy = softmax_table(mdp, seed)
    found = derive(mdp, policy, reading)
    slow = getattr(Lines(mdp, policy), f"{reading}_lines")()
    for line, truth in zip(found.lines, slow, strict=True):
        scale = np.abs(truth).max()
        assert np.abs(line.vector - truth).max() < 1e-8 * max(1.0, scale), line.name


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("seed", range(2, 4))
def test_which_steps_are_exact(seed, reading):
    mdp = random_mdp(seed, ends=False, gamma=0.8, shape=(5, 3))
    found = derive(mdp, softmax_table(mdp, seed), reading)
    for line in found.lines:
        loose = reading == "stationary" and line.name == "D2"
        assert (line.residual > 1e-3) if loose else (line.residual < 1e-11), line.name
    if reading == "stationary":
        assert found.lines[-1].angle > 0.01
        assert found.dropped > 1e-3
    else:
        assert all(line.angle < 1e-5 for line in found.lines)
        assert found.dropped == 0
    for identity in found.identities:
        assert identity.residual < (1e-5 if identity.name == "I5" else 1e-11), identity.name


def test_all_five_identities_or_why_not():
    names = ["I1", "I2", "I3", "I4", "I5"]
    corridor = problems.corridor()
    found = derive(corridor, SoftmaxTable(corridor))
    assert [i.name for i in found.identities] == names
    assert [np.isnan(i.residual) for i in found.identities] == [False, False, True, True, True]
    assert "episodes end" in found.identities[2].note
    endless = corridor.restarting()
    found = derive(endless, SoftmaxTable(endless), "average")
    assert [np.isnan(i.residual) for i in found.identities] == [False, True, True, True, False]
    assert "visits are without bound" in found.identities[1].note
    assert "no V_γ" in found.identities[3].note
    assert "–" in found.text()
    loop = problems.two_state_loop()
    for reading in READINGS:
        found = derive(loop, SoftmaxTable(loop), reading)
        assert [i.name for i in found.identities] == names
        assert max(i.residual for i in found.identities[:4]) < 1e-13


def test_what_is_left_points_somewhere():
    loop, garden = problems.two_state_loop(), problems.salad_and_poison()
    assert "still points its way" in derive(loop, SoftmaxTable(loop), "stationary").sentence
    found = derive(garden, SoftmaxTable(garden), "stationary")
    assert f"points {found.lines[3].angle:.3g}° away" in found.sentence


def test_truths_are_the_exact_gradients():
    mdp = random_mdp(9, ends=False, gamma=0.8, shape=(5, 3))
    policy = softmax_table(mdp, 9)
    for reading, kind in (("start", "discounted"), ("stationary", "average"), ("average",) * 2):
        truth = exact.policy_gradient(mdp, policy, kind).logits.ravel()
        assert derive(mdp, policy, reading).truth == pytest.approx(truth, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_two_states_drop_what_they_must(gamma, p):
    # Dropped / ∇r̄ = (1 − γ)/(1 + γp): .40 at γ = p = .5, .069 at γ = .9.
    mdp = problems.two_state_loop(gamma=gamma)
    theta = math.log(p / (1 - p))
    with jax.enable_x64(True):
        policy = one(0.5).__class__(jnp.asarray(theta))
    found = derive(mdp, policy, "stationary")
    assert found.dropped == pytest.approx((1 - gamma) / (1 + gamma * p), rel=1e-12)
    if (gamma, p) == (0.5, 0.5):
        assert found.dropped == pytest.approx(0.4, rel=1e-14)
    if (gamma, p) == (0.9, 0.5):
        assert round(found.dropped, 3) == 0.069


def test_the_dropped_term_vanishes_with_one_minus_gamma():
    mdp = random_mdp(1, ends=False, shape=(5, 3))
    policy = softmax_table(mdp, 1)
    shares = [derive(mdp.replace(gamma=g), policy, "stationary").dropped for g in (0.99, 0.999)]
    assert shares[0] / shares[1] == pytest.approx(10, rel=0.15)


def test_normalisers_are_stated():
    mdp = random_mdp(4, gamma=0.9, shape=(5, 3))
    found = derive(mdp, softmax_table(mdp, 4))
    visits = exact.visitation(mdp, softmax_table(mdp, 4)).sum()
    assert found.normaliser == pytest.approx(visits)
    d6, d7 = found.lines[5].vector, found.lines[6].vector
    assert d7 == pytest.approx(visits * d6, rel=1e-11, abs=1e-14)
    assert f"D7 = {visits:.6g} × D6" in found.text()
    continuing = random_mdp(4, ends=False, gamma=0.9, shape=(5, 3))
    policy = softmax_table(continuing, 4)
    assert derive(continuing, policy, "stationary").normaliser == pytest.approx(10)
    assert derive(continuing, policy, "average").normaliser == 1


def test_a_frozen_start_distribution_is_not_enough():
    mdp = random_mdp(4, ends=False, gamma=0.9, shape=(5, 3))
    policy = softmax_table(mdp, 4)
    table = exact.evaluate(mdp, policy)
    with jax.enable_x64(True):
        frozen = exact.tables.pull(mdp, policy, mdp.start[:, None] * table.table_gradient * 0)
    assert not frozen.logits.any()
    words = derive(mdp, policy).lines[3].why
    off = float(words.split("ρ: ")[1].split(" %")[0])
    slow = Lines(mdp, policy)
    truth = slow.start_lines()[0]
    wrong = np.einsum(
        "s,sa,san->n", mdp.start, slow.action_values(slow.theta), slow.derivative(slow.policy)
    )
    assert off == pytest.approx(
        100 * np.linalg.norm(wrong - truth) / np.linalg.norm(truth), rel=5e-3
    )
    assert off > 10


def test_the_whole_change_in_visits_is_lost_with_rewards_for_psi():
    # In the two-state loop all reward comes from being in s1, whatever is done there.
    mdp = problems.two_state_loop()
    note = next(i.note for i in derive(mdp, SoftmaxTable(mdp)).identities if i.name == "I2")
    assert "100 % of ∇J is lost" in note


def test_a_stationary_point_has_no_angle():
    mdp = problems.corridor()
    found = derive(mdp.replace(rewards=np.zeros(6)), SoftmaxTable(mdp))
    assert all(np.isnan(line.angle) for line in found.lines)
    assert "–" in found.text()


def test_text_says_what_is_loose():
    mdp = problems.two_state_loop()
    text = derive(mdp, SoftmaxTable(mdp), "stationary").text()
    assert "D1 → D2 is false: it drops Σ ∇d V, 40 % of ∇r̄" in text
    assert "I4" in text
    assert "Nothing is dropped" in derive(mdp, SoftmaxTable(mdp), "average").text()


def test_refusals():
    loop, corridor = problems.two_state_loop(), problems.corridor()
    with pytest.raises(ConfigError, match="no parameters"):
        derive(loop, np.full((2, 2), 0.5))
    with pytest.raises(ConfigError, match="use the reading"):
        derive(loop.replace(gamma=1.0), SoftmaxTable(loop), "stationary")
    with pytest.raises(MDPError, match="restarting"):
        derive(corridor, SoftmaxTable(corridor), "average")
    with pytest.raises(ImproperPolicyError):
        derive(loop.replace(gamma=1.0), SoftmaxTable(loop))
    large = problems.garnet(2001, 1, 1)
    with pytest.raises(ConfigError, match="2001 states are too many"):
        derive(large, SoftmaxTable(large))
    islands = FiniteMDP.from_outcomes(
        [[[(1.0, 0, 1.0, False)]], [[(1.0, 1, 2.0, False)]]], gamma=0.9
    )
    with pytest.raises(MultichainError):
        derive(islands, SoftmaxTable(islands), "average")
