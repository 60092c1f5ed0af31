"""The two-state environment is what its docstring says, on the device and in Gymnasium."""

import gymnasium.utils.env_checker
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick.envs import TwoState, TwoStateGym


@pytest.mark.parametrize("end_probability", [0.0, 0.25])
@pytest.mark.parametrize("policy", [[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]])
def test_the_values_solve_bellmans_equation_under_every_policy(end_probability, policy):
    """V2 with the transitions and expected rewards written out: V = (I - γ P)⁻¹ r."""
    values, gamma = np.array([2.0, 4.0]), 0.5
    goes_on = 1 - end_probability
    transitions = goes_on * np.array([policy, policy])
    rewards = np.array(
        [
            sum(
                policy[a]
                * (goes_on * (values[s] - gamma * values[a]) + end_probability * values[s])
                for a in (0, 1)
            )
            for s in (0, 1)
        ]
    )
    assert np.allclose(np.linalg.solve(np.eye(2) - gamma * transitions, rewards), values)
    assert (TwoState.values, TwoState.gamma) == ((2.0, 4.0), 0.5)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("action", [0, 1])
@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("end_probability", [0.0, 1.0])
def test_both_forms_take_the_same_steps(place, action, steps, end_probability):
    twin = TwoState(end_probability=end_probability)
    state = twin.reset(jax.random.key(0))[0]._replace(
        place=jnp.int32(place), steps=jnp.int32(steps)
    )
    ours = twin.step(jax.random.key(1), state, jnp.array(action))
    env = TwoStateGym(twin)
    env.reset(seed=0)
    env._place, env._steps = place, steps
    obs, reward, terminated, truncated, _ = env.step(action)
    assert np.array_equal(ours.obs, obs)
    assert float(ours.reward) == reward
    assert (bool(ours.terminated), bool(ours.truncated)) == (terminated, truncated)
    assert terminated == (end_probability == 1.0)
    assert truncated == (steps == 2)


def test_ends_and_starts_have_their_probabilities():
    twin = TwoState(end_probability=0.25)
    keys = jax.random.split(jax.random.key(0), 20_000)
    state, obs = jax.vmap(twin.reset)(keys)
    ended = jax.vmap(twin.step, (0, 0, None))(keys, state, jnp.array(1)).terminated
    # Five standard errors.
    assert abs(float(obs[:, 1].mean()) - 0.5) < 5 * 0.5 / np.sqrt(20_000)
    assert abs(float(ended.mean()) - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 20_000)
    env = TwoStateGym(twin)
    starts = np.array([env.reset(seed=seed)[0][1] for seed in range(2000)])
    ends = np.array([env.reset(seed=seed) and env.step(0)[2] for seed in range(2000)])
    assert abs(starts.mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)
    assert abs(ends.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)


def test_gymnasiums_own_checker_accepts_it():
    gymnasium.utils.env_checker.check_env(TwoStateGym(), skip_render_check=True)
