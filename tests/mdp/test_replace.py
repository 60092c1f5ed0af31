"""A replaced MDP equals one that is built afresh, whatever was inferred of the old one."""

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick import exact, planning
from logtrick.errors import MDPError, ShapeError
from logtrick.exact.histories import Histories
from logtrick.mdp import problems
from logtrick.mdp.arrays import MDPArrays
from logtrick.mdp.model import FiniteMDP

FIELDS = [f.name for f in dataclasses.fields(FiniteMDP) if f.name[0] != "_"]
SHOWN = [name for name in FIELDS if name != "labels"]
DERIVED = sorted(
    name
    for cls in (MDPArrays, FiniteMDP)
    for name, value in vars(cls).items()
    if isinstance(value, property) or hasattr(value, "attrname")
)


def everything(mdp):
    """All that an MDP shows, as plain values."""
    found = {name: getattr(mdp, name) for name in SHOWN + DERIVED}
    found["continuation"] = mdp.continuation.toarray()
    found |= {f"label {name}": mask for name, mask in mdp.labels.items()}
    found["repr"] = repr(mdp)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.items()}


def random_fields(rng, num_states=None):
    """What a constructor may be told; many states stay where they are, and many pay nothing."""
    size = num_states or int(rng.integers(1, 5))
    actions = rng.integers(1, 3, size)
    outcomes = rng.integers(1, 3, actions.sum())
    owners = np.repeat(np.repeat(np.arange(size), actions), outcomes)
    stays = rng.random(len(owners)) < 0.6
    offsets = np.concatenate([[0], np.cumsum(outcomes)])
    fields = {
        "pair_offsets": np.concatenate([[0], np.cumsum(actions)]),
        "pair_actions": np.concatenate([np.arange(n) for n in actions]).astype(np.int32),
        "outcome_offsets": offsets,
        "successors": np.where(stays, owners, rng.integers(size, size=len(owners))).astype(
            np.int32
        ),
        "probabilities": np.repeat(1 / outcomes, outcomes),
        "gamma": float(rng.choice([0.5, 1.0])),
    }
    return fields | random_changes(rng, size, len(owners), int(actions.max()), share=0.5)


def random_changes(rng, size, outcomes, actions, share):
    """Some of the fields that fit so many states, outcomes and actions."""
    changes = {
        "rewards": rng.choice([0.0, 0.0, 1.0], outcomes),
        "terminated": rng.random(outcomes) < 0.2,
        "terminal": rng.random(size) < 0.3,
        "start": rng.dirichlet(np.ones(size)),
        "observations": rng.integers(2, size=size).astype(np.int32),
        "state_names": [f"s{i}" for i in range(size)],
        "action_names": [f"a{i}" for i in range(actions)],
        "layout": np.arange(size, dtype=np.int32)[None],
        "labels": {"goal": rng.random(size) < 0.5},
        "gamma": float(rng.choice([0.25, 0.75])),
        "storage": str(rng.choice(["dense", "sparse"])),
    }
    return {
        name: value
        for name, value in changes.items()
        if rng.random() < share or (share == 0.5 and name in ("rewards", "terminated"))
    }


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Without the types of the test session, which know nothing of what is inferred again."""
    monkeypatch.setattr(FiniteMDP, "__init__", inspect.unwrap(FiniteMDP.__init__))


CHANGED = ["replace", "dataclasses.replace"]


@pytest.mark.parametrize("way", CHANGED)
@given(seed=st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_a_replaced_mdp_equals_one_built_afresh(way, seed):
    rng = np.random.default_rng(seed)
    told = random_fields(rng)
    old = FiniteMDP(**told)
    before = everything(old)  # and fills every cache
    size, outcomes, actions = old.num_states, old.num_outcomes, old.num_actions
    changes = random_changes(rng, size, outcomes, actions, share=0.3)
    if rng.random() < 0.3:  # other transitions, and all fields that were given for the old ones
        changes = random_fields(rng)
        fitting = random_changes(
            rng,
            len(changes["pair_offsets"]) - 1,
            len(changes["successors"]),
            int(changes["pair_actions"].max()) + 1,
            share=2,
        )
        changes |= {name: fitting[name] for name in told.keys() & fitting.keys() - changes.keys()}
    change = old.replace if way == "replace" else lambda **c: dataclasses.replace(old, **c)
    new, fresh = change(**changes), FiniteMDP(**(told | changes))
    assert everything(new) == everything(fresh)
    assert everything(new.restarting()) == everything(fresh.restarting())
    assert everything(new.reaching([0])) == everything(fresh.reaching([0]))
    assert everything(old) == before
    again = {name: told[name] for name in changes if name in told}
    back = new.replace(**again | {name: None for name in changes if name not in told})
    assert everything(back) == before


def test_rewards_on_a_state_that_paid_nothing():
    table = [[[0.0, 1.0]], [[0.0, 1.0]]]
    idle = FiniteMDP.from_arrays(table, [0.0, 0.0], gamma=0.9)
    assert idle.terminal.tolist() == [False, True]
    assert idle.start.tolist() == [1, 0]
    paying = idle.replace(rewards=np.array([0.0, 1.0]))
    assert planning.solve(paying).values == pytest.approx([9, 10], abs=1e-7)
    assert exact.state_values(paying, np.array([0, 0])) == pytest.approx([9, 10], abs=1e-12)
    assert paying.start.tolist() == [0.5, 0.5]
    undiscounted = FiniteMDP.from_arrays(table, [1.0, 1.0], gamma=1.0)
    stopped = undiscounted.replace(rewards=np.array([1.0, 0.0]))
    assert planning.solve(stopped).values.tolist() == [1, 0]
    assert dataclasses.replace(undiscounted, rewards=stopped.rewards).terminal.tolist() == [0, 1]


def test_states_that_are_terminal_because_somebody_said_so_stay_terminal():
    mdp = FiniteMDP.from_arrays(
        [[[0.0, 1.0]], [[1.0, 0.0]]], [1.0, 1.0], gamma=1.0, terminal=[1]
    ).replace(rewards=-np.ones(2))
    assert mdp.terminal.tolist() == [False, True]
    assert planning.solve(mdp).values.tolist() == [-1, 0]
    assert mdp.replace(terminal=[0, 1], rewards=np.ones(2)).terminal.all()
    with pytest.raises(MDPError, match=r"state 1 was read as terminal.*read the MDP again"):
        mdp.replace(terminal=None)
    with pytest.raises(MDPError, match="state 1 was read as terminal"):
        dataclasses.replace(mdp, terminal=np.array([True, False]))
    moved = mdp.replace(successors=np.array([1, 0], np.int32), terminal=None, gamma=0.5)
    assert planning.solve(moved).values == pytest.approx([-2, -2], abs=1e-8)


def test_terminal_by_label_follows_the_label():
    ways = [[[(1.0, 1, 1.0, False)]], [[(1.0, 2, 1.0, False)]], [[(1.0, 0, 1.0, False)]]]
    mdp = FiniteMDP.from_outcomes(ways, gamma=1.0, labels={"goal": [2]}, terminal="goal")
    assert planning.solve(mdp).values.tolist() == [2, 1, 0]
    assert mdp.labels["goal"].tolist() == [False, False, True]
    nearer = mdp.replace(labels={"goal": [1]})
    assert planning.solve(nearer).values.tolist() == [1, 0, 2]
    assert nearer.start.tolist() == [0.5, 0, 0.5]
    assert mdp.replace(terminal=None).terminal.tolist() == [False] * 3
    assert planning.solve(mdp.reaching("goal")).values.tolist() == [1, 1, 0]
    assert mdp.reaching("goal").labels["goal"].tolist() == [False, False, True]
    assert mdp.restarting().labels["goal"].tolist() == [False, False, True]


def test_start_stays_what_it_was_in_what_is_made_of_an_mdp():
    mdp = FiniteMDP.from_arrays([[[0.0, 1.0]], [[0.0, 1.0]]], [1.0, 0.0], gamma=1.0)
    assert mdp.start.tolist() == mdp.restarting().start.tolist() == [1, 0]
    assert mdp.reaching([1]).start.tolist() == [1, 0]


@pytest.mark.parametrize("field", ["start", "observations", "state_names", "labels"])
def test_fields_given_for_another_number_of_states_are_named(field):
    value = {"start": np.ones(1), "state_names": ["x"], "labels": {"start": [True]}}
    mdp = FiniteMDP.from_outcomes(
        [[[(1.0, 0, 1.0, False)]]], gamma=0.5, **{field: value.get(field, np.zeros(1, np.int32))}
    )
    two = problems.two_state_loop()
    arrays = ("pair_offsets", "pair_actions", "outcome_offsets", "successors", "probabilities")
    arrays = {name: getattr(two, name) for name in (*arrays, "rewards", "terminated")}
    with pytest.raises(ShapeError, match="start" if field == "labels" else field):
        mdp.replace(**arrays)


def test_nobody_else_can_write_to_what_was_checked():
    rewards, start, seen = np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.zeros(2, np.int32)
    goal = np.array([True, False])
    mdp = FiniteMDP.from_arrays([[[0.0, 1.0]], [[0.0, 1.0]]], [0.0, 0.0], gamma=0.9).replace(
        rewards=rewards, start=start, observations=seen, labels={"goal": goal}, terminal=goal
    )
    before = everything(mdp)
    rewards[:], start[:], seen[:], goal[:] = 0, 0, 1, True
    assert everything(mdp.replace(gamma=0.9)) == before
    with pytest.raises(ValueError, match="read-only"):
        mdp.labels["goal"][0] = False
    with pytest.raises(TypeError, match="item assignment"):
        mdp.labels["goal"] = goal


def test_copies_and_pickles_know_what_was_told():
    mdp = FiniteMDP.from_arrays([[[0.0, 1.0]], [[0.0, 1.0]]], [0.0, 0.0], gamma=0.9)
    for same in (copy.copy(mdp), copy.deepcopy(mdp), pickle.loads(pickle.dumps(mdp))):
        again = dataclasses.replace(same, rewards=np.array([0.0, 1.0]))
        assert not again.terminal.any()
        assert again.start.tolist() == [0.5, 0.5]


def test_caches_are_shared_where_nothing_of_theirs_changed():
    mdp = problems.random_walk(7)
    continuation, pairs = mdp.continuation, mdp.pair_rewards
    assert mdp.replace(gamma=0.5).continuation is continuation
    assert mdp.replace(gamma=0.5).pair_rewards is pairs
    costs = mdp.replace(rewards=-mdp.rewards)
    assert costs.continuation is continuation
    assert costs.pair_rewards is not pairs


def test_the_end_of_a_history_stays_an_end():
    tree = Histories(problems.sequences(2)).mdp
    costs = tree.replace(rewards=-np.ones(tree.num_outcomes))
    assert np.array_equal(costs.terminal, tree.terminal)
    # Every token costs 1, and so does none after the end: EOS at once is the best answer.
    assert planning.solve(costs).values @ tree.start == -1
