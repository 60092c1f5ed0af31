"""Films: the frames are the episode's, drawn from the states that the policy reached."""

import io
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

import logtrick as lt
from logtrick import errors
from logtrick.algorithms.models import build_model
from logtrick.envs import resolve
from logtrick.rollouts import filming
from logtrick.rollouts.filming import CELL, Film, film
from small_runs import SMALL


def trained(out, env, **more):
    return lt.train(env, SMALL, steps=128, out=out, progress=False, **more)


@pytest.mark.parametrize(
    "env",
    ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"],
)
def test_the_core_is_drawn_as_gymnasium_draws_the_same_states(env):
    """The same actions in Gymnasium from the same start, drawn there."""
    spec = resolve(env)
    model = build_model(SMALL, spec.observation_space, spec.action_space, seed=0)
    found = film(model, spec, seed=3, max_steps=4)
    device = spec.build(1)
    moments, total = filming._play(device, model, 3, True, 4)
    twin = gymnasium.make(env, render_mode="rgb_array")
    twin.reset()
    twin.unwrapped.state = np.array(filming._STATES[env](moments[0].state), np.float64)
    for frame, moment in zip(found.frames[1:], moments[1:], strict=True):
        action = moment.action
        if isinstance(spec.action_space, spaces.Box):
            action = np.clip(action, spec.action_space.low, spec.action_space.high)
        twin.step(action)
        # float32 against float64 may move an edge by a pixel.
        assert np.mean(frame != twin.render()) < 0.01
    assert found.episode_return == pytest.approx(total)
    assert np.any(found.frames[0] != found.frames[-1])
    twin.close()


def test_a_host_episode_is_that_of_an_evaluation(tmp_path):
    run = trained(tmp_path, "gym:CartPole-v1")
    found = run.film(seed=5)
    scores = run.evaluate(1, seed=5, greedy=True)
    assert len(found.frames) == scores.lengths[0, 0] + 1
    assert found.episode_return == scores.returns[0, 0]
    gif = Image.open(io.BytesIO(found.gif()))
    assert gif.size == found.frames.shape[2:0:-1]
    assert gif.n_frames > 1
    found.save(tmp_path / "frames")
    assert len(list((tmp_path / "frames").glob("*.png"))) == len(found.frames)
    report = run.report(video=True).read_text()
    assert "data:image/gif;base64," in report
    assert "img-src data:" in report


def test_a_grid_shows_where_the_agent_is(tmp_path):
    run = trained(tmp_path, "mdp:frozen_lake")
    found = run.film(max_steps=5)
    assert found.frames.shape[1:] == (4 * CELL, 4 * CELL, 3)
    middle = found.frames[0, CELL // 2, CELL // 2]  # the start is the first cell
    assert np.any(middle != found.frames[0, CELL // 2, CELL + CELL // 2])


class Painted(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode=None, size=8):
        self.render_mode, self.size = render_mode, size

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(1, np.float32), 1.0, self.t == 3, False, {}

    def render(self):
        return np.full((self.size, self.size, 3), 60 * self.t, np.uint8) if self.size else None


def test_a_users_class_is_drawn_by_itself(tmp_path):
    run = trained(tmp_path, Painted)
    found = run.film(env=Painted, max_steps=9)
    assert found.frames[:, 0, 0, 0].tolist() == [0, 60, 120, 180]


def test_frames_of_two_films_do_not_mix(tmp_path):
    longer, shorter = (Film(np.zeros((n, 1, 1, 3), np.uint8), 0.0, 30) for n in (3, 2))
    longer.save(tmp_path / "frames")
    longer.save(tmp_path / "frames")
    with pytest.raises(errors.RunError, match="holds the frames of a longer film"):
        shorter.save(tmp_path / "frames")
    shorter.save(tmp_path / "others")
    assert len(list((tmp_path / "others").iterdir())) == 2


def test_what_cannot_be_drawn_says_so(tmp_path, monkeypatch):
    run = trained(tmp_path, "TwoState-v0")
    with pytest.raises(errors.EnvError, match="cannot be drawn"):
        run.film()
    blank = lambda render_mode=None: Painted(render_mode, size=0)  # noqa: E731
    run = trained(tmp_path, Painted)
    with pytest.raises(errors.EnvError, match="no picture"):
        film(run.models[0], resolve(Painted), max_steps=9, env=blank)
    monkeypatch.setitem(sys.modules, "pygame", None)
    run = trained(tmp_path, "CartPole-v1")
    with pytest.raises(errors.MissingExtraError, match=r'"logtrick\[watch\]"'):
        run.film()
