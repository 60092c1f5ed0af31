"""Schedules, target KL, the adaptive penalty, trust regions and lagging actors."""

import dataclasses

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from learners import learn, loss
from logtrick.algorithms import loop as loops
from logtrick.algorithms import update
from logtrick.algorithms.estimation import Batch, estimate, forward
from logtrick.algorithms.learning import Learner, adapted, scheduled
from logtrick.algorithms.loop import Loop
from logtrick.algorithms.natural_gradient import mean_kl
from logtrick.algorithms.trust_region import policy_step
from logtrick.envs import resolve
from logtrick.policies import MLPPolicy, MLPValue, SoftmaxTable
from logtrick.policies.actor_critic import ActorCritic
from logtrick.rollouts.device import rollout

ENV = resolve("CartPole-v1")
SMALL = {"num_envs": 4, "num_steps": 32, "hidden": (16,)}


def collected(algorithm, seed=0):
    """(a model, its batch of one rollout in CartPole)."""
    env = ENV.build(1)
    policy = MLPPolicy(ENV.observation_space, ENV.action_space, hidden=(16,), key=seed)
    model = ActorCritic(policy, MLPValue(ENV.observation_space, hidden=(16,), key=seed + 1))
    keys = jax.random.split(jax.random.key(seed), algorithm.num_envs)
    play = jax.vmap(lambda key: rollout(key, env, policy, algorithm.num_steps)[1])
    return model, eqx.filter_jit(estimate)(algorithm, model, play(keys))[0]


def divergence(old, new, batch):
    return float(mean_kl(forward(old, batch)[0], forward(new, batch)[0], batch.valid))


def optimiser_state(algorithm, model):
    return update.optimizer(algorithm).init(eqx.filter(model, eqx.is_inexact_array))


def test_schedules_fall_from_all_to_nothing():
    def rate(schedule, done):
        algorithm = lt.PPO(schedule=schedule, learning_rate=2.0)
        return float(scheduled(algorithm, jnp.array(done)).learning_rate)

    shares = [0.0, 0.25, 0.5, 1.0, 1.5]
    assert [rate("constant", s) for s in shares] == [2.0] * 5
    np.testing.assert_allclose([rate("linear", s) for s in shares], [2, 1.5, 1, 0, 0], atol=1e-6)
    expected = [1 + np.cos(np.pi * min(s, 1)) for s in shares]
    np.testing.assert_allclose([rate("cosine", s) for s in shares], expected, atol=1e-6)
    half = scheduled(lt.PPO(clip_schedule="linear", clip_eps=0.4), jnp.array(0.5))
    np.testing.assert_allclose(half.clip_eps, 0.2)


def test_target_kl_stops_exactly_where_a_minibatch_exceeds_it():
    """The steps taken are those of a loop in Python that breaks, as Stable-Baselines3 does."""
    settings = lt.PPO(**SMALL, epochs=4, minibatches=4, normalise="none", learning_rate=0.005)
    model, batch = collected(settings)
    state, key = optimiser_state(settings, model), jax.random.key(3)
    rows = update.shuffles(key, len(batch.psi), 4).reshape(16, -1)
    kls, models, current, opt_state = [], [model], model, state
    for row in rows:
        piece = jax.tree.map(lambda x, r=row: x[r], batch)
        kls.append(float(loss(settings, current, piece)[1]["approx_kl"]))
        one = dataclasses.replace(settings, epochs=1, minibatches=1)
        current, opt_state, _ = eqx.filter_jit(learn)(one, current, opt_state, piece, key)
        models.append(current)
    first = next(i for i in range(4, 16) if kls[i] > 1.05 * max(kls[:i]))
    target = (kls[first] + max(kls[:first])) / 2 / 1.5
    limited = dataclasses.replace(settings, target_kl=float(target))
    stopped, _, parts = eqx.filter_jit(learn)(limited, model, state, batch, key)
    assert parts["gradient_steps"] == first
    np.testing.assert_allclose(parts["approx_kl"], np.mean(kls[:first]), rtol=1e-3, atol=1e-7)
    for a, b in zip(*map(jax.tree.leaves, (stopped, models[first])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(*map(jax.tree.leaves, (stopped, models[first + 1])), strict=True):
        assert np.max(np.abs(a - b)) > 1e-3
    free = dataclasses.replace(settings, target_kl=1e6)
    whole, _, parts = eqx.filter_jit(learn)(free, model, state, batch, key)
    assert parts["gradient_steps"] == 16
    for a, b in zip(*map(jax.tree.leaves, (whole, models[-1])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_penalty_has_the_gradient_of_a2c_at_the_old_policy():
    settings = lt.PPO(**SMALL, minibatches=1, surrogate="kl_penalty", target_kl=0.01, kl_coef=5.0)
    model, batch = collected(settings)
    batch = batch._replace(old=jax.lax.stop_gradient(forward(model, batch)[0]))
    plain = lt.A2C(normalise="minibatch", entropy_coef=settings.entropy_coef)
    gradients = [jax.grad(lambda m, a=a: loss(a, m, batch)[0])(model) for a in (settings, plain)]
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_coefficient_adapts_to_the_divergence():
    settings = lt.PPO(surrogate="kl_penalty", target_kl=0.01)
    found = [float(adapted(settings, jnp.array(2.0), jnp.array(kl))) for kl in (0.001, 0.01, 0.1)]
    assert found == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("kl", "factor"),
    [
        (0.0, 0.5), (0.999, 0.5), (1.0, 1.0), (1.001, 1.0), (1.5, 1.0),
        (2.249, 1.0), (2.25, 1.0), (2.251, 2.0), (100.0, 2.0),
    ],
)  # fmt: skip
def test_the_penalty_adapts_at_the_edges_of_its_band(kl, factor):
    """Halved below target/1.5, doubled above 1.5 target (the paper's section 4), else kept."""
    settings = lt.PPO(**SMALL, surrogate="kl_penalty", target_kl=1.5)
    assert float(adapted(settings, jnp.array(3.0), jnp.array(kl))) == 3.0 * factor


def test_the_coefficient_comes_back_however_long_it_fell_or_rose():
    """128 halvings of float32 are 0, and twice 0 is 0; 128 doublings are infinite."""
    settings = lt.PPO(surrogate="kl_penalty", target_kl=0.01)
    for kl, back in ((0.0, 1.0), (1.0, 0.0)):
        coefficient = jnp.array(1.0)
        for _ in range(200):
            coefficient = adapted(settings, coefficient, jnp.array(kl))
        assert 0 < coefficient < jnp.inf
        way = []
        for _ in range(40):
            coefficient = adapted(settings, coefficient, jnp.array(back))
            way.append(float(coefficient))
        assert min(way) < 2
        assert max(way) > 0.5


def test_the_divergence_is_that_of_the_whole_update():
    """KL(π_old ‖ π) where the update began and where it ended, not a mean over its steps."""
    settings = lt.PPO(**SMALL, surrogate="kl_penalty", target_kl=0.01, learning_rate=0.01)
    model, batch = collected(settings)
    state = optimiser_state(settings, model)
    moved, _, parts = eqx.filter_jit(learn)(settings, model, state, batch, jax.random.key(0))
    assert divergence(model, moved, batch) > 1e-4
    assert float(parts["kl"]) == pytest.approx(divergence(model, moved, batch), rel=1e-5)
    wrong_way = divergence(moved, model, batch)
    assert abs(wrong_way / divergence(model, moved, batch) - 1) > 1e-3


def test_a_larger_penalty_moves_less():
    moved = []
    for kl_coef in (0.0001, 100.0):
        settings = lt.PPO(**SMALL, surrogate="kl_penalty", target_kl=0.01, kl_coef=kl_coef)
        model, batch = collected(settings)
        state = optimiser_state(settings, model)
        new, _, parts = eqx.filter_jit(learn)(settings, model, state, batch, jax.random.key(0))
        np.testing.assert_allclose(parts["kl"], divergence(model, new, batch), rtol=1e-3, atol=1e-7)
        moved.append(float(parts["kl"]))
    assert moved[1] < 0.2 * moved[0]


@pytest.mark.parametrize("max_kl", [1e-3, 1e-2, 0.3])
def test_trpo_keeps_its_divergence_within_the_radius_and_improves(max_kl):
    settings = lt.TRPO(**SMALL, minibatches=4, max_kl=max_kl)
    for seed in range(3):
        model, batch = collected(settings, seed)
        new, parts = eqx.filter_jit(policy_step)(settings, model, batch)
        assert 0 < divergence(model, new, batch) <= max_kl * (1 + 1e-5)
        assert float(parts["kl"]) <= max_kl
        assert float(parts["step_scale"]) > 0
        ratio = jnp.exp(forward(new, batch)[0].log_prob(batch.action) - batch.log_prob)
        assert float(jnp.mean(ratio * batch.psi)) > float(jnp.mean(batch.psi))
        for a, b in zip(*(jax.tree.leaves(m.value) for m in (model, new)), strict=True):
            np.testing.assert_array_equal(a, b)  # the critic is fitted afterwards


def test_trpo_stays_where_nothing_is_acceptable():
    settings = lt.TRPO(**SMALL, minibatches=4)
    model, batch = collected(settings)
    batch = batch._replace(psi=0 * batch.psi)  # nothing improves the surrogate
    new, parts = eqx.filter_jit(policy_step)(settings, model, batch)
    assert float(parts["step_scale"]) == 0
    for a, b in zip(*map(jax.tree.leaves, (model, new)), strict=True):
        np.testing.assert_array_equal(a, b)


def of_tables(rng, rows=40):
    """(a softmax in each of two states, a batch of rows with weights of their own)."""
    logits = jnp.array(rng.normal(size=(2, 3)))
    model = ActorCritic(SoftmaxTable(2, 3, logits=logits), None)
    obs, action = rng.integers(2, size=rows), rng.integers(3, size=rows)
    log_pi = np.asarray(jax.nn.log_softmax(logits, axis=-1))
    zeros, ones = jnp.zeros(rows), jnp.ones(rows)
    weight = jnp.array(0.5 ** rng.integers(6, size=rows))
    estimates = jnp.array(rng.normal(size=rows))
    return model, Batch(
        jnp.array(obs), jnp.array(action), jnp.array(log_pi[obs, action]), estimates, weight,
        zeros, zeros, ones,
    )  # fmt: skip


def test_the_natural_step_weights_its_rows():
    """F and g by loops over the rows, each with its γ^t; x solves (F + damping) x = g."""
    with jax.enable_x64(True):
        model, batch = of_tables(np.random.default_rng(0))
        settings = lt.NPG(max_kl=1e-3, cg_damping=0.1, cg_iterations=50)
        moved, _ = policy_step(settings, model, batch)
        found = np.asarray(moved.policy.logits - model.policy.logits)
        pi = np.asarray(jax.nn.softmax(model.policy.logits, axis=-1))
    gradient, fisher = np.zeros(6), np.zeros((6, 6))
    weights = np.asarray(batch.weight) / np.asarray(batch.weight).sum()
    for o, a, psi, w in zip(batch.obs, batch.action, batch.psi, weights, strict=True):
        score = np.zeros((2, 3))
        score[o] = np.eye(3)[a] - pi[o]
        gradient += w * float(psi) * score.ravel()
        block = np.zeros((2, 3, 2, 3))
        block[o, :, o, :] = np.diag(pi[o]) - np.outer(pi[o], pi[o])
        fisher += w * block.reshape(6, 6)
    damped = fisher + 0.1 * np.eye(6)
    x = np.linalg.solve(damped, gradient)
    expected = np.sqrt(2 * 1e-3 / (x @ damped @ x)) * x
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-5, atol=1e-8)


def test_trpo_counts_the_entropy_and_refuses_what_does_not_improve():
    """With ψ = 0 only the entropy rises, and the full step goes past its top and down again."""
    with jax.enable_x64(True):
        logits = jnp.log(jnp.array([[0.6, 0.4]]))
        model = ActorCritic(SoftmaxTable(1, 2, logits=logits), None)
        ones, zeros = jnp.ones(4), jnp.zeros(4)
        batch = Batch(
            jnp.zeros(4, int), jnp.array([0, 0, 1, 1]), jnp.log(jnp.array([0.6, 0.6, 0.4, 0.4])),
            zeros, ones, zeros, zeros, ones,
        )  # fmt: skip
        settings = lt.TRPO(max_kl=1.0, cg_damping=1e-6, entropy_coef=1.0, line_search_shrink=0.8)
        moved, parts = policy_step(settings, model, batch)
        full, _ = policy_step(dataclasses.replace(settings, line_search_steps=1), model, batch)
        pi = np.asarray(jax.nn.softmax(moved.policy.logits, axis=-1))[0]
    assert np.array_equal(full.policy.logits, logits)  # the first length is refused
    # From log 1.5 by scale · √(2 δ/π(1 − π)): less than twice as far as the top.
    length = np.sqrt(2 / 0.24)
    expected = next(0.8**k for k in range(10) if 0.8**k * length < 2 * np.log(1.5))
    assert float(parts["step_scale"]) == pytest.approx(expected, rel=1e-6)
    assert -(pi * np.log(pi)).sum() > -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))


def test_npg_takes_the_full_step_that_trpo_may_shorten():
    small = {**SMALL, "minibatches": 4, "max_kl": 1e-3}
    model, batch = collected(lt.NPG(**small))
    full, _ = eqx.filter_jit(policy_step)(lt.NPG(**small), model, batch)
    searched, parts = eqx.filter_jit(policy_step)(lt.TRPO(**small), model, batch)
    assert float(parts["step_scale"]) == 1
    for a, b in zip(*map(jax.tree.leaves, (full, searched)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_critic_of_npg_is_fitted_and_its_policy_only_steps():
    settings = lt.NPG(**SMALL, epochs=5, minibatches=4)
    model, batch = collected(settings)
    state = optimiser_state(settings, model)
    stepped, _ = eqx.filter_jit(policy_step)(settings, model, batch)
    new, _, _ = eqx.filter_jit(learn)(settings, model, state, batch, jax.random.key(0))
    for a, b in zip(*(jax.tree.leaves(m.policy) for m in (stepped, new)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)

    def error(model):
        return float(jnp.mean((forward(model, batch)[1] - batch.target) ** 2))

    assert error(new) < error(model)


def test_vtrace_of_actors_that_do_not_lag_is_gae():
    settings = lt.IMPALA(**SMALL, gamma=0.9, lambda_=0.8)
    _, batch = collected(settings)
    _, plain = collected(lt.A2C(**SMALL, gamma=0.9, lambda_=0.8))
    np.testing.assert_allclose(batch.psi, plain.psi, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batch.target, plain.target, rtol=1e-5, atol=1e-6)


def test_actors_get_the_parameters_when_they_are_due():
    settings = lt.IMPALA(**SMALL, sync_every=3)
    for env in ("CartPole-v1", "gym:CartPole-v1"):
        loop = Loop(settings, resolve(env), seed=0, num_seeds=1, steps=10_000)
        state = loop.initial()
        lag = []
        for _ in range(6):
            state, _ = loop.advance(state, 1)
            same = jax.tree.map(lambda a, b: bool(np.all(a == b)), state.params, state.acting)
            lag.append(not all(jax.tree.leaves(same)))
        assert lag == [True, True, False, True, True, False]
        loop.close()


def test_every_key_is_used_once(monkeypatch):
    """What an update learns with is neither what it hands on, nor what the next one acts with."""

    def learning(learner, algorithm, model, opt_state, batch, key):
        """Nothing is learned; the metrics have the key."""
        zero = jnp.zeros(())
        given = jax.random.key_data(key)
        return model, opt_state, {"loss": zero, "grad_norm": zero, "key": given}

    monkeypatch.setattr(Learner, "learn", learning)
    settings = lt.A2C(num_envs=2, num_steps=4, hidden=(4,))
    loop = Loop(settings, ENV, seed=0, num_seeds=1, steps=1000)
    state = jax.tree.map(lambda x: x[0], loop.initial())
    policy = loop.program.model(state.params).policy
    play = jax.vmap(lambda key: rollout(key, ENV.build(1), policy, 4)[1])
    trajectory = play(jax.random.split(jax.random.key(1), 2))
    total = jnp.uint32(1000)
    improve = jax.jit(
        lambda state: loop.program.improve(loop.settings, total, state, trajectory, None)
    )
    following, metrics = improve(state)
    keys = [state.key, following.key, *jax.random.split(following.key)]
    seen = [metrics["key"], *map(jax.random.key_data, keys)]
    assert len({tuple(key.tolist()) for key in seen}) == 5


def test_a_host_loop_acts_with_fresh_keys():
    keys = jax.random.split(jax.random.key(0), 3)
    going_on, acting = loops._split(keys)
    seen = [tuple(jax.random.key_data(k).tolist()) for k in (*keys, *going_on, *acting)]
    assert len(set(seen)) == 9


def test_memories_are_those_before_the_rollout():
    """With them the first gradient step finds π = π_old, in the middle of episodes, too."""
    settings = lt.PPO(
        num_envs=2, num_steps=8, hidden=(8,), memory="gru", memory_width=8, epochs=1, minibatches=1
    )
    loop = Loop(settings, ENV, seed=0, num_seeds=1, steps=10_000)
    state, metrics = loop.advance(loop.initial(), 4)
    assert np.asarray(state.rows.step).max() > 0
    assert np.abs(metrics["approx_kl"]).max() < 1e-9


def test_a_seed_that_has_learned_from_its_steps_stands_still_while_others_go_on():
    """Rows that reset themselves lose a step with each episode, so the seeds' steps differ."""
    mode = gymnasium.vector.AutoresetMode.NEXT_STEP
    rows = [lambda: gymnasium.make("CartPole-v1")] * 8
    vector = gymnasium.vector.SyncVectorEnv(rows, autoreset_mode=mode)
    settings = lt.A2C(num_envs=4, num_steps=16, hidden=(4,), schedule="constant")
    loop = Loop(settings, resolve(vector), seed=0, num_seeds=2, steps=492)
    state, waited = loop.initial(), 0
    while not loop.is_done(state):
        before = jax.device_get(state.params), state.steps >= 492
        state, _ = loop.advance(state, 1)
        for old, new in zip(jax.tree.leaves(before[0]), jax.tree.leaves(state.params), strict=True):
            stands_still = (old == new).reshape(2, -1).all(axis=1)
            assert stands_still[before[1]].all()
        waited += int(before[1].sum())
    assert waited, "both seeds ended in the same update, and nothing was tried"


def test_ratios_correct_what_lagging_actors_did():
    """With an actor that is another policy, ψ is V-trace of π/μ, computed by a slow loop."""
    settings = lt.IMPALA(**SMALL, gamma=0.9, lambda_=0.8, rho_bar=1.2, c_bar=0.9)
    env = ENV.build(1)
    model, _ = collected(settings)
    actor = MLPPolicy(ENV.observation_space, ENV.action_space, hidden=(16,), key=77)
    actor = eqx.tree_at(lambda p: p.network.layers[-1].weight, actor, replace_fn=lambda w: 300 * w)
    keys = jax.random.split(jax.random.key(1), settings.num_envs)
    t = jax.vmap(lambda key: rollout(key, env, actor, settings.num_steps)[1])(keys)
    batch, _ = eqx.filter_jit(estimate)(settings, model, t)
    shape = t.reward.shape
    log_prob = jax.vmap(lambda o, a: model(o)[0].log_prob(a))(batch.obs, batch.action)
    ratios = np.exp(np.asarray(log_prob - batch.log_prob, float)).reshape(shape)
    assert ratios.min() < 0.8
    assert ratios.max() > 1.3
    values = np.asarray(batch.value, float).reshape(shape)
    following = np.asarray(jax.vmap(jax.vmap(model.state_value))(t.next_obs), float)
    t, found, targets = jax.device_get((t, batch.psi.reshape(shape), batch.target.reshape(shape)))
    for n in range(shape[0]):
        error = 0.0
        for i in reversed(range(shape[1])):
            over = bool(t.terminated[n, i])
            cut = over or bool(t.truncated[n, i])
            later = 0.0 if cut else error
            bootstrap = 0.0 if over else following[n, i]
            gap = float(t.reward[n, i]) + 0.9 * bootstrap - values[n, i]
            rho, c = min(1.2, ratios[n, i]), 0.8 * min(0.9, ratios[n, i])
            psi = rho * (gap + 0.9 * 0.8 * later)
            np.testing.assert_allclose(found[n, i], psi, rtol=1e-3, atol=1e-4)
            error = rho * gap + 0.9 * c * later
            target = values[n, i] + error
            np.testing.assert_allclose(targets[n, i], target, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "algorithm",
    [
        lt.NPG(num_envs=8, max_kl=0.02),
        lt.TRPO(num_envs=8, max_kl=0.02),
        lt.IMPALA(num_envs=8, sync_every=4, learning_rate=5e-3),
        lt.PPO(num_envs=8, surrogate="kl_penalty", target_kl=0.02),
        lt.PPO(num_envs=8, target_kl=0.02, schedule="cosine", clip_schedule="linear"),
    ],
    ids=["npg", "trpo", "impala", "kl_penalty", "target_kl"],
)
def test_every_algorithm_improves(algorithm, tmp_path):
    run = lt.train("CartPole-v1", algorithm, steps=60_000, out=tmp_path, progress=False)
    first = np.mean([r["episode_return"] for r in run.metrics[:5] if r["episodes"]])
    assert run.final_returns[0] > 3 * first
