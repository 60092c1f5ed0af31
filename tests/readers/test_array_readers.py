"""Arrays and tables of outcomes as MDPs, and what is refused of them."""

import gymnasium
import numpy as np
import pytest
from scipy import sparse

from logtrick import exact
from logtrick.errors import MDPError, ShapeError, UnknownEnvError
from logtrick.mdp import FiniteMDP

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
