"""Training from Python leaves what the command leaves."""

import hashlib
import os
from collections import Counter

import pytest

import logtrick as lt
from logtrick.errors import RunError
from logtrick.runs import presentation, trees
from logtrick.support.safe_paths import SafePath
from small_runs import SMALL, Watcher

LEFT = {"report.html", "learning_curve.png"}


def names(run):
    return {path.name for path in run.path.iterdir()}


@pytest.mark.reports
def test_train_and_resume_leave_a_report_and_a_curve(tmp_path):
    without = lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path, progress=False, report=False)
    assert not names(without) & LEFT
    assert "README.md" in names(without)
    lt.resume(without.path, progress=False, report=False)
    assert not names(without) & LEFT
    lt.resume(without.path, progress=False)
    assert names(without) >= LEFT
    run = lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path, progress=False)
    assert names(run) >= LEFT


@pytest.mark.reports
def test_a_report_that_cannot_be_written_loses_no_run(tmp_path, monkeypatch):
    def fails(record):
        raise RunError("the disk is full.")

    monkeypatch.setattr(presentation, "write_run_report", fails)
    watcher = Watcher()
    run = lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path, progress=watcher)
    assert run.metrics
    (note,) = watcher.notes
    assert "is finished and saved, but its report could not be written: the disk is full." in note
    assert f"`logtrick report {run.path}` tries again" in note


@pytest.mark.reports
def test_a_training_parses_each_log_once_and_hashes_each_array_once(tmp_path, monkeypatch):
    read, hashed, saved = Counter(), [], []
    opened, sha256 = SafePath.open, hashlib.sha256
    snapshot = trees.NamedTree.snapshot

    def spy_on_open(path, flags, *more):
        if flags & os.O_ACCMODE == os.O_RDONLY:
            read[path.name] += 1
        return opened(path, flags, *more)

    def spy_on_snapshot(named):
        monkeypatch.setattr(hashlib, "sha256", lambda data: hashed.append(data) or sha256(data))
        taken = snapshot(named)
        monkeypatch.setattr(hashlib, "sha256", sha256)
        saved.append(taken)
        return taken

    monkeypatch.setattr(SafePath, "open", spy_on_open)
    monkeypatch.setattr(trees.NamedTree, "snapshot", spy_on_snapshot)
    evaluation = lt.Evaluation(every=128, episodes=1)
    settings = {"steps": 128, "out": tmp_path, "progress": False, "evaluation": evaluation}
    run = lt.train("CartPole-v1", SMALL, **settings)
    assert (run.path / "report.html").exists()
    assert [read[f"{name}.jsonl"] for name in ("metrics", "timings", "evaluations")] == [1, 1, 1]
    assert len(hashed) == sum(len(taken.part("checkpoint").arrays) for taken in saved)
    policy, state = saved[-1].part("policy"), saved[-1].part("checkpoint/state/params")
    assert policy.sums == state.sums
    assert all(policy.arrays[name] is array for name, array in state.arrays.items())
