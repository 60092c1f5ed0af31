"""Train a policy, see how good it is, watch an episode: `python examples/train_and_watch.py`."""

import argparse

import logtrick as lt


def main() -> None:
    """Train on CartPole and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()

    algorithm = lt.PPO(num_envs=32, num_steps=64, learning_rate=3e-3, gamma=0.98)
    run = lt.train("CartPole-v1", algorithm, steps=options.steps, seeds=options.seeds, out="runs/")

    scores = run.evaluate(episodes=50)
    print(f"return {scores.mean:.1f} ± {scores.std:.1f} over {options.seeds} policies' episodes")
    print(f"open {run.report()}")
    print(f"watch it with: logtrick enjoy {run.path}")


if __name__ == "__main__":
    main()
