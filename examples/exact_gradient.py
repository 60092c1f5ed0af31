"""The exact ∇J(θ) of a neural policy, and ascent along it: `python examples/exact_gradient.py`."""

import argparse

import jax
import numpy as np

import logtrick as lt


def main() -> None:
    """Climb J on FrozenLake with the exact gradient of a small network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    lake = lt.problems.frozen_lake()
    policy = lt.MLPPolicy(lake, hidden=(16,))
    best = float(lake.start @ lt.planning.solve(lake).values)
    for step in range(options.steps + 1):
        gradient = lt.exact.policy_gradient(lake, policy)
        size = np.sqrt(sum(np.square(g).sum() for g in jax.tree.leaves(gradient)))
        if step % 50 == 0:
            j = lt.exact.objective(lake, policy)
            print(f"step {step:4}  J {j:.6f} of {best:.6f}  ‖∇J‖ {size:.6f}")
        policy = jax.tree.map(lambda p, g, s=size: p + 0.3 * g / s, policy, gradient)


if __name__ == "__main__":
    main()
