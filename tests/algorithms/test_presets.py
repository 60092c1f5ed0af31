"""Presets: short names, scores that belong to exactly these settings, and their table."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import logtrick as lt
from logtrick.algorithms import presets
from logtrick.algorithms.configs import from_dict
from logtrick.algorithms.presets import env_id, environments, listed, preset, reached, short_names
from logtrick.commands.cli import _parse, main
from logtrick.errors import UnknownEnvError
from small_runs import SMALL

MEASURED = json.loads(Path(presets.__file__).with_name(presets.REACHED).read_text())
SCORES = Path(__file__).parents[2] / "benchmarks" / "results" / "scores"
TABLE = max(SCORES.glob("*.json"), key=lambda path: path.stem)  # the latest run's


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("cartpole", "CartPole-v1"),
        ("CartPole", "CartPole-v1"),
        ("mountaincar", "MountainCar-v0"),
        ("mountaincar-continuous", "MountainCarContinuous-v0"),
        ("HALFCHEETAH", "gym:HalfCheetah-v4"),
        ("half_cheetah", "gym:HalfCheetah-v4"),
        ("hopper", "gym:Hopper-v4"),
        ("lunarlander", "gym:LunarLander-v3"),
        ("breakout-minatar", "gymnax:Breakout-MinAtar"),
        ("pong", "atari:pong"),
        ("space-invaders-minatar", "gymnax:SpaceInvaders-MinAtar"),
        ("cheetah-run", "envpool:CheetahRun-v1"),
        ("bipedalwalker", "gym:BipedalWalker-v3"),
        ("Hopper-v5", "Hopper-v5"),
        ("gym:hopper", "gym:hopper"),
        ("no such name", "no such name"),
    ],
)
def test_short_names(name, id):
    assert env_id(name) == id


@pytest.mark.parametrize(
    ("like", "env"),
    [
        ("gym:Hopper-v4", "gym:Hopper-v5"),
        ("gym:Hopper-v4", "envpool:Hopper-v3"),
        ("gym:Hopper-v4", "envpool:QuadrupedRun-v1"),
        ("gym:LunarLander-v3", "envpool:LunarLanderContinuous-v2"),
        ("gym:CarRacing-v3", "envpool:CarRacing-v2"),
        ("gym:BipedalWalker-v3", "BipedalWalker-v3"),
        ("atari:pong", "envpool:Pong-v5"),
        ("CartPole-v1", "gym:phys2d/CartPole-v0"),
    ],
)
def test_the_same_task_elsewhere_has_the_same_preset(like, env):
    assert preset(env, "ppo") == preset(like, "ppo")
    assert preset(env, "ppo").algorithm != lt.PPO()


def test_craftax_is_seen_as_symbols_or_as_pixels():
    symbols, pixels = (
        preset(f"craftax:Craftax-{seen}-v1", "ppo").algorithm
        for seen in ("Classic-Symbolic", "Pixels")
    )
    assert symbols.lambda_ == pixels.lambda_ == 0.8
    assert (symbols.trunk, pixels.trunk) == ("separate", "shared")


def test_what_only_looks_alike_has_none():
    for env in ("envpool:Catch-v0", "gym:Acrobot-v2", "gym:CartPole-v7", "envpool:FetchReach-v4"):
        assert preset(env, "ppo").algorithm == lt.PPO()


def test_every_listed_environment_has_a_preset_and_a_short_name_of_its_own():
    assert {env for env, _ in listed()} == set(environments())
    names = [short_names(env)[0] for env in environments()]
    assert len(set(names)) == len(names)
    for env, name in zip(environments(), names, strict=True):
        if name not in ("asterix", "breakout", "freeway", "seaquest", "space_invaders"):
            assert env_id(name) == env


def test_a_name_of_two_environments_is_not_guessed():
    with pytest.raises(
        UnknownEnvError, match=r"may mean gymnax:Breakout-MinAtar or atari:breakout"
    ):
        lt.train("breakout", progress=False)


def test_a_name_of_none_gets_the_nearest(tmp_path):
    with pytest.raises(UnknownEnvError, match=r"Did you mean .*gym:Hopper-v"):
        lt.train("hoper", out=tmp_path, progress=False)


def test_a_short_name_trains_its_environment(tmp_path):
    run = lt.train("cartpole", SMALL, steps=128, out=tmp_path, progress=False)
    assert run.config.env == "CartPole-v1"
    found = lt.sweep("cartpole", SMALL, {"gamma": [0.9]}, steps=128, out=tmp_path, progress=False)
    assert found.best.config.env == "CartPole-v1"


def test_a_flag_overrides_a_setting_of_the_preset_and_nothing_else():
    chosen = preset("MountainCarContinuous-v0", "ppo")
    options = _parse(["train", "mountaincar-continuous", "--gamma", "0.9", "--num-envs", "32"])
    assert options.algorithm == replace(chosen.algorithm, gamma=0.9, num_envs=32)
    assert options.steps == chosen.steps
    assert _parse(["train", "mountaincar-continuous", "--steps", "7"]).steps == 7


@pytest.mark.parametrize("entry", MEASURED, ids=lambda entry: entry["environment"])
def test_what_was_measured_belongs_to_a_preset_and_stands_in_the_score_table(entry):
    env, algorithm = entry["environment"], from_dict(entry["algorithm"])
    chosen = preset(env, algorithm.name)
    assert (env, chosen) in listed()
    score = reached(env, chosen)
    assert score[:4] == (entry["seeds"], entry["iqm"], entry["low"], entry["high"])
    assert score[4:] == (entry.get("episodes"), entry.get("since_step"))
    interval = f"[{score.low:.2f}, {score.high:.2f}]"
    told = (env, algorithm.name, chosen.steps, score.seeds, f"{score.iqm:.2f}", interval)
    columns = ("environment", "algorithm", "steps", "seeds", "IQM", "95 % interval")
    rows = json.loads(TABLE.read_text())["rows"]
    assert told in {tuple(row[column] for column in columns) for row in rows}


def test_a_score_is_that_of_exactly_these_settings():
    chosen = preset("CartPole-v1", "ppo")
    assert reached("CartPole-v1", chosen).seeds >= 5
    assert reached("gym:CartPole-v1", chosen) is None
    assert reached("CartPole-v1", replace(chosen, steps=1)) is None
    other = replace(chosen, algorithm=replace(chosen.algorithm, gamma=0.9))
    assert reached("CartPole-v1", other) is None


def test_the_core_environments_are_solved():
    """By the bounds of Gymnasium's documentation, where it gives one."""
    for env, bound in [
        ("CartPole-v1", 475),
        ("Acrobot-v1", -100),
        ("MountainCar-v0", -110),
        ("MountainCarContinuous-v0", 90),
    ]:
        assert reached(env, preset(env, "ppo")).low >= bound


def test_the_command_prints_them(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main(["presets"])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert re.search(r"gym:Hopper-v4 +ppo +1 M +5 +2669\.4 \[2327\.8, 2920\.6\]", printed)
    with pytest.raises(SystemExit, match="0"):
        main(["presets", "MOUNTAINCARC", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row["environment"] == "MountainCarContinuous-v0"
    assert row["algorithm"]["gamma"] == 0.999
    with pytest.raises(SystemExit, match="0"):
        main(["presets", "nothing"])
    assert "No preset's environment has 'nothing' in its name." in capsys.readouterr().out
