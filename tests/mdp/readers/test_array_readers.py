"""Arrays and tables of outcomes as MDPs, and what is refused of them."""

import inspect
import warnings
from fractions import Fraction

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from logtrick import exact, planning
from logtrick.errors import ConfigError, MDPError, ShapeError, UnknownEnvError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP

# Their P has as many actions as states.
pytestmark = pytest.mark.filterwarnings("ignore:P has shape .2, 2, 2.:UserWarning")

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
        ({"P": [sparse.csr_array(P[0]), None]}, ShapeError, "its entries are object"),
        ({"P": [sparse.csr_array(P[0][:1])] * 2}, ShapeError, "one .S, S. for each action"),
        ({"P": [sparse.csr_array(P[0]), P]}, ShapeError, "for each action is needed"),
        ({"P": None}, ShapeError, "its entries are object"),
        ({"P": "abc"}, ShapeError, "its entries are <U3"),
        ({"P": []}, ShapeError, r"P has shape \(0,\)"),
        ({"P": P, "actions_first": "yes"}, ShapeError, "actions_first is no array of numbers"),
        ({"R": None}, ShapeError, "R is no array of numbers"),
        (
            {"R": [[0.0, -np.inf], [0.0, 0.0]]},
            MDPError,
            "action 1 pays -inf.*available=np.isfinite",
        ),
        ({"R": np.full((2, 2, 2), -np.inf)}, MDPError, "action 0 pays -inf.*with available="),
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
        ({"terminal": [0.5]}, MDPError, "terminal names the state 0.5; the states are some of 0"),
        ({"terminal": [-1]}, MDPError, "terminal names the state -1"),
        ({"terminal": [np.nan]}, MDPError, "terminal names the state nan"),
        ({"terminal": [0, 0]}, MDPError, "state 0 2 times; a mask of states has booleans"),
        ({"terminal": [None]}, ShapeError, "a list of numbers of states or a label is needed"),
        ({"terminal": [[0]]}, ShapeError, "a list of numbers of states or a label is needed"),
        ({"terminal": [[0], [0, 1]]}, ShapeError, "terminal names no states"),
        ({"terminal": {"goal": 1}}, ShapeError, "a list of numbers of states or a label is needed"),
        ({"terminal": [True, 0]}, ShapeError, "mixes booleans and numbers"),
        ({"terminal": "goal"}, MDPError, "no label 'goal'; it has none; give labels="),
        ({"terminal": "gaol", "labels": {"goal": [1]}}, MDPError, r"it has \['goal'\]"),
        ({"labels": {"goal": "here"}}, MDPError, "the label 'goal' is 'here'"),
        ({"labels": ["goal"]}, MDPError, "a mapping from names to sets of states"),
        ({"labels": {3: [1]}}, MDPError, "labels has the name 3"),
        ({"start": True}, MDPError, "start is True"),
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
        ([[[("p", 0, 0.0, False)]]], "the probability 'p' is no number"),
        ([[[("1", 0, 0.0, False)]]], "the probability '1' is no number"),
        ([[[(1.0, "0", 0.0, False)]]], "the successor '0' is no number"),
        ([[[(1.0, True, 0.0, False)]]], "the successor True is no number"),
        ([[[(1.0, float("nan"), 0.0, False)]]], "nan is no state"),
        ([[[(1.0, 0, "3", False)]]], "the reward '3' is no number"),
        ([[[(1.0, 0, True, 0.0)]]], "the reward True is no number"),
        ([[[(1.0, 0, None, False)]]], "the reward None is no number"),
        ([[[(1.0, 0, 10**400, False)]]], "the reward is beyond float64"),
        ([[[(1.0, 0, 1j, False)]]], "the reward 1j is no number"),
        ([[[(1.0, 0, 0.0, "False")]]], "the flag terminated 'False' is neither True nor False"),
        ([[[(1.0, 0, 0.0, None)]]], "the flag terminated None is neither"),
        ([[[(1.0, 0, 0.0, 2)]]], "the flag terminated 2 is neither"),
        ([[["1010"]]], "the successor '0' is no number"),
        ([[[None]]], "state 0, action 0, outcome 0 is None"),
        ([[None]], "state 0, action 0 is None; a list of outcomes"),
        ([["stay"]], "state 0, action 0 is 'stay'; a list of outcomes"),
        ([None], "state 0 is None; a list or a dictionary of actions"),
        (None, "the table is None; a list or a dictionary of states"),
        (7, "the table is 7"),
        ("table", "the table is 'table'"),
        ({"a": []}, "the table: 'a' is not a number"),
        ([{True: [(1.0, 0, 0.0, False)]}], "True is not a number"),
        ([{2**40: [(1.0, 0, 0.0, False)]}], "1099511627776 is not a number from 0 to"),
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
        inspect.unwrap(FiniteMDP.from_outcomes.__func__)(FiniteMDP, table, gamma=0.9)


def test_numbers_of_every_library_in_a_table():
    row = (Fraction(1, 2), np.int8(0), np.float32(0.5), np.bool_(False))
    other = (jnp.float32(0.5), jnp.int32(0), np.array(2), jnp.array(True))
    mdp = FiniteMDP.from_outcomes([[[row, other]]], gamma=0.9)
    assert mdp.probabilities.tolist() == [0.5, 0.5]
    assert mdp.rewards.tolist() == [0.5, 2]
    assert mdp.terminated.tolist() == [False, True]


@pytest.mark.parametrize("states", [[1], [1.0], 1, (1,), {1}, range(1, 2), [False, True], "goal"])
def test_sets_of_states_in_every_form(states):
    mdp = FiniteMDP.from_arrays(P, R, gamma=0.5, terminal=states, labels={"goal": [1]})
    assert mdp.terminal.tolist() == [False, True]
    free = FiniteMDP.from_arrays(P, R, gamma=0.5, labels={"goal": [1]})
    assert free.reaching(states).terminal.tolist() == [False, True]
    assert free.terminal.tolist() == [False, False]


@pytest.mark.parametrize("states", [None, [], (), np.zeros(0)])
def test_no_states(states):
    mdp = FiniteMDP.from_arrays(P, R, gamma=0.5, terminal=states)
    assert not mdp.terminal.any()
    with pytest.raises(MDPError, match=r"reaching names no state; give some of 0 ... 1"):
        mdp.reaching(states)


# The smallest example of the MDP Toolbox: P [A, S, S], R [S, A], and its values at γ = .9,
# computed here by hand from V = (I − γ P_π)^{-1} R_π for π = (1, 0).

TOOLBOX_P = np.array([[[0.5, 0.5], [0.8, 0.2]], [[0.0, 1.0], [0.1, 0.9]]])
TOOLBOX_R = np.array([[5.0, 10.0], [-1.0, 2.0]])
TOOLBOX_V = np.linalg.solve(np.eye(2) - 0.9 * np.array([[0.0, 1.0], [0.8, 0.2]]), [10.0, -1.0])


def dense_list(matrices):
    return [np.array(matrix) for matrix in matrices]


@pytest.mark.parametrize("form", [np.array, dense_list, tuple])
def test_actions_first(form):
    mdp = FiniteMDP.from_arrays(form(TOOLBOX_P), TOOLBOX_R, gamma=0.9, actions_first=True)
    assert planning.solve(mdp).values == pytest.approx(TOOLBOX_V, abs=1e-7)
    rewards = np.arange(8.0).reshape(2, 2, 2)  # [A, S, S']
    mdp = FiniteMDP.from_arrays(form(TOOLBOX_P), rewards, gamma=0.9, actions_first=True)
    assert mdp.dense_rewards() == pytest.approx(np.einsum("ast,ast->sa", TOOLBOX_P, rewards))
    with pytest.raises(ShapeError, match=r"with actions_first=True, \[A, S, S'\] is needed"):
        FiniteMDP.from_arrays(np.zeros((2, 3, 2)), np.zeros(2), gamma=0.9, actions_first=True)


def test_a_list_of_sparse_matrices():
    matrices = [sparse.csr_matrix(matrix) for matrix in TOOLBOX_P]
    objects = np.empty(2, object)
    objects[:] = matrices
    for given in (matrices, tuple(matrices), objects, [matrices[0], TOOLBOX_P[1]]):
        mdp = FiniteMDP.from_arrays(given, TOOLBOX_R, gamma=0.9)
        assert planning.solve(mdp).values == pytest.approx(TOOLBOX_V, abs=1e-7)
    rewards = np.arange(8.0).reshape(2, 2, 2)
    both = [rewards, [sparse.csr_array(matrix) for matrix in rewards]]
    for given in both:
        mdp = FiniteMDP.from_arrays(matrices, given, gamma=0.9)
        assert mdp.dense_rewards() == pytest.approx(np.einsum("ast,ast->sa", TOOLBOX_P, rewards))
    stacked = sparse.vstack(matrices)
    mdp = FiniteMDP.from_arrays(stacked, TOOLBOX_R, gamma=0.9, actions_first=True)
    assert planning.solve(mdp).values == pytest.approx(TOOLBOX_V, abs=1e-7)
    with pytest.raises(ConfigError, match="the actions come first; leave actions_first=False out"):
        FiniteMDP.from_arrays(matrices, TOOLBOX_R, gamma=0.9, actions_first=False)


@pytest.mark.filterwarnings("default")
def test_as_many_actions_as_states():
    with pytest.warns(UserWarning, match="it could be .A, S, S'., too: say actions_first=True if"):
        FiniteMDP.from_arrays(TOOLBOX_P, TOOLBOX_R, gamma=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FiniteMDP.from_arrays(TOOLBOX_P, TOOLBOX_R, gamma=0.9, actions_first=False)
        FiniteMDP.from_arrays(sparse.csr_array(P.reshape(4, 2)), R, gamma=0.9)
        even = np.full((2, 2, 2), 0.5)
        FiniteMDP.from_arrays(even, R, gamma=0.9)  # the same either way
        with pytest.raises(
            MDPError, match=r"as \[A, S, S'\] all of them do: say actions_first=True"
        ):
            FiniteMDP.from_arrays(  # action 1 of state 0 is missing
                [[[0.5, 0.5], [0.8, 0.2]], [[0.0, 0.0], [0.1, 0.9]]],
                R,
                gamma=0.9,
                available=[[1, 0], [1, 1]],
            )
    with pytest.warns(UserWarning, match="it could be"):
        FiniteMDP.from_arrays(even, np.arange(8.0).reshape(2, 2, 2), gamma=0.9)


def test_the_hint_for_actions_that_are_not_feasible_works():
    rewards = np.array([[1.0, -np.inf], [0.0, 2.0]])
    mdp = FiniteMDP.from_arrays(P, rewards, gamma=0.9, available=np.isfinite(rewards))
    assert mdp.available.tolist() == [[True, False], [True, True]]


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
    lake = gymnasium.make("FrozenLake-v1")
    for env in (None, 7, lake.unwrapped.P):
        with pytest.raises(MDPError, match="neither an id nor a Gymnasium environment"):
            inspect.unwrap(FiniteMDP.from_gymnasium.__func__)(FiniteMDP, env, gamma=1.0)
    with pytest.raises(ConfigError, match="map_name: an environment that is made already takes no"):
        FiniteMDP.from_gymnasium(lake, gamma=1.0, map_name="8x8")
    with pytest.raises(ConfigError, match=r"cannot make 'FrozenLake-v1' with .*mapname"):
        FiniteMDP.from_gymnasium("FrozenLake-v1", gamma=1.0, mapname="8x8")
    with pytest.raises(ConfigError, match="takes its arguments by name"):
        problems.make("FrozenLake-v1:8x8")
    with pytest.raises(ConfigError, match="use gamma="):
        problems.make("FrozenLake-v1:gamma=0.5")
    lake.unwrapped.P = {0: {0: [(1.0, 0, "1", False)]}}
    with pytest.raises(
        MDPError, match=r"FrozenLake.*state 0, action 0.*the reward '1' is no number"
    ):
        FiniteMDP.from_gymnasium(lake, gamma=1.0)
    with pytest.raises(MDPError, match="no transition table"):
        FiniteMDP.from_gymnasium("Blackjack-v1", gamma=1.0)
    with pytest.raises(UnknownEnvError, match="FrozenLak-v1"):
        FiniteMDP.from_gymnasium("FrozenLak-v1", gamma=1.0)
