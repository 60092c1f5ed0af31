"""Gymnasium's environments on the host: replay, spaces, and environments of the caller's."""

import functools
import gc
import subprocess
import sys
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from faulty import Faulty, five_steps
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from logtrick import envs
from logtrick.envs import TwoStateGym
from logtrick.errors import ConfigError, EnvError, ShapeError, SpaceError

ALL = np.ones(3, bool)


def _episodes(rows, seeds, steps=40):
    """All that is seen with these first seeds and fixed actions."""
    rng = np.random.default_rng(5)
    seen = [rows.reset(seeds, np.ones(rows.num_envs, bool))]
    for _ in range(steps):
        step = rows.step(rng.integers(2, size=rows.num_envs))
        seen += [*step]
        ended = step.terminated | step.truncated
        if ended.any():
            seen.append(rows.reset(rng.integers(2**32, size=rows.num_envs, dtype=np.uint32), ended))
    return seen


@pytest.mark.parametrize("workers", ["sync", "async"])
def test_the_same_seeds_and_actions_replay_every_episode(workers):
    with (
        envs.make("gym:CartPole-v1", 2, workers=workers) as first,
        envs.make("gym:CartPole-v1", 2) as second,
    ):
        assert first.replayable
        seeds = np.array([2**32 - 1, 7], np.uint32)
        for a, b in zip(_episodes(first, seeds), _episodes(second, seeds), strict=True):
            assert np.array_equal(a, b)
        other = _episodes(second, seeds + np.uint32(1))
        assert not np.array_equal(other[0], _episodes(second, seeds)[0])


def test_an_episode_depends_on_its_own_seed_only():
    """Not on how many episodes its row has had, nor on the other rows."""
    with envs.make("gym:CartPole-v1", 3) as rows:
        fresh = rows.reset(np.array([5, 6, 7], np.uint32), ALL)
        _episodes(rows, np.array([9, 9, 9], np.uint32))
        again = rows.reset(np.array([1, 5, 2], np.uint32), np.array([False, True, False]))
        assert np.array_equal(again[1], fresh[0])


def test_what_was_returned_does_not_change_later():
    with envs.make("gym:CartPole-v1", 2) as rows:
        obs = rows.reset(np.array([1, 2], np.uint32), np.ones(2, bool))
        kept = obs.copy()
        step = rows.step(np.array([0, 1]))
        kept_step = step.obs.copy()
        rows.step(np.array([0, 1]))
        rows.reset(np.array([3, 4], np.uint32), np.array([True, False]))
        assert np.array_equal(obs, kept)
        assert np.array_equal(step.obs, kept_step)


class Offset(gymnasium.Env):
    """Actions -1, 0, 1 move along 5 .. 9; both spaces are Discrete and do not start at 0."""

    def __init__(self):
        self.observation_space = spaces.Discrete(5, start=5)
        self.action_space = spaces.Discrete(3, start=-1)
        self.place = 7

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 7
        return self.place, {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.place += int(action)
        return self.place, 0.0, self.place in (5, 9), False, {}


@pytest.mark.parametrize("mode", AutoresetMode)
def test_discrete_spaces_are_counted_from_zero(mode):
    rows = envs.make(SyncVectorEnv([Offset] * 2, autoreset_mode=mode), 2)
    assert rows.observation_space == spaces.Discrete(5)
    assert rows.action_space == spaces.Discrete(3)
    assert rows.reset(np.zeros(2, np.uint32), np.ones(2, bool)).tolist() == [2, 2]
    assert rows.step(np.array([0, 2])).obs.tolist() == [1, 3]
    step = rows.step(np.array([0, 1]))
    assert step.obs.tolist() == [0, 3]
    assert step.terminated.tolist() == [True, False]


def test_a_discrete_observation_outside_its_space_is_refused():
    class Escapes(Offset):
        def step(self, action):
            return 10, 0.0, False, False, {}

    rows = envs.make(Escapes, 1)
    rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
    with pytest.raises(EnvError, match=r"observation 10 is not in Discrete\(5, start=5\)"):
        rows.step(np.array([0]))


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (spaces.MultiDiscrete([3, 3], start=[0, 1]), [0, 5]),
        (spaces.MultiDiscrete([3, 3], start=[0, 1]), [0, 0]),
        (spaces.MultiBinary(2), [0, 2]),
        (spaces.MultiBinary(2), [-1, 0]),
    ],
)
def test_other_whole_numbers_outside_their_space_are_refused(space, shown):
    class Escapes(Offset):
        def __init__(self):
            super().__init__()
            self.observation_space = space

        def reset(self, *, seed=None, options=None):
            return np.array([1, 1], space.dtype), {}

        def step(self, action):
            return np.array(shown, space.dtype), 0.0, False, False, {}

    rows = envs.make(Escapes, 1)
    rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
    with pytest.raises(EnvError, match=r"environment 0, step 1 .* is not in Multi"):
        rows.step(np.array([0]))


class Dial(Faulty):
    """One continuous action, and the observation says what it was."""

    def __init__(self):
        super().__init__()
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.last = np.zeros(1, np.float32)

    def obs(self):
        return np.repeat(self.last, 3)

    def step(self, action):
        assert action.dtype == np.float32
        self.last = action
        return super().step(action)


def test_continuous_actions_arrive_as_they_are():
    rows = envs.make(Dial, 2)
    rows.reset(np.zeros(2, np.uint32), np.ones(2, bool))
    step = rows.step(np.array([[0.25], [-3.0]]))
    assert step.obs[:, 0].tolist() == [0.25, -3.0]


@pytest.mark.parametrize(
    ("make", "actions", "error", "text"),
    [
        (Faulty, np.zeros(3, int), ShapeError, r"shape \(3,\), not \(2,\)"),
        (Faulty, np.zeros((2, 1), int), ShapeError, r"not \(2,\)"),
        (Faulty, np.zeros(2), SpaceError, "actions are float64"),
        (Dial, np.array([[0.0], [np.nan]]), EnvError, "action for environment 1 is .*nan"),
    ],
)
def test_actions_that_do_not_fit_are_refused(make, actions, error, text):
    rows = envs.make(make, 2)
    rows.reset(np.zeros(2, np.uint32), np.ones(2, bool))
    with pytest.raises(error, match=text):
        rows.step(actions)


def test_the_protocol_is_enforced():
    rows = envs.make(Faulty, 2)
    with pytest.raises(EnvError, match="call reset first"):
        rows.step(np.zeros(2, int))
    with pytest.raises(EnvError, match="first reset must be of all rows"):
        rows.reset(np.zeros(2, np.uint32), np.array([True, False]))
    assert five_steps(rows, np.zeros(2, np.uint32)).terminated.all()
    with pytest.raises(EnvError, match="call reset first"):
        rows.step(np.zeros(2, int))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_rows_that_reset_themselves_cannot_be_reset_midway(mode):
    rows = envs.make(SyncVectorEnv([Faulty] * 2, autoreset_mode=mode), 2)
    assert not rows.replayable
    rows.reset(np.zeros(2, np.uint32), np.ones(2, bool))
    rows.step(np.zeros(2, int))
    with pytest.raises(EnvError, match=f"environment 0 cannot be reset .*{mode.name}"):
        rows.reset(np.zeros(2, np.uint32), np.array([True, False]))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_reset_of_all_rows_starts_every_mode_anew(mode):
    vector = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2, autoreset_mode=mode)
    rows, seeds, every = envs.make(vector, 2), np.arange(2, dtype=np.uint32), np.ones(2, bool)

    def until_one_ends():
        shown = [rows.reset(seeds, every)]
        step = None
        while step is None or not step.terminated.any():
            step = rows.step(np.ones(2, int))
            assert step.valid.all()
            shown.append(step.obs)
        rows.reset(seeds, step.terminated)
        return np.array(shown)

    assert np.array_equal(until_one_ends(), until_one_ends())


def test_same_step_without_the_final_observation_is_refused():
    class Loses(SyncVectorEnv):
        def step(self, actions):
            *rest, _ = super().step(actions)
            return *rest, {}

    rows = envs.make(Loses([Faulty], autoreset_mode=AutoresetMode.SAME_STEP), 1)
    with pytest.raises(EnvError, match="final_obs"):
        five_steps(rows, np.zeros(1, np.uint32))


class Spoiled(SyncVectorEnv):
    """A vector environment of somebody's own, which returns what `spoil` makes of it."""

    def __init__(self, spoil):
        super().__init__([Faulty] * 2)
        self.spoil = spoil

    def step(self, actions):
        return self.spoil(*super().step(actions))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda o, r, d, t, i: (o, r, d, i), "did not return a tuple of 5 values"),
        (lambda o, r, d, t, i: (o, r, d, t, []), "the last one a dict"),
        (lambda o, r, d, t, i: (o[0], r, d, t, i), r"observations are float32\[3\], not numbers"),
        (lambda o, r, d, t, i: ([[1], [1, 2]], r, d, t, i), "observations make no array"),
        (lambda o, r, d, t, i: (o, r[:1], d, t, i), r"rewards are float64\[1\], not numbers"),
        (lambda o, r, d, t, i: (o, [None, 1], d, t, i), r"rewards are object\[2\]"),
        (lambda o, r, d, t, i: (o, r, d * 1.0, t, i), "terminated is float64 and not bool"),
        (lambda o, r, d, t, i: (o, r, d, t[None], i), r"truncated are bool\[1, 2\]"),
        (lambda o, r, d, t, i: 1 / 0, "raised ZeroDivisionError: division by zero"),
    ],
)
def test_vector_environments_that_break_are_told(spoil, text):
    rows = envs.make(Spoiled(spoil), 2)
    with pytest.raises(EnvError, match=text):
        five_steps(rows, np.zeros(2, np.uint32))


@pytest.mark.parametrize("name", ["final_obs", "final_observation"])
def test_a_vector_environment_that_resets_in_the_same_step_must_say_so(name):
    class Silent(SyncVectorEnv):
        def step(self, actions):
            *rest, info = super().step(actions)
            return *rest, {name: info["final_obs"]} if "final_obs" in info else {}

    vector = Silent([Faulty], autoreset_mode=AutoresetMode.SAME_STEP)
    vector.autoreset_mode = None
    vector.metadata = {}
    rows = envs.make(vector, 1)
    vector.autoreset_mode = AutoresetMode.SAME_STEP
    with pytest.raises(EnvError, match="SAME_STEP"):
        five_steps(rows, np.zeros(1, np.uint32))


def test_the_mode_of_the_object_counts_and_not_what_its_class_shares():
    """Gymnasium before 1.4 writes the newest environment's mode into the class's metadata."""
    first = SyncVectorEnv([TwoStateGym], autoreset_mode=AutoresetMode.SAME_STEP)
    second = SyncVectorEnv([TwoStateGym], autoreset_mode=AutoresetMode.NEXT_STEP)
    first.metadata = second.metadata
    rows = envs.make(first, 1)
    rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
    for _ in range(3):
        step = rows.step(np.ones(1, int))
    rows.reset(np.zeros(1, np.uint32), step.truncated)
    assert rows.step(np.ones(1, int)).valid.all()


def test_our_own_vector_environments_leave_the_shared_metadata_alone():

    class Own(Faulty):
        metadata: ClassVar = {"render_modes": []}

    envs.make(Own, 1)
    assert "autoreset_mode" not in Own.metadata


def test_what_the_caller_made_stays_open():
    vector = SyncVectorEnv([TwoStateGym])
    rows = envs.make(vector, 1)
    rows.close()
    assert not vector.closed


def test_an_environment_of_the_callers_stays_open():
    closed = []

    class Watched(Faulty):
        def close(self):
            closed.append(True)

    env = Watched()
    with envs.make(env) as rows:
        rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
    del rows
    gc.collect()
    assert not closed
    with envs.make(Watched) as rows:
        rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
    # Once to learn the spaces, once at the end.
    assert len(closed) == 2


def test_an_async_vector_environment_of_the_callers_can_hang_too():
    make = functools.partial(Faulty, "hangs")
    vector = AsyncVectorEnv([make] * 2, context="forkserver", autoreset_mode="Disabled")
    rows = envs.make(vector, 2, timeout=1.0)
    rows.reset(np.array([1, 13], np.uint32), np.ones(2, bool))
    rows.step(np.zeros(2, int))
    with pytest.raises(EnvError, match=r"environment 1, .*did not answer within 1 seconds"):
        rows.step(np.zeros(2, int))
    vector.close(terminate=True)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: 1, EnvError, "is a builtins.int, and no gymnasium.Env"),
        (lambda: 1 / 0, EnvError, "could not be made: ZeroDivisionError"),
        (gymnasium.Env, EnvError, "its observation_space is None, and no space"),
        (gymnasium.Env(), EnvError, "its observation_space is None, and no space"),
        (3, EnvError, "3 is no environment"),
        (envs.CartPole, EnvError, "is no environment"),
    ],
)
def test_what_cannot_be_made_is_told(make, error, text):
    with pytest.raises(error, match=text):
        envs.make(make, 1)


@pytest.mark.parametrize(
    ("num_envs", "options", "text"),
    [
        (0, {}, "num_envs=0"),
        (-1, {}, "num_envs=-1"),
        (1, {"timeout": 0.0}, "timeout is 0.0"),
        (1, {"timeout": float("nan")}, "timeout is nan"),
    ],
)
def test_settings_that_cannot_be_meant(num_envs, options, text):
    with pytest.raises(ConfigError, match=text):
        envs.make("gym:CartPole-v1", num_envs, **options)


def test_workers_are_of_two_kinds():
    source = "from logtrick import envs; envs.make('gym:CartPole-v1', workers='threads')"
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert "ConfigError: workers is 'threads'; it is 'sync' or 'async'." in told.stderr


def test_one_environment_is_not_many():
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(ConfigError, match="has 1 rows and 4 are asked for"):
        envs.make(env, 4)
    with pytest.raises(EnvError, match="cannot move to another process"):
        envs.make(env, 1, workers="async")
    with pytest.raises(ConfigError, match="has 2 rows and 3 are asked for"):
        envs.make(SyncVectorEnv([Faulty] * 2), 3)
