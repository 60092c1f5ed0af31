"""An environment that breaks in the episode whose seed is 13; importable by worker processes."""

import os
import sys
import time

import gymnasium
import numpy as np
from gymnasium import spaces


class Faulty(gymnasium.Env):
    """Counts to 5 and terminates; at its second step of the bad episode, `fault` happens."""

    def __init__(self, fault=""):
        self.observation_space = spaces.Box(-10, 10, (3,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.fault = fault
        self.steps, self.bad = 0, False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.bad = 0, seed == 13
        if self.bad and self.fault == "reset raises":
            raise FileNotFoundError("level.json")
        if self.bad and self.fault == "reset hangs":
            time.sleep(60)
        if self.bad and self.fault == "reset returns obs alone":
            return self.obs()
        if self.bad and self.fault == "reset returns nan":
            return self.obs() * np.nan, {}
        return self.obs(), {}

    def obs(self):
        return np.full(3, self.steps, np.float32)

    def step(self, action):
        self.steps += 1
        if self.bad and self.steps == 2:
            return FAULTS[self.fault](self)
        return self.obs(), 1.0, self.steps == 5, False, {}


def _raises(env):
    raise ZeroDivisionError("no wheel")


def _hangs(env):
    time.sleep(60)


def _loops(env):
    while True:
        pass


def _tries_again(env):
    try:
        time.sleep(60)
    except Exception:
        time.sleep(60)


def _dies(env):
    os._exit(3)


FAULTS = {
    "raises": _raises,
    "hangs": _hangs,
    "loops": _loops,
    "tries again": _tries_again,
    "dies": _dies,
    "exits": lambda env: sys.exit(4),
    "nan obs": lambda env: (env.obs() * np.nan, 1.0, False, False, {}),
    "inf obs": lambda env: (env.obs() * np.inf, 1.0, False, False, {}),
    "nan reward": lambda env: (env.obs(), float("nan"), False, False, {}),
    "inf reward": lambda env: (env.obs(), np.inf, False, False, {}),
    "reward beyond float32": lambda env: (env.obs(), 1e300, False, False, {}),
    "reward an array": lambda env: (env.obs(), np.ones(1), False, False, {}),
    "reward none": lambda env: (env.obs(), None, False, False, {}),
    "short obs": lambda env: (env.obs()[:1], 1.0, False, False, {}),
    "integer obs": lambda env: (env.obs().astype(int), 1.0, False, False, {}),
    "text obs": lambda env: ("here", 1.0, False, False, {}),
    "four values": lambda env: (env.obs(), 1.0, False, {}),
    "a list": lambda env: [env.obs(), 1.0, False, False, {}],
    "flag a number": lambda env: (env.obs(), 1.0, 0.5, False, {}),
    "flag none": lambda env: (env.obs(), 1.0, False, None, {}),
}


def five_steps(rows, seeds):
    """Without a reset at the end; row 1 takes action 1."""
    rows.reset(seeds, np.ones(rows.num_envs, bool))
    actions = np.zeros(rows.num_envs, int)
    actions[1:2] = 1
    for _ in range(5):
        step = rows.step(actions)
    return step
