"""Evaluation while a run is trained: it changes nothing, resumes exactly, keeps the best, stops."""

import dataclasses

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import logtrick as lt
from logtrick import envs, errors
from logtrick.algorithms.models import build_model
from logtrick.rollouts.evaluation import evaluate
from logtrick.runs.training.interruption import Interrupted
from small_runs import SMALL, digest, interrupt_at

NORMALISED = dataclasses.replace(SMALL, observations="normalised", rewards="normalised")
EVERY = lt.Evaluation(every=512, episodes=3)


class Bandit(gymnasium.Env):
    """One step; action 1 pays 1, action 0 pays 0. `broken` makes a reset fail once it is set."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)
    broken = False

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if Bandit.broken:
            raise FileNotFoundError("level.json")
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), float(action), True, False, {}


class Draw(Bandit):
    """One step that pays what the reset drew."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.drawn = float(self.np_random.normal())
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), self.drawn, True, False, {}


def untrained(spec):
    return build_model(SMALL, spec.observation_space, spec.action_space, 0)


def bandit():
    return gymnasium.wrappers.TimeLimit(Bandit(), 5)


def train(out, env="CartPole-v1", algorithm=SMALL, **more):
    settings = {"steps": 2048, "seed": 1, "progress": False} | more
    return lt.train(env, algorithm, out=out, **settings)


@pytest.mark.parametrize(
    ("env", "algorithm"),
    [
        ("Pendulum-v1", NORMALISED),
        ("gym:Pendulum-v1", NORMALISED),
        ("CartPole-v1", lt.REINFORCE(num_envs=4, hidden=(8,))),
    ],
)
def test_training_is_the_same_with_and_without(env, algorithm, tmp_path):
    arguments = {"env": env, "algorithm": algorithm, "steps": 1024, "seeds": 2}
    without = digest(train(tmp_path / "a", **arguments))
    evaluated = train(tmp_path / "b", **arguments, evaluation=EVERY)
    log, arrays = digest(evaluated)
    assert log == without[0]
    assert {k: v for k, v in arrays.items() if not k.startswith("best/")} == without[1]
    assert evaluated.evaluations


def test_evaluations_come_when_they_are_due_and_at_the_end(tmp_path):
    run = train(tmp_path, steps=1800, evaluation=lt.Evaluation(every=300, episodes=3), seeds=2)
    rows = run.evaluations
    # An update is 128 steps: the first ones that reach 300, 600, 900, 1200, 1500 and 1800.
    reached = [384, 640, 1024, 1280, 1536, 1920]
    assert [(row["seed"], row["steps"]) for row in rows[::2]] == [(1, n) for n in reached]
    assert {row["seed"] for row in rows} == {1, 2}
    for row in rows:
        assert len(row["returns"]) == 3
        assert row["return"] == pytest.approx(np.mean(row["returns"]))
    assert rows[0]["returns"] != rows[2]["returns"]  # fresh episodes each time


def test_a_finished_run_plays_no_evaluation_again(tmp_path):
    run = train(tmp_path, bandit, steps=256, evaluation=lt.Evaluation(every=128, episodes=2))
    assert [
        row["update"] for row in lt.resume(run.path, env=bandit, progress=False).evaluations
    ] == [1, 2]


def test_whole_episodes_end_where_they_end_and_none_is_passed(tmp_path):
    algorithm = lt.REINFORCE(num_envs=4, hidden=(8,))
    run = train(tmp_path, algorithm=algorithm, steps=3000, evaluation=EVERY)
    crossed = [
        after["update"]
        for before, after in zip([{"steps": 0}, *run.metrics], run.metrics, strict=False)
        if after["steps"] // 512 > before["steps"] // 512 or after["steps"] >= 3000
    ]
    assert [row["update"] for row in run.evaluations] == crossed


def test_greedy_or_sampled(tmp_path):
    for greedy, returns in ((True, 1), (False, 2)):  # always the same one, or 0 and 1
        evaluation = lt.Evaluation(every=128, episodes=40, greedy=greedy)
        run = train(tmp_path, bandit, steps=128, evaluation=evaluation)
        assert len(set(run.evaluations[0]["returns"])) == returns


def test_environments_that_reset_themselves_are_evaluated_as_others_are(tmp_path):
    """Two rounds of two episodes, for two models: every mode plays the same episodes."""
    models = [train(tmp_path, steps=256, seed=seed).models[0] for seed in (1, 2)]

    def returns(mode):
        makers = [lambda: gymnasium.make("CartPole-v1", max_episode_steps=20)] * 2
        vector = gymnasium.vector.SyncVectorEnv(makers, autoreset_mode=mode)
        return evaluate(models, envs.resolve(vector), 4, max_steps=20)[0]

    own = returns(AutoresetMode.DISABLED)
    assert len(np.unique(own)) > 1
    assert np.array_equal(returns(AutoresetMode.NEXT_STEP), own)
    assert np.array_equal(returns(AutoresetMode.SAME_STEP), own)


@pytest.mark.parametrize("env", ["CartPole-v1", "gym:CartPole-v1"])
def test_interrupted_and_resumed_evaluates_the_same(env, tmp_path):
    whole = train(tmp_path / "a", env, steps=4096, evaluation=EVERY)
    for visit in (1, 3):
        out = tmp_path / f"b{visit}"
        with pytest.raises(Interrupted):
            train(out, env, steps=4096, evaluation=EVERY, progress=interrupt_at(visit))
        (path,) = out.iterdir()
        resumed = lt.resume(path, progress=False)
        assert digest(resumed) == digest(whole)
        for name in ("evaluations.jsonl", "best_policy.safetensors"):
            assert (path / name).read_bytes() == (whole.path / name).read_bytes()


def test_the_best_policies_are_kept_seed_by_seed(tmp_path):
    run = train(tmp_path, steps=4096, seeds=3, evaluation=EVERY)
    rows = run.evaluations
    for s in range(3):
        mine = [row for row in rows if row["seed"] == 1 + s]
        best = max(mine, key=lambda row: row["return"])
        # The policy at that update, from a run that ends there.
        again = train(
            tmp_path / str(s),
            steps=4096,
            seeds=3,
            evaluation=EVERY,
            callbacks=[lambda v, u=best["update"]: v.rows[-1]["update"] == u and v.stop()],
        )
        for kept, then in zip(
            jax.tree.leaves(run.best_models[s]), jax.tree.leaves(again.models[s]), strict=True
        ):
            np.testing.assert_array_equal(kept, then)
    assert np.isfinite(run.evaluate(2, policy="best").mean)


def test_a_run_stops_at_its_score_and_stays_stopped(tmp_path):
    algorithm = dataclasses.replace(SMALL, learning_rate=1e-2)
    evaluation = lt.Evaluation(every=256, episodes=20, stop_at=1.0)
    run = train(tmp_path, bandit, algorithm, steps=100_000, evaluation=evaluation)
    last = run.metrics[-1]["steps"]
    assert last < 20_000
    assert run.evaluations[-1]["return"] == 1.0
    assert all(row["return"] < 1.0 for row in run.evaluations[:-1])
    assert run.stopped_early
    before = digest(run)
    assert digest(lt.resume(run.path, env=bandit, progress=False)) == before


def test_a_failing_evaluation_loses_nothing(tmp_path, monkeypatch):
    whole = train(tmp_path / "a", bandit, steps=1024, evaluation=EVERY)

    def break_it(visit):
        if visit.rows[-1]["update"] >= 5:
            monkeypatch.setattr(Bandit, "broken", True)

    # The rows of training are in the middle of nothing: episodes are one step long.
    with pytest.raises(errors.EnvError, match=r"level\.json"):
        train(tmp_path / "b", bandit, steps=1024, evaluation=EVERY, callbacks=[break_it])
    monkeypatch.undo()
    (path,) = (tmp_path / "b").iterdir()
    assert digest(lt.resume(path, env=bandit, progress=False)) == digest(whole)


def test_a_run_without_evaluations_says_how_to_have_them(tmp_path):
    run = train(tmp_path, steps=128)
    assert run.evaluations == []
    with pytest.raises(errors.RunError, match="--eval-every"):
        run.evaluate(2, policy="best")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"every": 0}, "every=0"),
        ({"every": 10, "episodes": 0}, "episodes=0"),
        ({"every": 10, "stop_at": float("nan")}, "stop_at=nan"),
    ],
)
def test_evaluations_that_cannot_be_meant(settings, match):
    with pytest.raises(errors.ConfigError, match=match):
        lt.Evaluation(**settings)


def test_environments_that_cannot_be_evaluated_are_refused_at_once(tmp_path):
    with pytest.raises(errors.ConfigError, match="a function that makes one"):
        train(tmp_path / "out", Bandit(), dataclasses.replace(SMALL, num_envs=1), evaluation=EVERY)

    class Endless(Bandit):
        def step(self, action):
            return np.zeros(1, np.float32), 0.0, False, False, {}

    with pytest.raises(errors.ConfigError, match="no time limit"):
        train(tmp_path / "out", Endless, evaluation=EVERY)
    assert not (tmp_path / "out").exists()
    evaluation = dataclasses.replace(EVERY, max_steps=7)
    assert train(tmp_path, Endless, evaluation=evaluation).evaluations[0]["length"] == 7


def test_an_evaluation_is_of_whole_episodes():
    """CartPole pays 1 a step, so a return is a length: nothing counts that follows the end."""
    spec = envs.resolve("CartPole-v1")
    returns, lengths = evaluate([untrained(spec)], spec, 8)
    np.testing.assert_array_equal(returns, lengths)
    assert len(np.unique(lengths)) > 1
    assert lengths.max() < 500


def test_rounds_of_episodes_have_noise_of_their_own():
    """One row plays 40 rounds of one step; that all take the same action has a chance of 2⁻³⁹."""
    spec = envs.resolve(bandit())
    returns, _ = evaluate([untrained(spec)], spec, 40)
    assert set(returns.ravel().tolist()) == {0.0, 1.0}


def test_evaluations_play_episodes_of_their_own(tmp_path):
    """The return is drawn at the reset, whatever the policy does."""

    def draw():
        return gymnasium.wrappers.TimeLimit(Draw(), 5)

    run = train(tmp_path, draw, steps=512, evaluation=lt.Evaluation(every=128, episodes=3))
    drawn = [value for row in run.evaluations for value in row["returns"]]
    assert len(drawn) == 12
    assert len(set(drawn)) == 12
