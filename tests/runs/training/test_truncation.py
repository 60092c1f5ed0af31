"""A time limit is not an end: the learned V meets the known V, and would not if it were one."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

import logtrick as lt
from logtrick.envs.twostate import TwoState, TwoStateGym

ALGORITHM = lt.PPO(
    num_envs=16, num_steps=8, epochs=4, minibatches=1, gamma=0.5, learning_rate=2e-2, hidden=(8,)
)


@dataclasses.dataclass(frozen=True)
class CutIsEnd(TwoState):
    """The planted fault: truncation reported as termination."""

    id: ClassVar[str] = "CutIsEnd-v0"

    def step(self, key, state, action):
        step = super().step(key, state, action)
        return step._replace(
            terminated=step.terminated | step.truncated, truncated=step.truncated & False
        )


def learned_values(env, tmp_path, **settings):
    algorithm = dataclasses.replace(ALGORITHM, **settings)
    run = lt.train(env, algorithm, steps=25_600, out=tmp_path, progress=False)
    model = run.models[0]
    spec = run.env_spec(env)
    observations = [0, 1] if not spec.observation_space.shape else np.eye(2, dtype=np.float32)
    return np.array([float(model.state_value(np.asarray(obs))) for obs in observations])


@pytest.mark.parametrize("env", [TwoState(), TwoStateGym], ids=["device", "host"])
@pytest.mark.parametrize("lambda_", [0.0, 0.95])
def test_the_learned_value_is_the_known_one(env, lambda_, tmp_path):
    values = learned_values(env, tmp_path, lambda_=lambda_)
    np.testing.assert_allclose(values, TwoState().values, atol=0.05)


def test_a_cut_taken_for_an_end_is_found_out(tmp_path):
    values = learned_values(CutIsEnd(), tmp_path)
    assert np.max(np.abs(values - TwoState().values)) > 0.5
