"""Search by Optuna: inside its space, as many trials as asked for, also with an interruption."""

import json
import math
import sys

import pytest

import logtrick as lt
from logtrick import errors
from logtrick.runs.sweeps import Sweep
from logtrick.runs.training.interruption import Interrupted
from logtrick.runs.training.journal import Journal
from logtrick.runs.training.points import Points
from logtrick.support.safe_paths import SafePath
from small_runs import SMALL, Watcher, digest, interrupt_at

SPACE = {"learning_rate": lt.Range(1e-4, 1e-2, log=True), "hidden": [(4,), (8,)]}


def search(out, trials=5, space=SPACE, **more):
    settings = {"steps": 256, "seeds": 1, "progress": False} | more
    return lt.search("CartPole-v1", SMALL, space, trials, out=out, **settings)


def test_trials_lie_in_the_space_and_are_told(tmp_path):
    found = search(tmp_path)
    assert len(found.runs) == len(found.results) == 5
    for row in found.results:
        assert 1e-4 <= row["learning_rate"] <= 1e-2
        assert row["hidden"] in ((4,), (8,))
    assert len({row["learning_rate"] for row in found.results}) == 5
    journal = [json.loads(line) for line in (found.path / "study.jsonl").read_text().splitlines()]
    told = sorted(row["values"][0] for row in journal if row.get("values"))
    assert told == sorted(row["iqm"] for row in found.results)


def test_an_interrupted_search_goes_on_with_its_trials(tmp_path):
    with pytest.raises(Interrupted):
        search(tmp_path, steps=2560, progress=interrupt_at(2))
    (path,) = tmp_path.iterdir()
    begun = [run.config.algorithm for run in Sweep(path).runs]
    (path / "study.jsonl.lock").write_text("left by a dead process")
    again = lt.resume_sweep(path, progress=False)
    assert len(again.runs) == 5
    assert [run.config.algorithm for run in again.runs][: len(begun)] == begun
    assert all(row["iqm"] is not None for row in again.results)
    before = [digest(run) for run in again.runs]
    assert [digest(run) for run in lt.resume_sweep(path, progress=False).runs] == before


def settings_of(found):
    return [(run.config.algorithm.learning_rate, run.config.algorithm.hidden) for run in found.runs]


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_interrupted_search_equals_one_that_was_not(tmp_path, at_once):
    """After two interruptions: the same trials, scores and bits of every run."""
    told = {"steps": 384, "seeds": 1, "trials": 3, "at_once": at_once, "seed": 5}
    whole = search(tmp_path / "a", **told)
    with pytest.raises(Interrupted):
        search(tmp_path / "b", progress=interrupt_at(1), checkpoint_seconds=0.0, **told)
    (path,) = (tmp_path / "b").iterdir()
    with pytest.raises(Interrupted):
        lt.resume_sweep(path, progress=interrupt_at(2), checkpoint_seconds=0.0)
    again = lt.resume_sweep(path, progress=False)
    assert len({rate for rate, _ in settings_of(whole)}) == 3
    assert settings_of(again) == settings_of(whole)
    assert again.results == whole.results
    if at_once == 1:  # side by side the sums may be rounded otherwise
        assert [digest(run) for run in again.runs] == [digest(run) for run in whole.runs]


@pytest.mark.parametrize("at_once", [1, 3])
def test_killed_after_any_entry_of_its_journal_a_search_goes_on_as_if_nothing_had_been(
    tmp_path, monkeypatch, at_once
):
    """A kill leaves its first lines, the last of them torn. Scores are made up, not trained."""

    def score(sweep):
        return [
            {
                "point": run.path.name,
                "iqm": -abs(math.log(run.config.algorithm.learning_rate) + 6),
            }
            for run in sweep.runs
        ]

    monkeypatch.setattr(Points, "train", lambda points, paths: None)
    monkeypatch.setattr(Sweep, "results", property(score))
    monkeypatch.setattr(Sweep, "write_results", lambda sweep: None)
    told = {"trials": 12, "at_once": at_once, "space": SPACE | {"gamma": lt.Range(0.9, 0.99)}}
    whole = search(tmp_path / "a", **told)
    expected = [run.config for run in whole.runs]
    assert len({config.algorithm.learning_rate for config in expected}) == 12
    journal = (whole.path / "study.jsonl").read_bytes().splitlines(keepends=True)
    for kept in range(0, len(journal), 3 if at_once == 3 else 4):
        path = tmp_path / f"killed-{kept}"
        path.mkdir()
        (path / "sweep.json").write_bytes((whole.path / "sweep.json").read_bytes())
        torn = journal[kept][: len(journal[kept]) // 2]
        (path / "study.jsonl").write_bytes(b"".join(journal[:kept]) + torn)
        found = lt.resume_sweep(path, progress=False)
        begun = {run.path.name: run.config for run in found.runs}
        for run, config in zip(whole.runs, expected, strict=True):
            # Points whose trial had been told before the kill are not made here once more.
            assert begun.get(run.path.name, config) == config, f"killed after entry {kept}"
        assert choices(path) == choices(whole.path), f"killed after entry {kept}"


def choices(sweep):
    """(trial, setting, value) of all that was chosen, from the journal."""
    with Journal(SafePath(sweep) / "study.jsonl") as journal:
        chosen = [entry for entry in journal.read_logs(0) if "param_name" in entry]
    return [(e["trial_id"], e["param_name"], e["param_value_internal"]) for e in chosen]


def test_a_search_goes_on_in_a_folder_of_another_name(tmp_path):
    with pytest.raises(Interrupted):
        search(tmp_path / "a", steps=640, trials=2, progress=interrupt_at(2))
    (path,) = (tmp_path / "a").iterdir()
    found = lt.resume_sweep(path.rename(tmp_path / "renamed"), progress=False)
    assert len(found.runs) == 2


def test_a_trial_that_diverges_is_the_worst_and_the_search_goes_on(tmp_path):
    found = search(tmp_path, trials=2, space={"learning_rate": [1e38], "hidden": [(4,), (8,)]})
    assert [row["iqm"] for row in found.results] == [None, None]
    assert all(row["diverged_or_unfinished"] == 1 for row in found.results)


def test_a_trial_whose_settings_exclude_each_other_is_left_out(tmp_path):
    """A batch of 4 x 32 is no multiple of 3 minibatches, and the ends of the range tell nothing."""
    watcher = Watcher()
    space = {"minibatches": lt.Range(2, 4)}
    found = search(tmp_path, trials=4, space=space, progress=watcher)
    trained = [run.config.algorithm.minibatches for run in found.runs]
    assert set(trained) <= {2, 4}
    assert 0 < len(trained) < 4
    assert len(watcher.notes) == 4 - len(trained)
    assert all("3 minibatches do not divide" in note for note in watcher.notes)


def test_a_search_without_a_single_point_has_an_empty_table(tmp_path):
    path = tmp_path / "sweep.json"
    path.write_text('{"values": {"gamma": []}}')
    found = Sweep(tmp_path)
    found.write_results()
    assert found.results == []
    with pytest.raises(errors.RunError, match="no point has a score"):
        _ = found.best


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"trials": 0}, "trials=0"),
        ({"space": {}}, "Nothing varies"),
        ({"space": {"gamma": []}}, "no values"),
        ({"space": {"gamma": 0.5}}, "needs a list"),
        ({"space": {"gamma": lt.Range(0.5, 1.5)}}, "gamma"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(tmp_path, arguments, match):
    with pytest.raises(errors.ConfigError, match=match):
        search(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_without_the_package_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(errors.MissingExtraError, match=r'pip install "logtrick\[tune\]"'):
        search(tmp_path / "out")
    assert not (tmp_path / "out").exists()
