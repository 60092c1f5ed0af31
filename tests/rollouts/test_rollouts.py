"""Rollouts: no transition is lost, invented, or moved into another episode."""

from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from logtrick.envs import make
from logtrick.envs.protocol import DeviceEnv, HostEnvs, HostStep, Step
from logtrick.errors import CheckpointError
from logtrick.policies import MLPPolicy
from logtrick.policies.distributions import Categorical
from logtrick.rollouts.device import DeviceRow, executable, rollout
from logtrick.rollouts.host import HostRollout

LIMIT = 3


@dataclass(frozen=True)
class Counter(DeviceEnv):
    """Counts its steps from a random start; terminates at 10, is truncated after three steps."""

    id: ClassVar[str] = "Counter"
    observation_space = spaces.Box(0, 20, (1,))
    action_space = spaces.Discrete(2)
    max_episode_steps: int = LIMIT

    def reset(self, key):
        start = jax.random.randint(key, (), 0, 9)
        return (start, jnp.zeros((), jnp.int32)), start[None].astype(jnp.float32)

    def step(self, key, state, action):
        count, steps = state[0] + 1, state[1] + 1
        obs = count[None].astype(jnp.float32)
        return Step((count, steps), obs, count * 1.0, count >= 10, steps >= LIMIT)


class HostCounters(HostEnvs):
    """The same on the host, several rows; the start follows from the seed."""

    id, replayable = "Counter", True
    observation_space, action_space = Counter.observation_space, Counter.action_space
    max_episode_steps = LIMIT

    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.count, self.steps = np.zeros((2, num_envs), int)
        self.seeds_seen = []

    def reset(self, seeds, mask):
        self.count[mask] = seeds[mask] % 9
        self.steps[mask] = 0
        self.seeds_seen.extend(seeds[mask].tolist())
        return self.count[:, None].astype(np.float32)

    def step(self, actions):
        self.count, self.steps = self.count + 1, self.steps + 1
        obs = self.count[:, None].astype(np.float32)
        valid = np.ones(self.num_envs, bool)
        ends = self.count >= 10, self.steps >= LIMIT
        return HostStep(obs, self.count.astype(np.float32), *ends, valid)

    def close(self):
        pass


def uniform(obs):
    return Categorical(jnp.zeros(2))


def check_counting(t):
    """What every trajectory [T, ...] of the counter obeys."""
    obs, next_obs = np.asarray(t.obs)[:, 0], np.asarray(t.next_obs)[:, 0]
    ended = np.asarray(t.terminated | t.truncated)
    np.testing.assert_array_equal(next_obs, obs + 1)  # at ends too: the state really reached
    np.testing.assert_array_equal(t.reward, next_obs)
    np.testing.assert_array_equal(t.terminated, next_obs >= 10)
    np.testing.assert_array_equal(t.truncated, np.asarray(t.step) == LIMIT - 1)
    np.testing.assert_array_equal(obs[1:][~ended[:-1]], next_obs[:-1][~ended[:-1]])
    assert np.all(np.asarray(t.step)[1:][ended[:-1]] == 0)
    total = 0.0
    for i in range(len(obs)):
        total = float(t.reward[i]) + (0.0 if i == 0 or ended[i - 1] else total)
        assert t.episode_return[i] == total


def test_device_rollout_keeps_every_transition():
    _, trajectory = jax.jit(lambda key: rollout(key, Counter(), uniform, 200))(jax.random.key(0))
    check_counting(trajectory)
    assert np.all(trajectory.valid)
    assert np.any(trajectory.terminated & ~trajectory.truncated)
    assert np.any(trajectory.truncated & ~trajectory.terminated)


def test_a_rollout_goes_on_where_the_last_one_stopped():
    env = Counter()
    row, first = rollout(jax.random.key(0), env, uniform, 4)
    _, second = rollout(jax.random.key(1), env, uniform, 4, row)
    both = jax.tree.map(lambda a, b: np.concatenate([a, b]), first, second)
    check_counting(both)


def test_one_episode_is_marked_valid_and_the_rest_is_not():
    _, t = rollout(jax.random.key(3), Counter(), uniform, 8, one_episode=True)
    end = int(np.argmax(np.asarray(t.terminated | t.truncated)))
    np.testing.assert_array_equal(t.valid, np.arange(8) <= end)


def test_log_prob_is_that_of_the_action():
    env = make("CartPole-v1")
    policy = MLPPolicy(env.observation_space, env.action_space, key=1)
    _, t = rollout(jax.random.key(0), env, policy, 20)
    expected = jax.vmap(lambda o, a: policy(o).log_prob(a))(t.obs, t.action)
    np.testing.assert_allclose(t.log_prob, expected, rtol=1e-6)


def test_greedy_takes_the_mode():
    env = make("CartPole-v1")
    policy = MLPPolicy(env.observation_space, env.action_space, key=1)
    _, t = rollout(jax.random.key(0), env, policy, 20, greedy=True)
    np.testing.assert_array_equal(t.action, jax.vmap(lambda o: policy(o).mode)(t.obs))


def test_actions_are_clipped_on_their_way_only():
    space = spaces.Box(-2, 2, (1,))
    assert float(executable(space, jnp.array([5.0]))[0]) == 2
    assert float(executable(space, np.array([-5.0]))[0]) == -2
    env = make("Pendulum-v1")
    policy = MLPPolicy(env.observation_space, env.action_space, key=0)
    _, t = rollout(jax.random.key(0), env, policy, 100)
    _, again = rollout(jax.random.key(0), env, policy, 100)
    assert np.any(np.abs(t.action) > 2)
    np.testing.assert_array_equal(t.action, again.action)


def host_rollout(num_seeds=2, num_envs=3, seed=5):
    def act(t, obs, carry, begins):
        assert obs.shape[:2] == begins.shape == (num_seeds, num_envs)
        return np.full(begins.shape, t % 2), np.full(begins.shape, -0.5, np.float32), carry

    envs = HostCounters(num_seeds * num_envs)
    return HostRollout(envs, lambda model, key: act, seed=seed, num_seeds=num_seeds)


def test_host_rollout_delivers_the_same_contract():
    host = host_rollout()
    first, second = host.collect(None, None, 7), host.collect(None, None, 6)
    both = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=2), first, second)
    assert both.obs.shape == (2, 3, 13, 1)
    for s in range(2):
        for n in range(3):
            check_counting(jax.tree.map(lambda x, s=s, n=n: x[s, n], both))


def test_host_rows_play_one_episode():
    t = host_rollout().collect(None, None, 6, one_episode=True)
    assert t.valid.shape == (2, 3, 6)
    ended = (t.terminated | t.truncated) & t.valid
    np.testing.assert_array_equal(ended.sum(axis=2), np.ones((2, 3)))
    np.testing.assert_array_equal(t.valid.sum(axis=2), 1 + np.argmax(ended, axis=2))


def test_every_episode_has_its_own_seed_and_a_seed_means_the_same_alone():
    host = host_rollout(num_seeds=2, seed=5)
    host.collect(None, None, 30)
    seen = host.envs.seeds_seen
    assert len(set(seen)) == len(seen)
    alone = host_rollout(num_seeds=1, seed=6)
    np.testing.assert_array_equal(host_rollout().obs[3:], alone.obs)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
def test_an_interrupted_host_rollout_is_played_again(steps):
    host = host_rollout()
    host.collect(None, None, steps)
    saved = host.state()
    expected = host.collect(None, None, 7)
    other = host_rollout()
    other.restore(saved)
    np.testing.assert_array_equal(other.obs, saved["obs"])
    for a, b in zip(other.collect(None, None, 7), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_environment_that_does_not_replay_is_named():
    host = host_rollout()
    host.collect(None, None, 4)
    saved = host.state()
    saved["obs"][2] += 1
    with pytest.raises(CheckpointError, match="Counter, row 2"):
        host_rollout().restore(saved)


def test_rows_are_pytrees_that_vmap():
    keys = jax.random.split(jax.random.key(0), 4)
    row, t = jax.vmap(lambda k: rollout(k, Counter(), uniform, 5))(keys)
    assert isinstance(row, DeviceRow)
    assert t.reward.shape == (4, 5)


@dataclass(frozen=True)
class Coin(Counter):
    """Pays by a coin that the step's key tosses."""

    id: ClassVar[str] = "Coin"

    def step(self, key, state, action):
        paid = jax.random.bernoulli(key).astype(jnp.float32)
        return super().step(key, state, action)._replace(reward=paid)


def test_every_step_has_chance_of_its_own():
    """64 tosses of a fair coin agree one time in 2⁶³."""
    _, t = rollout(jax.random.key(0), Coin(), uniform, 64)
    assert set(np.asarray(t.reward).tolist()) == {0.0, 1.0}
    assert len(set(np.asarray(t.obs[t.step == 0]).ravel().tolist())) > 2
    assert set(np.asarray(t.action).tolist()) == {0, 1}


class Remembers(eqx.Module):
    """A policy whose logit is how many steps it remembers."""

    def initial_carry(self):
        return jnp.zeros(())

    def __call__(self, obs, carry):
        return Categorical(jnp.stack([carry, 0 * carry])), carry + 1


def test_a_memory_begins_anew_with_each_episode():
    _, t = rollout(jax.random.key(0), Counter(), Remembers(), 20)
    remembered = np.asarray(t.step, float)
    expected = np.where(t.action == 0, remembered, 0.0) - np.logaddexp(remembered, 0.0)
    np.testing.assert_allclose(t.log_prob, expected, rtol=1e-6)
    assert np.asarray(t.step == 0).sum() > 5
