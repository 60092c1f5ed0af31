"""Steady-state training speed of Stable-Baselines3.

    python sb3_ppo.py ENV ENVS STEPS EPOCHS MINIBATCHES

How many threads torch takes is said by OMP_NUM_THREADS; it is fastest here with one.
"""

import json
import sys
import time

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

REPETITIONS = 2


def main() -> None:
    envs, steps, epochs, minibatches = map(int, sys.argv[2:6])
    batch = envs * steps
    vector = make_vec_env(sys.argv[1].removeprefix("gym:"), n_envs=envs)
    model = PPO(
        "MlpPolicy", vector, n_steps=steps, n_epochs=epochs,
        batch_size=batch // minibatches, learning_rate=2.5e-4, ent_coef=0.01, device="cpu",
    )  # fmt: skip
    model.learn(batch)
    updates = max(1, 16384 // batch)
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        model.learn(updates * batch, reset_num_timesteps=False)
        seconds = time.perf_counter() - begin
        print(json.dumps({"steps_per_second": updates * batch / seconds, "compile": 0.0}))


if __name__ == "__main__":
    main()
