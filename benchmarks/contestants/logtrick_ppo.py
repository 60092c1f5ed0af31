"""Steady-state training speed of logtrick: prints one JSON line for each repetition."""

import json
import time

import jax

import logtrick as lt
from logtrick.algorithms.loop import Loop
from logtrick.envs import resolve

UPDATES = 60


def main() -> None:
    algorithm = lt.PPO(
        num_envs=64, num_steps=128, epochs=4, minibatches=4, learning_rate=2.5e-4, clip_eps=0.2
    )
    loop = Loop(algorithm, resolve("CartPole-v1"), seed=0, num_seeds=1, steps=10**9)
    state = jax.block_until_ready(loop.initial())
    state, _ = loop.advance(state, 1)
    for _ in range(4):
        begin = time.perf_counter()
        state, _ = loop.advance(state, UPDATES)
        seconds = time.perf_counter() - begin
        steps = UPDATES * 64 * 128
        print(json.dumps({"steps_per_second": steps / seconds, "compile": loop.compile_seconds}))


if __name__ == "__main__":
    main()
