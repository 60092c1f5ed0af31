"""Environments that take their time, and a script that steps them while the tests stop it.

    python napping.py WORKERS

It prints the process ids, its own first, and steps once; `test_stopped.py` stops some of them.
"""

import json
import multiprocessing
import os
import signal
import sys
import time

import gymnasium
import numpy as np
from gymnasium import spaces

NAP, LIMIT = 1.5, 3.0


class Napping(gymnasium.Env):
    """Every step and reset takes as long as it is told."""

    def __init__(self, step=0.0, reset=0.0):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.naps = step, reset
        self.t = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        time.sleep(self.naps[1])
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        time.sleep(self.naps[0])
        return np.zeros(1, np.float32), 1.0, self.t == 4, False, {}


class LongNaps(Napping):
    def __init__(self):
        super().__init__(step=NAP)


class NeverBuilt(Napping):
    """Hangs while it is built in a worker."""

    def __init__(self):
        super().__init__()
        if multiprocessing.parent_process() is not None:
            time.sleep(60)


class ClosesBadly(Napping):
    """Its `close` raises, ends its process, or hangs."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def close(self):
        if self.how == "raises":
            raise ZeroDivisionError("no door")
        if self.how == "exits":
            sys.exit(4)
        time.sleep(60)


class OwnAlarm(Napping):
    """Handles SIGALRM itself, and hangs at its second step."""

    def __init__(self):
        super().__init__()
        signal.signal(signal.SIGALRM, lambda number, frame: None)

    def step(self, action):
        if self.t == 1:
            time.sleep(60)
        return super().step(action)


def main():
    from logtrick import envs

    with envs.make(LongNaps, 2, workers=sys.argv[1], timeout=LIMIT) as rows:
        rows.reset(np.zeros(2, np.uint32), np.ones(2, bool))
        workers = [process.pid for process in getattr(rows._vector, "processes", [])]
        print(json.dumps([os.getpid(), *workers]), flush=True)
        rows.step(np.zeros(2, int))
        print("answered")


if __name__ == "__main__":
    main()
