"""The finite MDP: what is derived from it, what is made of it, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from logtrick import exact
from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.mdp import problems
from logtrick.mdp.graphs import ancestors, closed_classes
from logtrick.mdp.model import FiniteMDP
from random_mdps import random_mdp, random_table

COIN = [[[(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]]]


def flat_mdp(**changes):
    """Two states, three pairs, four outcomes, as arrays."""
    arrays = {
        "pair_offsets": np.array([0, 2, 3]),
        "pair_actions": np.array([0, 1, 0], np.int32),
        "outcome_offsets": np.array([0, 1, 3, 4]),
        "successors": np.array([1, 0, 1, 0], np.int32),
        "probabilities": np.array([1.0, 0.25, 0.75, 1.0]),
        "rewards": np.array([1.0, 2.0, 3.0, 4.0]),
        "terminated": np.zeros(4, np.bool_),
        "start": np.array([1.0, 0.0]),
        "gamma": 0.5,
    }
    return FiniteMDP(**(arrays | changes))


def test_derived_arrays():
    mdp = flat_mdp(terminated=np.array([False, True, False, False]))
    assert (mdp.num_states, mdp.num_actions, mdp.num_pairs, mdp.num_outcomes) == (2, 2, 3, 4)
    assert mdp.pair_states.tolist() == [0, 0, 1]
    assert mdp.outcome_pairs.tolist() == [0, 1, 1, 2]
    assert mdp.available.tolist() == [[True, True], [True, False]]
    assert mdp.pair_rewards.tolist() == [1.0, 0.25 * 2 + 0.75 * 3, 4.0]
    assert mdp.continuation.toarray().tolist() == [[0, 1], [0, 0.75], [1, 0]]
    assert mdp.pair_ends.tolist() == [False, True, False]
    assert mdp.dense_rewards().tolist() == [[1.0, 2.75], [4.0, 0.0]]
    assert mdp.dense_transitions()[0].tolist() == [[0, 1], [0.25, 0.75]]
    assert mdp.observations.tolist() == [0, 1]


def test_repeated_successors_are_merged_in_the_continuation_only():
    mdp = FiniteMDP.from_outcomes(
        [[[(0.25, 1, 1.0, False), (0.5, 1, 2.0, False), (0.25, 1, 4.0, True)]]] * 2, gamma=0.9
    )
    assert mdp.num_outcomes == 6
    assert mdp.continuation.toarray()[0].tolist() == [0, 0.75]
    assert mdp.continuation.nnz == 2


def test_the_continuation_shares_memory_where_it_can():
    mdp = problems.garnet(50, 2, 3)
    assert np.shares_memory(mdp.continuation.data, mdp.probabilities)
    assert np.shares_memory(mdp.continuation.indices, mdp.successors)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_continuation_against_a_double_loop(seed):
    mdp = random_mdp(seed)
    truth = np.zeros((mdp.num_pairs, mdp.num_states))
    rewards = np.zeros(mdp.num_pairs)
    for pair in range(mdp.num_pairs):
        for k in range(mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1]):
            rewards[pair] += mdp.probabilities[k] * mdp.rewards[k]
            if not mdp.terminated[k]:
                truth[pair, mdp.successors[k]] += mdp.probabilities[k]
    assert mdp.continuation.toarray() == pytest.approx(truth, abs=1e-15)
    assert mdp.pair_rewards == pytest.approx(rewards, abs=1e-14)


def test_arrays_are_read_only():
    mdp = problems.corridor()
    for name in ("pair_offsets", "successors", "probabilities", "rewards", "start", "observations"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(mdp, name)[0] = 0


def test_an_absorbing_state_that_pays_nothing_is_terminal():
    table = [
        [[(0.5, 1, 2.0, False), (0.5, 0, 0.0, False)], [(1.0, 0, 0.0, False)]],
        [[(1.0, 1, 0.0, False)], [(1.0, 1, 0.0, False)]],
    ]
    mdp = FiniteMDP.from_outcomes(table, gamma=1.0)
    assert mdp.terminal.tolist() == [False, True]
    assert mdp.terminated.tolist() == [True, False, False, True, True]
    assert exact.state_values(mdp, np.array([0, 0])).tolist() == [2.0, 0.0]
    assert exact.visitation(mdp, np.array([0, 0])).tolist() == [2.0, 0.0]


@pytest.mark.parametrize(
    "outcome", [(1.0, 1, 1e-9, False), (1.0, 0, 0.0, False), (1.0, 1, 0.0, True)]
)
def test_states_that_are_not_terminal(outcome):
    mdp = FiniteMDP.from_outcomes([[[(1.0, 1, 0.0, False)]], [[outcome]]], gamma=1.0)
    assert not mdp.terminal.any()


def test_zero_probabilities_do_not_keep_a_state_alive():
    table = [[[(1.0, 1, 1.0, False)]], [[(0.0, 0, 5.0, False), (1.0, 1, 0.0, False)]]]
    assert FiniteMDP.from_outcomes(table, gamma=1.0).terminal.tolist() == [False, True]


def test_replace():
    mdp = problems.forest()
    costs = mdp.replace(rewards=-mdp.rewards, gamma=0.5, start=np.eye(3)[1])
    assert costs.gamma == 0.5
    assert costs.start.tolist() == [0, 1, 0]
    assert np.array_equal(costs.pair_rewards, -mdp.pair_rewards)
    assert mdp.gamma == 0.9
    assert costs.continuation is mdp.continuation or np.shares_memory(
        costs.successors, mdp.successors
    )
    assert mdp.replace(storage="sparse").is_dense is False
    assert mdp.replace(observations=np.zeros(3, int)).num_observations == 1
    with pytest.raises(ConfigError, match="no field 'horizon'; it has pair_offsets, "):
        mdp.replace(horizon=3)


def test_restarting():
    mdp = problems.random_walk(3).replace(start=np.array([0.25, 0.0, 0.75]))
    again = mdp.restarting()
    assert not again.terminated.any()
    assert again.num_outcomes == mdp.num_outcomes + 2  # two ends × (two starts − 1)
    assert again.dense_transitions()[0, 0].tolist() == [0.25, 0, 0.75]
    assert np.array_equal(again.dense_rewards(), mdp.dense_rewards())
    # Renewal: reward per step = reward of an episode / its length.
    table = np.full((3, 2), 0.5)
    episode = exact.objective(mdp, table) / exact.visitation(mdp, table).sum()
    assert exact.objective(again, table, "average") == pytest.approx(episode, rel=1e-13)


def test_restarting_refuses_to_explode():
    mdp = problems.garnet(20_000, 1, 1, ends=1.0)
    with pytest.raises(MDPError, match="too many outcomes"):
        mdp.restarting()


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_reaching_is_the_chance_of_entering(seed):
    mdp = random_mdp(seed, gamma=1.0)
    target = mdp.num_states - 1
    table = random_table(mdp, seed)
    chance = exact.state_values(mdp.reaching([target]), table)
    # Slowly: push mass forward, and count what enters.
    moves = (table[mdp.pair_states, mdp.pair_actions])[:, None] * mdp.continuation.toarray()
    ends = np.zeros((mdp.num_pairs, mdp.num_states))
    for pair in range(mdp.num_pairs):
        for k in range(mdp.outcome_offsets[pair], mdp.outcome_offsets[pair + 1]):
            ends[pair, mdp.successors[k]] += mdp.probabilities[k]
    chain = np.zeros((mdp.num_states, mdp.num_states))
    np.add.at(chain, mdp.pair_states, moves)
    enters = np.zeros(mdp.num_states)
    np.add.at(enters, mdp.pair_states, table[mdp.pair_states, mdp.pair_actions] * ends[:, target])
    chain[:, target] = 0
    slow, mass = np.zeros(mdp.num_states), np.eye(mdp.num_states)
    for _ in range(3000):
        slow += mass @ enters
        mass = mass @ chain
    assert chance[:target] == pytest.approx(slow[:target], abs=1e-9)
    assert chance[target] == 0  # the episode ended there


def test_reaching_prunes_what_cannot():
    mdp = problems.frozen_lake(gamma=1.0).reaching([15])
    holes = [5, 7, 11, 12]
    assert mdp.terminal[holes].all()
    uniform = np.full((16, 4), 0.25)
    assert exact.objective(mdp, uniform) == pytest.approx(
        exact.objective(problems.frozen_lake(gamma=1.0), uniform), rel=1e-12
    )
    with pytest.raises(MDPError, match="some of 0"):
        mdp.reaching([16])


# What is refused: `changes` to a good MDP, the error, and the words of its message.

BAD = {
    "row sum": ({"probabilities": np.array([1, 0.25, 0.7, 1])}, "state 0, action 1 sum to 0.95"),
    "negative": (
        {"probabilities": np.array([1, -0.25, 1.25, 1])},
        "state 0, action 1, outcome 0 has probability -0.25",
    ),
    "NaN": (
        {"probabilities": np.array([1, np.nan, 0.75, 1])},
        "state 0, action 1, outcome 0 has probability nan",
    ),
    "dangling": (
        {"successors": np.array([1, 0, 2, 0], np.int32)},
        "state 0, action 1, outcome 1 leads to state 2, but the states are 0 ... 1",
    ),
    "successor beyond int32": (
        {"successors": np.array([1, 0, 2**32, 0])},
        "successors has the entry 4294967296, which int32 cannot hold",
    ),
    "fractional successor": (
        {"successors": np.array([1, 0, 0.5, 0])},
        "successors has the entry 0.5, which int32 cannot hold",
    ),
    "NaN successor": (
        {"successors": np.array([1, 0, np.nan, 0])},
        "successors has the entry nan, which int32 cannot hold",
    ),
    "half ended": (
        {"terminated": np.array([0, 0.5, 0, 0])},
        "terminated has the entry 0.5, which bool cannot hold",
    ),
    "negative successor": (
        {"successors": np.array([-1, 0, 1, 0], np.int32)},
        "state 0, action 0, outcome 0 leads to state -1",
    ),
    "infinite reward": (
        {"rewards": np.array([1.0, 2.0, np.inf, 4.0])},
        "state 0, action 1, outcome 1 pays inf",
    ),
    "no actions": ({"pair_offsets": np.array([0, 3, 3])}, "state 1 has no actions"),
    "no outcomes": (
        {"outcome_offsets": np.array([0, 1, 1, 4])},
        "state 0, action 1 has no outcomes",
    ),
    "action twice": (
        {"pair_actions": np.array([1, 1, 0], np.int32)},
        "state 0 must increase, without repetition: 1 is followed by 1",
    ),
    "negative action": (
        {"pair_actions": np.array([-1, 1, 0], np.int32)},
        "state 0 has the negative action -1",
    ),
    "start sum": ({"start": np.array([0.5, 0.0])}, "start sums to 0.5"),
    "start NaN": ({"start": np.array([np.nan, 1.0])}, "start gives state 0 the probability nan"),
    "observation": ({"observations": np.array([0, -1])}, "state 1 has the observation -1"),
    "observation NaN": (
        {"observations": np.array([[0.0], [np.nan]])},
        r"state 1 has the observation \[nan\]",
    ),
}
MISSHAPEN = {
    "complex": ({"probabilities": np.ones(4) * 1j}, "no array of numbers: .* complex128"),
    "offsets fall": ({"pair_offsets": np.array([0, 4, 3])}, "must increase from 0 to 3"),
    "no states": ({"pair_offsets": np.array([0])}, "at least one state"),
    "pairs": ({"outcome_offsets": np.array([0, 1, 4])}, "3 entries for 3 pairs"),
    "rewards": ({"rewards": np.zeros(3)}, r"rewards has shape \(3,\)"),
    "start": ({"start": np.ones(1)}, r"start has shape \(1,\)"),
    "observations": ({"observations": np.arange(3)}, "observations has 3 rows"),
    "words": ({"observations": np.array(["a", "b"])}, "numbers are needed"),
    "state names": ({"state_names": ["a"]}, "state_names has 1 entries, the MDP 2"),
    "action names": ({"action_names": ["a"]}, "action_names has 1 entries, the MDP 2"),
    "layout": ({"layout": np.array([[0, 2]], np.int32)}, "layout must be"),
    "layout twice": ({"layout": np.array([[0, 0]], np.int32)}, "shows a state twice"),
}


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Without the types of the test session: users meet our errors, not beartype's."""
    import inspect

    monkeypatch.setattr(FiniteMDP, "__init__", inspect.unwrap(FiniteMDP.__init__))


@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD)
def test_bad_numbers(changes, words):
    with pytest.raises(MDPError, match=words):
        flat_mdp(**changes)


@pytest.mark.parametrize(("changes", "words"), MISSHAPEN.values(), ids=MISSHAPEN)
def test_bad_shapes(changes, words):
    with pytest.raises(ShapeError, match=words):
        flat_mdp(**changes)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, float("nan"), "high", None, True])
def test_bad_gamma(gamma):
    with pytest.raises(ConfigError, match="discount factor"):
        flat_mdp(gamma=gamma)


def test_bad_storage():
    with pytest.raises(ConfigError, match="auto, dense or sparse"):
        flat_mdp(storage="disk")


def test_rows_may_be_off_by_rounding_only():
    flat_mdp(probabilities=np.array([1, 0.25 + 1e-12, 0.75, 1]))
    with pytest.raises(MDPError, match="normalise them in float64"):
        flat_mdp(probabilities=np.array([1, 0.25 + 1e-7, 0.75, 1]))


# Graphs.


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_ancestors_and_closed_classes_against_powers(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 8))
    edges = rng.random((size, size)) < 0.25
    reach = np.linalg.matrix_power(np.eye(size, dtype=int) + edges, size) > 0
    targets = rng.random(size) < 0.3
    sources, destinations = np.nonzero(edges)
    assert np.array_equal(ancestors(sources, destinations, targets), reach[:, targets].any(1))
    mutual = reach & reach.T
    closed = {
        frozenset(np.flatnonzero(mutual[i]))
        for i in range(size)
        if not (reach[i] & ~mutual[i]).any()
    }
    found = closed_classes(sparse.csr_array(edges.astype(float)))
    assert {frozenset(group.tolist()) for group in found} == closed


class Own(FiniteMDP):
    """Somebody's own kind of MDP."""


def test_a_subclass_gets_itself_back():
    arrays = [[[0.5, 0.5]], [[0.0, 1.0]]]
    made = Own.from_arrays(arrays, [1.0, 0.0], gamma=0.9, labels={"goal": [1]})
    listed = Own.from_outcomes([[[(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]]], gamma=1.0)
    read = Own.from_gymnasium("FrozenLake-v1", gamma=0.9)
    other = made.replace(rewards=-made.rewards)
    moved = made.replace(successors=made.successors[::-1].copy())
    changed = (made.reaching("goal"), made.restarting(), other, moved)
    assert {type(mdp) for mdp in (made, listed, read, *changed)} == {Own}
