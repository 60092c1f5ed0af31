"""Training from Python leaves what the command leaves."""

import pytest

import logtrick as lt
from logtrick.errors import RunError
from logtrick.runs.run import Run
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
    def fails(self):
        raise RunError("the disk is full.")

    monkeypatch.setattr(Run, "report", fails)
    watcher = Watcher()
    run = lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path, progress=watcher)
    assert run.metrics
    (note,) = watcher.notes
    assert "is finished and saved, but its report could not be written: the disk is full." in note
    assert f"`logtrick report {run.path}` tries again" in note
