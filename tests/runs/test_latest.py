"""A score says of how many episodes it is, and since when; one that is old is no score."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logtrick as lt
from hand_made_runs import CONFIG, made, words
from logtrick.commands.output import run_table, sweep_table
from logtrick.runs.latest import LatestEpisodes
from logtrick.runs.model_card import write_model_card
from logtrick.runs.summaries import run_summary, series
from logtrick.runs.sweeps import Sweep
from logtrick.runs.training.progress import ProgressBar

CLIFF = {"env": "gym:CliffWalking-v1", "max_episode_steps": None, "algorithm": lt.PPO()}


def log(seed, updates, size=2048):
    """Rows of a seed, from the (return, length) of every episode that ended in each update."""
    rows = []
    for update, ended in enumerate(updates, 1):
        returns, lengths = zip(*ended, strict=True) if ended else ((), ())
        mean = [None if not x else math.fsum(x) / len(x) for x in (returns, lengths)]
        rows.append(
            {"update": update, "seed": seed, "steps": update * size, "episodes": len(ended)}
            | {"episode_return": mean[0], "episode_length": mean[1], "entropy": 0.5}
        )
    return rows


@given(st.lists(st.integers(0, 110), max_size=12))
def test_a_final_return_is_the_mean_over_episodes_not_over_updates(ended):
    rng, counted = np.random.default_rng(len(ended)), 0
    updates = [[(rng.normal(scale=1e3), rng.integers(1, 500)) for _ in range(n)] for n in ended]
    first = len(updates)
    while first and counted < 100:
        first -= 1
        counted += len(updates[first])
    while first < len(updates) and not updates[first]:
        first += 1
    values = [value for ended in updates[first:] for value, _ in ended]
    rows = log(3, updates)
    (latest, other) = LatestEpisodes(CONFIG, rows).of_seeds()
    assert (latest.episodes, other.episodes) == (len(values), 0)
    if values:
        assert latest.episode_return == pytest.approx(np.mean(values), rel=1e-12, abs=1e-9)
        assert latest.since_step == 2048 * first
    else:
        assert math.isnan(latest.episode_return)


def test_one_long_update_does_not_weigh_like_one_short_episode():
    rows = log(3, [[(0.0, 10)] * 99, [(100.0, 10)]])
    assert (
        LatestEpisodes(CONFIG, rows).of_seeds()[0].score == 1.0
    )  # not 50, the mean of the updates' means


def test_rows_one_by_one_are_the_log_as_a_whole():
    rng = np.random.default_rng(0)
    updates = [[(x, 9) for x in rng.normal(size=rng.integers(0, 40))] for _ in range(30)]
    slowly = LatestEpisodes(CONFIG)
    for n, row in enumerate(log(3, updates), 1):
        slowly.add([row])
        assert slowly.of_seeds()[0] == LatestEpisodes(CONFIG, log(3, updates[:n])).of_seeds()[0]


# --- when a score is old ------------------------------------------------------------------------


def cliff(updates=30):
    """Three episodes, all before step 4,096, and then none any more."""
    return log(3, [[(-900.0, 100), (-1000.0, 120)], [(-1292.0, 256)], *[[]] * (updates - 2)])


def test_a_score_that_nothing_renews_gets_old(tmp_path):
    run = made(tmp_path, rows=cliff(), seeds=1, steps=60_000, **CLIFF)
    assert np.isnan(run.final_returns).all()
    (latest,) = run.last_episodes
    assert latest[2:] == (3, 0, 4096, 61_440, True)
    assert latest.episode_return == pytest.approx(-3192 / 3)


@pytest.mark.parametrize(
    ("rows", "limit", "num_envs", "old"),
    [
        # Rows in step: 16 environments end together, every 16,000 steps.
        (log(3, [[], [], [(1.0, 1000)] * 16, [], [], []], 16_000 // 3), 1000, 16, False),
        (log(3, [[(1.0, 1000)] * 16, [], [], [], []], 16_000), None, 16, False),
        (log(3, [[(1.0, 1000)] * 16, [], [], [], [], []], 16_000), None, 16, True),
        # One environment: episodes that end by chance leave gaps of a few lengths.
        (log(3, [[(1.0, 100)], *[[]] * 12], 100), None, 1, False),
        (log(3, [[(1.0, 100)], *[[]] * 13], 100), None, 1, True),
        # The policy has learned to survive up to the limit, which has not come yet.
        (log(3, [[(1.0, 20)] * 100] * 90 + [[]] * 7, 2000), 1000, 16, False),
        # A limit that is longer than a tenth of the run excuses nothing.
        (cliff(), 10**6, 16, True),
    ],
)
def test_how_old_is_old(tmp_path, rows, limit, num_envs, old):
    algorithm = lt.PPO(num_envs=num_envs, minibatches=1)
    changes = {"max_episode_steps": limit, "algorithm": algorithm, "seeds": 1}
    (latest,) = made(tmp_path, rows=rows, **changes).last_episodes
    assert latest.is_old is old


GONE = "none ended since step 4,096"


def plain(text):
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def test_an_old_score_is_nowhere_told_as_the_latest(tmp_path, capsys):
    run = made(tmp_path / "run", rows=cliff(), seeds=1, steps=60_000, **CLIFF)
    assert f"Final return – {GONE}; the 3 episodes before came to -1064.0" in words(run)
    assert f"It stops where they did: {GONE}" in words(run)
    card = write_model_card(run.record).read_text()
    assert f"There is no score (seed 3: {GONE}; the 3 episodes before came to -1064.0)." in card
    summary = run_summary(run.record)
    assert summary["score"] is None
    assert summary["last_episodes"][0]["last_step"] == 4096
    run_table(run)
    assert f"return – ({GONE}; the 3 episodes before came to -1064.0)" in plain(
        capsys.readouterr().out
    )


def test_the_curve_ends_where_the_episodes_did(tmp_path):
    rows = cliff()
    until = series(rows, "episode_return", until=4096).curve.middle
    assert np.isfinite(until[:2]).all()
    assert np.isnan(until[2:]).all()


def test_a_score_says_of_how_many_episodes_it_is(tmp_path, capsys):
    rows = [r for s in (3, 4) for r in log(s, [[(1.0, 9)] * 70, [(2.0, 9)] * 60, [(4.0, 9)] * 60])]
    run = made(tmp_path / "run", rows=rows)
    np.testing.assert_array_equal(run.final_returns, [3.0, 3.0])
    assert "Final return 3.0 mean ± 0.0 (std), 2 seeds, 240 episodes since step 2,048" in words(run)
    assert "seed 3: 120 episodes since step 2,048; seed 4: 120 episodes" in words(run)
    assert "seed 4: 120 episodes since step 2,048." in write_model_card(run.record).read_text()
    run_table(run)
    said = "return 3.0 mean of the last 240 episodes since step 2,048, 2 seeds"
    assert said in plain(capsys.readouterr().out)


def test_the_lines_of_progress_say_how_old_the_return_is(tmp_path, capsys):
    rows = cliff()
    run = made(tmp_path, rows=rows, seeds=1, steps=61_440, **CLIFF)
    bar = ProgressBar()
    bar.begin([run], 0, 0)
    for n, row in enumerate(rows, 1):
        bar.visit([[row]], row["steps"], float(n))
    bar.end([run])
    lines = [plain(line) for line in capsys.readouterr().err.splitlines()][2:]
    assert len(lines) == 10
    assert lines[0].endswith("return -1064.0 (3 episodes since step 0)")
    assert all(line.endswith(f"return – ({GONE})") for line in lines[3:])


def test_a_resumed_run_goes_on_with_the_score_that_it_had(tmp_path, capsys):
    rows = log(3, [[(5.0, 200)] * 100])
    run = made(tmp_path, rows=rows, seeds=1)
    bar = ProgressBar()
    bar.begin([run], 1, 100)
    bar.visit([log(3, [[], []])[1:]], 1000, 1.0)
    assert "return 5.0 (100 episodes since step 0)" in plain(capsys.readouterr().err)


def swept(folder, *points, seeds):
    """A sweep of two points of 60,000 steps, from the rows of each."""
    for place, rows in enumerate(points):
        made(folder / f"point-{place:03d}", rows=rows, seeds=seeds, steps=60_000, **CLIFF)
    settings = {"base": {"env": CLIFF["env"]}, "values": {"gamma": [0.9, 0.99]}}
    (folder / "sweep.json").write_text(json.dumps(settings))
    return Sweep(folder)


def test_a_sweep_ranks_no_old_scores_and_says_so(tmp_path, capsys):
    found = swept(tmp_path, cliff(), log(3, [[(-2000.0, 20)] * 100] * 30), seeds=1)
    first, last = found.results
    assert (first["point"], first["mean"]) == ("point-001", -2000.0)
    assert (first["episodes"], first["since_step"]) == (100, 59_392)
    assert last["mean"] is None
    assert last["no_score"].startswith(GONE)
    sweep_table(found)
    assert "none ended" in plain(capsys.readouterr().out)


def test_a_point_of_which_a_seed_was_cut_short_is_not_ranked(tmp_path):
    """Its score is a number, and the highest: it is that of a run half as long."""
    short = log(3, [[(9.0, 20)] * 100] * 30) + log(4, [[(9.0, 20)] * 100] * 15)
    whole = [row for seed in (3, 4) for row in log(seed, [[(1.0, 20)] * 100] * 30)]
    found = swept(tmp_path, short, whole, seeds=2)
    first, last = found.results
    assert (first["point"], first["mean"], first["diverged_or_unfinished"]) == ("point-001", 1.0, 0)
    assert (last["mean"], last["diverged_or_unfinished"]) == (None, 1)
