"""Finite MDPs as environments: sampled as they are written, refused where they cannot be."""

import dataclasses
import inspect

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env as gymnasium_check
from scipy import stats

import logtrick as lt
from logtrick import envs, exact, planning
from logtrick.algorithms.presets import preset
from logtrick.envs import FiniteMDPEnv, finite, to_gymnasium
from logtrick.envs.finite_gym import FiniteMDPGym
from logtrick.errors import ConfigError, EnvError, MDPError, SpaceError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from random_mdps import random_mdp

COMPLETE = [name for name in problems.REGISTRY if name != "puterman_two_state"]


def full(seed):
    """A random MDP all of whose states have all actions; some outcomes have no probability."""
    rng = np.random.default_rng(seed)
    ragged = random_mdp(seed)
    table = []
    for _ in range(ragged.num_states):
        choices = []
        for _action in range(3):
            count = int(rng.integers(1, 5))
            weights = rng.dirichlet(np.ones(count))
            weights[0] = 0.0 if count > 1 else weights[0]
            weights /= weights.sum()
            choices.append(
                [
                    (float(w), int(rng.integers(ragged.num_states)), float(rng.normal()), k == 1)
                    for k, w in enumerate(weights)
                ]
            )
        table.append(choices)
    return FiniteMDP.from_outcomes(
        table, gamma=0.9, start=ragged.start, observations=ragged.observations
    )


@pytest.mark.parametrize("name", ["frozen_lake", "corridor"])
def test_the_conformance_suite(name):
    report = envs.check_env(f"mdp:{name}")
    assert report.id == f"mdp:{name}"
    assert report.episodes > 5
    assert any("frequencies" in check for check in report.passed)


def test_outcomes_come_as_often_as_they_should():
    """Every pair of a random MDP, 20,000 draws each; false alarm 1e-6 over all."""
    mdp = full(1)
    sample = jax.jit(jax.vmap(FiniteMDPEnv(mdp).step, (0, None, None)))
    keys = jax.random.split(jax.random.key(0), 20_000)
    for state in range(mdp.num_states):
        for action in range(3):
            pair = 3 * state + action
            low, high = mdp.outcome_offsets[pair : pair + 2]
            place = finite.FiniteState(jnp.int32(state), jnp.int32(0))
            step = sample(keys, place, jnp.int32(action))
            distance = np.abs(
                np.asarray(step.reward)[:, None] - mdp.rewards[low:high].astype(np.float32)
            )
            drawn = low + distance.argmin(axis=1)
            assert np.array_equal(step.state.state, mdp.successors[drawn])
            assert np.array_equal(step.terminated, mdp.terminated[drawn])
            seen = np.bincount(drawn - low, minlength=high - low)
            possible = mdp.probabilities[low:high] > 0
            assert not seen[~possible].any()
            if possible.sum() > 1:
                expected = 20_000 * mdp.probabilities[low:high][possible]
                chance = stats.chisquare(seen[possible], expected).pvalue
                assert chance > 1e-6 / mdp.num_pairs


def test_tables_never_reach_what_is_impossible():
    table = np.array([[0.0, 0.3, 0.7, 0.0], [1.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.7, 0.0]])
    table = np.vstack([table, 0.1 * np.eye(4)[2:].sum(axis=0) + [0.8 - 9e-10, 0, 0, 0]])
    sums = finite.cumulative(table)
    assert sums.dtype == np.float32
    for number in (0.0, 0.05, 0.299, 0.3001, 0.999, np.nextafter(np.float32(1), np.float32(0))):
        drawn = (np.float32(number) >= sums).sum(axis=1)
        assert (table[np.arange(4), drawn] > 0).all()


def test_starts_and_time_limits():
    mdp = problems.frozen_lake().replace(start=np.eye(16)[[1, 2]].mean(axis=0))
    env = FiniteMDPEnv(mdp, max_episode_steps=7)
    states, obs = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 400))
    assert set(np.asarray(states.state).tolist()) == {1, 2}
    assert np.array_equal(states.state, obs)
    step = env.step(jax.random.key(0), finite.FiniteState(jnp.int32(0), jnp.int32(6)), jnp.int32(0))
    assert step.truncated
    assert not step.terminated


def test_spaces_follow_the_observations():
    mdp = problems.corridor()
    assert finite.observation_space(mdp) == spaces.Discrete(1)
    features = mdp.replace(observations=np.array([[0.0, 1], [2, 0], [-1, 0.5]]))
    space = finite.observation_space(features)
    assert space == spaces.Box(np.float32([-1, 0]), np.float32([2, 1]))
    obs = FiniteMDPEnv(features).reset(jax.random.key(0))[1]
    assert (obs.dtype, obs.tolist()) == (jnp.float32, [0, 1])


def test_a_state_without_an_action_is_refused():
    for make in (FiniteMDPEnv, to_gymnasium):
        with pytest.raises(SpaceError, match="state 1 has no action 1, but an environment offers"):
            make(problems.puterman_two_state())
    with pytest.raises(SpaceError, match="no action 1"):
        envs.make("mdp:puterman_two_state")


def test_refusals():
    with pytest.raises(MDPError, match="Did you mean frozen_lake"):
        envs.make("mdp:frozen-lakes")
    with pytest.raises(ConfigError, match="at least 1"):
        FiniteMDPEnv(problems.corridor(), max_episode_steps=0)
    uneven = problems.garnet(4000, 1, 1, ends=1.0).restarting()
    assert FiniteMDPEnv(problems.corridor().restarting()).max_episode_steps == 1000
    with pytest.raises(ConfigError, match="16,000,000 entries; 10,000,000 can be sampled from"):
        FiniteMDPEnv(uneven)


def test_listed_by_name():
    ids = {row.id for row in envs.list_envs() if row.id.startswith("mdp:")}
    assert ids == {f"mdp:{name}" for name in problems.REGISTRY}


# Training, judged exactly.


@pytest.mark.parametrize(
    ("name", "algorithm", "steps", "optimum", "short"),
    [
        pytest.param("frozen_lake", lt.A2C(), 200_000, 0.5420259320, 0.03, marks=pytest.mark.slow),
        ("forest", lt.PPO(gamma=0.9), 60_000, 26.244, 0.2),
        # All states look alike: the best of what a policy can see, −(6 + 4√2), not of the MDP, −3.
        ("corridor", lt.A2C(gamma=1.0, hidden=(), num_envs=16), 60_000, -11.6568542, 0.05),
        ("two_state_loop", lt.REINFORCE(gamma=0.5, learning_rate=0.1), 4_000, 2 / 3, 0.05),
    ],
)
def test_training_comes_near_the_optimum(name, algorithm, steps, optimum, short, tmp_path):
    run = lt.train(f"mdp:{name}", algorithm, steps=steps, out=tmp_path, progress=False)
    mdp = problems.make(name)
    reached = exact.objective(mdp, run.policy)
    assert optimum - short < reached < optimum + 1e-9
    if name != "corridor":
        best = planning.solve(mdp)
        assert float(mdp.start @ best.values) == pytest.approx(optimum)


def test_the_preset_has_the_problems_own_gamma():
    assert preset("mdp:corridor", "ppo").algorithm.gamma == 1
    assert preset("mdp:garnet:50,2,gamma=0.7", "a2c").algorithm.gamma == 0.7
    assert preset("CartPole-v1", "ppo").algorithm.gamma == 0.98


# In Gymnasium's shape.


@pytest.mark.parametrize("name", COMPLETE)
def test_gymnasiums_own_checker(name):
    gymnasium_check(to_gymnasium(problems.make(name)), skip_render_check=True)


def test_gymnasium_checker_with_features():
    observations = np.random.default_rng(0).normal(size=(16, 3))
    gymnasium_check(
        to_gymnasium(problems.frozen_lake().replace(observations=observations)),
        skip_render_check=True,
    )


def test_both_shapes_play_the_same_game():
    """Mean return of the uniform policy, 4 standard errors: false alarm 6e-5."""
    mdp = problems.random_walk()
    env = to_gymnasium(mdp)
    env.action_space.seed(0)
    returns = []
    for episode in range(600):
        env.reset(seed=episode)
        total, ended = 0.0, False
        while not ended:
            _, reward, terminated, truncated, info = env.step(env.action_space.sample())
            total, ended = total + reward, terminated or truncated
            assert info["state"] in range(5)
        returns.append(total)
    assert np.mean(returns) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(600))


def test_gymnasium_misuse():
    env = to_gymnasium(problems.corridor(), max_episode_steps=3)
    with pytest.raises(EnvError, match="reset it first"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(EnvError, match="9 is no action"):
        env.step(9)
    flags = [env.step(1)[2:4] for _ in range(3)]
    assert flags == [(False, False), (False, False), (False, True)]
    assert isinstance(env, gymnasium.Env)
    with pytest.raises(ConfigError, match="at least 1"):
        to_gymnasium(problems.corridor(), max_episode_steps=0)


def test_a_time_limit_that_nobody_gave_follows_the_mdp(monkeypatch):
    short, long = problems.frozen_lake(gamma=0.9), problems.frozen_lake(gamma=0.99)
    inferred = dataclasses.replace(FiniteMDPEnv(short), mdp=long)
    assert inferred == FiniteMDPEnv(long)
    assert inferred.max_episode_steps == 688
    given = FiniteMDPEnv(short, max_episode_steps=66)
    assert dataclasses.replace(given, mdp=long).max_episode_steps == 66
    for cls in (FiniteMDPEnv, FiniteMDPGym):  # users meet our errors, not beartype's
        monkeypatch.setattr(cls, "__init__", inspect.unwrap(cls.__init__))
        for wrong in (True, 2.5, "a"):
            with pytest.raises(ConfigError, match="whole number"):
                cls(short, max_episode_steps=wrong)
