"""An environment of your own, checked and trained on: `python examples/custom_environment.py`."""

import argparse
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from gymnasium import spaces

import logtrick as lt
from logtrick.envs import DeviceEnv, Step


@dataclass(frozen=True)
class Docking(DeviceEnv):
    """Bring a drifting craft to rest at 0 with thrusts left, none and right."""

    thrust: float = 0.1
    max_episode_steps = 100
    id = "Docking"

    @property
    def observation_space(self):
        """Position and velocity."""
        return spaces.Box(-10.0, 10.0, (2,))

    @property
    def action_space(self):
        """Left, nothing, right."""
        return spaces.Discrete(3)

    def reset(self, key):
        """Somewhere in [−1, 1], at rest."""
        place = jax.random.uniform(key, minval=-1.0, maxval=1.0)
        craft = jnp.stack([place, jnp.zeros(())])
        return (craft, jnp.int32(0)), craft

    def step(self, key, state, action):
        """Thrust, drift; it is docked where it rests at 0, and lost beyond 2."""
        (place, velocity), steps = state
        velocity = velocity + self.thrust * (action - 1)
        place = place + velocity
        docked = (jnp.abs(place) < 0.1) & (jnp.abs(velocity) < 0.15)
        lost = jnp.abs(place) > 2
        craft = jnp.stack([place, velocity]).astype(jnp.float32)
        return Step(
            state=(craft, steps + 1),
            obs=craft,
            reward=jnp.where(docked, 10.0, jnp.where(lost, -10.0, -0.1)),
            terminated=docked | lost,
            truncated=steps + 1 >= self.max_episode_steps,
        )


def main() -> None:
    """Check it, then train on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    options = parser.parse_args()

    print(lt.check_env(Docking()))
    run = lt.train(Docking(), lt.PPO(), steps=options.steps, out="runs/")
    print(f"return {run.final_returns.mean():.2f}; docking at once is worth 10")


if __name__ == "__main__":
    main()
