"""Scores beside published ones: `python benchmarks/scores.py [NAME …] [--seeds 10] [--out runs/]`.

Every row is a training of all its seeds at once; the score of a seed is its mean training return
over the last episodes (at least 100, whole updates). Rows already in the table are kept, and a row
that was interrupted goes on from `OUT/NAME`, so that long ones can be done in pieces.
"""

import argparse
from pathlib import Path

import logtrick as lt
import results
from logtrick.presets import preset
from logtrick.runs import Run
from logtrick.statistics import summarise

# CleanRL's ppo.py, value clipping included; its time limits are taken for terminations, ours not.
CLEANRL = lt.PPO(
    num_envs=4, num_steps=128, epochs=4, minibatches=4, learning_rate=2.5e-4, gamma=0.99,
    lambda_=0.95, clip_eps=0.2, value_clip_eps=0.2, entropy_coef=0.01, max_grad_norm=0.5,
)  # fmt: skip
CLEANRL_PPO = "CleanRL PPO {}, 3 seeds, training return"
# CleanRL's ppo_continuous_action.py: observations and rewards normalised and cut off at 10.
CLEANRL_CONTINUOUS = lt.PPO(
    num_envs=1, num_steps=2048, epochs=10, minibatches=32, learning_rate=3e-4, gamma=0.99,
    lambda_=0.95, clip_eps=0.2, value_clip_eps=0.2, entropy_coef=0.0, max_grad_norm=0.5,
    observations="normalised", rewards="normalised",
)  # fmt: skip
# RL Baselines3 Zoo's ppo.yml for LunarLander.
ZOO_LANDER = lt.PPO(
    num_envs=16, num_steps=1024, epochs=4, minibatches=256, learning_rate=3e-4, schedule="constant",
    gamma=0.999, lambda_=0.98, clip_eps=0.2, entropy_coef=0.01, max_grad_norm=0.5,
)  # fmt: skip
# RL Baselines3 Zoo's ppo.yml for Pendulum, with independent noise in the place of gSDE.
ZOO_PENDULUM = lt.PPO(
    num_envs=4, num_steps=1024, epochs=10, minibatches=64, learning_rate=1e-3, schedule="constant",
    gamma=0.9, lambda_=0.95, clip_eps=0.2, entropy_coef=0.0, max_grad_norm=0.5,
)  # fmt: skip
# PureJaxRL's settings for MinAtar, a perceptron on the flattened image, without value clipping.
MINATAR = lt.PPO(
    num_envs=64, num_steps=128, epochs=4, minibatches=8, learning_rate=5e-3, gamma=0.99,
    lambda_=0.95, clip_eps=0.2, entropy_coef=0.01, max_grad_norm=0.5,
    hidden=(64, 64), activation="relu", images="flat",
)  # fmt: skip

ROWS = {
    "cartpole-ppo": ("CartPole-v1", CLEANRL, 500_000, CLEANRL_PPO.format("490.04 ± 6.12")),
    "acrobot-ppo": ("Acrobot-v1", CLEANRL, 500_000, CLEANRL_PPO.format("-86.36 ± 1.32")),
    "cartpole-ppo-gym": ("gym:CartPole-v1", CLEANRL, 500_000, CLEANRL_PPO.format("490.04 ± 6.12")),
    "pendulum-ppo": (
        "Pendulum-v1",
        ZOO_PENDULUM,
        100_000,
        "Zoo PPO -172.2 ± 104.2, 1 seed, deterministic",
    ),
    "lunarlander-ppo": (
        "gym:LunarLander-v3",
        ZOO_LANDER,
        1_000_000,
        "none for v3; Zoo PPO 270.9 ± 32.1 on LunarLanderContinuous-v2, 1 seed, deterministic",
    ),
    "halfcheetah-ppo": (
        "gym:HalfCheetah-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("1442.64 ± 46.03"),
    ),
    "hopper-ppo": (
        "gym:Hopper-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("2382.86 ± 271.74"),
    ),
    "inverteddoublependulum-ppo": (
        "gym:InvertedDoublePendulum-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        "CleanRL PPO 5626 ± 289 at 8 M, 10 seeds; Tianshou PPO 9231.3 ± 270.4 at 1 M, best point",
    ),
    "ant-ppo": (
        "gym:Ant-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        "Zoo PPO 1327 ± 452 at 1 M, 1 seed, deterministic; CleanRL PPO 1824 ± 906 at 8 M",
    ),
    "minatar-breakout-ppo": (
        "gymnax:Breakout-MinAtar",
        MINATAR,
        10_000_000,
        "gymnax-blines PPO 28 at 10 M, 1 checkpoint",
    ),
    "minatar-asterix-ppo": (
        "gymnax:Asterix-MinAtar",
        MINATAR,
        10_000_000,
        "gymnax-blines PPO 15 at 10 M, 1 checkpoint",
    ),
    "cartpoleswingup-ppo": (
        "envpool:CartpoleSwingup-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        "CleanRL PPO 590.21 ± 16.72 at 8 M, 10 seeds, training return",
    ),
    "reachereasy-ppo": (
        "envpool:ReacherEasy-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        "CleanRL PPO 773.01 ± 56.70 at 8 M, 10 seeds, training return",
    ),
    "cartpole-preset": ("CartPole-v1", None, None, ""),
    "cartpole-a2c": ("CartPole-v1", "a2c", None, ""),
    "cartpole-reinforce": ("CartPole-v1", "reinforce", None, ""),
}
PROTOCOL = (
    "Training return at the end: for each seed the mean over its last episodes (at least 100, "
    "whole updates), sampled actions. Seeds trained side by side; mean ± standard deviation, "
    "interquartile mean and 95 % bootstrap interval over seeds. Time is that of all seeds "
    "together on this machine, compilation apart."
)


def trained(name: str, seeds: int, out: Path) -> Run:
    """The run of a row: begun anew, or gone on with where its folder holds one."""
    env, algorithm, steps, _ = ROWS[name]
    if not isinstance(algorithm, lt.PPO):
        chosen = preset(env, algorithm or "ppo")
        algorithm, steps = chosen.algorithm, chosen.steps
    for config in sorted(out.glob(f"{name}/*/config.json"), reverse=True):
        begun = lt.load(config.parent).config
        if (begun.algorithm, begun.steps, begun.seeds) == (algorithm, steps, seeds):
            return lt.resume(config.parent)
    return lt.train(env, algorithm, steps=steps, seeds=seeds, out=out / name)


def row_of(name: str, run: Run) -> dict[str, object]:
    """One row of the table."""
    env, _, _, published = ROWS[name]
    final = run.final_returns
    score = summarise(final)
    compiling = sum(row.get("compile_seconds", 0.0) for row in run.timings)
    seconds = sum(row.get("seconds", 0.0) for row in run.timings)
    return {
        "row": name,
        "environment": env,
        "algorithm": run.config.algorithm.name,
        "steps": run.config.steps,
        "seeds": run.config.seeds,
        "mean": f"{score.mean:.2f} ± {score.std:.2f}",
        "IQM": f"{score.iqm:.2f}",
        "95 % interval": f"[{score.low:.2f}, {score.high:.2f}]",
        "worst seed": f"{final.min():.2f}",
        "published": published,
        "seconds": f"{seconds:.0f} + {compiling:.0f} compiling",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ROWS, []], default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/scores"))
    options = parser.parse_args()
    rows = {row["row"]: row for row in results.rows("scores")}
    for name in options.names:
        rows[name] = row_of(name, trained(name, options.seeds, options.out))
        print(results.write("scores", PROTOCOL, list(rows.values())).read_text())


if __name__ == "__main__":
    main()
