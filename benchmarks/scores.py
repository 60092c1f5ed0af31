"""Scores beside published ones: `python benchmarks/scores.py [NAME …] [--seeds 10] [--out runs/]`.

Every row is a training of all its seeds at once; the score of a seed is its mean training return
over the last episodes (at least 100, whole updates). Rows already in the table are kept, and a row
that was interrupted goes on from `OUT/NAME`, so that long ones can be done in pieces. What a preset
reached is kept inside the package too, for `logtrick presets`.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import logtrick as lt
import results
from logtrick.algorithms import presets
from logtrick.algorithms.presets import Preset, preset
from logtrick.reports.statistics import summarise
from logtrick.runs.latest import no_score
from logtrick.runs.run import Run

# CleanRL's ppo.py, value clipping included; its time limits are taken for terminations, ours not.
CLEANRL = lt.PPO(
    num_envs=4, num_steps=128, epochs=4, minibatches=4, learning_rate=2.5e-4, gamma=0.99,
    lambda_=0.95, clip_eps=0.2, value_clip_eps=0.2, entropy_coef=0.01, max_grad_norm=0.5,
)  # fmt: skip
CLEANRL_PPO = "CleanRL PPO {}, 3 seeds, training return"
CLEANRL_CONTINUOUS = preset("gym:HalfCheetah-v4", "ppo").algorithm
ZOO_LANDER = preset("gym:LunarLander-v3", "ppo").algorithm
# RL Baselines3 Zoo's ppo.yml for Pendulum, with independent noise in the place of gSDE.
ZOO_PENDULUM = lt.PPO(
    num_envs=4, num_steps=1024, epochs=10, minibatches=64, learning_rate=1e-3, schedule="constant",
    gamma=0.9, lambda_=0.95, clip_eps=0.2, entropy_coef=0.0, max_grad_norm=0.5,
)  # fmt: skip
# PureJaxRL's for MinAtar: a perceptron on the flattened image. The published scores are another's
# (gymnax-blines: 256 units twice, a constant rate of 5e-4, gamma 0.999).
PUREJAXRL_MINATAR = lt.PPO(
    num_envs=64, num_steps=128, epochs=4, minibatches=8, learning_rate=5e-3, gamma=0.99,
    lambda_=0.95, clip_eps=0.2, entropy_coef=0.01, max_grad_norm=0.5, activation="relu",
    images="flat",
)  # fmt: skip
# CleanRL's for Atari (the preset) with a larger rate, which does not fall, for few steps.
SHORT_ATARI = dataclasses.replace(
    preset("atari:pong", "ppo").algorithm, learning_rate=1e-3, schedule="constant"
)
BLINES = "gymnax-blines PPO {} at 10 M, 1 checkpoint"
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
    "walker2d-ppo": (
        "gym:Walker2d-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("2287.95 ± 571.78"),
    ),
    "invertedpendulum-ppo": (
        "gym:InvertedPendulum-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("963.09 ± 22.20"),
    ),
    "humanoid-ppo": (
        "gym:Humanoid-v4",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("716.11 ± 49.08"),
    ),
    "pusher-ppo": (
        "gym:Pusher-v5",
        CLEANRL_CONTINUOUS,
        1_000_000,
        "none for v5; " + CLEANRL_PPO.format("-40.38 ± 7.15") + " on Pusher-v4",
    ),
    "minatar-breakout-ppo": (
        "gymnax:Breakout-MinAtar",
        PUREJAXRL_MINATAR,
        10_000_000,
        BLINES.format("28"),
    ),
    "minatar-asterix-ppo": (
        "gymnax:Asterix-MinAtar",
        PUREJAXRL_MINATAR,
        10_000_000,
        BLINES.format("15"),
    ),
    "minatar-breakout-preset": ("gymnax:Breakout-MinAtar", None, None, BLINES.format("28")),
    "minatar-asterix-preset": ("gymnax:Asterix-MinAtar", None, None, BLINES.format("15")),
    "cartpoleswingup-ppo": (
        "envpool:CartpoleSwingup-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("640.86 ± 11.44") + "; 590.21 ± 16.72 at 8 M, 10 seeds",
    ),
    "reachereasy-ppo": (
        "envpool:ReacherEasy-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("626.28 ± 15.51") + "; 773.01 ± 56.70 at 8 M, 10 seeds",
    ),
    "cheetahrun-ppo": (
        "envpool:CheetahRun-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("432.56 ± 82.54"),
    ),
    "walkerwalk-ppo": (
        "envpool:WalkerWalk-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("392.51 ± 56.25"),
    ),
    "ballincupcatch-ppo": (
        "envpool:BallInCupCatch-v1",
        CLEANRL_CONTINUOUS,
        1_000_000,
        CLEANRL_PPO.format("900.78 ± 5.26"),
    ),
    "pong-ppo": (
        "atari:pong",
        SHORT_ATARI,
        600_000,
        CLEANRL_PPO.format("20.36 ± 0.20 at 10 M"),
    ),
    "cartpole-preset": ("CartPole-v1", None, None, ""),
    "acrobot-preset": ("Acrobot-v1", None, None, ""),
    "mountaincar-preset": ("MountainCar-v0", None, None, ""),
    "mountaincarcontinuous-preset": ("MountainCarContinuous-v0", None, None, ""),
    "pendulum-preset": ("Pendulum-v1", None, None, ""),
    "reacher-preset": ("gym:Reacher-v4", None, None, ""),
    "swimmer-preset": ("gym:Swimmer-v4", None, None, ""),
    "cartpole-a2c": ("CartPole-v1", "a2c", None, ""),
    "cartpole-reinforce": ("CartPole-v1", "reinforce", None, ""),
}
PROTOCOL = (
    "Training return at the end: for each seed the mean over its last episodes (at least 100, "
    "whole updates), sampled actions. Seeds trained side by side; mean ± standard deviation, "
    "interquartile mean and 95 % bootstrap interval over seeds. Time is that of all seeds "
    "together on this machine, compilation apart. Rows of presets are `logtrick train`'s own "
    "settings. Below what is published, and why: minatar-asterix-ppo has PureJaxRL's perceptron "
    "(2 × 64 units, a rate of 5e-3 to 0) beside gymnax-blines' (2 × 256, 5e-4 constant), and "
    "convolutions, the preset, pass both; pong-ppo has a seventeenth of the steps, and for so few "
    "a rate of 1e-3 that does not fall; an episode of reachereasy-ppo pays about 980 or hardly "
    "anything, so that the mean of a hundred has a standard error of 45, and CleanRL's own script "
    "(with dm_control 1.0.50, 1 M, 3 seeds) came to 564.54 ± 78.91 on this machine; one of the "
    "five seeds of ballincupcatch-ppo hardly ever caught the ball (109.62), and the other four "
    "came to 919.55 on average."
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
    if why := no_score(run.last_episodes):
        raise SystemExit(f"{name} has no score: {why}")
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


def remember(run: Run) -> None:
    """Keep a run's score inside the package too, if its settings are a preset's."""
    config = run.config
    if preset(config.env, config.algorithm.name) != Preset(config.algorithm, config.steps):
        return
    path = Path(presets.__file__).with_name(presets.REACHED)
    told = {"environment": config.env, "algorithm": config.algorithm.to_dict()}
    others = [
        row
        for row in json.loads(path.read_text())
        if (row["environment"], row["algorithm"]["name"]) != (config.env, config.algorithm.name)
    ]
    score, latest = summarise(run.final_returns), run.last_episodes
    numbers = {"iqm": score.iqm, "low": score.low, "high": score.high}
    numbers["episodes"] = min(x.episodes for x in latest)
    numbers["since_step"] = min(x.since_step for x in latest)
    rows = [*others, {**told, "steps": config.steps, "seeds": config.seeds, **numbers}]
    rows.sort(key=lambda row: (row["environment"], row["algorithm"]["name"]))
    path.write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ROWS, []], default=[])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/scores"))
    options = parser.parse_args()
    rows = {row["row"]: row for row in results.rows("scores")}
    for name in options.names or ROWS:
        run = trained(name, options.seeds, options.out)
        rows[name] = row_of(name, run)
        remember(run)
        table = [rows[name] for name in ROWS if name in rows]
        print(results.write("scores", PROTOCOL, table).read_text())


if __name__ == "__main__":
    main()
