"""The update against slow NumPy: what is weighted, masked, averaged, and in which order."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from learners import learn, loss
from logtrick.algorithms import estimation
from logtrick.algorithms.configs import A2C, PPO, REINFORCE
from logtrick.algorithms.estimation import Batch
from logtrick.algorithms.metrics import episodes
from logtrick.algorithms.update import optimizer, shuffles
from logtrick.policies import MLPPolicy, SoftmaxTable, ValueTable
from logtrick.policies.actor_critic import ActorCritic
from logtrick.rollouts.device import Trajectory

N, T, OBS, ACTIONS = 3, 5, 4, 2

# Compiled as one program each; op by op would take JAX longer than all else here.
estimate, learning = eqx.filter_jit(estimation.estimate), eqx.filter_jit(learn)
gradient_of_loss = eqx.filter_jit(
    lambda algorithm, model, batch: jax.grad(lambda m: loss(algorithm, m, batch)[0])(model)
)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def make_model(rng):
    logits, values = rng.normal(size=(OBS, ACTIONS)), rng.normal(size=OBS)
    table = eqx.tree_at(lambda t: t.values, ValueTable(OBS), jnp.array(values))
    return ActorCritic(SoftmaxTable(OBS, ACTIONS, logits=jnp.array(logits)), table)


def make_trajectory(rng, model, *, terminated=None, truncated=None, valid=None, step=None):
    obs = rng.integers(OBS, size=(N, T))
    action = rng.integers(ACTIONS, size=(N, T))
    log_pi = np.log(softmax(np.asarray(model.policy.logits)))
    false = np.zeros((N, T), bool)
    return Trajectory(
        obs=jnp.array(obs),
        action=jnp.array(action),
        reward=jnp.array(rng.normal(size=(N, T))),
        next_obs=jnp.array(rng.integers(OBS, size=(N, T))),
        terminated=jnp.array(false if terminated is None else terminated),
        truncated=jnp.array(false if truncated is None else truncated),
        valid=jnp.array(~false if valid is None else valid),
        log_prob=jnp.array(log_pi[obs, action]),
        step=jnp.array(np.tile(np.arange(T), (N, 1)) if step is None else step),
        episode_return=jnp.zeros((N, T)),
    )


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def score(logits, obs, action):
    """d log pi(a|o) / d logits, [O, A]."""
    g = np.zeros_like(logits)
    g[obs] = -softmax(logits)[obs]
    g[obs, action] += 1
    return g


def policy_gradient(algorithm, model, batch):
    return np.asarray(gradient_of_loss(algorithm, model, batch).policy.logits)


@pytest.mark.parametrize("weighting", ["discounted", "undiscounted"])
def test_the_loss_has_the_policy_gradient_of_one_batch(weighting):
    """-mean of gamma^k psi grad log pi (G2; without gamma^k, G4), by a double loop."""
    rng = np.random.default_rng(0)
    model = make_model(rng)
    trajectory = make_trajectory(rng, model)
    algorithm = A2C(weighting=weighting, gamma=0.7, lambda_=0.6, value_coef=0.0)
    batch, _ = estimate(algorithm, model, trajectory)
    gradient = policy_gradient(algorithm, model, batch)

    logits, values = (np.asarray(x) for x in (model.policy.logits, model.value.values))
    expected = np.zeros_like(logits)
    for n in range(N):
        psi = 0.0
        for t in reversed(range(T)):
            o, a, o2 = (int(x[n, t]) for x in trajectory[:2] + trajectory[3:4])
            psi = float(trajectory.reward[n, t]) + 0.7 * values[o2] - values[o] + 0.42 * psi
            factor = 0.7**t if weighting == "discounted" else 1.0
            expected -= factor * psi * score(logits, o, a) / (N * T)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_ppo_at_the_old_policy_is_a2c():
    rng = np.random.default_rng(1)
    model = make_model(rng)
    trajectory = make_trajectory(rng, model)
    shared = {"gamma": 0.9, "lambda_": 0.8, "entropy_coef": 0.01}
    first, second = (
        A2C(**shared),
        PPO(num_envs=N, num_steps=T, minibatches=1, normalise="none", **shared),
    )
    gradients = []
    for algorithm in (first, second):
        batch, _ = estimate(algorithm, model, trajectory)
        gradients.append(gradient_of_loss(algorithm, model, batch))
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_rows_that_are_no_transition_change_nothing():
    """NaN in them included: the gradient is that of the batch without them."""
    rng = np.random.default_rng(2)
    model = make_model(rng)
    # Row 0 ends at t = 2 and is padding from then on; row 1 idles at t = 3 after its end at 2.
    truncated = np.zeros((N, T), bool)
    truncated[:2, 2] = True
    valid = np.ones((N, T), bool)
    valid[0, 3:] = valid[1, 3] = False
    trajectory = make_trajectory(rng, model, truncated=truncated, valid=valid)
    poisoned = trajectory._replace(
        reward=jnp.where(trajectory.valid, trajectory.reward, jnp.nan),
        log_prob=jnp.where(trajectory.valid, trajectory.log_prob, jnp.nan),
    )
    for algorithm in (
        PPO(num_envs=N, num_steps=T, minibatches=1),
        PPO(num_envs=N, num_steps=T, minibatches=1, normalise="batch"),
        A2C(weighting="discounted"),
    ):
        gradients = []
        for data in (trajectory, poisoned):
            batch, _ = estimate(algorithm, model, data)
            gradients.append(policy_gradient(algorithm, model, batch))
        np.testing.assert_array_equal(*gradients)
        batch, _ = estimate(algorithm, model, trajectory)
        rows = np.flatnonzero(batch.valid)
        kept = jax.tree.map(lambda x, rows=rows: x[rows], batch)
        np.testing.assert_allclose(
            gradients[0], policy_gradient(algorithm, model, kept), rtol=1e-12, atol=1e-15
        )


def test_a_batch_is_the_sum_of_its_episodes():
    """Cut at every end and learned from apart, weighted by their lengths, the gradient is equal."""
    rng = np.random.default_rng(3)
    model = make_model(rng)
    terminated, truncated = rng.random((2, N, T)) < 0.3
    trajectory = make_trajectory(rng, model, terminated=terminated, truncated=truncated)
    algorithm = A2C(gamma=0.9, lambda_=0.7, value_coef=0.3, entropy_coef=0.02)

    def gradient(data):
        batch, _ = estimate(algorithm, model, data)
        return gradient_of_loss(algorithm, model, batch)

    whole = gradient(trajectory)
    parts = []
    for n in range(N):
        begin = 0
        for t in range(T):
            if terminated[n, t] or truncated[n, t] or t == T - 1:
                piece = jax.tree.map(
                    lambda x, n=n, b=begin, t=t: x[n : n + 1, b : t + 1], trajectory
                )
                parts.append(
                    jax.tree.map(lambda g, k=t + 1 - begin: g * k / (N * T), gradient(piece))
                )
                begin = t + 1
    total = jax.tree.map(lambda *x: sum(x), *parts)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(total), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_value_targets_are_lambda_returns():
    rng = np.random.default_rng(4)
    model = make_model(rng)
    trajectory = make_trajectory(rng, model)
    following = jnp.concatenate([trajectory.obs[:, 1:], trajectory.next_obs[:, -1:]], axis=1)
    trajectory = trajectory._replace(next_obs=following)
    batch, _ = estimate(A2C(gamma=0.9, lambda_=1.0), model, trajectory)
    values = np.asarray(model.value.values)
    target = batch.target.reshape(N, T)
    for n in range(N):
        g = values[int(trajectory.next_obs[n, -1])]
        for t in reversed(range(T)):
            g = float(trajectory.reward[n, t]) + 0.9 * g
            np.testing.assert_allclose(target[n, t], g, rtol=1e-12)


def test_truncation_bootstraps_and_termination_does_not():
    rng = np.random.default_rng(5)
    model = make_model(rng)
    ends = np.ones((N, T), bool)
    values = np.asarray(model.value.values)
    cut = make_trajectory(rng, model, truncated=ends)
    batch, _ = estimate(A2C(gamma=0.9), model, cut)
    np.testing.assert_allclose(
        batch.target.reshape(N, T), cut.reward + 0.9 * values[np.asarray(cut.next_obs)], rtol=1e-12
    )
    over = cut._replace(terminated=cut.truncated, truncated=cut.terminated)
    batch, _ = estimate(A2C(gamma=0.9), model, over)
    np.testing.assert_allclose(batch.target.reshape(N, T), over.reward, rtol=1e-12)


def test_normalised_before_it_is_weighted():
    """gamma^k multiplies the standardised psi; standardising afterwards would be another update."""
    rng = np.random.default_rng(6)
    model = make_model(rng)
    trajectory = make_trajectory(rng, model)
    algorithm = A2C(weighting="discounted", normalise="batch", gamma=0.6, value_coef=0.0)
    batch, _ = estimate(algorithm, model, trajectory)
    psi = np.asarray(batch.psi)
    np.testing.assert_allclose([psi.mean(), psi.std()], [0, 1], atol=1e-7)
    np.testing.assert_allclose(batch.weight.reshape(N, T), np.tile(0.6 ** np.arange(T), (N, 1)))


def test_total_return_comes_with_its_discount():
    """gamma = 0.01 over 400 steps: psi alone would overflow float32 and float64 alike."""
    steps = 400
    zeros = jnp.zeros((1, steps))
    trajectory = Trajectory(
        obs=zeros.astype(int),
        action=zeros.astype(int),
        reward=zeros + 1.0,
        next_obs=zeros.astype(int),
        terminated=zeros.astype(bool).at[0, -1].set(True),
        truncated=zeros.astype(bool),
        valid=zeros == 0,
        log_prob=zeros,
        step=jnp.arange(steps)[None],
        episode_return=zeros,
    )
    model = make_model(np.random.default_rng(7))
    batch, _ = estimate(REINFORCE(psi="total_return", gamma=0.01), model, trajectory)
    np.testing.assert_allclose(batch.psi * batch.weight, 1 / 0.99, rtol=1e-12)


def test_total_return_has_the_discount_of_where_the_fragment_began():
    """Steps 3, 4, 5 of an episode, then a whole one: γ^k r_k, k from the start of each episode."""
    rng = np.random.default_rng(8)
    model = make_model(rng)
    ends = np.zeros((N, T), bool)
    ends[:, 2] = True
    step = np.tile([3, 4, 5, 0, 1], (N, 1))
    trajectory = make_trajectory(rng, model, terminated=ends, step=step)
    settings = REINFORCE(psi="total_return", gamma=0.7, num_steps=T)
    batch, _ = estimate(settings, model, trajectory)
    discounted = 0.7**step * np.asarray(trajectory.reward)
    first, second = discounted[:, :3].sum(1), discounted[:, 3:].sum(1)
    expected = np.stack([first] * 3 + [second] * 2, axis=1)
    np.testing.assert_allclose((batch.psi * batch.weight).reshape(N, T), expected, rtol=1e-12)


def test_adam_takes_the_steps_of_the_paper():
    """Kingma and Ba (2015), algorithm 1, three steps, after clipping by norm."""
    rng = np.random.default_rng(8)
    model = make_model(rng)
    trajectory = make_trajectory(rng, model)
    algorithm = A2C(
        optimizer="adam",
        optimizer_eps=1e-8,
        max_grad_norm=0.1,
        learning_rate=0.01,
        schedule="constant",
    )
    batch, _ = estimate(algorithm, model, trajectory)
    state = optimizer(algorithm).init(eqx.filter(model, eqx.is_inexact_array))
    parameters = np.concatenate([np.ravel(x) for x in jax.tree.leaves(model)])
    m = v = np.zeros_like(parameters)
    ours = model
    for step in range(1, 4):
        gradient = gradient_of_loss(algorithm, ours, batch)
        g = np.concatenate([np.ravel(x) for x in jax.tree.leaves(gradient)])
        g = g * min(1.0, 0.1 / np.linalg.norm(g))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        parameters = parameters - 0.01 * (m / (1 - 0.9**step)) / (
            np.sqrt(v / (1 - 0.999**step)) + 1e-8
        )
        ours, state, _ = learning(algorithm, ours, state, batch, jax.random.key(0))
        result = np.concatenate([np.ravel(x) for x in jax.tree.leaves(ours)])
        np.testing.assert_allclose(result, parameters, rtol=1e-9)


def test_every_epoch_sees_every_row_once():
    for size in (1, 2, 7, 512, 2**16 + 3):
        orders = np.asarray(shuffles(jax.random.key(size), size, 3))
        np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(size), (3, 1)))


def test_shuffles_are_uniform():
    """All 24 orders of four rows, chi-squared; false alarm 1e-6."""
    orders = np.asarray(shuffles(jax.random.key(0), 4, 24_000))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    statistic = ((counts - 1000) ** 2 / 1000).sum()
    assert statistic < 73.6  # the 1 - 1e-6 quantile of chi-squared with 23 degrees of freedom


def test_minibatches_cover_the_batch_with_their_own_normalisation():
    rng = np.random.default_rng(9)
    model = make_model(rng)
    batch, _ = estimate(
        PPO(num_envs=N, num_steps=T, minibatches=1), model, make_trajectory(rng, model)
    )
    algorithm = PPO(
        num_envs=N,
        num_steps=T,
        minibatches=1,
        normalise="minibatch",
        value_coef=0.0,
        entropy_coef=0.0,
    )
    shifted = batch._replace(psi=3 * batch.psi + 7)
    np.testing.assert_allclose(
        policy_gradient(algorithm, model, batch),
        policy_gradient(algorithm, model, shifted),
        rtol=1e-6,
        atol=1e-12,
    )


def test_continuous_actions_learn_their_spread():
    policy = MLPPolicy(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (1,)), hidden=(), key=0)
    model = ActorCritic(policy, None)
    algorithm = REINFORCE(weighting="undiscounted")
    obs, action = jnp.zeros((8, 2)), jnp.linspace(-2, 2, 8)[:, None]
    ones = jnp.ones(8)
    log_prob = jax.vmap(lambda o, a: policy(o).log_prob(a))(obs, action)
    batch = Batch(obs, action, log_prob, ones, ones, 0 * ones, 0 * ones, ones)
    gradient = gradient_of_loss(algorithm, model, batch).policy.head.log_std
    expected = -np.mean(np.asarray(action[:, 0]) ** 2 - 1)  # d log pi / d log std = z^2 - 1
    np.testing.assert_allclose(gradient, [expected], rtol=1e-6)


def test_the_bonus_raises_the_entropy_and_the_coefficients_weigh():
    """d H / d logits = -pi (log pi + H) for each visit; value_coef scales the critic's gradient."""
    rng = np.random.default_rng(10)
    model = make_model(rng)
    trajectory = make_trajectory(rng, model)
    batch, _ = estimate(A2C(), model, trajectory)

    def gradient(**coefficients):
        return gradient_of_loss(A2C(**coefficients), model, batch)

    plain = gradient(entropy_coef=0.0, value_coef=1.0)
    with_bonus = gradient(entropy_coef=0.3, value_coef=0.25)
    logits = np.asarray(model.policy.logits)
    pi = softmax(logits)
    entropy = -(pi * np.log(pi)).sum(axis=1, keepdims=True)
    visits = np.bincount(np.ravel(trajectory.obs), minlength=OBS)[:, None] / (N * T)
    np.testing.assert_allclose(
        with_bonus.policy.logits - plain.policy.logits,
        0.3 * visits * pi * (np.log(pi) + entropy),
        rtol=1e-10,
        atol=1e-14,
    )
    np.testing.assert_allclose(with_bonus.value.values, 0.25 * plain.value.values, rtol=1e-12)


def test_equal_psi_give_no_gradient():
    """Solved: every ψ is 0.1, of which float32 knows no exact mean. Whitened it is 0, not 0.79."""
    count = 2048
    for normalise in ("batch", "minibatch"):
        for algorithm in (A2C(normalise=normalise), PPO(normalise=normalise)):
            with jax.enable_x64(False):
                psi = jnp.full(count, 0.1, jnp.float32)
                model = make_model(np.random.default_rng(0))
                model = jax.tree.map(lambda x: x.astype(jnp.float32), model)
                if normalise == "batch":
                    psi = estimation.whitened(psi, jnp.ones(count, bool))
                obs, zeros = jnp.arange(count) % OBS, jnp.zeros(count)
                log_prob = jax.nn.log_softmax(model.policy.logits)[obs, 0]
                rows = (obs, obs * 0, log_prob, psi, zeros + 1, zeros, zeros, zeros + 1)
                silent = algorithm.with_values({"entropy_coef": 0.0})
                gradient = gradient_of_loss(silent, model, Batch(*rows))
                np.testing.assert_array_equal(gradient.policy.logits, 0.0)


def test_the_explained_share_of_targets_that_all_agree_is_unknown():
    """A variance of 0 explains nothing, and is not one of rounding that explains something."""
    valid = jnp.ones((1, 2048), bool)
    with jax.enable_x64(False):
        targets = jnp.full((1, 2048), 0.1, jnp.float32)
        values = jnp.linspace(0, 1, 2048, dtype=jnp.float32)[None]
        assert jnp.isnan(estimation._explained(targets, values, valid))
    rng = np.random.default_rng(9)
    targets, values = rng.normal(size=(2, 3, 50))
    valid = rng.random((3, 50)) < 0.7
    expected = 1 - np.var((targets - values)[valid]) / np.var(targets[valid])
    got = estimation._explained(*map(jnp.array, (targets, values, valid)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_critics_loss_is_not_discounted():
    """½ (V − target)² weighs every transition alike: Σ over its rows of V(o) − target, over N T."""
    rng = np.random.default_rng(11)
    model = make_model(rng)
    algorithm = A2C(weighting="discounted", gamma=0.5, value_coef=0.7, hidden=())
    batch, _ = estimate(algorithm, model, make_trajectory(rng, model))
    assert np.ptp(batch.weight) > 0.5
    found = np.asarray(gradient_of_loss(algorithm, model, batch).value.values)
    expected = np.zeros(OBS)
    values = np.asarray(model.value.values)
    for obs, target in zip(np.asarray(batch.obs), np.asarray(batch.target), strict=True):
        expected[obs] += 0.7 * (values[obs] - target) / (N * T)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_the_gradient_is_limited_before_it_is_preconditioned():
    """Adam's first step is g/(|g| + ε) of the limited g, whose norm is then no longer the limit."""
    gradient = jnp.full(4, 10.0)  # of norm 20, limited to ½: ¼ each
    for name, expected in (("adam", 0.25 / (0.25 + 1e-3)), ("sgd", 0.25)):
        opt = optimizer(PPO(optimizer=name, optimizer_eps=1e-3, max_grad_norm=0.5))
        step, _ = opt.update(gradient, opt.init(gradient), gradient)
        np.testing.assert_allclose(step, expected, rtol=1e-12)


def test_the_approximate_kl_is_that_of_the_old_policy():
    """r − 1 − log r with r = π/π_old, a mean over the actions of π_old (k3)."""
    rng = np.random.default_rng(12)
    model = make_model(rng)
    algorithm = PPO(hidden=(), normalise="none")
    batch, _ = estimate(algorithm, model, make_trajectory(rng, model))
    log_ratio = rng.normal(size=batch.log_prob.shape)
    batch = batch._replace(log_prob=batch.log_prob - log_ratio)
    _, parts = eqx.filter_jit(loss)(algorithm, model, batch)
    expected = np.mean(np.exp(log_ratio) - 1 - log_ratio)
    assert float(parts["approx_kl"]) == pytest.approx(expected, rel=1e-12)


def test_every_epoch_has_an_order_of_its_own():
    """Two of 50! orders agree one time in 3e64."""
    orders = np.asarray(shuffles(jax.random.key(0), 50, 4))
    assert len({tuple(order) for order in orders.tolist()}) == 4


def test_the_explained_share_of_known_targets():
    """Half of each target is left: 1 − ¼ of its variance. The row that is padding is left out."""
    targets = jnp.array([[0.0, 1.0, 2.0, 3.0, 1e6]])
    valid = jnp.array([[True] * 4 + [False]])
    share = estimation._explained(targets, 0.5 * targets, valid)
    assert float(share) == pytest.approx(0.75, rel=1e-12)


def test_what_ended_in_a_batch_is_counted_once():
    """Ends and cuts count, padding does not, and each episode weighs the same."""
    rng = np.random.default_rng(13)
    ends, cuts, valid = np.zeros((3, N, T), bool)
    ends[0, 1] = cuts[1, 3] = ends[2, 2] = cuts[2, 4] = True
    valid[:] = True
    valid[2, 3:] = False  # what follows an end is no transition
    step = np.array([[0, 1, 0, 1, 2], [5, 6, 7, 8, 0], [0, 1, 2, 3, 4]])
    trajectory = make_trajectory(
        rng, make_model(rng), terminated=ends, truncated=cuts, valid=valid, step=step
    )
    told = np.arange(N * T, dtype=float).reshape(N, T)
    found = episodes(trajectory._replace(episode_return=jnp.array(told)))
    assert int(found["episodes"]) == 3
    assert float(found["episode_return"]) == pytest.approx((1 + 8 + 12) / 3)
    assert float(found["episode_length"]) == pytest.approx((2 + 9 + 3) / 3)
