"""Closed-form mean and covariance: against every trajectory listed, and the exact gradient."""

import numpy as np
import pytest

from logtrick import psi
from logtrick.auditing import closed_form
from logtrick.auditing.policies import read_policy
from logtrick.auditing.survey import Problem
from logtrick.errors import ConfigError, EstimatorError, ShapeError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP

OPTIONS = {"gae": {"lambda_": 0.6}, "vtrace": {"lambda_": 0.6}, "n_step": {"n": 2}}


def random_mdp(seed, gamma, ends=0.3):
    """3 states, up to 2 actions, 2 outcomes each, some of which terminate; cycles, no layers."""
    rng = np.random.default_rng(seed)
    outcomes = []
    for s in range(3):
        rows = []
        for _ in range(1 if s == 2 else 2):
            p = rng.uniform(0.2, 0.8)
            rows.append(
                [
                    (chance, int(rng.integers(3)), float(rng.normal()), bool(rng.random() < ends))
                    for chance in (p, 1 - p)
                ]
            )
        outcomes.append(rows)
    outcomes[0][0][0] = (*outcomes[0][0][0][:3], True)  # from state 0 there is an end ...
    for s in (1, 2):  # ... and state 0 can be reached
        chance, _, reward, _ = outcomes[s][0][0]
        outcomes[s][0][0] = (chance, 0, reward, False)
    return FiniteMDP.from_outcomes(outcomes, gamma=gamma, start=[0.5, 0.3, 0.2])


def random_policy(mdp, seed, size=3):
    """(π, scores) on the pairs: a softmax over random features, so that states share parameters."""
    rng = np.random.default_rng(seed)
    features, theta = rng.normal(size=(mdp.num_pairs, size)), rng.normal(size=size)
    weights = np.exp(features @ theta)
    states = mdp.pair_states
    pi = weights / np.bincount(states, weights)[states]
    means = np.stack([np.bincount(states, pi * f) for f in features.T], axis=-1)
    return pi, features - means[states]


def listed(mdp, pi, horizon):
    """Every trajectory of at most `horizon` steps: (chance, pairs, outcomes)."""

    def extend(chance, rows, s):
        for pair in range(mdp.pair_offsets[s], mdp.pair_offsets[s + 1]):
            for k in range(mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1]):
                p, longer = chance * pi[pair] * mdp.probabilities[k], [*rows, (pair, k)]
                if mdp.terminated[k] or len(longer) == horizon:
                    yield p, longer
                else:
                    yield from extend(p, longer, mdp.successors[k])

    for s in range(mdp.num_states):
        yield from extend(mdp.start[s], [], s)


def by_listing(name, mdp, pi, scores, horizon, values, weighting, **options):
    """The same moments with the functions of `logtrick.psi` on every trajectory."""
    rows = list(listed(mdp, pi, horizon))
    chance = np.array([p for p, _ in rows])
    np.testing.assert_allclose(chance.sum(), 1, rtol=1e-12)
    shape = (len(rows), horizon)
    pairs, outcomes, valid = np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, bool)
    for i, (_, steps) in enumerate(rows):
        pairs[i, : len(steps)], outcomes[i, : len(steps)] = np.transpose(steps)
        valid[i, : len(steps)] = True
    gamma = mdp.gamma
    rewards = np.where(valid, mdp.rewards[outcomes], 0.0)
    terminated = mdp.terminated[outcomes] | ~valid
    never = np.zeros(shape, bool)
    states = mdp.pair_states[pairs]
    now, after = values[states], values[mdp.successors[outcomes]]
    q, v, best = action_values(mdp, pi, scores)
    traces = (rewards, now, after, terminated, never)
    values_t = {
        "total_return": lambda: psi.total_return(rewards, terminated, never, gamma=gamma),
        "reward_to_go": lambda: psi.reward_to_go(rewards, terminated, never, gamma=gamma),
        "baselined_return": lambda: psi.baselined_return(
            rewards, now, terminated, never, next_values=after, gamma=gamma
        ),
        "td_residual": lambda: psi.td_residual(*traces, gamma=gamma),
        "n_step": lambda: psi.n_step(*traces, gamma=gamma, **options),
        "gae": lambda: psi.gae(*traces, gamma=gamma, **options),
        "vtrace": lambda: psi.vtrace(
            *traces[:3], np.ones(shape), *traces[3:], gamma=gamma, **options
        ),
        "q_value": lambda: q[pairs],
        "advantage": lambda: q[pairs] - v[states],
        "optimal_baseline": lambda: q[pairs] - best[states],
        "all_action_sum": lambda: np.ones(shape),
    }[name]()
    weight = valid * (gamma ** np.arange(horizon) if weighting == "discounted" else 1.0)
    g = scores
    if name == "all_action_sum":
        terms = pi[:, None] * q[:, None] * scores
        g = np.stack([np.bincount(mdp.pair_states, t) for t in terms.T], axis=-1)[mdp.pair_states]
    estimates = np.einsum("nt,nt,ntp->np", weight, np.where(valid, values_t, 0), g[pairs])
    mean = chance @ estimates
    return mean, (estimates.T * chance) @ estimates - np.outer(mean, mean)


def action_values(mdp, pi, scores):
    """(Q [P], V [S], b* [S]) by a dense solve."""
    policy = np.zeros((mdp.num_states, mdp.num_pairs))
    policy[mdp.pair_states, np.arange(mdp.num_pairs)] = pi
    on = mdp.continuation.toarray()
    v = np.linalg.solve(np.eye(mdp.num_states) - mdp.gamma * policy @ on, policy @ mdp.pair_rewards)
    q = mdp.pair_rewards + mdp.gamma * on @ v
    squares = np.sum(scores**2, axis=1)
    weighed = policy @ squares
    best = np.where(weighed > 0, policy @ (squares * q) / np.where(weighed > 0, weighed, 1), v)
    return q, v, best


def exact_gradient(mdp, pi, scores):
    """G1 by a dense solve: Σ_s η(s) Σ_a π Q ∇log π."""
    q, _, _ = action_values(mdp, pi, scores)
    policy = np.zeros((mdp.num_states, mdp.num_pairs))
    policy[mdp.pair_states, np.arange(mdp.num_pairs)] = pi
    step = policy @ mdp.continuation.toarray()
    visits = np.linalg.solve(np.eye(mdp.num_states) - mdp.gamma * step.T, mdp.start)
    return (visits[mdp.pair_states] * pi * q) @ scores


@pytest.mark.parametrize("name", closed_form.ESTIMATORS)
@pytest.mark.parametrize("weighting", ["discounted", "undiscounted"])
@pytest.mark.parametrize("gamma", [0.8, 1.0])
def test_equals_the_list_up_to_a_horizon(name, weighting, gamma):
    mdp = random_mdp(0, gamma)
    pi, scores = random_policy(mdp, 1)
    values = np.random.default_rng(2).normal(size=mdp.num_states)
    for horizon in (1, 2, 5):
        options = OPTIONS.get(name, {})
        got = closed_form.moments(
            name, mdp, pi, scores, values=values, weighting=weighting, horizon=horizon, **options
        )
        mean, covariance = by_listing(name, mdp, pi, scores, horizon, values, weighting, **options)
        np.testing.assert_allclose(got.mean, mean, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(got.covariance, covariance, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", closed_form.ESTIMATORS)
@pytest.mark.parametrize("weighting", ["discounted", "undiscounted"])
def test_without_a_horizon_is_the_limit_of_long_ones(name, weighting):
    mdp = random_mdp(3, 0.9, ends=0.6)
    pi, scores = random_policy(mdp, 4)
    values = np.random.default_rng(5).normal(size=mdp.num_states)
    settings = {"values": values, "weighting": weighting, **OPTIONS.get(name, {})}
    for_ever = closed_form.moments(name, mdp, pi, scores, **settings)
    long = closed_form.moments(name, mdp, pi, scores, horizon=400, **settings)
    np.testing.assert_allclose(long.mean, for_ever.mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(long.covariance, for_ever.covariance, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", closed_form.ESTIMATORS)
def test_the_mean_is_the_exact_gradient(name, seed):
    mdp = random_mdp(seed, 0.9, ends=0.5)
    pi, scores = random_policy(mdp, seed + 50)
    exact = exact_gradient(mdp, pi, scores)
    got = closed_form.moments(name, mdp, pi, scores)
    np.testing.assert_allclose(got.mean, exact, rtol=1e-10, atol=1e-12)
    assert np.linalg.eigvalsh(got.covariance).min() > -1e-12
    if name in ("td_residual", "n_step", "gae"):
        wrong = np.random.default_rng(seed).normal(size=mdp.num_states)
        biased = closed_form.moments(name, mdp, pi, scores, values=wrong, lambda_=0.5, n=2)
        assert np.linalg.norm(biased.mean - exact) > 1e-3 * np.linalg.norm(exact)


def test_the_corridor():
    """Sutton and Barto ex. 13.1 at θ = 0: J = −12, J′ = 2; the estimate's variance is finite."""
    mdp = problems.corridor()
    pi, scores = np.full(6, 0.5), np.tile([[0.5], [-0.5]], (3, 1))
    variances = {}
    for name in ("total_return", "reward_to_go", "baselined_return", "q_value", "advantage"):
        got = closed_form.moments(name, mdp, pi, scores)
        np.testing.assert_allclose(got.mean, [2.0], rtol=1e-12)
        variances[name] = got.covariance[0, 0]
    assert variances["advantage"] < variances["baselined_return"] < variances["reward_to_go"]
    assert variances["reward_to_go"] < variances["total_return"]


def test_sampled_trajectories_agree():
    """20 000 trajectories of a problem with no layers and no horizon."""
    mdp = random_mdp(7, 0.9, ends=0.6)
    pi, scores = random_policy(mdp, 8)
    got = closed_form.moments("reward_to_go", mdp, pi, scores)
    rng, runs = np.random.default_rng(9), 20_000
    estimates = np.zeros((runs, scores.shape[1]))
    cumulative = np.cumsum(pi[:, None] * np.eye(3)[mdp.pair_states], axis=0)
    states = rng.choice(3, size=runs, p=mdp.start)
    alive, rows, t = np.arange(runs), [], 0
    while len(alive):
        first = mdp.pair_offsets[states] - 1
        base = np.where(first >= 0, cumulative[first, states], 0.0)
        draw = base + rng.random(len(alive))
        pairs = np.array(
            [np.searchsorted(cumulative[:, s], d) for s, d in zip(states, draw, strict=True)]
        )
        pairs = np.clip(pairs, mdp.pair_offsets[states], mdp.pair_offsets[states + 1] - 1)
        k = mdp.outcome_offsets[pairs]
        k = k + (rng.random(len(alive)) > mdp.probabilities[k])
        rows.append((alive, pairs, k, t))
        going = ~mdp.terminated[k]
        alive, states, t = alive[going], mdp.successors[k][going], t + 1
    to_go = np.zeros(runs)
    for alive, pairs, k, t in reversed(rows):
        to_go[alive] = mdp.rewards[k] + np.where(mdp.terminated[k], 0, mdp.gamma * to_go[alive])
        estimates[alive] += mdp.gamma**t * to_go[alive, None] * scores[pairs]
    standard_error = np.sqrt(np.diag(got.covariance) / runs)
    assert (np.abs(estimates.mean(axis=0) - got.mean) < 5 * standard_error).all()
    np.testing.assert_allclose(np.cov(estimates.T), got.covariance, rtol=0.15, atol=0.05)


def test_unreachable_states_may_run_for_ever():
    loops = {
        0: {0: [(1.0, 0, 1.0, True)], 1: [(1.0, 0, 0.0, True)]},
        1: {0: [(1.0, 1, 1.0, False)]},
    }
    mdp = FiniteMDP.from_outcomes(loops, gamma=1.0, start=0)
    pi, scores = np.array([0.5, 0.5, 1.0]), np.array([[0.5], [-0.5], [0.0]])
    np.testing.assert_allclose(
        closed_form.moments("reward_to_go", mdp, pi, scores).mean, [0.25], rtol=1e-14
    )


def test_infinite_moments_are_refused():
    for_ever = FiniteMDP.from_arrays([[[1.0], [1.0]]], [[1.0, 0.0]], gamma=0.9)
    pi, scores = np.full(2, 0.5), np.array([[0.5], [-0.5]])
    assert np.isfinite(closed_form.moments("reward_to_go", for_ever, pi, scores).covariance).all()
    for name, options in [("reward_to_go", {"weighting": "undiscounted"}), ("total_return", {})]:
        with pytest.raises(EstimatorError, match="a moment of the estimate is infinite"):
            closed_form.moments(name, for_ever, pi, scores, **options)
    for name in ("chain", "forest", "two_state_loop"):  # rounding hides that these are singular
        problem = Problem.of(name)
        policy = read_policy(problem.mdp, problem.policy)
        with pytest.raises(EstimatorError, match="infinite"):
            closed_form.moments("total_return", problem.mdp, policy.probabilities, policy.scores)
    # Undiscounted, ψ_t of the total return grows like γ^{−t}: here faster than episodes end.
    mdp = FiniteMDP.from_outcomes(
        [[[(0.7, 0, 1.0, False), (0.3, 0, 1.0, True)]] * 2], gamma=0.8, start=0
    )
    with pytest.raises(EstimatorError, match="infinite"):
        closed_form.moments("total_return", mdp, pi, scores, weighting="undiscounted")


def test_wrong_settings_are_named():
    mdp = problems.corridor()
    pi, scores = np.full(6, 0.5), np.zeros((6, 1))
    for options, message in [
        ({"psi": "rloo"}, "'rloo' has no closed form"),
        ({"weighting": "both"}, "weighting = 'both'"),
        ({"lambda_": 2.0}, r"lambda_ = 2\.0; it must be a number in \[0, 1\]"),
        ({"n": 0}, "n = 0; it must be a whole number, at least 1"),
        ({"horizon": 0}, "horizon = 0"),
    ]:
        with pytest.raises(ConfigError, match=message):
            closed_form.moments(
                **{"psi": "gae", "mdp": mdp, "probabilities": pi, "scores": scores, **options}
            )
    with pytest.raises(
        ShapeError, match=r"values has shape \(2,\): one number for each of 3 states"
    ):
        closed_form.moments("gae", mdp, pi, scores, values=np.zeros(2))
    with pytest.raises(ShapeError, match="one row for each of 6 pair"):
        closed_form.moments("gae", mdp, pi[:4], scores[:4])
