"""EnvPool behind the host protocol: its spaces mended, its idle steps told, its seeds obeyed."""

import numpy as np
import pytest
from gymnasium import spaces

pytest.importorskip("envpool", reason="an optional extra")

import logtrick as lt
from logtrick import envs
from logtrick.algorithms import presets
from logtrick.errors import SpaceError, UnknownEnvError

N = 3
EVERY_ROW = np.ones(N, bool)


@pytest.mark.parametrize(
    ("task", "observation", "action", "limit"),
    [
        ("CartPole-v1", (4,), spaces.Discrete(2), 500),
        ("LunarLander-v3", (8,), spaces.Discrete(4), 1000),
        ("HalfCheetah-v5", (17,), spaces.Box(-1, 1, (6,), np.float64), 1000),
        ("CheetahRun-v1", (17,), spaces.Box(-1, 1, (6,), np.float64), 1000),
        ("WalkerWalk-v1", (24,), spaces.Box(-1, 1, (6,), np.float64), 1000),
        ("Pong-v5", (4, 84, 84), spaces.Discrete(6), 27000),
        ("FrozenLake-v1", (), spaces.Discrete(4), 100),
        ("Blackjack-v1", (3,), spaces.Discrete(2), None),
    ],
)
def test_what_is_found(task, observation, action, limit):
    spec = envs.resolve(f"envpool:{task}")
    assert (spec.id, spec.kind, spec.max_episode_steps) == (f"envpool:{task}", "host", limit)
    assert spec.observation_space.shape == observation
    assert spec.action_space.shape == action.shape
    assert type(spec.action_space) is type(action)


def test_bounds_that_mean_none_are_none():
    """EnvPool writes the least positive float where it means minus infinity."""
    space = envs.resolve("envpool:CheetahRun-v1").observation_space
    assert np.isneginf(space.low).all()
    assert np.isposinf(space.high).all()
    cart_pole = envs.resolve("envpool:CartPole-v1").observation_space
    assert cart_pole.low[0] == -cart_pole.high[0]
    assert np.isfinite(cart_pole.low[[0, 2]]).all()
    action = envs.resolve("envpool:D1Basic-v1").action_space
    assert np.isneginf(action.low).all()
    assert np.isposinf(action.high).all()


@pytest.mark.parametrize("task", ["CartPole-v1", "Hopper-v5", "CheetahRun-v1", "Taxi-v3"])
def test_check_env(task):
    assert lt.check_env(f"envpool:{task}").steps > 500


@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_a_dictionary_is_concatenated_in_its_order():
    envpool = pytest.importorskip("envpool")
    theirs = envpool.make_gymnasium("WalkerWalk-v1", num_envs=N, env_seed=[1, 2, 3])
    obs, _ = theirs.reset()
    with envs.make("envpool:WalkerWalk-v1", N) as ours:
        flat = ours.reset(np.array([2, 4, 6], np.uint32), EVERY_ROW)
    parts = obs["orientations"], obs["height"][:, None], obs["velocity"]
    assert np.array_equal(flat, np.concatenate(parts, axis=1))


def test_any_other_dictionary_keeps_its_parts():
    spec = envs.resolve("envpool:Game2048-v1")
    assert spec.observation_space["action_mask"].shape == (4,)
    with spec.build(N) as rows:
        obs = rows.reset(np.arange(N, dtype=np.uint32), EVERY_ROW)
        allowed = obs["action_mask"].argmax(axis=1)
        board = rows.step(allowed).obs["board"]
    assert board.shape == (N, 4, 4)
    assert not np.array_equal(board, obs["board"])


def test_one_seed_for_each_row():
    def first(seeds):
        with envs.make("envpool:CartPole-v1", N) as rows:
            return rows.reset(np.array(seeds, np.uint32), EVERY_ROW)

    a, b = first([8, 8, 2**32 - 1]), first([4, 8, 8])
    assert np.array_equal(a[0], a[1])
    assert np.array_equal(a[0], b[1])
    assert not np.array_equal(a[0], b[0])
    assert not envs.make("envpool:CartPole-v1", N).replayable


def test_what_is_refused():
    with pytest.raises(UnknownEnvError, match=r"no environment 'Hoper-v5'. .*envpool:Hopper-v5"):
        envs.resolve("envpool:Hoper-v5")


@pytest.mark.filterwarnings("ignore:.*precision lowered")  # EnvPool's own, asked for here
def test_several_players_are_refused(monkeypatch):
    import envpool

    spec = envpool.make_spec("CartPole-v1")
    several = spec.config._replace(max_num_players=2)

    class Two:
        config = several
        gymnasium_observation_space = spec.gymnasium_observation_space
        gymnasium_action_space = spec.gymnasium_action_space

    monkeypatch.setattr(envpool, "make_spec", lambda name: Two)
    with pytest.raises(SpaceError, match="it has 2 players; one is served here"):
        envs.resolve("envpool:CartPole-v1")


FAMILIES = {"mujoco.gym": 33, "mujoco.dmc": 51, "atari": 104, "box2d": 8}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_task_of_a_family_has_its_preset(family):
    from envpool.registration import registry

    tasks = [name for name, spec in registry.specs.items() if spec[0] == f"envpool.{family}"]
    assert len(tasks) >= FAMILIES[family]
    found = [presets.preset(f"envpool:{name}", "ppo").algorithm for name in tasks]
    assert lt.PPO() not in found
    if family != "box2d":
        assert all(settings == found[0] for settings in found)


def test_a_policy_is_evaluated_on_it(tmp_path):
    """While it is trained and after: more episodes than there are rows, whole ones only."""
    settings = lt.REINFORCE(num_envs=4)
    evaluation = lt.Evaluation(every=400, episodes=20)
    run = lt.train("envpool:CartPole-v1", settings, steps=800, out=tmp_path, evaluation=evaluation)
    assert len(run.evaluations) >= 2
    scores = run.evaluate(20)
    assert np.array_equal(scores.returns, scores.lengths)
    assert scores.returns.min() >= 8
    assert np.array_equal(run.evaluate(4).returns, run.evaluate(4).returns)


def test_whole_numbers_are_learned_from(tmp_path):
    run = lt.train("envpool:FrozenLake-v1", steps=60_000, out=tmp_path)
    assert run.final_returns.mean() > 0.1  # a random policy's is 0.013


def test_a_policy_is_trained_on_it(tmp_path):
    settings = lt.PPO(num_envs=8, num_steps=64)
    run = lt.train("envpool:CartPole-v1", settings, steps=20_000, out=tmp_path)
    assert run.final_returns.mean() > 60  # a random policy's is 22
