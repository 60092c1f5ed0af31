"""From ids and objects to environments."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from logtrick import envs
from logtrick.envs import CartPole, EnvSpec, TwoState, TwoStateGym
from logtrick.errors import EnvError, MissingExtraError, SpaceError, UnknownEnvError

CORE = [
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "TwoState-v0",
]


@pytest.mark.parametrize("name", CORE)
def test_a_bare_id_is_the_cores_device_environment_first(name):
    spec = envs.resolve(name)
    env = spec.build(16)
    assert (spec.id, spec.kind) == (name, "device")
    assert env.id == name
    assert (spec.observation_space, spec.action_space, spec.max_episode_steps) == (
        env.observation_space,
        env.action_space,
        env.max_episode_steps,
    )


def test_the_version_may_be_left_out():
    assert envs.resolve("CartPole").id == "CartPole-v1"
    newest = max(name for name in gymnasium.registry if name.startswith("Taxi-v"))
    assert envs.resolve("Taxi").id == f"gym:{newest}"


def test_then_gymnasium():
    spec = envs.resolve("FrozenLake-v1")
    assert (spec.id, spec.kind, spec.max_episode_steps) == ("gym:FrozenLake-v1", "host", 100)
    assert spec.observation_space == spaces.Discrete(16)
    assert spec.build(2).num_envs == 2


def test_a_prefix_picks_the_ecosystem():
    spec = envs.resolve("gym:CartPole-v1")
    assert (spec.id, spec.kind, spec.max_episode_steps) == ("gym:CartPole-v1", "host", 500)


def test_ids_make_the_same_environment_again():
    for name in ("CartPole", "Taxi", "gym:MountainCar-v0"):
        found = envs.resolve(name)
        assert envs.resolve(found.id).id == found.id


def test_resolving_builds_nothing_and_closes_what_it_looked_at():
    made = []

    class Seen(TwoStateGym):
        def __init__(self):
            super().__init__()
            made.append("open")

        def close(self):
            made.append("closed")

    envs.resolve(Seen)
    assert made == ["open", "closed"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CartPoel-v1", "Did you mean CartPole-v1"),
        ("cartpole", "Did you mean CartPole-v1"),
        ("gym:CartPoel-v1", r"Did you mean gym:CartPole-v1"),
        ("MountainCarContinous-v0", "Did you mean MountainCarContinuous-v0"),
        ("Breakout", "Did you mean gymnax:Breakout-MinAtar"),
        ("gymnax:Breakuot-MinAtar", "Did you mean gymnax:Breakout-MinAtar"),
        ("CartPole-v7", "Did you mean CartPole-v1"),
        ("ALE/Pong-v5", "Atari's games are called otherwise here: `logtrick train atari:pong`"),
        ("qqq", "^No environment is called 'qqq'. What another package.*`logtrick envs` lists"),
        ("", "No environment is called ''"),
        ("gym:Nope-v1", "^gym:Nope-v1: No environment is called 'Nope-v1'"),
        ("brux:ant", "'brux:ant': no ecosystem has this prefix.*There are gym:, gymnax:"),
        ("a_module:Env-v0", "and every module that registers environments with Gymnasium"),
        ("object:MyEnv", "only Python can make again"),
    ],
)
def test_unknown_ids_get_the_nearest_names(name, text):
    with pytest.raises(UnknownEnvError, match=text):
        envs.resolve(name)


def test_a_withdrawn_version_gets_the_newest():
    gymnasium.register("Renewed-v4", entry_point=TwoStateGym)
    try:
        text = r"withdrawn 'Renewed-v3'.*Renewed-v4.*Did you mean gym:Renewed-v4"
        with pytest.raises(UnknownEnvError, match=text):
            envs.resolve("Renewed-v3")
    finally:
        del gymnasium.registry["Renewed-v4"]


def test_an_id_imports_no_module():
    """Gymnasium would import what stands before a second colon; an id may come from a file."""
    sys.modules.pop("this", None)
    with pytest.raises(UnknownEnvError, match="names a module"):
        envs.resolve("gym:this:CartPole-v1")
    assert "this" not in sys.modules


def test_a_missing_dependency_gets_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.mujoco.mujoco_env", raising=False)
    with pytest.raises(MissingExtraError, match=r'pip install "gymnasium\[mujoco\]"'):
        envs.resolve("gym:Ant-v5")


def test_a_missing_extra_gets_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(MissingExtraError) as caught:
        envs.resolve("gymnax:Breakout-MinAtar")
    assert str(caught.value).endswith('Install it with: pip install "logtrick[gymnax]"')


def test_spaces_that_cannot_be_served():
    class Talks(TwoStateGym):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.Text(3)

    with pytest.raises(SpaceError, match="action space has the part Text"):
        envs.resolve(Talks)


def test_multi_discrete_actions_pass_through():
    class Pairs(TwoStateGym):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.MultiDiscrete([2, 3])

        def step(self, action):
            assert action.tolist() == [1, 2]
            return super().step(action[0])

    rows = envs.make(Pairs, 2)
    rows.reset(np.zeros(2, np.uint32), np.ones(2, bool))
    assert rows.step(np.array([[1, 2], [1, 2]])).obs[:, 1].all()


def test_objects():
    spec = envs.resolve(CartPole(gravity=1.6))
    assert spec.build(1) == CartPole(gravity=1.6)
    assert envs.resolve(spec) is spec
    for env, id, num_envs in (
        (TwoStateGym, "object:TwoStateGym", None),
        (TwoStateGym(), "object:TwoStateGym", 1),
        (lambda: TwoStateGym(TwoState(end_probability=0.5)), "object:lambda", None),
        (gymnasium.make("CartPole-v1"), "object:CartPoleEnv", 1),
        (gymnasium.make_vec("CartPole-v1", 3), "object:CartPoleVectorEnv", 3),
        (envs.make("gym:CartPole-v1", 2), "gym:CartPole-v1", 2),
    ):
        spec = envs.resolve(env)
        assert isinstance(spec, EnvSpec)
        assert (spec.id, spec.kind, spec.num_envs) == (id, "host", num_envs)


def test_time_limits_are_found():
    limited = gymnasium.wrappers.TimeLimit(TwoStateGym(), 7)
    wrapped = gymnasium.wrappers.NormalizeReward(limited)
    assert envs.resolve(limited).max_episode_steps == 7
    assert envs.resolve(wrapped).max_episode_steps == 7
    assert envs.resolve(TwoStateGym).max_episode_steps is None
    shorter = gymnasium.make("CartPole-v1", max_episode_steps=9)
    assert envs.resolve(shorter).max_episode_steps == 9


def test_a_specification_of_another_kind_says_nothing():
    vector = gymnasium.vector.SyncVectorEnv([TwoStateGym] * 2)
    vector.spec = object()  # as EnvPool's have
    assert envs.resolve(vector).max_episode_steps is None
    assert not envs.resolve(vector).build(2).replayable  # NEXT_STEP


def test_nondeterministic_environments_are_not_replayable():
    gymnasium.register("Chance-v0", entry_point=TwoStateGym, nondeterministic=True)
    try:
        assert not envs.make("gym:Chance-v0").replayable
    finally:
        del gymnasium.registry["Chance-v0"]
    assert envs.make("gym:CartPole-v1").replayable


def test_everything_listed_can_be_found():
    rows = envs.list_envs()
    assert [row.id for row in rows][: len(CORE)] == CORE
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        if row.id.startswith("gymnax:"):
            continue  # see test_gymnax
        if row.id == "mdp:puterman_two_state":
            continue  # see test_finite: a state lacks an action
        if row.install:
            with pytest.raises(MissingExtraError, match=r"gymnasium|logtrick|mujoco<3"):
                envs.resolve(row.id)
        else:
            spec = envs.resolve(row.id)
            assert (spec.id, spec.kind) == (row.id, row.kind)
            assert row.trainable in (None, True)


def test_listing_makes_nothing_and_loads_no_ecosystem():
    source = (
        "import sys, gymnasium\n"
        "def refuse(*args, **options): raise AssertionError('made')\n"
        "gymnasium.make = refuse\n"
        "from logtrick import envs\n"
        "rows = envs.list_envs()\n"
        "print(len(rows) > 60, sorted({'gymnax', 'flax', 'mujoco'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", source]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True []"


def test_what_is_no_environment():
    for thing in (None, 3, [CartPole()], CartPole):
        with pytest.raises(EnvError, match="is no environment"):
            envs.resolve(thing)
