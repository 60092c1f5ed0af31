"""Actions of any shape, all the way: training, evaluation, resumption, export."""

import dataclasses
import json

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

import logtrick as lt
from small_runs import SMALL, digest, interrupt_at

ACTIONS = spaces.Dict(
    {
        "board": spaces.Box(-2, 2, (2, 3)),
        "turn": spaces.Box(-1, 1, ()),
        "piece": spaces.MultiDiscrete([[2, 3], [2, 2]]),
        "flags": spaces.MultiBinary((2, 2)),
        "flag": spaces.MultiBinary(()),
    }
)
RIGHT = {"piece": [[1, 2], [0, 1]], "flags": [[1, 0], [0, 1]]}


class Board(gymnasium.Env):
    """One step, best taken by showing the observation again and by the right pieces and flags."""

    observation_space, action_space = spaces.Box(-1, 1, (2, 3)), ACTIONS

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.shown = self.np_random.uniform(-1, 1, (2, 3)).astype(np.float32)
        return self.shown, {}

    def step(self, action):
        for name, part in ACTIONS.items():
            assert part.contains(action[name]), (name, action[name])
        error = np.square(action["board"] - self.shown).sum()
        error += np.square(action["turn"] - self.shown[0, 0])
        reward = sum(np.mean(action[name] == right) for name, right in RIGHT.items())
        return self.shown, float(reward - error), True, False, {}


def test_actions_of_any_shape_are_learned_resumed_and_exported(tmp_path):
    settings = lt.PPO(num_envs=8, num_steps=64, learning_rate=3e-3, hidden=(32,))
    best = len(RIGHT)
    run = lt.train(Board, settings, steps=30_000, out=tmp_path, progress=False)
    assert run.metrics[0]["episode_return"] < best - 6
    assert run.evaluate(64, env=Board, max_steps=1, greedy=True).mean > best - 0.5

    folder = run.export(tmp_path / "exported")
    kinds = json.loads((folder / "policy.json").read_text())["distribution"]
    assert kinds["board"] == "Normal"
    assert kinds["flags"] == "MultiCategorical"
    policy = jax.export.deserialize(bytearray((folder / "policy.jaxexport").read_bytes()))
    shown = np.random.default_rng(0).uniform(-1, 1, (5, 2, 3)).astype(np.float32)
    action = policy.call(shown)["action"]
    assert np.abs(action["board"] - shown).max() < 0.5
    np.testing.assert_array_equal(action["piece"], [RIGHT["piece"]] * 5)
    np.testing.assert_array_equal(action["flags"], [RIGHT["flags"]] * 5)


def test_a_run_with_shaped_actions_resumes_to_the_same_bits(tmp_path):
    settings = dataclasses.replace(SMALL, num_envs=3)
    whole = lt.train(Board, settings, steps=256, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        lt.train(Board, settings, steps=256, out=tmp_path / "cut", progress=interrupt_at(1))
    (cut,) = (tmp_path / "cut").iterdir()
    assert len(lt.load(cut).metrics) < len(whole.metrics)
    assert digest(lt.resume(cut, env=Board, progress=False)) == digest(whole)
