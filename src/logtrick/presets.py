"""Presets: the settings that work on an environment, and how many steps they need there.

No JAX here: the command line shows them.
"""

from dataclasses import dataclass, replace

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import A2C, ALGORITHMS, PPO, REINFORCE
from logtrick.errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """An algorithm's settings and a number of steps."""

    algorithm: Algorithm
    steps: int


_PRESETS = {
    # Tuned for the time to a solved policy: short rollouts, large steps, a short horizon.
    ("CartPole-v1", "ppo"): Preset(
        PPO(
            num_envs=32,
            num_steps=64,
            epochs=6,
            learning_rate=3e-3,
            gamma=0.98,
            lambda_=0.9,
        ),
        steps=150_000,
    ),
    # A short horizon, since what an action does shows within a second; rewards reach −16.
    ("Pendulum-v1", "ppo"): Preset(
        PPO(
            num_steps=64,
            epochs=10,
            minibatches=8,
            gamma=0.95,
            entropy_coef=0.0,
            observations="normalised",
            rewards="normalised",
        ),
        steps=200_000,
    ),
    # The goal is 200 steps away and pays once: a long horizon, and a reason to keep exploring.
    ("MountainCarContinuous-v0", "ppo"): Preset(
        PPO(
            num_steps=256,
            epochs=10,
            minibatches=16,
            learning_rate=3e-4,
            gamma=0.999,
            observations="normalised",
            rewards="normalised",
        ),
        steps=300_000,
    ),
    ("CartPole-v1", "a2c"): Preset(A2C(learning_rate=1e-3, gamma=0.98), steps=500_000),
    ("CartPole-v1", "reinforce"): Preset(
        REINFORCE(psi="baselined_return", max_grad_norm=0.5), steps=1_000_000
    ),
}
# Observations and rewards differ in scale by orders of magnitude: normalised, as CleanRL's
# ppo_continuous_action.py has them, whose other settings these are.
_MUJOCO_PPO = Preset(
    PPO(
        num_envs=1,
        num_steps=2048,
        epochs=10,
        minibatches=32,
        learning_rate=3e-4,
        entropy_coef=0.0,
        value_clip_eps=0.2,
        observations="normalised",
        rewards="normalised",
    ),
    steps=1_000_000,
)
_MUJOCO = (
    "Ant", "HalfCheetah", "Hopper", "Humanoid", "InvertedDoublePendulum", "InvertedPendulum",
    "Reacher", "Swimmer", "Walker2d",
)  # fmt: skip
_PRESETS |= {(f"{name}-{v}", "ppo"): _MUJOCO_PPO for name in _MUJOCO for v in ("v4", "v5")}
_DEFAULT_STEPS = 500_000


def preset(env: str, name: str) -> Preset:
    """The preset for an environment, or the algorithm's defaults where there is none.

    Args:
        env: an environment's id; a prefix (`gym:`) is not looked at. Behind `mdp:` stands a finite
            MDP, whose γ belongs to the problem and is taken from there.
        name: an algorithm's name.

    Raises:
        ConfigError: the algorithm is unknown.
        MDPError: there is no such MDP.

    Example:
        >>> preset("gym:CartPole-v1", "ppo").steps
        150000
    """
    if name not in ALGORITHMS:
        import difflib

        near = difflib.get_close_matches(name, ALGORITHMS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"Algorithm {name!r} is unknown; there are {', '.join(ALGORITHMS)}.{hint}"
        )
    prefix, _, rest = env.partition(":")
    default = ALGORITHMS[name]()  # type: ignore[call-arg]
    if prefix == "mdp":
        from logtrick import problems

        return Preset(replace(default, gamma=problems.make(rest).gamma), _DEFAULT_STEPS)
    return _PRESETS.get((rest or env, name)) or Preset(default, _DEFAULT_STEPS)
