"""Gymnasium's Box2D environments: seeds fix their episodes, whatever was played before."""

import numpy as np
import pytest

pytest.importorskip("Box2D", reason="an optional extra of Gymnasium")

import logtrick as lt
from logtrick import envs

WALKERS = ["BipedalWalker-v3", "BipedalWalkerHardcore-v3"]
NAMES = ["LunarLander-v3", "LunarLanderContinuous-v3", *WALKERS]
ROW = np.ones(1, bool)


def episode(rows, seed, length):
    shown = [rows.reset(np.array([seed], np.uint32), ROW)]
    for action in np.random.default_rng(seed).uniform(-1, 1, (length, 1, 4)):
        step = rows.step(action.astype(np.float32))
        shown.append(step.obs)
        if step.terminated or step.truncated:
            break
    return np.concatenate(shown)


@pytest.mark.parametrize("name", WALKERS)
def test_an_episode_does_not_depend_on_the_one_before(name):
    with envs.make(f"gym:{name}") as used:
        for seed in range(12):
            episode(used, 100 + seed, 10 + 3 * seed)
            with envs.make(f"gym:{name}") as fresh:
                assert np.array_equal(episode(used, seed, 150), episode(fresh, seed, 150))


@pytest.mark.parametrize("name", NAMES)
def test_check_env(name):
    assert "the same seed and actions give the same episode" in lt.check_env(f"gym:{name}").passed


def test_what_is_played_is_gymnasiums_own():
    import gymnasium

    theirs = gymnasium.make("BipedalWalker-v3")
    first, _ = theirs.reset(seed=5)
    actions = np.random.default_rng(5).uniform(-1, 1, (60, 1, 4)).astype(np.float32)
    expected = [first, *(theirs.step(action[0])[0] for action in actions)]
    with envs.make("gym:BipedalWalker-v3") as rows:
        assert np.array_equal(episode(rows, 5, 60), np.stack(expected)[: len(expected)])
