"""UMB archives, and what is refused of them."""

import io
import json
import tarfile
from fractions import Fraction

import numpy as np
import pytest

import umb_files
from logtrick import exact
from logtrick.errors import MDPError, MissingExtraError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP


@pytest.fixture
def umb(tmp_path):
    cost = {
        "states": [Fraction(1), Fraction(2), Fraction(0)],
        "choices": [Fraction(1, 2), Fraction(0), Fraction(0), Fraction(0)],
    }
    return umb_files.write(
        tmp_path / "model.umb",
        [
            [(1, {0: Fraction(1, 3), 1: Fraction(2, 3)}), (0, {2: Fraction(1)})],
            [(0, {2: Fraction(1, 7), 1: Fraction(6, 7)})],
            [(0, {2: Fraction(1)})],
        ],
        initial=[0, 1],
        actions=["go", "stay"],
        rewards={"cost": cost},
        labels={"goal": [False, False, True]},
    )


def rewrite(path, change):
    """Change the members of an archive: name -> bytes."""
    with tarfile.open(path) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    change(members)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_umb(umb):
    mdp = FiniteMDP.from_umb(umb)
    assert mdp.action_names == ("go", "stay")
    assert mdp.start.tolist() == [0.5, 0.5, 0]
    assert mdp.dense_rewards().tolist() == [[1, 1.5], [2, 0], [0, 0]]
    assert mdp.probabilities[1:3].tolist() == [1 / 3, 2 / 3]
    assert mdp.terminal.tolist() == [False, False, True]
    assert exact.state_values(mdp, np.array([1, 0, 0])) == pytest.approx(
        np.array([2.25 + 14, 14, 0])
    )
    same = FiniteMDP.from_umb(umb, reward="cost", terminal="goal", gamma=0.5, start=0)
    assert same.gamma == 0.5
    assert problems.make(str(umb)).num_states == 3


def test_umb_labels(umb):
    mdp = FiniteMDP.from_umb(umb, labels={"first": [0]})
    assert {name: mask.tolist() for name, mask in mdp.labels.items()} == {
        "goal": [False, False, True],
        "first": [True, False, False],
    }
    assert exact.objective(mdp.reaching("goal"), np.array([0, 0, 0])) == pytest.approx(1, abs=1e-12)
    assert problems.make(str(umb), terminal="goal", reward="cost").terminal.tolist() == [0, 0, 1]


def observed(members):
    index = json.loads(members["index.json"])
    seen = {"#observations": 2, "observations-apply-to": "branches"}
    index["transition-system"] |= seen
    members["index.json"] = json.dumps(index).encode()


def of_nothing(members):
    index = json.loads(members["index.json"])
    del index["annotations"]["rewards"]["cost"]["applies-to"]
    members["index.json"] = json.dumps(index).encode()


def test_umb_without_rewards_initial_states_or_labels(umb):
    def change(members):
        index = json.loads(members["index.json"])
        index["transition-system"] |= {"#initial-states": 0, "#choice-actions": 0}
        del index["annotations"]
        members["index.json"] = json.dumps(index).encode()
        for name in list(members):
            if name.startswith(("annotations", "actions", "state-is-initial")):
                del members[name]

    rewrite(umb, change)
    mdp = FiniteMDP.from_umb(umb)
    assert not mdp.rewards.any()
    assert mdp.start.tolist() == [0.5, 0.5, 0]
    assert mdp.action_names is None


def claim(**sizes):
    def change(members):
        index = json.loads(members["index.json"])
        index["transition-system"] |= {f"#{name}": size for name, size in sizes.items()}
        members["index.json"] = json.dumps(index).encode()

    return change


def continuous(members):
    index = json.loads(members["index.json"])
    index["transition-system"] |= {
        "time": "stochastic",
        "exit-rate-type": {"type": "double", "size": 64},
    }
    members["index.json"] = json.dumps(index).encode()


def replaced(name, data):
    return lambda members: members.__setitem__(name, data)


def dropped(name):
    return lambda members: members.__delitem__(name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (claim(states=10**9), "claims 1000000000 states.*32 bytes instead of 8000000008"),
        (claim(branches=10**12), "branch-to-target.bin has 48 bytes instead of 8000000000000"),
        (observed, "observations that branches or chance decide"),
        (of_nothing, "the reward 'cost' is random, or of nothing"),
        (continuous, "1 players in stochastic time"),
        (replaced("index.json", b"{"), "not a UMB file"),
        (replaced("index.json", b"{}"), "not a UMB index"),
        (replaced("index.json", b"\xff"), "not a UMB file"),
        (dropped("index.json"), "not a UMB file"),
        (dropped("branch-to-target.bin"), "branch-to-target.bin has 0 bytes"),
        (dropped("branch-to-probability.bin"), "has no branch-to-probability.bin"),
        (replaced("branch-to-probability.bin", b"1234567"), "does not hold|holds"),
        (replaced("branch-to-probability.bin", bytes(16)), "does not hold|holds"),
        (replaced("branch-to-target.bin", b"\xff" * 48), "less than 3"),
        (replaced("state-to-choices.bin", bytes(32)), "does not increase from 0 to 4"),
        (replaced("state-is-initial.bin", b""), "holds 0 flags"),
        (dropped("annotations/rewards/cost/states/values.bin"), "has no annotations/rewards"),
        (replaced("actions/choices/values.bin", b"\x09\0\0\0" * 4), "less than 2"),
        (replaced("actions/choices/strings.bin", b"go"), "strings"),
    ],
)
def test_bad_umb(umb, change, words):
    rewrite(umb, change)
    with pytest.raises(MDPError, match=words):
        FiniteMDP.from_umb(umb)


def test_umb_that_is_cut_off_or_no_archive(umb, tmp_path):
    data = umb.read_bytes()
    for part in (data[: len(data) // 2], b"", b"no archive at all"):
        umb.write_bytes(part)
        with pytest.raises(MDPError, match=r"not a UMB|cut off"):
            FiniteMDP.from_umb(umb)
    with pytest.raises(MDPError, match="cannot be read: No such file"):
        FiniteMDP.from_umb(tmp_path / "nothing.umb")


def test_umb_names(umb):
    with pytest.raises(MDPError, match=r"no reward 'gain'; it has \['cost'\]"):
        FiniteMDP.from_umb(umb, reward="gain")
    with pytest.raises(MDPError, match=r"no 'end'; it has \['goal'\]"):
        FiniteMDP.from_umb(umb, terminal="end")


def test_umb_without_umbi(umb, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umbi.tar", None)
    with pytest.raises(MissingExtraError, match="logtrick\\[umb\\]"):
        FiniteMDP.from_umb(umb)
