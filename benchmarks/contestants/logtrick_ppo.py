"""Steady-state training speed of logtrick.

python logtrick_ppo.py ENV ENVS STEPS EPOCHS MINIBATCHES
"""

import json
import sys
import time

import jax

import logtrick as lt
from logtrick.algorithms.loop import Loop
from logtrick.envs import resolve

REPETITIONS, SECONDS = 4, 0.8


def main() -> None:
    envs, steps, epochs, minibatches = map(int, sys.argv[2:6])
    algorithm = lt.PPO(
        num_envs=envs, num_steps=steps, epochs=epochs, minibatches=minibatches, learning_rate=2.5e-4
    )
    loop = Loop(algorithm, resolve(sys.argv[1]), seed=0, num_seeds=1, steps=10**9)
    state = jax.block_until_ready(loop.initial())
    state, _ = loop.advance(state, 1)
    begin = time.perf_counter()
    state, _ = loop.advance(state, 4)
    updates = max(1, min(256, int(4 * SECONDS / (time.perf_counter() - begin))))
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        state, _ = loop.advance(state, updates)
        seconds = time.perf_counter() - begin
        rate = updates * envs * steps / seconds
        print(json.dumps({"steps_per_second": rate, "compile": loop.compile_seconds}))


if __name__ == "__main__":
    main()
