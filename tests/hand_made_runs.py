"""Run folders that are made by hand: logs without any training."""

import dataclasses
import html
import json
import re

import numpy as np
from gymnasium import spaces

import logtrick as lt
from logtrick.runs.config import RunConfig
from logtrick.runs.logs import AppendLog
from logtrick.runs.presentation import write_run_report

CONFIG = RunConfig(
    env="CartPole-v1",
    kind="device",
    observation_space=spaces.Box(-1, 1, (4,), np.float32),
    action_space=spaces.Discrete(2),
    max_episode_steps=500,
    algorithm=lt.PPO(num_envs=8, gamma=0.98),
    steps=1000,
    seed=3,
    seeds=2,
    workers="sync",
    provenance={"logtrick": "0.1.0", "device_kind": "cpu"},
)


def row(update, seed, steps, episodes=2, episode_return=10.0, **more):
    value = episode_return if episodes else None
    return (
        {"update": update, "seed": seed, "steps": steps, "episodes": episodes}
        | {
            "episode_return": value,
            "entropy": 0.5,
        }
        | more
    )


ROWS = [row(u, s, 100 * u, episode_return=10.0 * u + s) for u in range(1, 11) for s in (3, 4)]
TIMINGS = [{"compile_seconds": 2.5}, {"update": 5, "seconds": 3.0}, {"update": 10, "seconds": 1.0}]


def made(folder, rows=ROWS, timings=TIMINGS, **changes):
    """A run folder with these logs."""
    folder.mkdir(exist_ok=True)
    config = dataclasses.replace(CONFIG, **changes)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    for name, lines in (("metrics", rows), ("timings", timings)):
        with AppendLog(folder / f"{name}.jsonl") as log:
            log.truncate_to(0)
            log.append(lines)
    return lt.load(folder)


def words(run):
    """The report's text."""
    source = write_run_report(run.record).read_text(encoding="utf-8")
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", source, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))
