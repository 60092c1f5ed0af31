"""Sweeps: a point is the training that it would be alone, and a sweep resumes exactly."""

import dataclasses
import json
import shutil
from functools import partial

import jax
import numpy as np
import pytest

import logtrick as lt
from logtrick import errors
from logtrick.algorithms.loop import Loop
from logtrick.commands.sweep import read_values
from logtrick.envs import resolve
from logtrick.runs.training.interruption import Interrupted
from logtrick.runs.training.points import Points
from logtrick.runs.training.side_by_side import SideBySide, shape
from small_runs import SMALL, Watcher, digest, interrupt_at

VALUES = {"learning_rate": [1e-3, 1e-2], "gamma": [0.9, 0.99]}


def sweep(out, values=VALUES, env="CartPole-v1", algorithm=SMALL, **more):
    settings = {"steps": 1024, "seeds": 2, "seed": 1, "at_once": 8, "progress": False} | more
    return lt.sweep(env, algorithm, values, out=out, **settings)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("runs"))


def test_every_number_reaches_the_compiled_program():
    """One point for each number that differs, beside the training with that number alone."""
    base = dataclasses.replace(
        SMALL,
        learning_rate=1e-2,
        clip_eps=0.01,
        value_clip_eps=0.02,
        max_grad_norm=0.1,
        optimizer_eps=1e-3,
    )
    changed = [
        dataclasses.replace(base, **{name: value * 0.5 if value else 0.1})
        for name, value in base.floats().items()
    ]
    spec = resolve("CartPole-v1")
    together = SideBySide([base, *changed], spec, seed=3, num_seeds=1, steps=4096)
    state, metrics = together.advance(together.initial(), 3)
    alone = Loop(base, spec, seed=3, num_seeds=1, steps=4096)
    leaves = [np.asarray(x) for x in jax.tree.leaves(state.params)]
    for member, algorithm in enumerate([base, *changed]):
        alone.settings = {k: np.float32(v) for k, v in algorithm.floats().items()}
        _, expected = alone.advance(alone.initial(), 3)
        for name, values in expected.items():
            found = metrics[name][:, member : member + 1]
            np.testing.assert_allclose(found, values, rtol=2e-3, atol=1e-5, err_msg=name)
        name = [*base.floats()][member - 1]
        if member and name != "kl_coef":  # a number of surrogate="kl_penalty" alone
            assert any(np.any(x[member] != x[0]) for x in leaves), name


def test_a_sweep_is_a_run_folder_for_each_point(swept):
    found = [(r.config.algorithm.learning_rate, r.config.algorithm.gamma) for r in swept.runs]
    assert found == [(1e-3, 0.9), (1e-3, 0.99), (1e-2, 0.9), (1e-2, 0.99)]
    for run in swept.runs:
        assert [row["seed"] for row in run.metrics[:3]] == [1, 2, 1]
        assert run.metrics[-1]["steps"] == 1024
        assert run.evaluate(2).returns.shape == (2, 2)
    results = json.loads((swept.path / "results.json").read_text())
    assert results == swept.results
    assert [row["iqm"] for row in results] == sorted((row["iqm"] for row in results), reverse=True)
    assert swept.best.path.name == results[0]["point"]
    for row in results:
        final = lt.load(swept.path / row["point"]).final_returns
        assert row["mean"] == pytest.approx(final.mean())
    assert (swept.path / "results.md").read_text().count("\n") == 2 + 4


def test_a_point_begins_as_the_training_alone(swept, tmp_path):
    """The same random numbers; only sums may be rounded in another order."""
    run = swept.runs[3]
    alone = lt.train(
        "CartPole-v1", run.config.algorithm, steps=1024, seed=1, seeds=2, out=tmp_path,
        progress=False,
    )  # fmt: skip
    for found, expected in zip(run.metrics[:4], alone.metrics[:4], strict=True):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=2e-3, atol=1e-5, err_msg=name)


def test_interrupted_and_resumed_is_not_interrupted(swept, tmp_path):
    with pytest.raises(Interrupted) as caught:
        sweep(tmp_path, progress=interrupt_at(2), checkpoint_seconds=0.0)
    (path,) = tmp_path.iterdir()
    assert str(caught.value) == f"Interrupted; to resume: logtrick sweep --resume {path}"
    # A kill between the points' checkpoints: one is behind the others.
    checkpoints = sorted((path / "point-002" / "checkpoints").glob("step-*"))
    assert len(checkpoints) > 1
    shutil.rmtree(checkpoints[-1])
    again = lt.resume_sweep(path, progress=False)
    assert [digest(run) for run in again.runs] == [digest(run) for run in swept.runs]
    assert (path / "results.json").read_bytes() == (swept.path / "results.json").read_bytes()


@pytest.mark.parametrize("at_once", [1, 8])
def test_a_point_that_diverges_leaves_the_others_alone(at_once, tmp_path):
    algorithm = dataclasses.replace(SMALL, max_grad_norm=None, schedule="constant")
    watcher = Watcher()
    rates = {"learning_rate": [1e38, 1e-3]}
    found = sweep(tmp_path, rates, algorithm=algorithm, at_once=at_once, progress=watcher)
    assert any("point-000" in note and "NaN or infinity" in note for note in watcher.notes)
    good, bad = found.results
    assert (good["diverged_or_unfinished"], bad["diverged_or_unfinished"]) == (0, 2)
    assert bad["iqm"] is None
    diverged = lt.load(found.path / bad["point"])
    assert len(diverged.metrics) < 4
    assert np.isfinite(diverged.policy(np.zeros(4, np.float32)).logits).all()
    assert lt.load(found.path / good["point"]).metrics[-1]["steps"] == 1024


@pytest.mark.parametrize("env", ["CartPole-v1", "gym:CartPole-v1"])
def test_in_turn_a_point_is_the_training_alone_bit_for_bit(env, tmp_path):
    found = sweep(tmp_path / "a", {"gamma": [0.9, 0.99]}, env, steps=256, at_once=1)
    alone = lt.train(
        env, dataclasses.replace(SMALL, gamma=0.99), steps=256, seed=1, seeds=2,
        out=tmp_path / "b", progress=False,
    )  # fmt: skip
    assert digest(found.runs[1]) == digest(alone)


def test_other_shapes_are_trained_in_turn(tmp_path):
    found = sweep(tmp_path, {"hidden": [(4,), (8,)]}, steps=128, seeds=1)
    assert all(run.metrics[-1]["steps"] == 128 for run in found.runs)
    assert len({shape(run.config.algorithm) for run in found.runs}) == 2
    assert shape(SMALL) == shape(dataclasses.replace(SMALL, gamma=0.5))
    assert shape(SMALL) != shape(dataclasses.replace(SMALL, max_grad_norm=None))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"learning": [1.0]}, "has no setting 'learning'"),
        ({"gamma": [0.9, 1.5]}, "gamma"),
        ({"gamma": []}, "no values"),
        ({"gamma": 0.9}, "gamma=0.9: a sweep needs a list"),
        ({"memory": "gru"}, "memory='gru': a sweep needs a list"),
        ({"gamma": lt.Range(0.9, 0.99)}, r"only a search \(--optuna N, lt.search\) takes a range"),
        ({}, "Nothing varies.*logtrick train ENV --seeds N"),
        ({"minibatches": [3]}, "do not divide"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(tmp_path, values, match):
    with pytest.raises(errors.ConfigError, match=match):
        sweep(tmp_path / "out", values)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sweeping", [lt.sweep, partial(lt.search, trials=1)])
def test_values_of_numpy_are_values(sweeping, tmp_path, monkeypatch):
    """They are read, checked and written as JSON; training is another matter."""

    def stop(points, paths):
        raise StopIteration

    monkeypatch.setattr(Points, "train", stop)
    values = {"gamma": np.linspace(0.9, 0.99, 2), "epochs": [np.int64(1)], "hidden": [(4,)]}
    with pytest.raises(StopIteration):
        sweeping("CartPole-v1", SMALL, values, steps=256, out=tmp_path, progress=False)
    (path,) = tmp_path.glob("sweep-*/point-000/config.json")
    settings = json.loads(path.read_text())["algorithm"]
    assert settings["gamma"] in (0.9, 0.99)
    assert (settings["epochs"], settings["hidden"]) == (1, [4])


def test_no_sweep(tmp_path):
    with pytest.raises(errors.RunError, match="it is no sweep"):
        lt.resume_sweep(tmp_path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("gamma", "NAME=VALUE"),
        ("gama=.9", "no setting 'gama'"),
        ("gamma=.99...9", "low must be below high"),
        ("learning_rate=log:0..1", "above 0"),
    ],
)
def test_mistakes_on_the_command_line(text, match):
    with pytest.raises(errors.ConfigError, match=match):
        read_values([text], lt.PPO)


def test_ranges_on_the_command_line():
    texts = ["learning_rate=log:1e-4..1e-2", "epochs=2..10", "lambda=.9..0.99", "psi=gae,n_step"]
    assert read_values(texts, lt.PPO) == {
        "learning_rate": lt.Range(1e-4, 1e-2, log=True),
        "epochs": lt.Range(2, 10),
        "lambda_": lt.Range(0.9, 0.99),
        "psi": ["gae", "n_step"],
    }
