"""gymnax behind the device protocol: its numbers, its final observations, its separate flags."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

gymnax = pytest.importorskip("gymnax", reason="an optional extra")

import logtrick as lt  # noqa: E402
from logtrick import envs  # noqa: E402
from logtrick.envs import Gymnax  # noqa: E402
from logtrick.envs.adapters.gymnax import DOWNLOADS, NAMES  # noqa: E402
from logtrick.envs.spec import trainable  # noqa: E402
from logtrick.errors import ConfigError, EnvError, UnknownEnvError  # noqa: E402

SMALL = ["CartPole-v1", "Catch-bsuite", "DeepSea-bsuite", "FourRooms-misc", "FrozenLake-misc"]


def test_the_list_is_gymnaxs():
    built_in = [name for name in gymnax.registered_envs if not name.startswith("TwoState")]
    assert list(NAMES) == built_in


def _slow_where_big(name):
    big = name.endswith("MinAtar") or name in ("Pong-misc", "MetaMaze-misc")
    return pytest.param(name, marks=[pytest.mark.slow] * big)


QUICK = ("MemoryChain-bsuite", "GaussianBandit-misc")
CHECKED = [
    pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK))
    for name in NAMES
    if name != DOWNLOADS
]


@pytest.mark.parametrize("name", [_slow_where_big(name) for name in NAMES if name != DOWNLOADS])
def test_what_is_listed_as_trainable_is(name):
    env = Gymnax(name)
    assert trainable(env.observation_space, env.action_space)
    assert env.max_episode_steps == gymnax.make(name)[1].max_steps_in_episode
    assert envs.resolve(f"gymnax:{name}").id == env.id == f"gymnax:{name}"


@pytest.mark.parametrize("name", CHECKED)
def test_check_env(name):
    assert "observations stay in their space" in lt.check_env(f"gymnax:{name}", steps=400).passed


def test_what_is_listed_says_which_one_downloads():
    rows = {row.id: row for row in envs.list_envs()}
    row = rows.pop(f"gymnax:{DOWNLOADS}")
    assert (row.trainable, "downloads" in row.observation) == (None, True)
    assert not any("downloads" in other.observation for other in rows.values())


def test_what_cannot_be_downloaded_is_told(monkeypatch):
    def refuse(name):
        raise OSError("no network")

    monkeypatch.setattr(gymnax, "make", refuse)
    with pytest.raises(EnvError, match="needs data that it cannot load: no network"):
        Gymnax("CartPole-v1")


@pytest.mark.parametrize("name", SMALL)
def test_one_step_is_gymnaxs_inner_step(name):
    """Against gymnax's own `step`, whose info keeps what was reached before it resets."""
    env, (inner, params) = Gymnax(name), gymnax.make(name)
    state, obs = env.reset(jax.random.key(3))
    with jax.numpy_rank_promotion("allow"):
        their_obs, their_state = inner.reset_env(jax.random.key(3), params)
    assert np.array_equal(obs, their_obs)
    for t in range(12):
        key = jax.random.key(t)
        action = jnp.asarray(t % env.action_space.n)
        step = env.step(jax.random.split(key)[0], state, action)
        with jax.numpy_rank_promotion("allow"):
            _, _, reward, terminated, truncated, info = inner.step(key, their_state, action, params)
            their_state = inner.step_env(jax.random.split(key)[0], their_state, action, params)[1]
        # gymnax compiles its step, which rounds differently.
        assert np.allclose(step.obs, info["final_observation"], atol=1e-6)
        assert np.allclose(step.reward, reward, atol=1e-6)
        assert bool(step.terminated) == bool(terminated)
        assert bool(step.truncated) == bool(truncated)
        if step.terminated or step.truncated:
            return
        state = step.state


@pytest.mark.parametrize("name", SMALL)
def test_it_can_be_scanned(name):
    env = Gymnax(name)

    @jax.jit
    def run(key):
        def advance(state, key):
            step = env.step(key, state, jnp.asarray(0))
            return step.state, step

        return jax.lax.scan(advance, env.reset(key)[0], jax.random.split(key, 7))[1]

    step = run(jax.random.key(0))
    assert step.reward.dtype == jnp.float32
    assert {step.terminated.dtype, step.truncated.dtype} == {jnp.dtype(bool)}
    assert step.obs.dtype == env.observation_space.dtype or env.observation_space.shape == ()


@pytest.mark.parametrize("name", ["GaussianBandit-misc", "CartPole-v1"])
def test_a_step_keeps_the_types_of_the_reset(name):
    """Weak types included: else the second call of a compiled step would compile it again."""
    env = Gymnax(name)
    state, obs = jax.eval_shape(env.reset, jax.random.key(0))
    step = jax.eval_shape(env.step, jax.random.key(0), state, jnp.asarray(0))
    before, after = jax.tree.leaves((state, obs)), jax.tree.leaves((step.state, step.obs))
    for old, new in zip(before, after, strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        assert old.weak_type is new.weak_type is False


def test_made_inside_a_trace_it_keeps_no_tracer():
    outside = Gymnax("FourRooms-misc")
    made = []

    @jax.jit
    def reset(key):
        made.append(Gymnax("FourRooms-misc"))
        return made[0].observation_space.shape and made[0].reset(key)[1]

    assert np.array_equal(reset(jax.random.key(0)), outside.reset(jax.random.key(0))[1])
    assert np.array_equal(made[0].reset(jax.random.key(1))[1], outside.reset(jax.random.key(1))[1])


def test_the_time_limit_is_kept_apart_from_the_end():
    env = Gymnax("CartPole-v1", params=(("max_steps_in_episode", 3),))
    state, _ = env.reset(jax.random.key(0))
    for expected in (False, False, True):
        step = env.step(jax.random.key(1), state, jnp.asarray(0))
        assert (bool(step.terminated), bool(step.truncated)) == (False, expected)
        state = step.state
    assert env.max_episode_steps == 3


def test_environments_are_values():
    env = Gymnax("CartPole-v1", params=(("gravity", 1.6),))
    assert env == Gymnax("CartPole-v1", params=(("gravity", 1.6),))
    assert env != Gymnax("CartPole-v1")
    assert len({env, dataclasses.replace(env)}) == 1
    state, _ = env.reset(jax.random.key(0))
    normal = Gymnax("CartPole-v1").step(jax.random.key(0), state, jnp.asarray(0))
    assert not np.array_equal(env.step(jax.random.key(0), state, jnp.asarray(0)).obs, normal.obs)


def test_what_gymnax_does_not_have():
    with pytest.raises(UnknownEnvError, match="gymnax has no environment 'Nope-v0'"):
        Gymnax("Nope-v0")
    with pytest.raises(ConfigError, match="has no parameter 'gravitas'"):
        Gymnax("CartPole-v1", params=(("gravitas", 1.0),))


def test_spaces_are_gymnasiums():
    assert Gymnax("Catch-bsuite").action_space == spaces.Discrete(3)
    assert Gymnax("FrozenLake-misc").observation_space == spaces.Discrete(16)
    box = Gymnax("PointRobot-misc").action_space
    assert box == spaces.Box(np.float32(-0.1), np.float32(0.1), (2,), np.float32)
