"""Steady-state training speed of PureJaxRL's PPO: `purejaxrl_ppo.py CHECKOUT`."""

import json
import sys
import time

import jax

UPDATES = 60


def main() -> None:
    sys.path.insert(0, f"{sys.argv[1]}/purejaxrl")
    from ppo import make_train

    config = {
        "LR": 2.5e-4, "NUM_ENVS": 64, "NUM_STEPS": 128, "TOTAL_TIMESTEPS": UPDATES * 64 * 128,
        "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4, "GAMMA": 0.99, "GAE_LAMBDA": 0.95,
        "CLIP_EPS": 0.2, "ENT_COEF": 0.01, "VF_COEF": 0.5, "MAX_GRAD_NORM": 0.5,
        "ACTIVATION": "tanh", "ENV_NAME": "CartPole-v1", "ANNEAL_LR": True, "DEBUG": False,
    }  # fmt: skip
    begin = time.perf_counter()
    train = jax.jit(make_train(config)).lower(jax.random.PRNGKey(0)).compile()
    compiling = time.perf_counter() - begin
    jax.block_until_ready(train(jax.random.PRNGKey(0)))
    for seed in range(4):
        begin = time.perf_counter()
        jax.block_until_ready(train(jax.random.PRNGKey(seed)))
        seconds = time.perf_counter() - begin
        print(json.dumps({"steps_per_second": UPDATES * 64 * 128 / seconds, "compile": compiling}))


if __name__ == "__main__":
    main()
