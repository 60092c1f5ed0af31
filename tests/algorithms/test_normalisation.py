"""Running moments against NumPy over everything seen, and where they may not move."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import logtrick as lt
from logtrick.algorithms.models import build_model
from logtrick.algorithms.normalisation import Normalised, RewardScale, RunningMoments, trainable
from logtrick.envs import make
from logtrick.policies import MLPPolicy

SMALL = lt.PPO(
    num_envs=4, num_steps=16, minibatches=2, observations="normalised", rewards="normalised"
)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=6), st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_merged_moments_are_those_of_everything_seen(sizes, seed):
    rng = np.random.default_rng(seed)
    with jax.enable_x64(True):
        moments, seen = RunningMoments((2,)), []
        for size in sizes:
            x, valid = rng.normal(3, 2, (8, 2)), np.arange(8) < size
            rng.shuffle(valid)
            moments = moments.merge(jnp.array(x), jnp.array(valid))
            seen.extend(x[valid])
        assert moments.count == len(seen)
        if seen:
            np.testing.assert_allclose(moments.mean, np.mean(seen, axis=0), rtol=1e-12)
            variance = np.var(seen, axis=0)
            np.testing.assert_allclose(moments.variance, variance, rtol=1e-9, atol=1e-14)
        else:
            np.testing.assert_allclose(moments.standardise(jnp.ones(2)), 1, rtol=1e-7)


def test_rows_that_are_no_transition_do_not_count():
    x = jnp.array([[1.0], [jnp.nan], [3.0]])
    moments = RunningMoments((1,)).merge(x, jnp.array([True, False, True]))
    np.testing.assert_allclose([moments.mean[0], moments.variance[0]], [2, 1])


def test_an_observation_that_never_changes_is_zero():
    """Its mean is the number itself, and its variance 0: no rounding is taken for a deviation."""
    x = jnp.full((2048, 1), 1e4 + 0.1, jnp.float32)
    moments = RunningMoments((1,))
    for _ in range(3):
        moments = moments.merge(x, jnp.ones(2048, bool))
        np.testing.assert_array_equal(moments.variance, 0.0)
        np.testing.assert_array_equal(moments.standardise(x[0]), 0.0)


def test_standardised_observations_are_cut_off():
    moments = RunningMoments((1,)).merge(jnp.array([[1.0], [3.0]]), jnp.ones(2, bool))
    np.testing.assert_allclose(moments.standardise(jnp.array([4.0])), [2.0], rtol=1e-6)
    np.testing.assert_array_equal(moments.standardise(jnp.array([1e6])), [10.0])


def test_the_return_starts_anew_with_each_episode_and_goes_on_between_batches():
    """Two environments, three batches, episodes that end anywhere; one double loop in NumPy."""
    rng = np.random.default_rng(0)
    rewards = rng.normal(size=(2, 30))
    step = np.zeros((2, 30), int)
    for n in range(2):
        for t in range(1, 30):
            step[n, t] = 0 if rng.random() < 0.2 else step[n, t - 1] + 1
    valid = rng.random((2, 30)) < 0.9
    with jax.enable_x64(True):
        scale = RewardScale(2)
        for begin in (0, 10, 20):
            part = slice(begin, begin + 10)
            zeros = jnp.zeros((2, 10))
            off = zeros.astype(bool)
            batch = lt.Trajectory(
                obs=zeros,
                action=zeros,
                reward=jnp.array(rewards[:, part]),
                next_obs=zeros,
                terminated=off,
                truncated=off,
                valid=jnp.array(valid[:, part]),
                log_prob=zeros,
                step=jnp.array(step[:, part]),
                episode_return=zeros,
            )
            scale, scaled = scale.observe(batch, 0.9)
        seen = []
        for n in range(2):
            g = 0.0
            for t in range(30):
                if valid[n, t]:
                    g = rewards[n, t] + 0.9 * (0.0 if step[n, t] == 0 else g)
                    seen.append(g)
            np.testing.assert_allclose(scale.returns[n], g, rtol=1e-12)
        np.testing.assert_allclose(scale.moments.variance, np.var(seen), rtol=1e-12)
        expected = rewards[:, 20:] / np.sqrt(np.var(seen) + 1e-8)
        np.testing.assert_allclose(scaled, expected, rtol=1e-12)


def test_gradient_steps_do_not_move_the_moments():
    env = make("Pendulum-v1")
    policy = Normalised(MLPPolicy(env.observation_space, env.action_space), env.observation_space)
    moved, rest = trainable(policy)
    assert jax.tree.leaves(moved.moments) == []
    assert len(jax.tree.leaves(rest.moments)) == 3
    assert len(jax.tree.leaves(moved)) == len(jax.tree.leaves(policy.module))
    same = eqx.combine(moved, rest)
    np.testing.assert_array_equal(same.moments.variance, policy.moments.variance)


def test_only_boxes_are_standardised():
    space = spaces.Dict(
        {
            "vector": spaces.Box(-1, 1, (3,)),
            "room": spaces.Discrete(4),
            "image": spaces.Box(0, 255, (10, 10, 3), np.uint8),
            "board": spaces.Box(-1, 1, (3, 3, 2)),
            "action_mask": spaces.Box(0, 1, (2,), np.int8),
            "pair": spaces.Tuple([spaces.Box(-1, 1, ()), spaces.Discrete(2)]),
        }
    )
    model = Normalised(MLPPolicy(space, spaces.Discrete(2)), space)
    kinds = {key: type(part).__name__ for key, part in model.moments.items()}
    assert kinds == {
        "vector": "RunningMoments",
        "room": "NoneType",
        "image": "NoneType",
        "board": "RunningMoments",
        "action_mask": "NoneType",
        "pair": "tuple",
    }
    batch = jax.tree.map(lambda x: jnp.stack([x] * 6).reshape(2, 3, *np.shape(x)), space.sample())
    observed = model.observe(batch, jnp.ones((2, 3), bool))
    np.testing.assert_allclose(observed.moments["vector"].mean, batch["vector"][0, 0], rtol=1e-5)
    assert observed.moments["pair"][0].count == 6
    assert observed(jax.tree.map(lambda x: x[0, 0], batch)).probs.shape == (2,)


def test_images_that_are_flattened_are_standardised():
    space = spaces.Box(0, 255, (10, 10, 3), np.uint8)
    for images, kind in (("auto", type(None)), ("flat", RunningMoments)):
        model = build_model(
            lt.A2C(observations="normalised", images=images), space, spaces.Discrete(2), seed=0
        )
        assert isinstance(model.moments, kind)


@pytest.mark.parametrize("env", ["Pendulum-v1", "gym:Pendulum-v1"])
def test_training_learns_from_normalised_and_reports_what_came(env, tmp_path):
    run = lt.train(env, SMALL, steps=SMALL.num_envs * 200, out=tmp_path, progress=False)
    ended = [row["episode_return"] for row in run.metrics if row["episodes"]]
    assert ended
    assert all(-2000 < value < -200 for value in ended)  # of 200 steps, about -1,200 at random
    policy = run.policy
    assert policy.moments.count == run.metrics[-1]["steps"]
    obs = np.array([0.5, -0.2, 3.0], np.float32)
    direct = policy.module(policy.moments.standardise(jnp.array(obs)))
    np.testing.assert_array_equal(policy(obs).mean, direct.mean)
    assert not np.allclose(policy(obs).mean, policy.module(obs).mean)
    before = np.array(policy.moments.mean)
    run.evaluate(3)
    np.testing.assert_array_equal(run.policy.moments.mean, before)


def test_the_ratio_is_one_where_an_update_begins(tmp_path):
    """The moments stand still from the first action to the last gradient step."""
    algorithm = dataclasses.replace(SMALL, epochs=1, minibatches=1)
    run = lt.train("Pendulum-v1", algorithm, steps=640, out=tmp_path, progress=False)
    assert max(abs(row["approx_kl"]) for row in run.metrics) < 1e-6
    assert max(row["clip_fraction"] for row in run.metrics) == 0


def test_moments_are_those_of_the_observations_that_were_learned_from(tmp_path):
    """One update of one environment: its observations are the rollout's."""
    from logtrick.algorithms.loop import Loop

    loop = Loop(SMALL, lt.envs.resolve("Pendulum-v1"), seed=3, num_seeds=1, steps=64)
    start = loop.initial()
    state, _ = loop.advance(start, 1)
    program = loop.program
    one = jax.tree.map(lambda x: x[0], loop.initial())
    key_rollout = jax.random.split(one.key)[1]
    keys = jax.random.split(key_rollout, SMALL.num_envs)
    policy = program.model(one.params).policy
    _, t = jax.vmap(lambda k, r: lt.rollout(k, program.env, policy, SMALL.num_steps, r))(
        keys, one.rows
    )
    obs = np.asarray(t.obs, float).reshape(-1, 3)
    np.testing.assert_allclose(state.params.moments.mean[0], obs.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(state.params.moments.variance[0], obs.var(axis=0), rtol=1e-4)
