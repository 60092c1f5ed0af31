"""Step-for-step parity with Gymnasium, from copied states."""

import dataclasses

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from logtrick.envs import Acrobot, CartPole, MountainCar, MountainCarContinuous, Pendulum
from logtrick.envs.classic import (
    AcrobotState,
    CartPoleState,
    MountainCarState,
    PendulumState,
)

STATES = 1000


def _uniform(rng, bound):
    return rng.uniform(-1, 1, (STATES, len(bound))) * bound


def _cartpole(rng):
    # Beyond the thresholds, so that some steps end there, some start there, and some come back.
    states = _uniform(rng, np.array([2.6, 4.0, 0.25, 4.0]))
    edges = [[s * 2.4, 0, 0, 0] for s in (-1, 1)] + [[0, 0, s * np.pi / 15, 0] for s in (-1, 1)]
    return np.concatenate([states, edges])


def _acrobot(rng):
    states = _uniform(rng, np.array([np.pi, np.pi, 4 * np.pi, 9 * np.pi]))
    calm = _uniform(rng, np.array([np.pi, np.pi, 1.0, 1.0]))
    corners = [[s * np.pi, s * np.pi, s * 4 * np.pi, s * 9 * np.pi] for s in (-1, 1)]
    return np.concatenate([states, calm, corners])


def _mountain_car(rng):
    states = np.stack([rng.uniform(-1.2, 0.6, STATES), rng.uniform(-0.07, 0.07, STATES)], axis=1)
    walls = [[-1.2, -0.07], [-1.2, 0.07], [-1.19, -0.07], [0.6, 0.07], [0.45, 0.0], [0.5, 0.0]]
    return np.concatenate([states, walls])


def _pendulum(rng):
    states = _uniform(rng, np.array([np.pi, 8.0]))
    far = _uniform(rng, np.array([40.0, 8.0]))
    return np.concatenate([states, far, [[np.pi, 8.0], [-np.pi, -8.0], [0.0, 0.0]]])


def _scalars(make):
    return lambda state, steps: make(*map(jnp.asarray, state), jnp.int32(steps))


def _vector(make):
    return lambda state, steps: make(jnp.asarray(state), jnp.int32(steps))


CASES = {
    # environment: (states to copy, how the device holds one, what is seen of one,
    #               its distance from where the task ends)
    CartPole(): (
        _cartpole,
        _vector(CartPoleState),
        lambda s: s,
        lambda s: min(abs(abs(s[0]) - 2.4), abs(abs(s[2]) - np.pi / 15)),
    ),
    Acrobot(): (
        _acrobot,
        _vector(AcrobotState),
        lambda s: [np.cos(s[0]), np.sin(s[0]), np.cos(s[1]), np.sin(s[1]), s[2], s[3]],
        lambda s: abs(-np.cos(s[0]) - np.cos(s[0] + s[1]) - 1),
    ),
    MountainCar(): (
        _mountain_car,
        _scalars(MountainCarState),
        lambda s: s,
        lambda s: abs(s[0] - 0.5),
    ),
    MountainCarContinuous(): (
        _mountain_car,
        _scalars(MountainCarState),
        lambda s: s,
        lambda s: abs(s[0] - 0.45),
    ),
    Pendulum(): (
        _pendulum,
        _scalars(PendulumState),
        lambda s: [np.cos(s[0]), np.sin(s[0]), s[1]],
        lambda s: 1,
    ),
}
ENVS = list(CASES)
every_env = pytest.mark.parametrize("env", ENVS, ids=lambda env: env.id)


def _make(env):
    return gymnasium.make(env.id, disable_env_checker=True)


def _actions(space, rng, count):
    if isinstance(space, gymnasium.spaces.Discrete):
        return rng.integers(space.n, size=count)
    # Beyond the bounds too, and at 0.
    actions = rng.uniform(-2, 2, (count, *space.shape)) * space.high
    actions[:3] = np.stack([space.low, space.high, np.zeros(space.shape)])
    return actions.astype(np.float32)


def _set_state(twin, state):
    twin.state = np.array(state, np.float64)
    twin.steps_beyond_terminated = None


def _step_all(env, states, actions):
    hold = CASES[env][1]
    held = jax.vmap(lambda state: hold(state, 0))(jnp.asarray(states))
    step = jax.jit(jax.vmap(env.step, (None, 0, 0)))
    return jax.tree.map(np.asarray, step(jax.random.key(0), held, jnp.asarray(actions)))


@every_env
def test_one_step_from_copied_states_is_gymnasiums(env):
    """In float64, where nothing but the physics can differ."""
    draw, _, observe, margin = CASES[env]
    rng = np.random.default_rng(1)
    states = draw(rng)
    actions = _actions(env.action_space, rng, len(states))
    with jax.enable_x64(True):
        ours = _step_all(env, states, actions)
    assert not ours.truncated.any()
    twin = _make(env).unwrapped
    twin.reset(seed=0)
    # Gymnasium rounds this one's state to float32.
    tolerance = 1e-7 if env.id == "MountainCarContinuous-v0" else 1e-9
    for i, (state, action) in enumerate(zip(states, actions, strict=True)):
        _set_state(twin, state)
        _, reward, terminated, _, _ = twin.step(action)
        expected = observe(twin.state)
        assert np.allclose(ours.obs[i], expected, rtol=tolerance, atol=tolerance), (state, action)
        assert np.isclose(ours.reward[i], reward, rtol=1e-6), (state, action)
        on_the_edge = margin(twin.state) < tolerance
        assert ours.terminated[i] == terminated or on_the_edge, (state, action)


@every_env
def test_float32_is_close_to_float64(env):
    rng = np.random.default_rng(2)
    states = CASES[env][0](rng)
    actions = _actions(env.action_space, rng, len(states))
    single = _step_all(env, states.astype(np.float32), actions)
    assert {single.obs.dtype, single.reward.dtype} == {np.dtype(np.float32)}
    with jax.enable_x64(True):
        double = _step_all(env, states, actions)
    error = np.abs(single.obs - double.obs).max(axis=1)
    # A step of the acrobot at full speed, 28 rad/s for 0.2 s, enlarges rounding a thousandfold.
    assert np.quantile(error, 0.95) < 1e-5
    assert error.max() < (1e-2 if env.id == "Acrobot-v1" else 1e-5)
    assert (single.terminated == double.terminated).mean() > 0.99


@every_env
def test_a_whole_episode_is_gymnasiums_step_for_step(env):
    """Along Gymnasium's own episode, to its very end, flags and time limit included."""
    _, hold, _, margin = CASES[env]
    twin = _make(env)
    twin.reset(seed=3)
    rng = np.random.default_rng(2)
    step = jax.jit(env.step)
    ended, steps = False, 0
    while not ended:
        action = _actions(env.action_space, rng, 8)[7]
        state = np.array(twin.unwrapped.state, np.float32)
        ours = step(jax.random.key(0), hold(state, steps), jnp.asarray(action))
        _set_state(twin.unwrapped, state)
        obs, reward, terminated, truncated, _ = twin.step(action)
        steps += 1
        assert np.allclose(ours.obs, obs, rtol=1e-5, atol=1e-5)
        assert np.isclose(ours.reward, reward, rtol=1e-5, atol=1e-5)
        assert bool(ours.truncated) == truncated
        assert bool(ours.terminated) == terminated or margin(twin.unwrapped.state) < 1e-5
        ended = terminated or truncated
    assert steps <= env.max_episode_steps


@every_env
def test_spaces_and_time_limit_are_gymnasiums(env):
    twin = _make(env)
    assert env.observation_space == twin.observation_space
    assert env.action_space == twin.action_space
    assert env.max_episode_steps == twin.spec.max_episode_steps


@every_env
def test_starts_are_distributed_as_gymnasiums(env):
    ours = np.asarray(jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 2000))[1])
    twin = _make(env)
    theirs = np.stack([twin.reset(seed=seed)[0] for seed in range(2000)])
    assert ours.dtype == theirs.dtype
    for ours_i, theirs_i in zip(ours.T, theirs.T, strict=True):
        assert ours_i.min() >= theirs_i.min() - 0.01
        assert ours_i.max() <= theirs_i.max() + 0.01
        if np.ptp(theirs_i) > 0:
            assert stats.ks_2samp(ours_i, theirs_i).pvalue > 1e-4
        else:
            assert np.array_equal(ours_i, theirs_i)


@every_env
def test_the_time_limit_truncates_exactly_there(env):
    limit = env.max_episode_steps
    state, _ = env.reset(jax.random.key(0))
    action = jnp.asarray(np.zeros_like(env.action_space.sample()))
    for steps, cut in ((limit - 2, False), (limit - 1, True), (limit, True)):
        step = env.step(jax.random.key(1), state._replace(steps=jnp.int32(steps)), action)
        assert bool(step.truncated) is cut
        assert not step.terminated
        assert int(step.state.steps) == steps + 1


@every_env
def test_a_shorter_limit_is_kept(env):
    short = dataclasses.replace(env, max_episode_steps=1)
    state, _ = short.reset(jax.random.key(0))
    action = jnp.asarray(np.zeros_like(env.action_space.sample()))
    assert short.step(jax.random.key(0), state, action).truncated


def test_both_flags_where_the_pole_falls_at_the_limit():
    """As Gymnasium does: the time limit does not ask whether the task ended as well."""
    env = CartPole()
    falling = CartPoleState(jnp.array([0.0, 0.0, 0.2, 3.0]), jnp.int32(499))
    step = env.step(jax.random.key(0), falling, jnp.array(1))
    assert step.terminated
    assert step.truncated


def test_derived_constants_follow_their_sources():
    """A heavier pole, with Gymnasium's stored totals recomputed by hand."""
    env = CartPole(pole_mass=0.5, half_length=0.8, gravity=1.6)
    twin = _make(env).unwrapped
    twin.masspole, twin.length, twin.gravity = 0.5, 0.8, 1.6
    twin.total_mass, twin.polemass_length = 1.5, 0.4
    twin.reset(seed=0)
    position = np.array([0.1, -0.3, 0.05, 0.4], np.float32)
    _set_state(twin, position)
    step = env.step(
        jax.random.key(0), CartPoleState(jnp.asarray(position), jnp.int32(0)), jnp.array(1)
    )
    assert np.allclose(step.obs, twin.step(1)[0], atol=1e-6)


def test_the_acrobots_angles_are_wrapped():
    env = Acrobot()
    states = np.random.default_rng(0).uniform(-1, 1, (500, 4)) * [np.pi, np.pi, 12.0, 28.0]
    joints = _step_all(env, states.astype(np.float32), np.ones(500, int)).state.joints
    assert np.abs(joints[:, :2]).max() <= np.pi + 1e-6


def test_the_pendulum_keeps_its_precision_however_often_it_goes_round():
    """After thousands of turns the angle is held as well as at the start."""
    env = Pendulum()
    state = PendulumState(jnp.float32(3.0), jnp.float32(8.0), jnp.int32(0))
    step = jax.jit(env.step)
    for _ in range(500):
        state = step(jax.random.key(0), state, jnp.array([2.0])).state
    assert abs(float(state.theta)) < 4.0


@every_env
def test_environments_are_values(env):
    same = type(env)()
    assert same == env
    assert hash(same) == hash(env)
    with pytest.raises(dataclasses.FrozenInstanceError):
        env.max_episode_steps = 3
