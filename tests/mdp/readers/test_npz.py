"""NumPy's archives, and what is refused of them."""

import io
import zipfile

import numpy as np
import pytest

from logtrick import exact
from logtrick.errors import ConfigError, MDPError
from logtrick.mdp import problems

P = np.array([[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]]])
R = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_npz_of_arrays_and_of_fields(tmp_path):
    told = {"P": P, "R": R, "gamma": 0.9, "start": 1, "action_names": ["go", "stay"]}
    np.savez(tmp_path / "plain.npz", **told, actions_first=False)
    plain = problems.make(str(tmp_path / "plain.npz"))
    assert (plain.gamma, plain.start.tolist(), plain.action_names) == (0.9, [0, 1], ("go", "stay"))
    assert np.array_equal(plain.dense_transitions(), P)
    lake = problems.frozen_lake()
    names = ("pair_offsets", "pair_actions", "outcome_offsets", "successors", "probabilities")
    names = (*names, "rewards", "terminated", "layout", "state_names")
    np.savez_compressed(tmp_path / "lake.npz", **{name: getattr(lake, name) for name in names})
    again = problems.make(str(tmp_path / "lake.npz"), gamma=0.99)
    assert again.state_names == lake.state_names
    table = np.full((16, 4), 0.25)
    assert np.array_equal(exact.state_values(again, table), exact.state_values(lake, table))


def test_npz_of_labels_and_of_actions_that_come_first(tmp_path):
    told = {
        "P": P,
        "R": R,
        "actions_first": True,
        "labels/goal": [False, True],
        "labels/all": [0, 1],
    }
    np.savez(tmp_path / "m.npz", **told, terminal="goal")
    mdp = problems.make(str(tmp_path / "m.npz"))
    assert np.array_equal(mdp.dense_transitions()[0], P[:, 0])
    assert {name: mask.tolist() for name, mask in mdp.labels.items()} == {
        "goal": [False, True],
        "all": [True, True],
    }
    assert mdp.terminal.tolist() == [False, True]
    assert problems.make(str(tmp_path / "m.npz"), terminal="all").terminal.all()
    with pytest.raises(MDPError, match=r"no label 'end'; it has \['all', 'goal'\]"):
        problems.make(str(tmp_path / "m.npz"), terminal="end")
    with pytest.raises(ConfigError, match=r"chooses among the rewards of a .tra or .umb"):
        problems.make(str(tmp_path / "m.npz"), reward="time")


def member(array, **header):
    """The bytes of a .npy whose header was changed."""
    buffer = io.BytesIO()
    fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue() + array.tobytes()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"P": P}, "has no R; an MDP is P"),
        ({"P": P, "R": R, "Q": R}, "an array 'Q' that means nothing"),
        ({"successors": R}, "has no outcome_offsets, pair_actions"),
        ({"P": P * 1.1, "R": R}, "has probability 1.1"),
        ({"P": member(P, shape=(10**9, 10**9, 2)), "R": R}, "claims 16,000,000,000,000,000,"),
        ({"P": member(P, shape=(2, 2, 1)), "R": R}, "but .* are there"),
        ({"P": member(P, descr="|O"), "R": R}, "never unpickled"),
        ({"P": b"\x93NUMPY", "R": R}, "damaged"),
        ({"P": b"", "R": R}, "damaged"),
        ({"P": P, "R": R, "gamma": R}, "4 numbers for gamma"),
    ],
)
def test_bad_npz(tmp_path, members, words):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        for name, value in members.items():
            data = value if isinstance(value, bytes) else member(np.asarray(value))
            archive.writestr(f"{name}.npy", data)
    with pytest.raises(MDPError, match=words):
        problems.make(str(tmp_path / "m.npz"))


def test_npz_whose_directory_claims_more_than_the_file_can_hold(tmp_path):
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("P.npy", member(P, shape=(5 * 10**8,)))
    data, claimed = bytearray(path.read_bytes()), (4 * 10**9).to_bytes(4, "little")
    sizes = data.index(b"PK\x01\x02") + 20  # compressed and not, in the central directory
    data[sizes : sizes + 8] = claimed * 2
    path.write_bytes(data)
    with pytest.raises(MDPError, match="claims 4,000,000,000 bytes in a file of"):
        problems.make(str(path))


def test_npz_that_is_none(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"no archive")
    with pytest.raises(MDPError, match="no file of arrays"):
        problems.make(str(tmp_path / "m.npz"))
