"""Readers: arrays, tables, PRISM's and Storm's text files, UMB; and what each refuses."""

import io
import json
import tarfile
import zipfile
from fractions import Fraction

import gymnasium
import numpy as np
import pytest
from scipy import sparse
from umbi import ats

from logtrick import exact, problems
from logtrick.errors import MDPError, MissingExtraError, ShapeError, UnknownEnvError
from logtrick.mdp import FiniteMDP

# Arrays.

P = np.array([[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]]])
R = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_arrays():
    mdp = FiniteMDP.from_arrays(P, R, gamma=0.9)
    assert np.array_equal(mdp.dense_transitions(), P)
    assert np.array_equal(mdp.dense_rewards(), R)
    assert mdp.start.tolist() == [0.5, 0.5]
    assert mdp.num_outcomes == 6  # one for each nonzero


def test_rewards_of_every_shape():
    by_state = FiniteMDP.from_arrays(P, [5.0, 6.0], gamma=0.9)
    assert by_state.dense_rewards().tolist() == [[5, 5], [6, 6]]
    by_outcome = FiniteMDP.from_arrays(P, np.arange(8.0).reshape(2, 2, 2), gamma=0.9)
    assert by_outcome.dense_rewards() == pytest.approx(np.array([[0.5, 3.0], [4.0, 6.75]]))
    assert by_outcome.rewards.tolist() == [0, 1, 3, 4, 6, 7]


def test_sparse_arrays_equal_dense_ones():
    rows = sparse.csr_array(P.reshape(4, 2))
    for R_ in (R, sparse.csr_array(np.arange(8.0).reshape(4, 2))):
        dense_r = R if R_ is R else np.arange(8.0).reshape(2, 2, 2)
        a = FiniteMDP.from_arrays(rows, R_, gamma=0.9, start=1)
        b = FiniteMDP.from_arrays(P, dense_r, gamma=0.9, start=[0.0, 1.0])
        for name in ("successors", "probabilities", "rewards", "pair_actions", "start"):
            assert np.array_equal(getattr(a, name), getattr(b, name)), name


def test_reading_arrays_copies_them():
    rows = sparse.csr_array(P.reshape(4, 2))
    mdp = FiniteMDP.from_arrays(rows, R, gamma=0.9)
    rows.data[:] = 0
    assert mdp.probabilities[0] == 0.5


def test_terminal_states_and_missing_actions():
    nothing = P.copy()
    nothing[1] = 0  # never read
    mdp = FiniteMDP.from_arrays(nothing, R, gamma=1.0, terminal=[1], available=[[1, 0], [0, 0]])
    assert mdp.terminal.tolist() == [False, True]
    assert mdp.available.tolist() == [[True], [True]]
    assert exact.state_values(mdp, np.array([0, 0])).tolist() == [2.0, 0.0]
    assert mdp.start.tolist() == [1.0, 0.0]
    same = FiniteMDP.from_arrays(P, R, gamma=1.0, terminal=[False, True], available=[[1, 0]] * 2)
    assert np.array_equal(same.successors, mdp.successors)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"P": P[0]}, ShapeError, r"P has shape \(2, 2\)"),
        ({"P": np.swapaxes(np.zeros((3, 2, 2)), 0, 0)}, ShapeError, "swapaxes"),
        ({"P": sparse.csr_array(np.ones((3, 2)))}, ShapeError, "3 rows are no multiple of 2"),
        ({"P": [[[0.5, 0.5], [1]]]}, ShapeError, "P is no array of numbers: .* inhomogeneous"),
        ({"P": [["a"]]}, ShapeError, "P is no array of numbers: its entries are <U1"),
        ({"P": P * 1j}, ShapeError, "its entries are complex128"),
        ({"P": [sparse.csr_array(P[0])] * 2}, ShapeError, "its entries are object"),
        ({"P": sparse.csr_array(P[0] * 1j)}, ShapeError, "its entries are complex128"),
        ({"R": [[1.0, "b"], [0.0, 0.0]]}, ShapeError, "R is no array of numbers"),
        ({"P": P * 0.9}, MDPError, "state 0, action 0 sum to 0.9"),
        ({"P": -P}, MDPError, "state 0, action 0, outcome 0 has probability -0.5"),
        ({"P": P * [[[1], [0]], [[1], [1]]]}, MDPError, "state 0, action 1.*all 0"),
        ({"P": np.where(P == 1, np.nan, P)}, MDPError, "probability nan"),
        ({"R": np.zeros((2, 3))}, ShapeError, r"R has shape \(2, 3\)"),
        ({"R": R * np.inf}, MDPError, "pays inf"),
        ({"R": sparse.csr_array(np.ones((2, 2)))}, ShapeError, "a sparse R has shape"),
        ({"terminal": [2]}, MDPError, "some of 0 ... 1"),
        ({"terminal": [True]}, ShapeError, r"terminal has shape \(1,\)"),
        ({"available": [[1, 1]]}, ShapeError, "available has shape"),
        ({"available": [[1, 1], [1, 2]]}, MDPError, "available has the entry 2, which bool cannot"),
        ({"available": [[1, 1], [0, 0]]}, MDPError, "state 1 has no actions"),
        ({"start": 2}, MDPError, "start is state 2"),
        ({"start": 0.5}, MDPError, "start is state 0.5"),
        ({"start": [0.5, 0.6]}, MDPError, "start sums to 1.1"),
    ],
)
def test_bad_arrays(change, error, words):
    arguments = {"P": P, "R": R, "gamma": 0.9} | change
    with pytest.raises(error, match=words):
        FiniteMDP.from_arrays(**arguments)


# Tables of outcomes, and Gymnasium.


def test_tables_of_lists_and_dictionaries():
    table = {1: {2: [(1.0, 0, 0.0, True)]}, 0: {0: [(1, 1, 1, 0)], 3: [(1.0, 0, 2.0, False)]}}
    mdp = FiniteMDP.from_outcomes(table, gamma=0.5, start=1)
    assert mdp.pair_actions.tolist() == [0, 3, 2]
    assert mdp.pair_states.tolist() == [0, 0, 1]
    assert mdp.terminated.tolist() == [False, False, True]
    assert mdp.start.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([[[(1.0, 0, 0.0)]]], "state 0, action 0, outcome 0 is"),
        ([[[(1.0, 0.5, 0.0, False)]]], "0.5 is no state"),
        ([[[("p", 0, 0.0, False)]]], "could not convert"),
        ([[[(1.0, 1, 0.0, False)]]], "leads to state 1"),
        ([[]], "state 0 has no actions"),
        ([[[]]], "state 0, action 0 has no outcomes"),
        ({1: [[(1.0, 0, 0.0, False)]]}, "not number 0"),
        ([{"left": [(1.0, 0, 0.0, False)]}], "'left' is not a number"),
        ([[[(0.5, 0, 0.0, False)]]], "sum to 0.5"),
    ],
)
def test_bad_tables(table, words):
    with pytest.raises(MDPError, match=words):
        FiniteMDP.from_outcomes(table, gamma=0.9)


def test_gymnasium_tables_entry_by_entry():
    env = gymnasium.make("FrozenLake-v1", map_name="8x8").unwrapped
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", gamma=0.9, map_name="8x8")
    assert mdp.layout.tolist() == np.arange(64).reshape(8, 8).tolist()
    assert np.array_equal(mdp.start, env.initial_state_distrib)
    k = 0
    for state in range(64):
        for action in range(4):
            for probability, successor, reward, terminated in env.P[state][action]:
                assert mdp.probabilities[k] == probability
                assert mdp.successors[k] == successor
                assert mdp.rewards[k] == reward
                assert mdp.terminated[k] == terminated
                k += 1
    assert k == mdp.num_outcomes
    again = FiniteMDP.from_gymnasium(env, gamma=0.9, start=3)
    assert again.start[3] == 1


def test_gymnasium_refusals():
    with pytest.raises(MDPError, match="no transition table"):
        FiniteMDP.from_gymnasium("Blackjack-v1", gamma=1.0)
    with pytest.raises(UnknownEnvError, match="FrozenLak-v1"):
        FiniteMDP.from_gymnasium("FrozenLak-v1", gamma=1.0)


# PRISM and Storm.

TRA = """3 4 6
0 0 0 1/3
0 0 1 0.6666667
0 1 2 1 jump
1 0 2 0.25 walk
1 0 1 0.75 walk
2 0 2 1 walk
"""
LAB = '0="init" 1="deadlock" 2="goal"\n0: 0\n2: 2\n'
REWARDS = {"state": "3 2\n0 2\n1 0.5\n", "transition": "3 4 1\n0 0 1 7\n"}


@pytest.fixture
def prism(tmp_path):
    def write(**files):
        texts = {"tra": TRA, "lab": LAB} | files
        paths = {}
        for name, text in texts.items():
            paths[name] = tmp_path / f"model.{name}"
            paths[name].write_text(text)
        return paths

    return write


def test_prism_files(prism):
    paths = prism(srew=REWARDS["state"], trew=REWARDS["transition"])
    mdp = FiniteMDP.from_prism(paths["tra"], paths["lab"], [paths["srew"], paths["trew"]])
    assert mdp.num_states == 3
    assert mdp.start.tolist() == [1, 0, 0]
    assert mdp.dense_rewards()[0].tolist() == pytest.approx([2 + 7 * 2 / 3, 2])
    assert mdp.dense_rewards()[1, 0] == 0.5
    assert mdp.terminal.tolist() == [False, False, True]
    sums = np.add.reduceat(mdp.probabilities, mdp.outcome_offsets[:-1])
    assert sums == pytest.approx(np.ones(4), abs=1e-15)
    assert exact.state_values(mdp, np.array([1, 0, 0])).tolist() == [2, 2, 0]
    fraction = FiniteMDP.from_prism(prism(tra=TRA.replace("0.6666667", "2/3"))["tra"])
    assert fraction.probabilities[0] == pytest.approx(1 / 3, rel=1e-16)


def test_prism_labels_as_actions_and_as_ends(prism):
    tra = TRA.replace("1/3", "1/3 walk").replace("0.6666667", "0.6666667 walk")
    paths = prism(tra=tra.replace("2 0 2 1 walk", "2 0 0 1 walk"))
    mdp = FiniteMDP.from_prism(paths["tra"], paths["lab"], terminal="goal")
    assert mdp.action_names == ("jump", "walk")
    assert mdp.pair_actions.tolist() == [0, 1, 1, 0]
    assert mdp.terminal.tolist() == [False, False, True]
    with pytest.raises(MDPError, match=r"no label 'end'; it has \['deadlock', 'goal', 'init'\]"):
        FiniteMDP.from_prism(paths["tra"], paths["lab"], terminal="end")


def test_prism_order_of_lines_does_not_matter(prism):
    header, *lines = TRA.strip().split("\n")
    a = FiniteMDP.from_prism(prism()["tra"])
    b = FiniteMDP.from_prism(prism(tra="\n".join([header, *lines[::-1]]))["tra"])
    assert np.array_equal(a.dense_transitions(), b.dense_transitions())


def test_storm_files(prism):
    paths = prism(
        tra="mdp\n" + TRA.split("\n", 1)[1],
        lab="#DECLARATION\ninit goal\n#END\n0 init\n2 goal\n",
        rew="0 2\n1 0.5\n",
    )
    mdp = FiniteMDP.from_prism(paths["tra"], paths["lab"], paths["rew"], terminal="goal")
    assert mdp.dense_rewards()[:2, 0].tolist() == [2, 0.5]
    assert mdp.terminal.tolist() == [False, False, True]


def test_prism_chains_and_states_without_choices(prism):
    mdp = FiniteMDP.from_prism(prism(tra="3 2\n0 1 0.5\n0 2 0.5\n")["tra"])
    assert mdp.num_actions == 1
    assert mdp.terminal.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"tra": ""}, "model.tra is empty"),
        ({"tra": "1000000000 1000000000 1000000000\n0 0 0 1\n"}, "line 1: the header claims"),
        ({"tra": "states\n"}, "line 1: a header"),
        ({"tra": "0 0 0\n"}, "line 1: the header claims"),
        ({"tra": TRA.rsplit("\n", 2)[0]}, "5 transitions, its header claims 6: truncated"),
        ({"tra": TRA.replace("0 1 2 1", "0 1 3 1")}, "line 4: state 0, choice 1, successor 3"),
        ({"tra": TRA.replace("0 1 2 1", "0 1 -2 1")}, "line 4"),
        ({"tra": TRA.replace("0.25", "O.25")}, r"line 5: 'O.25' is not a number"),
        ({"tra": TRA.replace("0.25", "nan")}, "line 5: 'nan' is not a number"),
        ({"tra": TRA.replace("1/3", "1/0")}, "line 2: '1/0' is not a number"),
        ({"tra": TRA.replace("0 1 2 1 jump", "0 1 2")}, "line 4: 4 columns"),
        ({"tra": TRA.replace("0.25", "0.35")}, "state 1, choice 0 sum to 1.1"),
        ({"tra": TRA.replace("0.25", "-0.25").replace("0.75", "1.25")}, "has probability -0.25"),
        ({"lab": LAB.replace("2: 2", "3: 2")}, "model.lab, line 3: there is no state 3"),
        ({"lab": LAB.replace("2: 2", "2: 5")}, "line 3: label 5 was not declared"),
        ({"rew": "0 1 1 7\n"}, "line 1: there is no transition 0 1 1"),
        ({"rew": "0 9 1 7\n"}, "line 1: no reward"),
        ({"rew": "0 1 2\n"}, "line 1: no reward"),
        ({"rew": "0 x\n"}, "'x' is not a number"),
        ({"rew": "7 1.0\n"}, "line 1: there is no state 7"),
        ({"rew": "0.5 1.0\n"}, "line 1: there is no state 0.5"),
        ({"rew": "-1 1.0\n"}, "line 1: there is no state -1"),
        ({"lab": LAB.replace("0: 0\n", "")}, "no state has it"),
        ({"tra": TRA.replace("0 1 2 1", "0 1000000000 2 1")}, "line 4: choice 1000000000 of"),
        ({"tra": TRA.replace("0 1 2 1", f"0 {10**20} 2 1")}, "line 4: choice 1000"),
        ({"tra": "mdp\n0 0 999999999 1\n"}, "line 2: state 0, choice 0, successor 999999999"),
        ({"tra": "mdp\n0 0 0 1\n500000000 0 0 1\n"}, "line 3: state 500000000"),
    ],
)
def test_bad_prism_files(prism, files, words):
    paths = prism(**files)
    with pytest.raises(MDPError, match=words):
        FiniteMDP.from_prism(paths["tra"], paths["lab"], [paths[k] for k in paths if k == "rew"])


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MDPError, match="cannot be read"):
        FiniteMDP.from_prism(tmp_path / "nothing.tra")
    binary = tmp_path / "binary.tra"
    binary.write_bytes(bytes(range(128, 256)))
    with pytest.raises(MDPError, match="not a text file"):
        FiniteMDP.from_prism(binary)


# UMB.


def umb_model():
    model = ats.ExplicitAts()
    model.num_players = 1
    for _ in range(3):
        model.add_state()
    model.set_initial_states([0, 1])
    model.num_choice_actions = 2
    model.choice_action_to_name = ["go", "stay"]
    choices = [
        (0, 1, {0: Fraction(1, 3), 1: Fraction(2, 3)}),
        (0, 0, {2: Fraction(1)}),
        (1, 0, {2: Fraction(1, 7), 1: Fraction(6, 7)}),
        (2, 0, {2: Fraction(1)}),
    ]
    for state, action, branches in choices:
        choice = model.add_state_choice(state)
        choice.action = action
        for target, probability in branches.items():
            choice.add_branch(target, probability)
    cost = model.add_reward_annotation("cost")
    cost.set_state_values([Fraction(1), Fraction(2), Fraction(0)])
    cost.set_choice_values([Fraction(1, 2), Fraction(0), Fraction(0), Fraction(0)])
    model.add_ap_annotation("goal").set_state_values([False, False, True])
    return model


@pytest.fixture
def umb(tmp_path):
    path = tmp_path / "model.umb"
    ats.write(umb_model(), path)
    return path


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


# NumPy's archives.


def test_npz_of_arrays_and_of_fields(tmp_path):
    np.savez(tmp_path / "plain.npz", P=P, R=R, gamma=0.9, start=1, action_names=["go", "stay"])
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
