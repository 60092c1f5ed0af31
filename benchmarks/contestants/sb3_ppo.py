"""Steady-state training speed of Stable-Baselines3's PPO at the same hyper-parameters."""

import json
import time

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env


def main() -> None:
    env = make_vec_env("CartPole-v1", n_envs=64)
    model = PPO(
        "MlpPolicy", env, n_steps=128, batch_size=2048, n_epochs=4, learning_rate=2.5e-4,
        ent_coef=0.01, device="cpu",
    )  # fmt: skip
    model.learn(64 * 128)
    for _ in range(2):
        begin = time.perf_counter()
        model.learn(2 * 64 * 128, reset_num_timesteps=False)
        seconds = time.perf_counter() - begin
        print(json.dumps({"steps_per_second": 2 * 64 * 128 / seconds, "compile": 0.0}))


if __name__ == "__main__":
    main()
