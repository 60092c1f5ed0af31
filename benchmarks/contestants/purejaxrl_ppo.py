"""Steady-state training speed of PureJaxRL: `… ENVS STEPS EPOCHS MINIBATCHES CHECKOUT`."""

import json
import sys
import time

import jax

REPETITIONS = 4


def main() -> None:
    envs, steps, epochs, minibatches = map(int, sys.argv[1:5])
    sys.path.insert(0, f"{sys.argv[5]}/purejaxrl")
    from ppo import make_train

    updates = max(1, 240_000 // (envs * steps * epochs) * 4)
    config = {
        "LR": 2.5e-4, "NUM_ENVS": envs, "NUM_STEPS": steps,
        "TOTAL_TIMESTEPS": updates * envs * steps,
        "UPDATE_EPOCHS": epochs, "NUM_MINIBATCHES": minibatches, "GAMMA": 0.99, "GAE_LAMBDA": 0.95,
        "CLIP_EPS": 0.2, "ENT_COEF": 0.01, "VF_COEF": 0.5, "MAX_GRAD_NORM": 0.5,
        "ACTIVATION": "tanh", "ENV_NAME": "CartPole-v1", "ANNEAL_LR": True, "DEBUG": False,
    }  # fmt: skip
    begin = time.perf_counter()
    train = jax.jit(make_train(config)).lower(jax.random.PRNGKey(0)).compile()
    compiling = time.perf_counter() - begin
    jax.block_until_ready(train(jax.random.PRNGKey(0)))
    for seed in range(REPETITIONS):
        begin = time.perf_counter()
        jax.block_until_ready(train(jax.random.PRNGKey(seed)))
        seconds = time.perf_counter() - begin
        rate = updates * envs * steps / seconds
        print(json.dumps({"steps_per_second": rate, "compile": compiling}))


if __name__ == "__main__":
    main()
