"""An environment's keyword arguments: kept with the run, and used whenever it is found again."""

import json
import shutil

import pytest
from gymnasium.envs.toy_text import FrozenLakeEnv

import logtrick as lt
from logtrick import envs
from logtrick.commands.env_flags import read_kwargs
from logtrick.errors import ConfigError, EnvError, RunError

SMALL = lt.PPO(num_envs=2, num_steps=8, minibatches=2, hidden=(4,))


def train(out, env, **kwargs):
    return lt.train(env, SMALL, steps=32, env_kwargs=kwargs, out=out, progress=False, report=False)


def test_they_reach_the_environment_are_kept_and_are_used_again(tmp_path):
    run = train(tmp_path, "gym:FrozenLake-v1", map_name="8x8", is_slippery=False)
    assert run.config.observation_space.n == 64
    kept = json.loads((run.path / "config.json").read_text())["env_kwargs"]
    assert kept == {"map_name": "8x8", "is_slippery": False}
    loaded = lt.load(run.path)
    assert loaded.env_spec().observation_space.n == 64
    assert loaded.env_spec("gym:FrozenLake-v1").observation_space.n == 64
    assert loaded.evaluate(2, max_steps=5).returns.shape == (1, 2)
    assert envs.resolve("gym:FrozenLake-v1", kwargs={"disable_env_checker": True}).id
    assert lt.resume(run.path, progress=False).config == loaded.config


def test_a_core_environment_has_other_constants(tmp_path):
    run = train(tmp_path, "CartPole-v1", gravity=3.5)
    assert run.config.env_settings["gravity"] == 3.5
    assert lt.load(run.path).evaluate(2).returns.shape == (1, 2)


def test_a_class_is_made_with_them(tmp_path):
    run = train(tmp_path, FrozenLakeEnv, map_name="8x8")
    spec = lt.load(run.path).env_spec(FrozenLakeEnv)
    assert spec.observation_space.n == 64
    with pytest.raises(RunError, match="was trained with the observation_space"):
        lt.load(run.path).env_spec(lambda **_: FrozenLakeEnv(map_name="4x4"))


def test_a_sweep_has_them_in_every_point(tmp_path):
    options = {"steps": 32, "seeds": 1, "out": tmp_path, "progress": False}
    found = lt.sweep(
        "CartPole-v1", SMALL, {"gamma": [0.9, 0.99]}, env_kwargs={"gravity": 3.5}, **options
    )
    assert [run.config.env_kwargs for run in found.runs] == [{"gravity": 3.5}] * 2
    assert found.env_spec().kwargs == {"gravity": 3.5}
    for run in found.runs:  # as if it had been stopped before its first point was made
        shutil.rmtree(run.path)
    assert found.env_spec().kwargs == {"gravity": 3.5}
    assert found.env_spec("Pendulum-v1").id == "Pendulum-v1"


def test_a_run_without_them_has_the_file_that_it_had(tmp_path):
    assert "env_kwargs" not in json.loads(
        (train(tmp_path, "CartPole-v1").path / "config.json").read_text()
    )


@pytest.mark.parametrize(
    ("env", "kwargs", "error", "words"),
    [
        ("CartPole-v1", {"gravty": 3}, EnvError, "unexpected keyword argument 'gravty'"),
        ("gym:FrozenLake-v1", {"gravty": 3}, EnvError, "unexpected keyword argument 'gravty'"),
        ("mdp:corridor", {"size": 3}, ConfigError, "mdp: are made without env_kwargs"),
        (envs.CartPole(), {"gravity": 3}, ConfigError, "exists already; pass its id"),
        ("CartPole-v1", {"gravity": float("nan")}, ConfigError, "cannot be kept in config.json"),
        ("CartPole-v1", {"gravity": "much"}, EnvError, "gravity='much' must be a number"),
        ("CartPole-v1", {"max_episode_steps": 2.5}, EnvError, "must be a whole number"),
        ("CartPole-v1", {"gravity": object()}, ConfigError, "cannot be kept in config.json"),
    ],
)
def test_what_cannot_be_meant(tmp_path, env, kwargs, error, words):
    with pytest.raises(error, match=words):
        train(tmp_path, env, **kwargs)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["size", "=3", "a-b=3", "2=3"])
def test_flags_that_are_no_key_and_value(given):
    with pytest.raises(ConfigError, match="write KEY=VALUE"):
        read_kwargs([given])


def test_flags_as_python_s_values():
    given = ["a=1", "b=1e-3", "c=True", "d=none", "e=[1, 2]", "f=8x8", "g=", "h=x=y"]
    assert read_kwargs(given) == {
        "a": 1, "b": 1e-3, "c": True, "d": None, "e": [1, 2], "f": "8x8", "g": "", "h": "x=y"
    }  # fmt: skip
    with pytest.raises(ConfigError, match="--env-kwargs a is given twice"):
        read_kwargs(["a=1", "a=2"])
