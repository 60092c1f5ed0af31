"""A training process that the tests kill: `python killed_run.py ENV STEPS OUT [RUN]`."""

import sys

import logtrick as lt

SMALL = {"num_envs": 4, "num_steps": 32, "minibatches": 2, "epochs": 2, "hidden": (8,)}


def main() -> None:
    env, steps, out, *run = sys.argv[1:]
    if run:
        lt.resume(run[0], checkpoint_seconds=0.05, progress=False)
    else:
        lt.train(
            env, lt.PPO(**SMALL), steps=int(steps), seed=3, out=out, checkpoint_seconds=0.05,
            progress=False,
        )  # fmt: skip


if __name__ == "__main__":
    main()
