"""Mask, memory, dict observation and hybrid action at once: solved by PPO, and not without one."""

import dataclasses

import jax
import numpy as np
import pytest

import logtrick as lt
from four_in_one import DOORS, WAIT, FourInOne

PPO = lt.PPO(
    num_envs=64,
    num_steps=32,
    learning_rate=5e-3,
    entropy_coef=0.005,
    hidden=(32,),
    memory="gru",
    memory_width=32,
)
# What any policy can get at most when one of the four is missing, by the rules of the environment:
# half of the doors are barred unseen three times; one of two open doors is the cue's; a push is
# right for 0.8 of an interval of length 2 at most, with or without a choice.
WITHOUT = {
    "mask": (FourInOne(mask=False), PPO, 0.5**WAIT - (1 - 0.5**WAIT)),
    "memory": (FourInOne(), dataclasses.replace(PPO, memory="none"), 0.5),
    "lock": (FourInOne(lock=False), PPO, 0.4),
    "push": (FourInOne(push=False), PPO, 0.4),
}


def score(env, algorithm, out):
    """Mean return of 400 greedy episodes after training."""
    run = lt.train(env, algorithm, steps=150_000, out=out, progress=False)
    return run.evaluate(400, greedy=True, env=env).mean


def test_all_four_are_learned_together(tmp_path):
    assert score(FourInOne(), PPO, tmp_path) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("missing", WITHOUT)
def test_without_one_it_cannot_be_solved(missing, tmp_path):
    env, algorithm, bound = WITHOUT[missing]
    # Returns lie within 2 of one another, so six standard errors of 400 episodes are below 0.3.
    assert score(env, algorithm, tmp_path) < bound + 0.3 < 0.85


def test_the_rules_are_what_the_bounds_assume():
    """Barred doors, cues and locks, counted over many steps; |z| < 6, below 1e-8 each."""
    env, n = FourInOne(), 4000
    keys = jax.random.split(jax.random.key(0), n)
    (cue, _, allowed, lock), obs = jax.vmap(env.reset)(keys)
    assert np.all(np.sum(allowed, axis=1) == DOORS // 2)
    assert abs(np.mean(allowed[:, 0]) - 0.5) < 6 * 0.5 / np.sqrt(n)
    assert abs(np.mean(np.abs(lock) < 0.4) - 0.4) < 6 * 0.5 / np.sqrt(n)
    np.testing.assert_array_equal(np.argmax(obs["cue"], axis=1), cue)
    action = {"door": np.argmax(allowed, axis=1), "push": np.zeros((n, 1), np.float32)}
    state = cue, np.full(n, WAIT - 1), allowed, lock
    step = jax.vmap(env.step)(keys, state, action)
    assert np.all(step.obs["gate"] == 1)
    assert np.all(step.obs["cue"] == 0)
    assert np.all(step.obs["action_mask"]["door"][np.arange(n), cue] == 1)
    assert np.all(np.sum(step.state[2], axis=1) == DOORS // 2)
    barred = action | {"door": np.argmin(allowed, axis=1)}
    step = jax.vmap(env.step)(keys, state, barred)
    assert np.all(step.terminated)
    assert np.all(step.reward == -1)
