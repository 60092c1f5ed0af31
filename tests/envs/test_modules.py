"""Environments that another module registers: by its name, imported by the user and by no file."""

import importlib
import json
import shlex
import sys

import gymnasium
import pytest

import logtrick as lt
from logtrick import envs
from logtrick.commands.cli import main
from logtrick.envs.adapters.gymnasium import import_module
from logtrick.envs.catalog import module_of, resolve_recorded
from logtrick.errors import EnvError, ModuleNotLoadedError, UnknownEnvError

SOURCE = """
import gymnasium
import numpy as np


class Coin(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.ones(1, np.float32), float(action), True, False, {}


gymnasium.register("Coin-v0", "coins:Coin", max_episode_steps=5)
gymnasium.register("Coin-v1", "coins:Coin", max_episode_steps=7)
"""
SMALL = ["--num-envs", "2", "--num-steps", "8", "--minibatches", "2", "--hidden", "4"]


@pytest.fixture
def coins(tmp_path, monkeypatch):
    """The module `coins` in the working directory, and on no path; afterwards it is forgotten."""
    (tmp_path / "coins.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("coins", None)
    importlib.invalidate_caches()
    for name in ("Coin-v0", "Coin-v1"):
        gymnasium.registry.pop(name, None)


def test_by_the_module_s_name_or_plainly_after_its_import(coins):
    sys.path.append(str(coins))
    with pytest.raises(UnknownEnvError, match="`logtrick train PACKAGE:Coin-v0`"):
        envs.resolve("Coin-v0")
    assert envs.resolve("coins:Coin-v0").id == "coins:Coin-v0"
    assert envs.resolve("coins:Coin").max_episode_steps == 7  # the highest version
    for name in ("Coin-v0", "gym:Coin-v0"):
        assert envs.resolve(name).id == "coins:Coin-v0"


def test_a_prefix_that_is_known_wins_and_a_module_must_look_like_one():
    assert module_of("a.b:C-v0") == "a.b"
    for name in ("gym:Ant-v5", "mdp:corridor", "object:f", "Ant-v5", "../x:Ant-v5", "-c:x", "3:x"):
        assert module_of(name) is None


def test_an_id_from_a_file_imports_nothing(coins):
    sys.path.append(str(coins))
    with pytest.raises(ModuleNotLoadedError, match="import coins first") as caught:
        resolve_recorded("coins:Coin-v0")
    assert caught.value.module == "coins"
    assert "coins" not in sys.modules
    import_module("coins")
    assert resolve_recorded("coins:Coin-v0").id == "coins:Coin-v0"


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        ("1 / 0", "coins:Coin-v0", "The module coins could not be imported: ZeroDivisionError"),
        ("import nowhere", "coins:Coin-v0", "No module named 'nowhere'"),
        ("", "coins:Coin-v0", "The module coins registers no environment with Gymnasium"),
        (SOURCE, "coins:Coyn-v0", r"registers no 'Coyn-v0'\. Did you mean Coin-v.*It has Coin-v0"),
        (SOURCE, "coins.deep:Coin-v0", "The module coins.deep could not be imported"),
        (SOURCE, "nowhere:Coin-v0", "no ecosystem has this prefix, and no module has this name"),
        (SOURCE, "gymnx:Breakout", "Did you mean gymnax"),
    ],
)
def test_what_cannot_be_found_says_why(coins, source, name, words):
    sys.path.append(str(coins))
    (coins / "coins.py").write_text(source)
    with pytest.raises(EnvError, match=words):
        envs.resolve(name)


def run(capfd, *arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(each) for each in arguments])
    said = capfd.readouterr()
    return caught.value.code or 0, said.out, said.err


def test_a_module_in_the_working_directory_from_the_command_line(coins, capfd):
    """Trained in processes of their own; the run is then played by the command that is told."""
    command = ["train", "Coin-v0", "--import", "coins", "--workers", "async", "--steps", "32"]
    code, _, said = run(capfd, *command, "--out", "runs", *SMALL)
    assert code == 0
    assert "imported coins" in said
    (folder,) = (coins / "runs").iterdir()
    assert json.loads((folder / "config.json").read_text())["env"] == "coins:Coin-v0"

    del sys.modules["coins"]  # a new process
    for name in ("Coin-v0", "Coin-v1"):
        del gymnasium.registry[name]
    code, _, said = run(capfd, "eval", folder, "--episodes", "4", "--json")
    assert (code, "coins" in sys.modules) == (2, False)
    program, *told = shlex.split(" ".join(said.partition("Here: ")[2].split()))
    assert (program, told[-2:]) == ("logtrick", ["--import", "coins"])
    code, out, _ = run(capfd, *told)
    assert code == 0
    assert len(json.loads(out)["returns"][0]) == 4
    assert lt.load(folder).evaluate(3).returns.shape == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "Coin-v0", "--import", "coins.py"], "a module's name: coins, not coins.py"),
        (["train", "Coin-v0", "--import", "nowhere"], "nowhere could not be imported"),
        (["train", "gymnx:Breakout-MinAtar"], "Did you mean gymnax"),
        (["eval", "no-run", "--import", "nowhere"], "nowhere could not be imported"),
    ],
)
def test_imports_that_cannot_be_meant(coins, capfd, arguments, words):
    code, _, said = run(capfd, *arguments)
    assert code == 2
    assert words in " ".join(said.split())
