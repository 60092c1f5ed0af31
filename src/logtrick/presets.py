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
    ("CartPole-v1", "a2c"): Preset(A2C(learning_rate=1e-3, gamma=0.98), steps=500_000),
    ("CartPole-v1", "reinforce"): Preset(
        REINFORCE(psi="baselined_return", max_grad_norm=0.5), steps=1_000_000
    ),
}
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
