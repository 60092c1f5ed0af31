"""MuJoCo Playground behind the device protocol. Slow: its physics compile for a minute."""

import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("mujoco_playground", reason="an optional extra")

import logtrick as lt
from logtrick import envs
from logtrick.envs.adapters.playground import DM_CONTROL
from logtrick.errors import EnvError, UnknownEnvError

pytestmark = pytest.mark.slow
BALANCE = "playground:CartpoleBalance"


def test_the_list_is_theirs():
    from mujoco_playground import registry

    assert sorted(DM_CONTROL) == sorted(registry.dm_control_suite.ALL_ENVS)
    with pytest.raises(UnknownEnvError, match="Playground has no environment 'Cartpool'"):
        envs.resolve("playground:Cartpool")


def test_a_robot_that_cannot_be_fetched_is_told(monkeypatch):
    from mujoco_playground import registry

    def refuse(name, config):
        raise subprocess.CalledProcessError(128, ["git", "clone"])

    monkeypatch.setattr(registry, "load", refuse)
    with pytest.raises(EnvError, match=r"Go1Getup could not be made; robots .* git at their first"):
        envs.resolve("playground:Go1Getup")


def test_what_is_found():
    spec = envs.resolve(BALANCE)
    assert (spec.id, spec.kind, spec.max_episode_steps) == (BALANCE, "device", 1000)
    assert spec.observation_space.shape == (5,)
    assert spec.action_space.shape == (1,)


def test_a_step_is_theirs_and_the_limit_truncates():
    env = envs.make(BALANCE)
    theirs = env._made[0]
    (inner, steps), obs = jax.jit(env.reset)(jax.random.key(3))
    action = jnp.array([0.3], jnp.float32)
    reached = jax.jit(env.step)(jax.random.key(0), (inner, jnp.int32(999)), action)
    with jax.numpy_rank_promotion("allow"):
        expected = jax.jit(theirs.step)(inner, action)
    assert np.array_equal(reached.obs, expected.obs)
    assert reached.reward == expected.reward
    assert (bool(reached.terminated), bool(reached.truncated)) == (False, True)
    assert steps == 0
    assert not np.array_equal(obs, reached.obs)


def test_check_env():
    assert lt.check_env(BALANCE).steps >= 1000
