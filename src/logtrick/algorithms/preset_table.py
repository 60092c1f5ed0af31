"""The table of presets: which settings, for how many steps, on which environments.

No JAX here: the command line shows them.
"""

from dataclasses import dataclass, replace

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import A2C, PPO, REINFORCE


@dataclass(frozen=True)
class Preset:
    """An algorithm's settings and a number of steps."""

    algorithm: Algorithm
    steps: int


_MUJOCO = (
    "Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum",
    "InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d",
)  # fmt: skip
_MINATAR = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")
_ATARI = ("asterix", "breakout", "freeway", "pong", "seaquest", "space_invaders")
# EnvPool's names for the tasks of the DeepMind control suite are a body and what it shall do.
_DM_CONTROL = (
    "Acrobot|BallInCup|Cartpole|Cheetah|Dog|Finger|Fish|Hopper|Humanoid|Lqr|Manipulator|Pendulum"
    "|PointMass|Quadruped|Reacher|Stacker|Swimmer|Walker"
)
# Craftax_Baselines' ppo.py, with the smaller batches of its sweeps over a million steps.
_CRAFTAX = PPO(
    num_envs=256,
    num_steps=16,
    minibatches=8,
    learning_rate=2e-4,
    lambda_=0.8,
    value_clip_eps=0.2,
    max_grad_norm=1.0,
    hidden=(512, 512, 512),
)
PRESETS = (
    # Tuned for the time to a solved policy: short rollouts, large steps, a short horizon.
    (
        "CartPole-v[01]",
        Preset(
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
    ),
    ("CartPole-v[01]", Preset(A2C(learning_rate=1e-3, gamma=0.98), steps=500_000)),
    (
        "CartPole-v[01]",
        Preset(REINFORCE(psi="baselined_return", max_grad_norm=0.5), steps=1_000_000),
    ),
    ("Acrobot-v1", Preset(PPO(), steps=250_000)),
    # Every episode returns −200 until the first has got up the hill; the scale of the rewards
    # and of the two observations, 0.07 and 1.2, is left to the running moments.
    (
        "MountainCar-v0",
        Preset(
            PPO(
                num_steps=256,
                minibatches=16,
                lambda_=0.98,
                observations="normalised",
                rewards="normalised",
            ),
            steps=1_000_000,
        ),
    ),
    # The goal is 200 steps away and pays once: a long horizon, and a reason to keep exploring.
    (
        "MountainCarContinuous-v0",
        Preset(
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
    ),
    # A short horizon, since what an action does shows within a second; rewards reach −16.
    (
        "Pendulum-v[01]",
        Preset(
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
    ),
    # RL Baselines3 Zoo's ppo.yml.
    (
        "LunarLander(Continuous)?-v[23]",
        Preset(
            PPO(
                num_steps=1024,
                minibatches=256,
                learning_rate=3e-4,
                schedule="constant",
                gamma=0.999,
                lambda_=0.98,
            ),
            steps=1_000_000,
        ),
    ),
    # The same file's.
    (
        "BipedalWalker-v3",
        Preset(
            PPO(
                num_envs=32,
                num_steps=2048,
                epochs=10,
                minibatches=1024,
                learning_rate=3e-4,
                schedule="constant",
                gamma=0.999,
                entropy_coef=0.0,
                clip_eps=0.18,
                observations="normalised",
                rewards="normalised",
            ),
            steps=5_000_000,
        ),
    ),
    (
        "BipedalWalkerHardcore-v3",
        Preset(
            PPO(
                num_steps=2048,
                epochs=10,
                minibatches=512,
                learning_rate=2.5e-4,
                entropy_coef=0.001,
                clip_schedule="linear",
                observations="normalised",
                rewards="normalised",
            ),
            steps=100_000_000,
        ),
    ),
    # The same file's, on the colour images as they come: it skips, shrinks, greys and stacks them,
    # and its noise depends on the state.
    (
        "CarRacing-v[23]",
        Preset(
            PPO(
                num_envs=8,
                num_steps=512,
                epochs=10,
                minibatches=32,
                learning_rate=1e-4,
                entropy_coef=0.0,
                hidden=(512, 256),
                activation="relu",
                trunk="shared",
                rewards="normalised",
            ),
            steps=4_000_000,
        ),
    ),
    # Observations and rewards differ in scale by orders of magnitude: normalised, as CleanRL's
    # ppo_continuous_action.py has them, whose other settings these are.
    (
        f"({'|'.join(_MUJOCO)})-v[2-5]|envpool:({_DM_CONTROL})[A-Z][A-Za-z0-9]*-v1",
        Preset(
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
        ),
    ),
    # The learning rate and the entropy bonus are Playground's own, whose batches of a million steps
    # are for GPUs. What serves the same tasks on the host brought less: 491 and not 832 on
    # CartpoleSwingup, 976 and not 999 on CartpoleBalance, one seed each.
    ("playground:.*", Preset(PPO(), steps=1_000_000)),
    # PureJaxRL's, but for the learning rate and the network: with its perceptron on the flattened
    # image, five times the steps brought a third of the return on Asterix.
    (
        "gymnax:.*-MinAtar",
        Preset(
            PPO(
                num_envs=64,
                minibatches=8,
                learning_rate=2e-3,
                hidden=(128,),
                activation="relu",
                trunk="shared",
            ),
            steps=2_000_000,
        ),
    ),
    # CleanRL's ppo_atari.py, with rewards scaled by their own moments instead of cut to their sign.
    (
        f"atari:.*|envpool:(?!({'|'.join(_MUJOCO)})-)[A-Za-z0-9]+-v5",
        Preset(
            PPO(
                num_envs=8,
                learning_rate=2.5e-4,
                clip_eps=0.1,
                value_clip_eps=0.1,
                hidden=(512,),
                activation="relu",
                trunk="shared",
                rewards="normalised",
            ),
            steps=10_000_000,
        ),
    ),
    ("craftax:.*-Symbolic-v1", Preset(_CRAFTAX, steps=1_000_000)),
    (
        "craftax:.*-Pixels-v1",
        Preset(
            replace(_CRAFTAX, hidden=(512,), activation="relu", trunk="shared"), steps=1_000_000
        ),
    ),
)
ENVIRONMENTS = (
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "gym:LunarLander-v3",
    "gym:LunarLanderContinuous-v3",
    "gym:BipedalWalker-v3",
    "gym:BipedalWalkerHardcore-v3",
    "gym:CarRacing-v3",
    # Version 4 is that of the published scores; Pusher-v4 needs a MuJoCo older than 3.
    *(f"gym:{name}-{'v5' if name == 'Pusher' else 'v4'}" for name in _MUJOCO),
    *(f"gymnax:{name}-MinAtar" for name in _MINATAR),
    *(f"atari:{name}" for name in _ATARI),
    *(
        f"envpool:{name}-v1"
        for name in ("BallInCupCatch", "CartpoleSwingup", "CheetahRun", "ReacherEasy", "WalkerWalk")
    ),
)
"""Those that have a short name, which is listed with the preset's settings and score."""
