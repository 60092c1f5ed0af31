"""A Normal policy starts in the middle of a Box of actions, at its scale."""

import dataclasses
import json

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

import logtrick as lt
from logtrick import errors
from logtrick.policies import MLPPolicy, RecurrentPolicy, SharedActorCritic
from logtrick.policies.box_scale import place, where_it_starts
from small_runs import SMALL, Watcher

OBS = spaces.Box(-1, 1, (3,))
FAR, INF = spaces.Box(0, 1000, (1,)), np.inf


def started(actions, **given):
    return MLPPolicy(OBS, actions, hidden=(), **given)(np.zeros(3))


@pytest.mark.parametrize("h", [0.1, 0.4, 1, 2, 3, 10, [0.4, 3.0]])
def test_intervals_about_0_and_near_1_are_left_as_they_are(h):
    """MuJoCo's, Pendulum's: published scores belong to what was trained there."""
    high = np.asarray(h, np.float32) * np.ones(2, np.float32)
    for make in (MLPPolicy, SharedActorCritic):
        model = make(OBS, spaces.Box(-high, high))
        assert model.head.place is None
    model = MLPPolicy(OBS, spaces.Box(-high, high), key=3)
    outputs = model.network(np.ones(3))
    normal = model(np.ones(3))
    np.testing.assert_array_equal(normal.mean, outputs)
    np.testing.assert_array_equal(normal.log_std, [0, 0])


@pytest.mark.parametrize(
    ("low", "high", "middle", "scale"),
    [
        (0, 1000, 500, 500),
        (0, 1, 0.5, 0.5),
        (-0.05, 0.05, 0, 0.05),
        (-11, 11, 0, 11),
        (20, 30, 25, 5),
        (-4, 1, -1.5, 2.5),
        # What is no interval says nothing.
        (-INF, INF, 0, 1),
        (0, INF, 0, 1),
        (-3e38, 3e38, 0, 1),
        (7, 7, 0, 1),
    ],
)
@pytest.mark.parametrize("make", [MLPPolicy, RecurrentPolicy])
def test_the_first_policy_is_in_the_middle_at_the_scale_of_its_box(make, low, high, middle, scale):
    policy = make(OBS, spaces.Box(low, high, (1,)))
    if make is MLPPolicy:
        normal = policy(np.zeros(3))
    else:
        normal, _ = policy(np.zeros(3), policy.initial_carry())
    np.testing.assert_allclose(normal.mean, [middle], rtol=1e-6)
    np.testing.assert_allclose(np.exp(normal.log_std), [scale], rtol=1e-6)


def test_each_coordinate_has_its_own():
    low, high = (
        np.array([[-1, 0], [0, -INF]], np.float32),
        np.array([[1, 1000], [1, 5]], np.float32),
    )
    normal = started(spaces.Box(low, high)).flat
    np.testing.assert_allclose(normal.mean, [0, 500, 0.5, 0])
    np.testing.assert_allclose(np.exp(normal.log_std), [1, 500, 0.5, 1], rtol=1e-6)
    both = started(spaces.Dict({"a": spaces.Box(0, 1000, (1,)), "b": spaces.Discrete(2)}))
    np.testing.assert_allclose(both.parts["a"].mean, [500])


def test_its_density_is_the_exact_one_of_the_action():
    with jax.enable_x64(True):
        policy = MLPPolicy(OBS, spaces.Box(0, 1000, (1,)), hidden=(), key=1)
        policy = jax.tree.map(lambda x: x.astype(np.float64), policy)
        z = float(policy.network(np.ones(3))[0])
        normal = policy(np.ones(3))
        actions = np.linspace(-3000, 4000, 2001)
        found = np.array([normal.log_prob(jnp.asarray([a])) for a in actions[::100]])
        true = stats.norm(500 + 500 * z, 500)
        np.testing.assert_allclose(found, true.logpdf(actions[::100]), rtol=1e-12)
        assert float(normal.entropy()) == pytest.approx(true.entropy(), rel=1e-12)


def test_a_divergence_does_not_change_with_the_unit():
    pairs = [
        [MLPPolicy(OBS, FAR, hidden=(), key=key, action_scale=scale)(np.ones(3)) for key in (1, 2)]
        for scale in ("box", "raw")
    ]
    ours, raw = (float(one.kl(other)) for one, other in pairs)
    assert ours == pytest.approx(raw, rel=1e-3)
    assert raw > 0


class Far(gymnasium.Env):
    """Pays most for 700; ten steps."""

    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Box(0, 1000, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return (
            np.zeros(1, np.float32),
            -abs(float(action[0]) - 700) / 100,
            False,
            self.steps == 10,
            {},
        )


def rescaled():
    return gymnasium.wrappers.RescaleAction(Far(), np.float32(-1), np.float32(1))


SETTINGS = lt.PPO(
    num_envs=8, num_steps=32, minibatches=2, hidden=(8,), entropy_coef=0.0, learning_rate=1e-2
)


def trained(env, out, settings=SETTINGS, steps=6000, **more):
    return lt.train(env, settings, steps=steps, out=out, progress=False, **more)


def test_training_is_that_of_the_actions_in_units_of_the_box(tmp_path):
    """The same random numbers, the same updates: only the unit of the action differs."""
    ours, theirs = trained(Far, tmp_path, steps=768), trained(rescaled, tmp_path, steps=768)
    for found, expected in zip(ours.metrics, theirs.metrics, strict=True):
        for name in ("episode_return", "approx_kl", "value_loss", "policy_loss"):
            assert found[name] == pytest.approx(expected[name], rel=2e-2, abs=1e-4), name
        assert found["entropy"] - expected["entropy"] == pytest.approx(np.log(500), rel=1e-4)


def test_what_is_far_from_0_is_learned(tmp_path):
    """Action 0 pays −70, which is where a Normal of 0 ± 1 stays."""
    run = trained(Far, tmp_path)
    assert run.evaluate(2, env=Far, greedy=True, max_steps=10).mean > -15
    raw = trained(Far, tmp_path, dataclasses.replace(SETTINGS, action_scale="raw"))
    assert raw.evaluate(2, env=Far, greedy=True, max_steps=10).mean < -69


def test_a_run_from_before_the_setting_stays_as_it_was_trained(tmp_path):
    run = trained(Far, tmp_path, steps=256)
    before = run.policy(np.zeros(1)).mean
    told = json.loads((run.path / "config.json").read_text())
    assert told["algorithm"].pop("action_scale") == "box"
    (run.path / "config.json").write_text(json.dumps(told))
    old = lt.load(run.path)
    assert old.config.algorithm.action_scale == "raw"
    np.testing.assert_allclose(500 + 500 * old.policy(np.zeros(1)).mean, before, rtol=1e-5)


def test_an_exported_policy_acts_in_the_box(tmp_path):
    run = trained(Far, tmp_path, steps=256)
    folder = run.export(tmp_path / "exported")
    policy = jax.export.deserialize(bytearray((folder / "policy.jaxexport").read_bytes()))
    normal = run.policy(np.zeros(1))
    out = policy.call(np.zeros((2, 1), np.float32))
    np.testing.assert_allclose(out["action"][0], normal.mode, rtol=1e-5)
    np.testing.assert_allclose(out["parameters"]["log_std"][0], normal.log_std, rtol=1e-5)


# --- what is said -------------------------------------------------------------------------------


class Odd(Far):
    """Far from 1 in all that it says."""

    observation_space = spaces.Box(-1e6, 1e6, (1,))

    def step(self, action):
        return np.full(1, 5e5, np.float32), 1e4, *super().step(action)[2:]


def test_check_env_warns_of_units():
    (of_actions,) = lt.check_env(Far, steps=40).warnings
    assert "coordinate 0 goes from 0 to 1000" in of_actions
    assert "500 ± 500" in of_actions
    warned = lt.check_env(Odd, steps=40).warnings
    assert [words.partition(":")[0] for words in warned] == ["actions", "observations", "rewards"]
    assert lt.check_env("Pendulum-v1", steps=40).warnings == ()
    assert lt.check_env(rescaled, steps=40).warnings == ()


@pytest.mark.parametrize("high", [INF, 3e38])
def test_actions_without_bounds_are_told_when_they_are_trained(tmp_path, high):
    class Unbounded(Far):
        action_space = spaces.Box(-high, high, (1,))

    watcher = Watcher()
    lt.train(Unbounded, SMALL, steps=128, out=tmp_path, progress=watcher)
    (note,) = watcher.notes
    assert "a Normal policy starts there at 0 with standard deviation 1" in note
    assert lt.check_env(Unbounded, steps=40).warnings[0].startswith("actions: coordinate 0 goes")
    watcher = Watcher()
    lt.train(Far, SMALL, steps=128, out=tmp_path, progress=watcher)
    assert not watcher.notes


def test_a_point_is_no_interval_and_needs_no_words():
    assert where_it_starts(spaces.Box(7, 7, (1,))) == ""
    assert place(spaces.Box(7, 7, (1,))) is None


def test_another_scale_is_refused():
    with pytest.raises(errors.ConfigError, match="action_scale='unit'"):
        lt.PPO(action_scale="unit")
    with pytest.raises(errors.ConfigError, match="action_scale='unit'"):
        MLPPolicy(OBS, FAR, action_scale="unit")
