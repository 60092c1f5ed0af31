"""The results of benchmarks: every run is kept, and what readers see is the latest one."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import results

NAMES = sorted(path.stem for path in results.FOLDER.glob("*.md"))
TODAY = "2026-11-30"


@pytest.fixture
def new_process(tmp_path, monkeypatch):
    """What a process does that has an empty folder of results; called: the next process begins."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(results, "today", lambda: TODAY)  # midnight may pass during a test

    def begin():
        monkeypatch.setattr(results, "_FILES", {})

    begin()
    return begin


def test_a_run_overwrites_no_other(new_process, tmp_path):
    results.write("speed", "How.", [{"what": "a", "seconds": 1.0}])
    results.write("speed", "How.", [{"what": "a", "seconds": 2.0}])  # the same run, further on
    new_process()
    results.write("speed", "How.", [{"what": "a", "seconds": 3.0}])
    kept = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "speed").iterdir()}
    seconds = {stem: data["rows"][0]["seconds"] for stem, data in kept.items()}
    assert seconds == {TODAY: 2.0, f"{TODAY}-02": 3.0}


def test_the_latest_of_many_days_and_runs(new_process, tmp_path):
    assert results.latest("speed") is None
    assert results.rows("speed") == []
    for stem in ("2026-11-30", "2026-11-30-02", "2026-11-30-10", "2026-09-30"):
        (tmp_path / "speed").mkdir(exist_ok=True)
        (tmp_path / "speed" / f"{stem}.json").write_text("{}")
    assert results.latest("speed").stem == "2026-11-30-10"
    (tmp_path / "speed" / "2026-12-01.json").write_text("{}")
    assert results.latest("speed").stem == "2026-12-01"


def test_what_was_measured_earlier_says_when(new_process, tmp_path):
    facts = {"date": "2026-11-22"}
    old = {"protocol": "", "facts": facts, "rows": [{"what": "a"}, {"what": "b"}]}
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "2026-11-22.json").write_text(json.dumps(old))
    carried = results.rows("speed")[0]
    table = results.write("speed", "How.", [carried, {"what": "b"}]).read_text()
    assert "| what | measured on |" in table
    assert "| a | 2026-11-22 |" in table
    assert "| b |  |" in table
    new_process()
    assert [row["measured on"] for row in results.rows("speed")] == ["2026-11-22", TODAY]


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_show_the_latest_run(name):
    latest = results.latest(name)
    assert (results.FOLDER.parent / f"{name}.py").exists()
    assert (results.FOLDER / f"{name}.md").read_text() == results.page(
        json.loads(latest.read_text())
    )
