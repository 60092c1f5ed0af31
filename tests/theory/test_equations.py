"""V1 to G5, one test an equation: the library against a slow transcription of the printed formula.

V5 to V7 as bounds are in `test_certificates`, D1 to D7 and I1 to I5 in `test_derivation`.
"""

import numpy as np
import pytest

from logtrick import exact, planning
from random_mdps import flat, parameters, random_mdp, random_policy
from slow_mdp import Slow

SEEDS = range(6)


def case(seed, *, ends=True, gamma=0.9):
    mdp = random_mdp(seed, ends=ends, gamma=gamma, shape=(5, 3))
    policy = random_policy(mdp, "table", seed)
    return mdp, policy, Slow(mdp, policy)


def agree(found, truth, tolerance=1e-10):
    truth = np.asarray(truth)
    assert np.abs(found - truth).max() <= tolerance * max(1.0, np.abs(truth).max())


def there(slow, table):
    """A table [S, A] with 0 at the actions that a state does not have."""
    return np.where(slow.mdp.available, table, 0.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_V1_the_value_is_the_expected_discounted_sum_of_rewards(seed):
    mdp, policy, slow = case(seed)
    chain, rewards = slow.chain(slow.theta), slow.rewards(slow.theta)
    total, ahead = np.zeros(5), np.eye(5)
    for t in range(400):  # 0.9^400 is 5e-19
        total, ahead = total + 0.9**t * ahead @ rewards, ahead @ chain
    agree(exact.state_values(mdp, policy), total)


@pytest.mark.parametrize("seed", SEEDS)
def test_V2_the_value_solves_the_bellman_equation(seed):
    mdp, policy, slow = case(seed)
    v = exact.state_values(mdp, policy)
    agree(v, slow.rewards(slow.theta) + 0.9 * slow.chain(slow.theta) @ v)
    agree(v, slow.values(slow.theta))


@pytest.mark.parametrize("seed", SEEDS)
def test_V3_action_values_look_one_step_ahead(seed):
    mdp, policy, slow = case(seed)
    q = exact.action_values(mdp, policy)
    assert np.isneginf(q[~mdp.available]).all()
    agree(there(slow, q), there(slow, slow.action_values(slow.theta)))


@pytest.mark.parametrize("seed", SEEDS)
def test_V4_advantages_average_to_zero(seed):
    mdp, policy, slow = case(seed)
    a = there(slow, exact.advantages(mdp, policy))
    v, q = slow.values(slow.theta), slow.action_values(slow.theta)
    agree(a, there(slow, q - v[:, None]))
    agree((slow.policy(slow.theta) * a).sum(axis=1), np.zeros(5))


@pytest.mark.parametrize("seed", SEEDS)
def test_V5_the_bound_of_a_solution_holds(seed):
    mdp, _, slow = case(seed)
    solution = planning.solve(mdp, tol=1e-6, method="value_iteration")
    v = np.zeros(5)
    for _ in range(500):  # a contraction by 0.9: the rest is below 1e-22 · max V
        q = mdp.dense_rewards() + 0.9 * slow.expect(v)
        v = np.where(mdp.available, q, -np.inf).max(axis=1)
    assert np.abs(solution.values - v).max() <= solution.error_bound
    assert solution.error_bound <= 1e-6 * max(1.0, np.abs(v).max())


@pytest.mark.parametrize("seed", SEEDS)
def test_V6_at_gamma_one_the_value_is_that_of_episodes_that_end(seed):
    mdp, policy, slow = case(seed, gamma=1.0)
    agree(exact.state_values(mdp, policy), slow.values(slow.theta))
    agree(exact.visitation(mdp, policy), slow.visits(slow.theta))


@pytest.mark.parametrize("seed", SEEDS)
def test_V7_gain_and_bias_solve_the_poisson_equation(seed):
    mdp, policy, slow = case(seed, ends=False)
    found = exact.gain_and_bias(mdp, policy)
    chain, rewards = slow.chain(slow.theta), slow.rewards(slow.theta)
    agree(found.bias, rewards - found.gain + chain @ found.bias)
    agree(found.gain, slow.gain(slow.theta))
    agree(found.bias, slow.bias(slow.theta))


@pytest.mark.parametrize("seed", SEEDS)
def test_J1_as_values_over_the_start_and_as_rewards_over_the_visits(seed):
    mdp, policy, slow = case(seed)
    j = exact.objective(mdp, policy)
    agree(j, mdp.start @ slow.values(slow.theta))
    agree(j, slow.visits(slow.theta) @ slow.rewards(slow.theta))


@pytest.mark.parametrize("seed", SEEDS)
def test_J2_is_J1_without_discount(seed):
    mdp, policy, _ = case(seed)
    undiscounted = Slow(mdp.replace(gamma=1.0), policy)
    total = mdp.start @ undiscounted.values(undiscounted.theta)
    agree(exact.objective(mdp, policy, "total"), total)


@pytest.mark.parametrize("seed", SEEDS)
def test_J3_is_the_reward_per_step_in_the_long_run(seed):
    mdp, policy, slow = case(seed, ends=False)
    far = np.linalg.matrix_power(slow.chain(slow.theta), 2**12)
    agree(exact.objective(mdp, policy, "average"), mdp.start @ far @ slow.rewards(slow.theta))


@pytest.mark.parametrize("seed", SEEDS)
def test_J4_is_the_average_times_the_horizon_where_the_weights_are_stationary(seed):
    mdp, policy, slow = case(seed, ends=False)
    d, v = exact.stationary_distribution(mdp, policy), exact.state_values(mdp, policy)
    agree(d @ v, slow.gain(slow.theta) / (1 - 0.9))
    # With η_γ in its place it is Σ_t (t+1) γ^t E[r_t], which nobody means.
    later, weights = 0.0, np.asarray(mdp.start)
    for t in range(600):
        later += (t + 1) * 0.9**t * weights @ slow.rewards(slow.theta)
        weights = weights @ slow.chain(slow.theta)
    agree(exact.visitation(mdp, policy) @ v, later)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["discounted", "total"])
def test_G1_the_policy_gradient_theorem(seed, kind):
    mdp, policy, _ = case(seed)
    slow = Slow(mdp.replace(gamma=0.9 if kind == "discounted" else 1.0), policy)
    visits, q = slow.visits(slow.theta), slow.action_values(slow.theta)
    gradient = flat(exact.policy_gradient(mdp, policy, kind))
    # The six-point differences of the transcription are good to 1e-9 or so.
    agree(gradient, slow.theorem(visits, q), 1e-8)
    agree(gradient, slow.derivative(lambda theta: mdp.start @ slow.values(theta)), 1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_G2_the_log_derivative_trick(seed):
    mdp, policy, slow = case(seed)
    table, scores = slow.policy(slow.theta), slow.scores()
    weights = (slow.visits(slow.theta)[:, None] * table)[:, :, None] * scores
    gradient = flat(exact.policy_gradient(mdp, policy))
    baseline = np.random.default_rng(seed).normal(size=5)
    for psi in (
        slow.action_values(slow.theta),
        there(slow, exact.advantages(mdp, policy)),
        slow.action_values(slow.theta) - baseline[:, None],
    ):
        agree(gradient, np.einsum("san,sa->n", weights, psi), 1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_G3_the_gradient_of_the_average(seed):
    mdp, policy, slow = case(seed, ends=False)
    gradient = flat(exact.policy_gradient(mdp, policy, "average"))
    q = mdp.dense_rewards() - slow.gain(slow.theta) + slow.expect(slow.bias(slow.theta))
    agree(gradient, slow.theorem(slow.stationary(slow.theta), q), 1e-8)
    agree(gradient, slow.derivative(slow.gain), 1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_G4_without_gamma_t_the_update_has_no_symmetric_jacobian(seed):
    mdp, policy, slow = case(seed, gamma=0.5)
    _, build = parameters(policy)

    def curl(weight):
        """‖M − Mᵀ‖/‖M + Mᵀ‖, M the Jacobian of the update with weight^t in front of step t."""

        def update(theta):
            at = Slow(mdp, build(theta))
            visits = np.linalg.solve(np.eye(5) - weight * at.chain(theta).T, mdp.start)
            return at.theorem(visits, at.action_values(theta))

        m = slow.derivative(update)
        return np.linalg.norm(m - m.T) / np.linalg.norm(m + m.T)

    assert curl(0.5) < 1e-6
    assert curl(1.0) > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_G5_fisher_and_hessian_products_and_the_natural_gradient(seed):
    mdp, policy, slow = case(seed)
    theta, build = parameters(policy)
    scores = slow.scores()
    weights = slow.visits(theta)[:, None] * slow.policy(theta)
    fisher = np.einsum("sa,san,sam->nm", weights, scores, scores)
    vector = np.random.default_rng(seed).normal(size=len(theta))
    product = exact.fisher_vector_product(mdp, policy, build(vector))
    agree(flat(product), fisher @ vector, 1e-8)
    pseudo_inverse = np.linalg.pinv(fisher, rcond=1e-7)  # the transcription's own error is below
    gradient = flat(exact.policy_gradient(mdp, policy))
    agree(flat(exact.natural_gradient(mdp, policy)), pseudo_inverse @ gradient, 1e-6)

    def slope(theta):
        at = Slow(mdp, build(theta))
        return at.theorem(at.visits(theta), at.action_values(theta))

    curved = exact.hessian_vector_product(mdp, policy, build(vector))
    agree(flat(curved), slow.derivative(slope) @ vector, 1e-6)
