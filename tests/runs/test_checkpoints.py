"""Checkpoints: saved whole or not at all, and damage is always noticed."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logtrick.errors import CheckpointError, RunError
from logtrick.runs.checkpoints import CheckpointFolder
from logtrick.runs.tree_files import load_tree, provenance, save_tree
from logtrick.runs.trees import NamedTree
from logtrick.support import files

STATE = {
    "weights": [np.arange(6, dtype="float32").reshape(2, 3), np.ones(3, "float32")],
    "key": jax.random.key(7),
    "count": 3,
}


def state(step):
    return {**STATE, "count": step}


def test_metadata_come_back_with_who_wrote_them(tmp_path):
    save_tree(tmp_path, STATE, {"env": "CartPole-v1", "updates": 17, "γ": 0.99})
    _, metadata = load_tree(tmp_path, STATE)
    assert metadata == {"env": "CartPole-v1", "updates": 17, "γ": 0.99, "made_by": provenance()}
    assert provenance()["jax"] == jax.__version__
    assert provenance()["device_count"] == jax.device_count()


@pytest.mark.parametrize(
    ("like", "words"),
    [
        ({**STATE, "extra": jnp.zeros(2)}, r"no array 'extra'; expected float32\[2\]"),
        ({**STATE, "weights": STATE["weights"][:1]}, "an array 'weights/1' that nothing here asks"),
        (
            {**STATE, "weights": [np.zeros((3, 2), "float32")] * 2},
            r"0' is float32\[2, 3\]; expected",
        ),
        ({**STATE, "count": 0.5}, r"'count' is int64\[\]; expected float64\[\]"),
        ({**STATE, "key": jax.random.key(0, impl="rbg")}, "a threefry2x32 key.; expected.*rbg key"),
        ({**STATE, "key": np.zeros(2, "uint32")}, r"threefry2x32 key\); expected uint32\[2\]\.$"),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_array_found_and_expected(tmp_path, like, words):
    save_tree(tmp_path, STATE, {})
    with pytest.raises(CheckpointError, match=words):
        load_tree(tmp_path, like)


@pytest.mark.parametrize(
    "metadata",
    [{"x": float("nan")}, {"x": object()}, {"x": "y" * 5_000_000}, {"x": {1: 2, "1": 3}}],
)
def test_metadata_that_could_not_be_read_back_are_refused(tmp_path, metadata):
    with pytest.raises(RunError):
        save_tree(tmp_path / "checkpoint", STATE, metadata)
    assert not (tmp_path / "checkpoint").exists()


# --- the folder -------------------------------------------------------------------------------


def test_the_last_three_stay_and_the_newest_is_loaded(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    for step in range(5):
        folder.save(step, state(step), {"n": step})
    assert sorted(os.listdir(folder.path)) == [f"step-00000000{step}" for step in (2, 3, 4)]
    found = folder.latest(STATE)
    assert (found.step, found.tree["count"], found.metadata["n"], found.rejected) == (4, 4, 4, ())
    assert folder.steps() == (4, 3, 2)


def test_a_snapshot_is_saved_like_its_tree(tmp_path):
    taken = NamedTree(STATE).snapshot()
    one = CheckpointFolder(tmp_path / "a").save(1, taken, {})
    two = CheckpointFolder(tmp_path / "b").save(1, STATE, {})
    for name in ("arrays.safetensors", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_damaged_checkpoints_are_passed_over_and_reported(tmp_path):
    folder = CheckpointFolder(tmp_path)
    paths = [folder.save(step, state(step), {}) for step in (1, 2, 3)]
    (paths[2] / "manifest.json").write_text("{}")
    (paths[1] / "arrays.safetensors").unlink()
    found = folder.latest(STATE)
    assert found.step == found.tree["count"] == 1
    assert len(found.rejected) == 2
    assert "step-000000003/manifest.json is damaged" in found.rejected[0]
    assert "step-000000002/arrays.safetensors cannot be read" in found.rejected[1]
    (paths[0] / "manifest.json").write_text("")
    with pytest.raises(CheckpointError, match=r"No checkpoint.*003.*002.*001"):
        folder.latest(STATE)


def test_a_checkpoint_moved_to_another_step_is_not_believed(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(1, state(1), {})
    folder.save(2, state(2), {}).rename(tmp_path / "step-000000009")
    found = folder.latest(STATE)
    assert found.step == 1
    assert "holds another step" in found.rejected[0]


def test_going_back_and_saving_again_supersedes_what_came_later(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (10, 20, 30):
        folder.save(step, state(step), {})
    folder.save(20, state(21), {})
    assert folder.steps() == (20, 10)
    assert folder.latest(STATE).tree["count"] == 21
    assert sorted(os.listdir(tmp_path)) == ["step-000000010", "step-000000020"]


def test_a_checkpoint_of_a_step_or_before(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (10, 11, 12):
        folder.save(step, state(step), {})
    assert [folder.latest(STATE, at_most=n).step for n in (10, 11, 12, 99)] == [10, 11, 12, 12]
    with pytest.raises(CheckpointError, match="no checkpoint of step 9 or before"):
        folder.latest(STATE, at_most=9)


def test_an_empty_or_missing_folder_says_so(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="holds no checkpoint"):
            CheckpointFolder(path).latest(STATE)


def test_reading_touches_nothing_that_a_writer_is_at(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(1, state(1), {})
    busy = tmp_path / f"{files.UNFINISHED}step-000000002"
    busy.mkdir()
    folder.latest(STATE)
    assert busy.exists()
    folder.save(3, state(3), {})  # a writer, who holds the lock, may clean up
    assert not busy.exists()


# --- faults while saving ------------------------------------------------------------------------


def failing(name, nth, error, monkeypatch):
    """Let the n-th call of an `os` function fail."""
    calls, real = [], getattr(os, name)

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == nth:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("room", [0, 1, 100, 300, 500, 700, 1000])
def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path, room):
    folder = CheckpointFolder(tmp_path)
    folder.save(1, state(1), {})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        with pytest.raises(RunError) as caught:
            folder.save(2, state(2), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value).startswith("Could not ")
    assert str(caught.value).endswith("File too large")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["step-000000001"]
    assert folder.latest(STATE).tree["count"] == 1


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_no_space_found_only_at_fsync_keeps_what_was_there(tmp_path, monkeypatch, nth):
    folder = CheckpointFolder(tmp_path)
    folder.save(1, state(1), {})
    failing("fsync", nth, OSError(28, "No space left on device"), monkeypatch)
    with pytest.raises(RunError, match=r"No space left on device$"):
        folder.save(2, state(2), {})
    found = folder.latest(STATE)
    # The fourth fsync is that of the parent: the new checkpoint is in place, whole.
    assert found.tree["count"] == (2 if nth == 4 else 1)
    assert found.rejected == ()


def test_a_place_that_cannot_hold_checkpoints_says_why(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"Could not save .*: Not a directory|File exists"):
        CheckpointFolder(tmp_path / "file" / "checkpoints").save(1, STATE, {})
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(RunError, match="is a link"):
        CheckpointFolder(tmp_path / "link").save(1, STATE, {})
    with pytest.raises(RunError, match="at least one"):
        CheckpointFolder(tmp_path, keep=0)


def test_files_and_folder_are_synced_before_the_rename_and_the_parent_after(tmp_path, monkeypatch):
    calls, final = [], tmp_path / "step-000000001"

    def fsync(descriptor):
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        calls.append((name, final.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    CheckpointFolder(tmp_path).save(1, STATE, {})
    assert calls == [
        ("arrays.safetensors", False),
        ("manifest.json", False),
        (".unfinished-step-000000001", False),
        (tmp_path.name, True),
    ]


def test_old_checkpoints_are_removed_only_after_the_new_one_is_synced(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path, keep=1)
    folder.save(1, state(1), {})
    failing("fsync", 4, KeyboardInterrupt(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        folder.save(2, state(2), {})
    assert folder.steps() == (2, 1)


KILLER = Path(__file__).with_name("kill_while_saving.py")


def kill(tmp_path, *arguments):
    command = [sys.executable, str(KILLER), str(tmp_path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_killed_at_every_file_operation_of_a_save_old_or_new_is_there(tmp_path):
    outcomes = kill(tmp_path, "operations")
    # The kills reached both sides of the rename.
    assert {"old", "new"} <= set(outcomes)
    assert len(outcomes) >= 60


def test_killed_at_random_moments_nothing_that_was_saved_is_lost(tmp_path):
    assert len(kill(tmp_path, "random", 10)) == 10


@pytest.mark.slow
def test_killed_at_a_thousand_random_moments(tmp_path):
    assert len(kill(tmp_path, "random", 1000)) == 1000
