"""TensorBoard's files: the numbers of the logs, each once, after interruptions too."""

import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

import logtrick as lt
from logtrick import errors
from logtrick.runs.training.interruption import Interrupted
from logtrick.runs.training.tensorboard import EventFiles
from logtrick.support.safe_paths import SafePath
from small_runs import SMALL, interrupt_at


def scalars(folder):
    """(tag, step, value) of every scalar in a folder's event files, in their order."""
    found = []
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
            data = data[16 + length :]
    return found


def expected(run, seed):
    found = []
    for group, rows in (("training", run.metrics), ("evaluation", run.evaluations)):
        for row in rows:
            if row["seed"] == seed:
                left_out = ("update", "seed", "steps", "returns")
                names = [k for k, v in row.items() if k not in left_out and v is not None]
                found += [(f"{group}/{k}", row["steps"], pytest.approx(row[k])) for k in names]
    return found


def test_every_number_once_with_an_interruption_between(tmp_path):
    evaluation = lt.Evaluation(every=512, episodes=2)
    settings = {"steps": 2560, "seeds": 2, "evaluation": evaluation, "tensorboard": True}
    with pytest.raises(Interrupted) as caught:
        lt.train("CartPole-v1", SMALL, out=tmp_path, progress=interrupt_at(2), **settings)
    run = caught.value.run
    for now in (run, lt.resume(run.path, progress=False)):
        for seed in (0, 1):
            found = scalars(run.path / "tensorboard" / f"seed-{seed}")
            assert sorted(found) == sorted(expected(now, seed), key=lambda x: x[:2])
    assert {tag for tag, _, _ in found} >= {"training/episode_return", "evaluation/return"}


def test_an_update_in_which_no_episode_ended_has_no_return(tmp_path):
    rows = [
        {"update": u, "seed": 0, "steps": 100 * u, "episodes": n, "episode_return": value}
        for u, n, value in [(1, 2, 5.0), (2, 0, None), (3, 0, float("nan"))]
    ]
    files = EventFiles(SafePath(tmp_path))
    files.write("training", rows)
    files.close()
    found = scalars(tmp_path / "seed-0")
    assert [x for x in found if x[0] == "training/episode_return"] == [
        ("training/episode_return", 100, 5.0)
    ]
    assert [x[1:] for x in found if x[0] == "training/episodes"] == [(100, 2), (200, 0), (300, 0)]


def test_no_folder_no_files(tmp_path):
    run = lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path, progress=False)
    assert not (run.path / "tensorboard").exists()


def test_without_the_package_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(errors.MissingExtraError, match=r'pip install "logtrick\[log\]"'):
        lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path / "out", tensorboard=True)
    assert not (tmp_path / "out").exists()
