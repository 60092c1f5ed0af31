"""G2 and G4: the claimed mean of every registered ψ of single trajectories, all of them listed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import (
    ACTIONS,
    STATES,
    all_trajectories,
    chance_of_each,
    log_policy,
    random_problem,
    values_of,
    visits_of,
)

from logtrick import psi
from logtrick.psi.registry import ESTIMATORS, Claim

GAMMA, SEEDS = 0.7, range(3)
ROWS = [row for row in ESTIMATORS if row.claim in set(Claim) and not row.psi.startswith("grpo")]
ROWS = [row for row in ROWS if row.psi not in {"rloo", "remax", "opo", "dr_grpo", "whiten"}]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def setting(seed):
    problem = random_problem(seed)
    theta = jnp.asarray(np.random.default_rng(seed + 100).normal(size=4))
    return problem, all_trajectories(problem), theta


def gradient(problem, theta):
    def objective(x):
        return values_of(problem, jnp.exp(log_policy(problem, x)), GAMMA)[0] @ problem.start

    return jax.grad(objective)(theta)


def psi_of(name, problem, listed, theta, values=None, **options):
    """ψ [N, T] of each listed trajectory; `values` None is the exact V."""
    pi = jnp.exp(log_policy(problem, theta))
    exact, q = values_of(problem, pi, GAMMA)
    v = exact if values is None else jnp.asarray(values)
    rewards, terminated = jnp.asarray(listed.rewards), jnp.asarray(listed.terminated)
    never = jnp.zeros_like(terminated)
    now, after = v[listed.states], v[listed.following]
    ones = jnp.ones_like(rewards)
    chosen = (listed.states, listed.actions)
    scores = jax.jacfwd(lambda x: log_policy(problem, x))(theta)
    baseline = psi.optimal_baseline(q, pi, jnp.sum(scores**2, axis=-1))
    traces = (rewards, now, after, terminated, never)
    return {
        "total_return": lambda: psi.total_return(rewards, terminated, never, gamma=GAMMA),
        "reward_to_go": lambda: psi.reward_to_go(rewards, terminated, never, gamma=GAMMA),
        "baselined_return": lambda: psi.baselined_return(
            rewards, now, terminated, never, gamma=GAMMA
        ),
        "q_value": lambda: q[chosen],
        "advantage": lambda: psi.advantage(q, pi)[chosen],
        "optimal_baseline": lambda: q[chosen] - baseline[listed.states],
        "td_residual": lambda: psi.td_residual(*traces, gamma=GAMMA),
        "n_step": lambda: psi.n_step(*traces, gamma=GAMMA, n=2),
        "gae": lambda: psi.gae(*traces, gamma=GAMMA, **{"lambda_": 0.6, **options}),
        "vtrace": lambda: psi.vtrace(
            *traces[:3], ones, terminated, never, gamma=GAMMA, lambda_=0.6
        ),
    }[name]()


def mean_update(row, problem, listed, theta, values=None, **options):
    """E[Σ_t w_t ψ_t ∇log π(a_t|s_t)]."""
    log_pi = log_policy(problem, theta)
    chance = chance_of_each(problem, listed, log_pi)
    t = np.arange(listed.states.shape[1])
    weight = listed.valid * (GAMMA**t if row.weighting == "discounted" else 1.0)
    scores = jax.jacfwd(lambda x: log_policy(problem, x))(theta)
    if row.psi == "all_action_sum":
        q = values_of(problem, jnp.exp(log_pi), GAMMA)[1]
        per_state = jax.jacrev(lambda x: psi.all_action_sum(jnp.exp(log_policy(problem, x)), q))
        return jnp.einsum("n,nt,ntp->p", chance, weight, per_state(theta)[listed.states])
    values_t = psi_of(row.psi, problem, listed, theta, values, **options)
    chosen = scores[listed.states, listed.actions]
    return jnp.einsum("n,nt,nt,ntp->p", chance, weight, values_t, chosen)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_list_is_complete(seed):
    problem, listed, theta = setting(seed)
    chance = chance_of_each(problem, listed, log_policy(problem, theta))
    np.testing.assert_allclose(jnp.sum(chance), 1, rtol=1e-13)
    whole = psi.episode_return(
        jnp.asarray(listed.rewards),
        jnp.asarray(listed.terminated),
        jnp.zeros(listed.valid.shape, bool),
        gamma=GAMMA,
    )
    v, _ = values_of(problem, jnp.exp(log_policy(problem, theta)), GAMMA)
    np.testing.assert_allclose(chance @ whole[:, 0], v @ problem.start, rtol=1e-12)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_with_the_exact_values(row, seed):
    problem, listed, theta = setting(seed)
    update, exact = mean_update(row, problem, listed, theta), gradient(problem, theta)
    if row.weighting == "discounted":
        np.testing.assert_allclose(update, exact, rtol=1e-11, atol=1e-13)
    else:
        assert jnp.linalg.norm(update - exact) > 0.05 * jnp.linalg.norm(exact)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_with_wrong_values(row):
    problem, listed, theta = setting(0)
    wrong = np.random.default_rng(9).normal(size=STATES)
    update, exact = mean_update(row, problem, listed, theta, wrong), gradient(problem, theta)
    if row.claim is Claim.UNBIASED:
        np.testing.assert_allclose(update, exact, rtol=1e-11, atol=1e-13)
    else:
        assert jnp.linalg.norm(update - exact) > 0.01 * jnp.linalg.norm(exact)


def test_gae_at_lambda_one_is_unbiased_with_any_values():
    problem, listed, theta = setting(1)
    row = next(row for row in ROWS if row.name == "gae")
    wrong = np.random.default_rng(9).normal(size=STATES)
    update = mean_update(row, problem, listed, theta, wrong, lambda_=1.0)
    np.testing.assert_allclose(update, gradient(problem, theta), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_whose_jacobian_is_symmetric(row):
    """G4: without γ^t the mean is the gradient of no function; with it, it is that of J."""
    if row.psi == "all_action_sum":  # its derivative freezes Q; the same mean as q_value
        row = next(r for r in ROWS if r.psi == "q_value" and r.weighting == row.weighting)
    problem, listed, theta = setting(2)
    m = jax.jacfwd(lambda x: mean_update(row, problem, listed, x))(theta)
    curl = jnp.linalg.norm(m - m.T) / jnp.linalg.norm(m + m.T)
    if row.claim is Claim.NO_FUNCTION:
        assert curl > 1e-3
    else:
        assert curl < 1e-12


def test_the_fixture_that_opposes_both_objectives():
    """G4's fixture: slopes / (p(1−p)) are J1 +.25, J2 +6.5, without γ^t −.5, at every θ.

    One shared p = π(R) = σ(θ). s0: R pays 1, both go to s1. s1: L pays 2.5 and ends; R leads
    through c1, c2, c3 (nothing on the way; the actions there do not matter), and c3 pays 8.
    """
    gamma = 0.5
    paths = [(first, second) for first in (0, 1) for second in (0, 1)]  # 1 is R

    def rewards(first, second):
        return [float(first), 0.0, 0.0, 0.0, 8.0] if second else [float(first), 2.5]

    for theta in (-1.0, 0.0, 2.0):
        p = 1 / (1 + np.exp(-theta))
        slopes = {"j1": 0.0, "j2": 0.0, "undiscounted": 0.0}
        for path in paths:
            chance = np.prod([p if a else 1 - p for a in path])
            score = np.array([(1 - p) if a else -p for a in path])
            r = np.array(rewards(*path))
            end, never = np.arange(len(r)) == len(r) - 1, np.zeros(len(r), bool)
            to_go = psi.reward_to_go(r, end, never, gamma=gamma)[:2]
            total = psi.reward_to_go(r, end, never, gamma=1.0)[:2]
            slopes["j1"] += chance * np.sum(gamma ** np.arange(2) * to_go * score)
            slopes["j2"] += chance * np.sum(total * score)
            slopes["undiscounted"] += chance * np.sum(to_go * score)
        found = {name: slope / (p * (1 - p)) for name, slope in slopes.items()}
        np.testing.assert_allclose(
            [found["j1"], found["j2"], found["undiscounted"]], [0.25, 6.5, -0.5], rtol=1e-12
        )


def off_policy(seed):
    problem, listed, theta = setting(seed)
    pi = jnp.exp(log_policy(problem, theta))
    mu = jnp.exp(log_policy(problem, -0.5 * theta))
    chance = chance_of_each(problem, listed, jnp.log(mu))
    ratios = (pi / mu)[listed.states, listed.actions]
    never = jnp.zeros(listed.valid.shape, bool)
    return problem, listed, theta, pi, mu, chance, ratios, never


@pytest.mark.parametrize("seed", SEEDS)
def test_retrace_keeps_the_exact_q_whatever_acted(seed):
    problem, listed, _, pi, _, chance, ratios, never = off_policy(seed)
    v, q = values_of(problem, pi, GAMMA)
    target = psi.retrace(
        jnp.asarray(listed.rewards),
        q[listed.states, listed.actions],
        v[listed.following],
        ratios,
        jnp.asarray(listed.terminated),
        never,
        gamma=GAMMA,
        lambda_=0.8,
    )
    for s in (0, 1):
        for a in range(ACTIONS):
            here = (listed.states[:, 0] == s) & (listed.actions[:, 0] == a)
            mean = (chance * here) @ target[:, 0] / jnp.sum(chance * here)
            np.testing.assert_allclose(mean, q[s, a], rtol=1e-12)


@pytest.mark.parametrize("rho_bar", [0.8, 1.0, np.inf])
def test_vtrace_keeps_the_values_of_the_clipped_policy(rho_bar):
    """Its fixed point is V of π_ρ̄ ∝ min(ρ̄ μ, π), for every c̄."""
    problem, listed, _, pi, mu, chance, ratios, never = off_policy(1)
    clipped = jnp.minimum(rho_bar * mu, pi)
    v, _ = values_of(problem, clipped / jnp.sum(clipped, -1, keepdims=True), GAMMA)
    target = psi.vtrace_targets(
        jnp.asarray(listed.rewards),
        v[listed.states],
        v[listed.following],
        ratios,
        jnp.asarray(listed.terminated),
        never,
        gamma=GAMMA,
        rho_bar=rho_bar,
        c_bar=0.7,
    )
    for s in (0, 1):
        here = listed.states[:, 0] == s
        mean = (chance * here) @ target[:, 0] / jnp.sum(chance * here)
        np.testing.assert_allclose(mean, v[s], rtol=1e-12)


def test_off_policy_vtrace_weights_states_by_who_acted():
    """Unclipped and with the exact V its mean is Σ η_μ Σ_a A ∇π, not Σ η_π Σ_a A ∇π = ∇J."""
    problem, listed, theta, pi, mu, chance, ratios, never = off_policy(2)
    v, q = values_of(problem, pi, GAMMA)
    advantages = psi.vtrace(
        jnp.asarray(listed.rewards),
        v[listed.states],
        v[listed.following],
        ratios,
        jnp.asarray(listed.terminated),
        never,
        gamma=GAMMA,
        rho_bar=jnp.inf,
        c_bar=1.0,
    )
    scores = jax.jacfwd(lambda x: log_policy(problem, x))(theta)
    weight = listed.valid * GAMMA ** np.arange(listed.valid.shape[1])
    chosen = scores[listed.states, listed.actions]
    mean = jnp.einsum("n,nt,nt,ntp->p", chance, weight, advantages, chosen)
    by_actor = jnp.einsum(
        "s,sa,sa,sap->p", visits_of(problem, mu, GAMMA), pi, q - v[:, None], scores
    )
    np.testing.assert_allclose(mean, by_actor, rtol=1e-11, atol=1e-13)
    exact = gradient(problem, theta)
    assert jnp.linalg.norm(mean - exact) > 0.02 * jnp.linalg.norm(exact)
