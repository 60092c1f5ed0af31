"""Run folders hold together: no link leads out of one, one writer each, wherever the process is."""

import contextlib
import os
import shutil
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import logtrick as lt
from logtrick import errors
from logtrick.commands.enjoy import EnjoyCommand
from logtrick.commands.enjoy import run as enjoy
from logtrick.runs.folder import lock_run
from logtrick.runs.training.interruption import Interrupted
from small_runs import SMALL, Watcher, digest, interrupt_at

# --- links --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that has everything, and was interrupted in the middle."""
    # An evaluation after every update makes each visit one update, however fast the machine is.
    evaluation = lt.Evaluation(every=128, episodes=1)
    out = tmp_path_factory.mktemp("runs")
    with pytest.raises(Interrupted) as caught:
        lt.train(
            "CartPole-v1", SMALL, steps=1024, out=out, evaluation=evaluation, tensorboard=True,
            checkpoint_seconds=0.0, progress=interrupt_at(4),
        )  # fmt: skip
    return caught.value.run.path


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def precious(tmp_path):
    """A folder of somebody's, which is the same when the test is over."""
    folder = tmp_path / "precious"
    (folder / "seed-0").mkdir(parents=True)
    (folder / "seed-0" / "thesis").write_text("precious")
    (folder / "file").write_text("precious\n")

    def content():
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder): path.read_bytes() for path in files}

    before = content()
    yield folder
    assert content() == before


def resumed(run):
    with contextlib.suppress(errors.RunError):
        lt.resume(run, progress=False)
        return True
    return False


def test_a_link_for_tensorboards_folder_deletes_nothing(run, precious):
    shutil.rmtree(run / "tensorboard")
    (run / "tensorboard").symlink_to(precious)
    with pytest.raises(errors.RunError, match="tensorboard is a link"):
        lt.resume(run, progress=False)


@pytest.mark.parametrize(
    "name",
    ["config.json", "metrics.jsonl", "timings.jsonl", "evaluations.jsonl", "checkpoints", ".lock"],
)
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_what_is_read_or_appended_to_is_not_followed(run, precious, name, link):
    target = precious / "file"
    if (run / name).is_dir():
        if link is os.link:
            pytest.skip("folders have no hard links")
        shutil.rmtree(run / name)
        target = precious
    else:
        (run / name).unlink()
    link(target, run / name)
    assert not resumed(run)


def test_what_is_replaced_or_removed_leaves_its_target_alone(run, precious):
    """All that a resumed run writes anew, at once; and it goes on."""
    for name in ("policy.safetensors", "best_policy.safetensors", "policy.json", "README.md"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(precious / "file")
        (run / f".unfinished-{name}").symlink_to(precious / "file")
    shutil.rmtree(run / "tensorboard" / "seed-0")
    (run / "tensorboard" / "seed-0").symlink_to(precious)
    (run / "checkpoints" / ".unfinished-step-000000099").symlink_to(precious)
    (run / "checkpoints" / "step-000000001.old").symlink_to(precious)
    for name in ("learning_curve.png", "report.html"):
        os.link(precious / "file", run / name)
    assert resumed(run)
    found = lt.load(run)
    found.report()
    assert found.policy(np.zeros(4, np.float32)).logits.shape == (2,)


@pytest.mark.parametrize("name", ["point-000", "sweep.json", "study.jsonl", "results.json"])
def test_a_sweep_follows_no_link_either(name, precious, tmp_path):
    pytest.importorskip("optuna")
    with pytest.raises(Interrupted):
        lt.search(
            "CartPole-v1", SMALL, {"gamma": [0.9]}, 1, steps=512, seeds=1, out=tmp_path / "out",
            progress=interrupt_at(1),
        )  # fmt: skip
    (sweep,) = (tmp_path / "out").iterdir()
    target = precious / "file"
    if (sweep / name).is_dir():
        shutil.rmtree(sweep / name)
        target = precious
    else:
        (sweep / name).unlink(missing_ok=True)
    (sweep / name).symlink_to(target)
    if name == "results.json":  # which is replaced
        assert len(lt.resume_sweep(sweep, progress=False).results) == 1
    else:
        with pytest.raises(errors.RunError, match="is a link"):
            lt.resume_sweep(sweep, progress=False)


def test_a_run_folder_and_an_out_that_are_links_are_fine(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    whole = lt.resume(tmp_path / "link", progress=False)
    assert whole.path == tmp_path / "link"
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path / "out", progress=False)
    assert len(list((tmp_path / "real").iterdir())) == 1


# --- writers ------------------------------------------------------------------------------------

VALUES = {"gamma": [0.9, 0.99]}


def refused(act):
    with pytest.raises(errors.RunLockedError, match="is being written by process"):
        act()


def test_a_point_beside_its_running_sweep_is_refused(tmp_path):
    """The one that is trained, the one that waits, and the one that is finished; by a link too."""
    tried = []

    def try_all(visit):
        (sweep,) = (path for path in tmp_path.iterdir() if path.name.startswith("sweep"))
        (tmp_path / "alias").unlink(missing_ok=True)
        (tmp_path / "alias").symlink_to(sweep / "point-001")
        for path in (sweep / "point-000", sweep / "point-001", tmp_path / "alias"):
            refused(lambda path=path: lt.resume(path, progress=False))
        refused(lambda: lt.resume_sweep(sweep, progress=False))
        tried.append(visit)

    found = lt.sweep(
        "CartPole-v1", SMALL, VALUES, steps=256, seeds=1, out=tmp_path, at_once=1,
        progress=Watcher(try_all),
    )  # fmt: skip
    assert len(tried) >= 2
    for point in found.runs:
        rows = point.metrics
        assert len({row["update"] for row in rows}) == len(rows) == 2
    before = [digest(point) for point in found.runs]
    assert digest(lt.resume(found.runs[0].path, progress=False)) == before[0]  # now it may


def test_a_sweep_beside_one_of_its_points_is_refused(tmp_path):
    found = lt.sweep("CartPole-v1", SMALL, VALUES, steps=128, seeds=1, out=tmp_path, progress=False)
    one, other = found.runs
    with lock_run(one.path):
        refused(lambda: lt.resume_sweep(found.path, progress=False))
        refused(lambda: lt.resume(one.path, progress=False))
        with lock_run(other.path):  # points do not exclude each other
            pass
    assert len(lt.resume_sweep(found.path, progress=False).runs) == 2


# --- the working directory ----------------------------------------------------------------------


class Wanderer(gymnasium.Env):
    """Changes the process's working directory wherever it can."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.wander()

    def wander(self):
        os.chdir(os.environ["ELSEWHERE"])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.wander()
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.wander()
        self.t += 1
        return np.zeros(1, np.float32), 1.0, self.t == 3, False, {}

    def render(self):
        return np.full((4, 4, 3), 60 * self.t, np.uint8)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where everything should be written; nothing must be where the environment goes."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("ELSEWHERE", str(elsewhere))
    monkeypatch.chdir(home)
    yield home
    assert list(elsewhere.iterdir()) == []


def test_a_run_stays_in_its_folder_where_the_environment_wanders(home):
    evaluation = lt.Evaluation(every=128, episodes=1, max_steps=5)
    with pytest.raises(Interrupted) as caught:
        lt.train(
            Wanderer, SMALL, steps=384, out="runs", evaluation=evaluation, tensorboard=True,
            checkpoint_seconds=0.0, progress=interrupt_at(1),
        )  # fmt: skip
    (path,) = (home / "runs").iterdir()
    assert caught.value.run.path == path
    os.chdir(home)
    run = lt.resume(path.relative_to(home), env=Wanderer, progress=False)
    run.report()
    assert run.evaluate(1, env=Wanderer, max_steps=5).mean == 3.0
    assert run.path == path
    made = {entry.name for entry in path.iterdir()}
    assert made >= {"metrics.jsonl", "best_policy.safetensors", "report.html", "README.md"}
    assert run.metrics[-1]["steps"] == 384
    assert len(list((path / "tensorboard" / "seed-0").iterdir())) == 1


def test_sweeps_and_searches_stay_too(home):
    settings = {"steps": 128, "seeds": 1, "progress": False}
    found = lt.sweep(Wanderer, SMALL, VALUES, out="runs", **settings)
    assert len(found.results) == 2
    assert (home / "runs" / found.path.name / "results.json").exists()
    pytest.importorskip("optuna")
    os.chdir(home)
    found = lt.search(Wanderer, SMALL, VALUES, 2, out="runs", **settings)
    assert (home / "runs" / found.path.name / "study.jsonl").exists()


def test_a_film_is_written_where_it_was_asked_for(home, monkeypatch):
    """The run knows its environment by an id, whose episodes wander."""
    gymnasium.register("Wandering-v0", entry_point=Wanderer, max_episode_steps=5)
    try:
        run = lt.train("gym:Wandering-v0", SMALL, steps=128, out="runs", progress=False)
        os.chdir(home)
        enjoy(EnjoyCommand(run=str(run.path.relative_to(home)), out="film.gif"))
        assert (home / "film.gif").exists()
    finally:
        gymnasium.registry.pop("Wandering-v0")
