"""ale-py's vector Atari behind the host protocol: replayable rows, and ends told apart."""

import numpy as np
import pytest

pytest.importorskip("ale_py", reason="an optional extra")

import logtrick as lt
from logtrick import envs
from logtrick.envs.adapters.atari import _Atari
from logtrick.envs.host.rows import VectorHostEnvs
from logtrick.errors import UnknownEnvError

N = 3


@pytest.mark.parametrize("name", ["pong", "Pong", "PONG"])
def test_what_is_found(name):
    spec = envs.resolve(f"atari:{name}")
    assert (spec.id, spec.max_episode_steps) == ("atari:pong", 27000)
    assert spec.observation_space.shape == (4, 84, 84)
    assert spec.action_space.n == 6


def test_names_of_two_words():
    assert envs.resolve("atari:MsPacman").id == envs.resolve("atari:ms_pacman").id
    with pytest.raises(UnknownEnvError, match=r"no game 'sequest'. Did you mean atari:seaquest"):
        envs.resolve("atari:sequest")


def test_check_env():
    report = lt.check_env("atari:breakout")
    assert "the same seed and actions give the same episode" in report.passed


def test_a_row_reset_on_command_plays_the_episode_of_its_seed():
    """Whatever the other rows and the past of its own were."""

    def episode(row_seeds, past):
        rng = np.random.default_rng(past)
        with VectorHostEnvs(_Atari("breakout", N), id="atari:breakout") as rows:
            rows.reset(np.array(row_seeds, np.uint32), np.ones(N, bool))
            for _ in range(past):
                step = rows.step(rng.integers(4, size=N))
                ended = step.terminated | step.truncated
                if ended.any():
                    rows.reset(rng.integers(2**32, size=N, dtype=np.uint32), ended)
            first = np.arange(N) == 0
            shown = [rows.reset(np.full(N, 9, np.uint32), first)[0]]
            for action in np.random.default_rng(0).integers(4, size=30):
                others = rng.integers(4, size=N)
                others[0] = action
                shown.append(rows.step(others).obs[0])
        return np.array(shown)

    assert np.array_equal(episode([1, 2, 3], 5), episode([7, 8, 9], 40))


def test_a_time_limit_truncates_and_a_lost_game_terminates():
    def ends(max_frames):
        vector = _Atari("breakout", N, max_frames)
        rng = np.random.default_rng(0)
        with VectorHostEnvs(vector, id="atari:breakout") as rows:
            rows.reset(np.arange(N, dtype=np.uint32), np.ones(N, bool))
            while True:
                step = rows.step(rng.integers(4, size=N))
                if step.terminated.any() or step.truncated.any():
                    return step

    cut, lost = ends(200), ends(100_000)
    assert cut.truncated.any()
    assert not cut.terminated.any()
    assert lost.terminated.any()
    assert not lost.truncated.any()
