"""Interrupt a run, resume it to the same bits, take the policy along: see the name of this file."""

import argparse
from pathlib import Path

import numpy as np

import logtrick as lt


def main() -> None:
    """Stop half-way, go on, and compare with a run that was left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--out", default="runs/")
    options = parser.parse_args()

    def half_way(visit):
        if visit.rows[-1]["steps"] >= options.steps // 2:
            visit.stop()

    arguments = {"steps": options.steps, "out": options.out, "progress": False}
    stopped = lt.train("CartPole-v1", lt.PPO(), callbacks=[half_way], **arguments)
    print(f"stopped at {stopped.metrics[-1]['steps']:,} steps")
    resumed = lt.resume(stopped.path, progress=False)
    whole = lt.train("CartPole-v1", lt.PPO(), **arguments)

    def policy_bits(run):
        return (Path(run.path) / "policy.safetensors").read_bytes()

    print("same policy, bit for bit:", policy_bits(resumed) == policy_bits(whole))
    print("same metrics, bit for bit:", resumed.metrics == whole.metrics)
    observation = np.zeros(4, np.float32)
    again = lt.load(resumed.path)
    print("probabilities at rest:", np.asarray(again.policy(observation).probs).round(3))


if __name__ == "__main__":
    main()
