"""How a run is presented, from run folders that are made by hand: no training needed."""

import dataclasses
import html
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logtrick as lt
from hand_made_runs import CONFIG, ROWS, TIMINGS, made, row, words
from logtrick import errors
from logtrick.envs import resolve
from logtrick.runs.config import env_settings
from logtrick.runs.presentation import write_run_report
from logtrick.runs.summaries import run_summary, series, solved_at
from logtrick.runs.training.interruption import Interrupted


def test_the_report_tells_when_a_run_was_resumed(tmp_path):
    assert "went on from a checkpoint" not in words(made(tmp_path / "run"))
    now = CONFIG.provenance | {"logtrick": "0.2.0"}
    resumed = [
        {"resumed": "2026-03-01T10:00:00+00:00", "update": 4, "steps": 1400, "made_by": now},
        {"resumed": "2026-03-02T11:30:00+00:00", "update": 7, "steps": 1700, "made_by": now},
    ]
    run = made(tmp_path / "run", timings=[*TIMINGS, *resumed])
    text = words(run)
    first = "2026-03-01 10:00 UTC after update 4, 1,400 steps per seed; logtrick 0.1.0 → 0.2.0"
    assert first in text
    assert "2026-03-02 11:30 UTC after update 7, 1,700 steps per seed; as before" in text
    assert run_summary(run.record)["seconds"] == 4.0
    assert [row["update"] for row in run_summary(run.record)["resumed"]] == [4, 7]


# --- series -------------------------------------------------------------------------------------


def slow_series(rows, name, points):
    """The same by loops."""
    seeds = sorted({r["seed"] for r in rows})
    count = min(points, max(sum(r["seed"] == s for r in rows) for s in seeds))
    last = max(r["steps"] for r in rows)
    edges = [last * (i + 1) / count for i in range(count)]
    table = np.full((count, len(seeds)), np.nan)
    for i in range(count):
        for j, seed in enumerate(seeds):
            low = edges[i - 1] if i else -1
            here = [r for r in rows if r["seed"] == seed and low < r["steps"] <= edges[i]]
            if name.startswith("episode_"):
                here = [r for r in here if r["episodes"]]
                weights = [r["episodes"] for r in here]
            else:
                weights = [1] * len(here)
            if weights:
                table[i, j] = np.average([r[name] for r in here], weights=weights)
    return np.array(edges), table


@st.composite
def logs(draw):
    """Logs of a few seeds whose updates differ in steps, as whole episodes do."""
    rows = []
    for seed in range(draw(st.integers(1, 3))):
        steps = 0
        for update in range(draw(st.integers(1, 12))):
            steps += draw(st.integers(1, 200))
            episodes = draw(st.integers(0, 5))
            values = st.floats(-1e3, 1e3)
            entropy = draw(values)
            rows.append(row(update, seed, steps, episodes, draw(values), entropy=entropy))
    return rows


@given(logs(), st.integers(1, 15), st.sampled_from(["episode_return", "entropy"]))
def test_a_series_is_the_weighted_mean_of_each_stretch(rows, points, name):
    steps, table = slow_series(rows, name, points)
    found = series(rows, name, points=points)
    np.testing.assert_allclose(found.steps, steps)
    np.testing.assert_allclose(found.values, table, rtol=1e-9, atol=1e-9)
    assert found.curve.middle.shape == steps.shape


def test_with_few_updates_a_series_is_the_log_itself():
    found = series(ROWS, "episode_return")
    np.testing.assert_array_equal(found.steps, 100 * np.arange(1, 11))
    np.testing.assert_allclose(found.values[:, 1], 10 * np.arange(1, 11) + 4)


def test_a_metric_that_is_missing_or_null_has_no_values():
    for rows in ([], ROWS):
        assert not np.isfinite(series(rows, "approx_kl").values).any()
    assert not np.isfinite(series([row(1, 0, 5, episodes=0)], "episode_return").values).any()


# --- summary ------------------------------------------------------------------------------------


def test_the_summary_counts_steps_and_tells_compiling_from_training(tmp_path):
    found = run_summary(made(tmp_path / "run").record)
    assert found["finished"]
    assert (found["steps"], found["steps_done"], found["seeds"]) == (1000, 1000, 2)
    assert (found["compile_seconds"], found["seconds"]) == (2.5, 4.0)
    assert found["steps_per_second"] == 2000 / 4
    # All 20 episodes of a seed count, for fewer than 100 ended: the mean of 10 u + s.
    assert found["final_returns"] == [58.0, 59.0]
    assert found["score"]["mean"] == 58.5


def test_an_unfinished_run_says_how_far_it_came(tmp_path):
    run = made(tmp_path / "run", rows=ROWS[:9])  # seed 3 is an update ahead
    summary = run_summary(run.record)
    assert (summary["finished"], summary["steps_done"]) == (False, 400)
    text = words(run)
    assert "run, unfinished" in text
    assert "Steps 400 per seed, 2 seeds; 1 k were asked for" in text


# --- report -------------------------------------------------------------------------------------


def test_the_report_says_what_was_measured_and_how_to_do_it_again(tmp_path):
    run = made(tmp_path / "CartPole v1")
    text = words(run)
    for expected in (
        "CartPole-v1 · PPO CartPole v1, finished",
        "Final return 58.5 mean ± 0.7 (std), 2 seeds",
        "Interquartile mean 58.5 95 % interval [58.0, 59.0]",
        "Steps 1 k per seed, 2 seeds",
        "Training 4.0 s and 2.5 s compiling",
        "Speed 500 steps per second, all seeds",
        "Entropy of the policy",
        "seed 3 58.00 seed 4 59.00",
        "observation space Box[4] float32 action space Discrete(2) time limit 500",
        "gamma 0.98",
        "logtrick 0.1.0 device kind cpu",
        "lt.train('CartPole-v1', lt.PPO(num_envs=8, gamma=0.98), steps=1000, seed=3, seeds=2)",
        f"logtrick train --resume '{run.path}'",
    ):
        assert expected in text, expected
    assert run.config.algorithm.estimates.split()[-1] in text
    assert "Clip fraction" not in text  # not in this log
    assert (run.path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_every_setting_is_in_the_report(tmp_path):
    text = words(made(tmp_path / "run"))
    for field in dataclasses.fields(CONFIG.algorithm):
        assert f" {field.name} " in text


def test_the_program_in_the_report_makes_the_same_configuration(tmp_path, monkeypatch):
    """It is run as it stands, with training replaced."""
    algorithm = lt.A2C(num_envs=3, hidden=(5, 6), max_grad_norm=None, trunk="shared")
    text = write_run_report(made(tmp_path / "run", algorithm=algorithm).record).read_text()
    program = html.unescape(re.search(r"<code>(import.*?)</code>", text, re.DOTALL)[1])
    calls = []
    monkeypatch.setattr(
        lt, "train", lambda *args, **named: calls.append((args, named)), raising=False
    )
    exec(program, {})
    assert calls == [(("CartPole-v1", algorithm), {"steps": 1000, "seed": 3, "seeds": 2})]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"env": "object:Doors", "kind": "host"}, {"env"}),
        ({"env": "Walk", "env_settings": {"size": 7}}, {"env"}),
        ({"env_settings": {"gravity": 1.6}}, {"env"}),
        ({"env_settings": env_settings(resolve("CartPole-v1"))}, set()),
        ({"env": "Walk", "env_settings": {}, "policy": "object:linear"}, {"env", "policy"}),
        ({"evaluation": lt.Evaluation(every=500, stop_at=475.0)}, {"evaluation"}),
        ({"workers": "async"}, {"workers"}),
    ],
)
def test_what_the_program_cannot_make_is_named(tmp_path, monkeypatch, changes, named):
    text = write_run_report(made(tmp_path / "run", **changes).record).read_text()
    program, after = map(html.unescape, re.findall(r"<code>(.*?)</code>", text, re.DOTALL)[-2:])
    calls = []
    monkeypatch.setattr(
        lt, "train", lambda *args, **given: calls.append((args, given)), raising=False
    )
    exec(program, {})
    ((env, _), given) = calls[0]
    assert (env is ...) == ("env" in named)
    assert set(given) == {"steps", "seed", "seeds"} | named - {"env"}
    assert all(given[name] == changes[name] for name in named & {"evaluation", "workers"})
    assert all(f"{name} = ...  # object:" in program for name in named & {"policy"})
    assert after.startswith("lt.load" if named & {"env", "policy"} else "logtrick eval")
    assert all(f"{name}={name}" in after for name in named & {"env", "policy"})
    resumed = after.splitlines()[1]
    assert resumed.startswith("lt.resume(") == bool(named & {"env", "policy"})
    assert all(f"{name}={name}" in resumed for name in named & {"env", "policy"})
    assert str(Interrupted(lt.load(tmp_path / "run"))).endswith(f"to resume: {resumed}")


@pytest.mark.parametrize("rows", [[], [row(1, 3, 100, episodes=0)]], ids=["no updates", "no ends"])
def test_a_run_without_episodes_has_a_report_too(tmp_path, rows):
    run = made(tmp_path / "run", rows=rows, timings=[], seeds=1)
    text = words(run)
    assert "Final return – no episode has ended yet" in text
    assert "no episode ended" in text or not rows


def test_without_a_critic_nothing_is_said_of_its_quality(tmp_path):
    rows = [r | {"explained_variance": 0.0} for r in ROWS]
    assert "Explained variance" in words(made(tmp_path / "a", rows=rows))
    run = made(tmp_path / "b", rows=rows, algorithm=lt.REINFORCE())
    assert "Explained variance" not in words(run)


def test_one_seed_has_no_interval(tmp_path):
    run = made(tmp_path / "run", rows=ROWS[::2], seeds=1)
    text = words(run)
    assert "Final return 58.0 one seed" in text
    assert "95 %" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("env", None),
        ("env", ["CartPole-v1"]),
        ("kind", 1),
        ("workers", None),
        ("max_episode_steps", "500"),
        ("steps", None),
        ("steps", "many"),
        ("seed", -1),
        ("seed", [0]),
        ("seeds", 0),
        ("seeds", 10**30),
        ("made_by", None),
        ("env_settings", 1),
        ("policy", 1),
        ("evaluation", {"every": 0}),
        ("action_space", {"type": "Discrete", "n": 10**30, "start": 0}),
        ("action_space", {"type": "Discrete", "n": 0, "start": 0}),
        (
            "observation_space",
            {"type": "Box", "shape": [10**18], "dtype": "float32", "low": 0, "high": 1},
        ),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(tmp_path, name, value):
    path = made(tmp_path).path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    why = f"{name}|seed=3 with|This is no description of a space"
    with pytest.raises(errors.RunError, match=rf"is damaged, or not logtrick's: ({why})"):
        lt.load(path.parent)


@pytest.mark.parametrize(
    "line", ["{}", '{"seed": 7, "steps": 1, "episodes": 0}', '{"seed": 3, "steps": "1"}']
)
def test_rows_of_another_run_are_refused(tmp_path, line):
    run = made(tmp_path)
    for name, read in (("metrics", lambda: run.metrics), ("evaluations", lambda: run.evaluations)):
        path = run.path / f"{name}.jsonl"
        path.write_text(f'{{"seed": 3, "steps": 1, "episodes": 0}}\n{line}\n')
        with pytest.raises(errors.RunError, match=rf"{name}\.jsonl, line 2 is no row of this run"):
            read()


@pytest.mark.parametrize(
    "line",
    [
        '{"seconds": "1"}',
        '{"compile_seconds": null}',
        '{"compile_seconds": 1e400}',
        '{"seconds": NaN}',
        '{"seconds": -1}',
        '{"resumed": 3, "update": 1, "steps": 1, "made_by": {}}',
        '{"resumed": "yesterday", "update": 1, "steps": 1, "made_by": {}}',
        '{"resumed": "2026-01-01T00:00:00+00:00", "update": "1", "steps": 1, "made_by": {}}',
        '{"resumed": "2026-01-01T00:00:00+00:00", "update": 1, "steps": 1}',
    ],
)
def test_timings_that_somebody_changed_are_refused(tmp_path, line):
    run = made(tmp_path)
    with open(run.path / "timings.jsonl", "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(errors.RunError, match=r"timings\.jsonl, line \d+ is no row of this run"):
        write_run_report(run.record)


def test_names_are_data(tmp_path):
    name = "<script>alert('x')</script>$x^{$"
    path = tmp_path / name.replace("/", "_")
    run = made(path, env=name)
    source = write_run_report(run.record).read_text(encoding="utf-8")
    assert "<script" not in source
    assert source.count(html.escape(name)) >= 3


def test_a_report_takes_a_moment_whatever_the_length_of_the_run(tmp_path):
    """A long log is averaged before it is drawn: 20,000 rows make no larger page than 400."""

    def log(updates):
        return [row(u, s, 10 * u, entropy=1 / u) for u in range(1, updates + 1) for s in (3, 4)]

    long = write_run_report(made(tmp_path / "long", rows=log(10_000)).record).stat().st_size
    short = write_run_report(made(tmp_path / "short", rows=log(200)).record).stat().st_size
    assert long < 1.1 * short


def test_gymnasium_says_when_an_environment_is_solved():
    assert solved_at("CartPole-v1") == solved_at("gym:CartPole-v1") == 475
    assert solved_at("mdp:corridor") is None
    assert solved_at("no such thing") is None
