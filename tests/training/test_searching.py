"""Search by Optuna: inside its space, as many trials as asked for, also with an interruption."""

import json
import sys

import pytest

import logtrick as lt
from logtrick import errors
from logtrick.runs.sweeps import Sweep
from logtrick.training.interruption import Interrupted
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
        ({"space": {"gamma": 0.5}}, "takes a list"),
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
