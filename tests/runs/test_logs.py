"""Append-only logs: whole rows or none, and cut back to the byte."""

import json
import math
import resource

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logtrick.errors import RunError
from logtrick.runs.logs import AppendLog, read_jsonl

ROWS = [{"step": 1, "return": 0.1 + 0.2}, {"step": 2, "losses": [1e-9, -0.0]}, {"step": 3}]


@given(st.lists(st.dictionaries(st.text(), st.floats() | st.integers() | st.text() | st.none())))
def test_rows_come_back_exactly_with_null_for_what_is_not_finite(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("log") / "rows.jsonl"
    with AppendLog(path) as log:
        log.append(rows)
        log.sync()
        assert log.size == path.stat().st_size
    finite = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]
    assert read_jsonl(path) == finite


def test_numpy_values_are_written_as_numbers(tmp_path):
    with AppendLog(tmp_path / "log") as log:
        log.append([{"a": np.float32(0.5), "b": np.array([1.0, np.nan]), "c": np.int64(7)}])
    assert (tmp_path / "log").read_bytes() == b'{"a": 0.5, "b": [1.0, null], "c": 7}\n'


def test_a_row_is_on_disk_when_append_returns(tmp_path):
    log = AppendLog(tmp_path / "log")
    log.append(ROWS)
    assert read_jsonl(tmp_path / "log") == ROWS
    log.close()


def test_cutting_back_and_going_on_equals_never_having_stopped(tmp_path):
    with AppendLog(tmp_path / "whole") as log:
        log.append(ROWS)
    with AppendLog(tmp_path / "cut") as log:
        log.append(ROWS[:1])
        offset = log.size
        log.append([{"lost": 1}])
    with AppendLog(tmp_path / "cut") as log:
        log.truncate_to(offset)
        assert log.size == offset
        log.append(ROWS[1:])
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("torn", range(1, 30))
def test_a_torn_last_row_is_left_out_and_cut_off(tmp_path, torn):
    path = tmp_path / "log"
    with AppendLog(path) as log:
        log.append(ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-torn])
    expected = [json.loads(line) for line in whole[:-torn].split(b"\n")[:-1]]
    assert read_jsonl(path) == expected
    with AppendLog(path) as log:
        log.append([{"next": 1}])
    assert read_jsonl(path) == [*expected, {"next": 1}]


def test_a_torn_row_larger_than_a_block_is_cut_off(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b'{"a": 1}\n' + b'{"b": "' + b"x" * 200_000)
    with AppendLog(path) as log:
        assert log.size == 9
    path.write_bytes(b"x" * 100_000 + b"\n" + b"y" * 1000)
    with AppendLog(path) as log:
        assert log.size == 100_001
    path.write_bytes(b"x" * 200_000)
    with AppendLog(path) as log:
        assert log.size == 0


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b"\xff", b"[" * 100_000, b"1" * 5000, b"nul", b"", b"{}\0"]
)
def test_a_broken_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "log"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 3}\n')
    with pytest.raises(RunError, match="log, line 2 is not"):
        read_jsonl(path)


def test_offsets_that_the_log_never_had_are_refused(tmp_path):
    with AppendLog(tmp_path / "log") as log:
        log.append(ROWS)
        for offset in (-1, log.size + 1):
            with pytest.raises(RunError, match="rows were lost, or it belongs to another run"):
                log.truncate_to(offset)
        with pytest.raises(RunError, match="no row ends at byte 5"):
            log.truncate_to(5)
        log.truncate_to(0)
    assert read_jsonl(tmp_path / "log") == []


def test_a_full_disk_leaves_whole_rows_only(tmp_path):
    path = tmp_path / "log"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AppendLog(path) as log:
        log.append(ROWS)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (log.size + 10, hard))
            with pytest.raises(RunError, match=r"Could not append to .*log: File too large"):
                log.append([{"long": "x" * 1000}])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert read_jsonl(path) == ROWS
        log.append([{"next": 1}])
    assert read_jsonl(path) == [*ROWS, {"next": 1}]


def test_links_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "target").write_text("precious, and not ending in a newline")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(RunError, match="Could not open"):
        AppendLog(tmp_path / "log")
    assert (tmp_path / "target").read_text().startswith("precious, and")
    with pytest.raises(RunError, match="No such file"):
        AppendLog(tmp_path / "nowhere" / "log")
    with pytest.raises(RunError, match="No such file"):
        read_jsonl(tmp_path / "nothing")
