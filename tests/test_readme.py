"""What the README shows is run."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The blocks follow one another in one session; the sampled arrays are ours."""
    false = np.zeros(3)
    return {
        "rewards": np.ones(3),
        "values": np.ones(3),
        "next_values": np.ones(3),
        "terminated": false,
        "truncated": false,
        "folder": tmp_path_factory.mktemp("readme"),
    }


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks_run(number, names, monkeypatch):
    monkeypatch.chdir(names["folder"])
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), names)


def test_the_numbers_in_the_comments_are_true(names, monkeypatch):
    monkeypatch.chdir(names["folder"])
    lt, mdp, policy = names["lt"], names["mdp"], names["policy"]
    assert lt.exact.objective(mdp, policy) == pytest.approx(-12.0)
    np.testing.assert_allclose(lt.exact.policy_gradient(mdp, policy).logits, [[2.0, -2.0]])
    assert names["solution"].values[0] == pytest.approx(0.54202593, abs=1e-8)
    assert 0 < names["solution"].error_bound < 1e-6
    assert names["run"].final_returns.shape == (4,)


def test_its_files_are_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link


def test_the_commands_exist():
    from logtrick.cli import _COMMANDS

    commands = set(re.findall(r"^logtrick (\w+)", README.read_text(), flags=re.MULTILINE))
    assert commands <= _COMMANDS.keys()
