"""Craftax behind the device protocol: its one flag told apart. Slow: it compiles for a minute."""

import jax
import jax.numpy as jnp
import pytest

pytest.importorskip("craftax", reason="an optional extra")

import logtrick as lt
from logtrick import envs
from logtrick.envs.adapters.craftax import NAMES
from logtrick.errors import UnknownEnvError

pytestmark = pytest.mark.slow
CLASSIC = "craftax:Craftax-Classic-Symbolic-v1"


def test_what_is_found():
    spec = envs.resolve(CLASSIC)
    assert (spec.id, spec.kind, spec.max_episode_steps) == (CLASSIC, "device", 10_000)
    assert spec.observation_space.shape == (1345,)
    assert spec.action_space.n == 17
    with pytest.raises(UnknownEnvError, match="Craftax has no environment 'Craftax-v7'"):
        envs.resolve("craftax:Craftax-v7")
    assert [row.id for row in envs.list_envs() if row.id.startswith("craftax:")] == [
        f"craftax:{name}" for name in NAMES
    ]


def test_death_terminates_and_the_limit_truncates():
    env = envs.make(CLASSIC)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(env.step)
    last = state.replace(timestep=jnp.int32(9_999))
    dying = state.replace(player_health=jnp.int32(-5))
    for start, flags in (
        (state, (False, False)),
        (last, (False, True)),
        (dying, (True, False)),
        (dying.replace(timestep=jnp.int32(9_999)), (True, True)),
    ):
        reached = step(jax.random.key(1), start, jnp.int32(0))
        assert (bool(reached.terminated), bool(reached.truncated)) == flags


def test_check_env():
    assert lt.check_env(CLASSIC).steps >= 1000
