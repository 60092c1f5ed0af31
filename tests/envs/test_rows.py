"""Rows that step one and the same object are refused, wherever environments come from."""

import gc

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

import logtrick as lt
from logtrick import envs
from logtrick.errors import EnvError


class Count(gymnasium.Env):
    """Ten steps; shows how many were taken."""

    observation_space, action_space = spaces.Box(0, 10, (1,)), spaces.Discrete(2)

    def __init__(self, simulator=None):
        self.simulator = simulator or Simulator()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.simulator.reset()
        return self.shown(), {}

    def step(self, action):
        return self.shown(self.simulator.step()), 1.0, self.simulator.steps >= 10, False, {}

    def shown(self, _=None):
        return np.full(1, self.simulator.steps, np.float32)


class Simulator:
    def __init__(self):
        self.reset()

    def reset(self):
        self.steps = 0

    def step(self):
        self.steps += 1


class Outer(Count):
    """An environment that has another one inside, and no wrapper."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner


ONE, SHARED = Count(), Simulator()
SAME = "the same (Count|Outer) twice, so several rows would step one object"


def cached(room=[]):  # noqa: B006  # what is kept from one call to the next is the point
    room.append(room[0] if room else Count())
    return room[-1]


ALIASES = {
    "one object": lambda: ONE,
    "in a wrapper of its own": lambda: gymnasium.wrappers.TimeLimit(ONE, 5),
    "inside of another": lambda: Outer(ONE),
    "kept after the first call": cached,
}


def trained(env, out, num_envs=2, **more):
    settings = lt.PPO(num_envs=num_envs, num_steps=32, minibatches=1, epochs=1, hidden=(4,))
    return lt.train(env, settings, steps=64, out=out, progress=False, **more)


@pytest.mark.parametrize("make", ALIASES.values(), ids=ALIASES)
@pytest.mark.parametrize("num_envs", [1, 3])
def test_a_function_that_returns_what_it_returned_before_is_refused(tmp_path, make, num_envs):
    with pytest.raises(EnvError, match=SAME):
        trained(make, tmp_path, num_envs)
    assert not list(tmp_path.iterdir())
    with pytest.raises(EnvError, match=SAME):
        lt.check_env(make)


def test_a_worker_gets_a_copy_but_the_function_is_refused_all_the_same():
    with pytest.raises(EnvError, match=SAME):
        envs.make(lambda: ONE, 2, workers="async")


def test_an_evaluation_has_no_row_of_the_training(tmp_path):
    made = [Count() for _ in range(3)]  # for the look at its spaces, and two rows
    calls = iter([*made, *made])
    with pytest.raises(EnvError, match=SAME):
        trained(lambda: next(calls), tmp_path, evaluation=lt.Evaluation(32, 2, max_steps=10))


def test_rows_of_a_vector_environment_are_apart(tmp_path):
    for rows in ([lambda: ONE] * 2, [Count, lambda: ONE, lambda: gymnasium.Wrapper(ONE)]):
        vector = SyncVectorEnv(rows)
        with pytest.raises(EnvError, match=r"its rows \d and \d step one and the same Count"):
            trained(vector, tmp_path, vector.num_envs)
    with pytest.raises(EnvError, match="rows 0 and 1 step one and the same Count"):
        envs.resolve(SyncVectorEnv([lambda: Outer(ONE)] * 2))
    assert trained(SyncVectorEnv([Count] * 2), tmp_path).metrics


def test_the_advice_works(tmp_path):
    run = trained(Count(), tmp_path, 1)
    assert {row["episode_length"] for row in run.metrics if row["episodes"]} == {10.0}
    run = trained(Count, tmp_path, 3, evaluation=lt.Evaluation(32, 2, max_steps=10))
    assert {row["episode_length"] for row in run.metrics if row["episodes"]} == {10.0}


def test_what_is_gone_may_leave_its_place_to_another():
    make = envs.resolve(Count)
    for _ in range(50):  # addresses are used again
        make.build(2).close()
        gc.collect(0)


class OfAll(Count):
    """Counts in an attribute of the class, where no object shows what is shared."""

    def __init__(self):
        super().__init__(type(self))

    steps = 0

    def reset(self, *, seed=None, options=None):
        gymnasium.Env.reset(self, seed=seed)
        OfAll.steps = 0
        return self.shown(), {}

    def step(self, action):
        OfAll.steps += 1
        return self.shown(), 1.0, OfAll.steps >= 10, False, {}


def test_check_env_sees_that_rows_share_what_no_object_shows():
    for make in (OfAll, lambda: Count(SHARED)):
        with pytest.raises(EnvError, match="The rows share something that changes"):
            lt.check_env(make, steps=100)
    report = lt.check_env(Count, steps=100)
    assert "a row sees the same beside others as alone" in report.passed


@pytest.mark.parametrize("reward", ["1", b"1", np.str_("1"), np.array("1"), np.timedelta64(1, "s")])
def test_a_reward_in_words_is_no_number(tmp_path, reward):
    class Words(Count):
        def step(self, action):
            obs, _, *rest = super().step(action)
            return obs, reward, *rest

    with pytest.raises(EnvError, match=r"step 1 .* broke its contract: the reward is .* no number"):
        trained(Words, tmp_path)


@pytest.mark.parametrize("reward", [1, True, np.float16(1), np.int8(1), np.array(1.0)])
def test_a_number_of_any_kind_is_a_reward(reward):
    class Numbers(Count):
        def step(self, action):
            obs, _, *rest = super().step(action)
            return obs, reward, *rest

    with envs.make(Numbers, 1) as rows:
        rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
        assert rows.step(np.zeros(1, int)).reward[0] == 1
