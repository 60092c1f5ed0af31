"""PRISM's and Storm's text files, and what is refused of them."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.errors import MDPError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP

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


# A chain (https://www.prismmodelchecker.org, the die of Knuth and Yao, shortened to a coin).

CHAIN = "3 4\n0 1 0.5\n0 2 0.5\n1 1 1\n2 2 1\n"
STEPS = '# Reward structure "steps"\n# State rewards\n3 1\n0 1\n'
WON = '# Reward structure "won"\n# Transition rewards\n3 1\n0 1 8\n'


def test_labels_are_kept(prism):
    paths = prism()
    mdp = FiniteMDP.from_prism(paths["tra"], paths["lab"], labels={"odd": [1]})
    labels = {name: np.flatnonzero(mask).tolist() for name, mask in mdp.labels.items()}
    assert labels == {"init": [0], "deadlock": [], "goal": [2], "odd": [1]}
    assert exact.objective(mdp.reaching("goal"), np.array([0, 0, 0])) == pytest.approx(1, abs=1e-12)
    assert exact.objective(mdp.reaching("deadlock"), np.array([0, 0, 0])) == 0
    by_states = FiniteMDP.from_prism(paths["tra"], paths["lab"], terminal=[2, 1])
    by_labels = FiniteMDP.from_prism(
        paths["tra"], paths["lab"], terminal=["goal", "odd"], labels={"odd": [1]}
    )
    assert by_states.terminal.tolist() == by_labels.terminal.tolist() == [False, True, True]


def test_transition_rewards_of_a_chain(prism):
    paths = prism(tra=CHAIN, trew="3 2\n0 1 8\n0 2 1/2\n")
    mdp = FiniteMDP.from_prism(paths["tra"], paths["lab"], paths["trew"])
    assert mdp.dense_rewards().tolist() == [[4.25], [0], [0]]
    with pytest.raises(MDPError, match=r"line 1: no reward.*'state choice successor reward'"):
        FiniteMDP.from_prism(prism()["tra"], None, prism(trew="0 1 8\n")["trew"])


@pytest.mark.parametrize("word", ["dtmc", "dTmC", "DTMC"])
def test_a_format_in_any_case(prism, word):
    chain = prism(tra=f"{word}\n" + CHAIN.split("\n", 1)[1], rew=f"{word}\n0 1 8\n")
    mdp = FiniteMDP.from_prism(chain["tra"], None, chain["rew"])
    assert exact.objective(mdp, np.zeros(3, int)) == 4
    with pytest.raises(MDPError, match=r"line 1: a header .* or one of mdp, dtmc, not ctmc"):
        FiniteMDP.from_prism(prism(tra="ctmc\n0 0 1\n")["tra"])
    with pytest.raises(MDPError, match="line 2: 4 columns"):
        FiniteMDP.from_prism(prism(tra="MdP\n0 0 1\n")["tra"])


@pytest.mark.parametrize(
    ("files", "objective"),
    [
        ({}, 0),
        ({"model.srew": STEPS}, 1),
        ({"model.trew": WON}, 4),
        ({"model.srew": STEPS, "model.trew": WON}, 5),
        ({"model.rew": "0 3\n"}, 3),
        ({"model1.srew": STEPS}, 1),
        ({"model.won.trans.rew": WON}, 4),
        ({"other.srew": STEPS, "model2.srew": STEPS, "model2.tra": CHAIN}, 0),
    ],
)
def test_what_lies_beside_a_tra_is_read(tmp_path, files, objective):
    for name, text in ({"model.tra": CHAIN} | files).items():
        (tmp_path / name).write_text(text)
    mdp = problems.make(str(tmp_path / "model.tra"))
    assert exact.objective(mdp, np.zeros(3, int)) == objective


def test_several_rewards_beside_a_tra(tmp_path):
    files = {"model.tra": CHAIN, "model1.srew": STEPS, "model2.trew": WON, "model.lab": LAB}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    tra = str(tmp_path / "model.tra")
    with pytest.raises(
        MDPError, match=r"'steps' \(model1.srew\), 'won' \(model2.trew\); say which"
    ):
        problems.make(tra)
    for reward, objective in (("steps", 1), ("1", 1), ("won", 4), ("model2.trew", 4)):
        mdp = problems.make(tra, reward=reward, terminal="goal", gamma=0.5)
        assert exact.objective(mdp, np.zeros(3, int)) == objective
    with pytest.raises(MDPError, match="no reward 'lost'; there is 'steps'"):
        problems.make(tra, reward="lost")
    with pytest.raises(MDPError, match=r"no label 'end'; it has \['deadlock', 'goal', 'init'\]"):
        problems.make(tra, reward="won", terminal="end")
    (tmp_path / "model1.rew").write_text("0 1\n")
    with pytest.raises(MDPError, match=r"model1.rew and model1.srew, which may say the same twice"):
        problems.make(tra, reward="1")
    assert problems.make(tra, reward="model1.rew").rewards.tolist() == [1, 1, 0, 0]


def test_names_of_states_beside_a_tra(tmp_path):
    (tmp_path / "model.tra").write_text(CHAIN)
    (tmp_path / "model.sta").write_text("(x,y)\n0:(0,true)\n1:(1,false)\n2:(2,false)\n")
    assert problems.make(str(tmp_path / "model.tra")).state_names[1] == "(1,false)"
    (tmp_path / "model.sta").write_text("(x,y)\n0:(0,true)\n2:(2,false)\n")
    with pytest.raises(MDPError, match=r"model.sta, line 3: state 1"):
        problems.make(str(tmp_path / "model.tra"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3 2\n0 2\n", "has 1 rewards, its header claims 2: truncated"),
        ("3 1\n0 2\n1 2\n", "has 2 rewards, its header claims 1"),
        ("0 2\n0 3\n", "line 2: 0 has a reward already"),
        ("0 2\nmdp\n", "line 2: 'mdp' is not a number"),
        ("0 2\n3 2\n", "line 2: there is no state 3"),
        ("0 0 -1 2\n", "line 1: there is no transition 0 0 -1"),
        ("0 0 4 2\n", "line 1: there is no transition 0 0 4"),
        ("0 -1 2 2\n", "line 1: there is no transition 0 -1 2"),
    ],
)
def test_bad_rewards(prism, text, words):
    paths = prism(srew=text)
    with pytest.raises(MDPError, match=words):
        FiniteMDP.from_prism(paths["tra"], paths["lab"], paths["srew"])
