"""Configurations: what they refuse, and that they survive a round trip."""

import dataclasses
import json

import numpy as np
import pytest

from logtrick.algorithms.configs import A2C, ALGORITHMS, PPO, REINFORCE, from_dict
from logtrick.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"gamma": 1.5}, r"gamma=1\.5; it must be in \[0, 1\]"),
        ({"gamma": "0.9"}, "gamma='0.9'; it must be a number"),
        ({"lambda_": -0.1}, "lambda_"),
        ({"num_envs": 0}, "num_envs=0; it must be greater than 0"),
        ({"num_envs": -4}, "num_envs=-4"),
        ({"num_envs": 2.5}, "a whole number"),
        ({"num_envs": True}, "a whole number"),
        ({"epochs": 2**31}, "below 2\\^31"),
        ({"num_steps": 0}, "num_steps=0"),
        ({"learning_rate": float("nan")}, "a finite number"),
        ({"learning_rate": 0.0}, "greater than 0"),
        ({"entropy_coef": -1.0}, "at least 0"),
        ({"psi": "advantage!"}, "one of 'total_return'"),
        ({"psi": "vtrace"}, "it must be another ψ: 'vtrace' is for actors that lag"),
        ({"weighting": "both"}, "'discounted'"),
        ({"hidden": (0,)}, "positive widths"),
        ({"hidden": 64}, "a tuple of whole numbers"),
        ({"minibatches": 3}, "3 minibatches do not divide the batch of 16 x 128 = 2048"),
        ({"num_steps": None}, "cannot be cut into 4 minibatches"),
        ({"num_envs": 1, "num_steps": 4}, "normalise='minibatch'; it must be 'none' or 'batch'"),
        (
            {"num_envs": 1, "num_steps": 1, "minibatches": 1, "normalise": "batch"},
            "normalise='batch'; it must be 'none'",
        ),
        ({"trunk": "shared", "psi": "reward_to_go"}, "has no critic"),
        ({"trunk": "shared", "hidden": ()}, "where hidden is empty"),
        ({"psi": "total_return", "weighting": "discounted"}, "normalise"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        PPO(**settings)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_round_trip_through_json(name):
    algorithm = dataclasses.replace(ALGORITHMS[name](), gamma=0.9, hidden=(8, 4))
    assert from_dict(json.loads(json.dumps(algorithm.to_dict()))) == algorithm


def test_unknown_names_and_fields_are_refused():
    with pytest.raises(ConfigError, match="No algorithm is called 'sarsa'"):
        from_dict({"name": "sarsa"})
    with pytest.raises(ConfigError, match="PPO has no setting 'momentum'"):
        from_dict({"name": "ppo", "momentum": 0.9})


def test_whole_numbers_serve_as_numbers():
    assert PPO(gamma=1).gamma == 1.0
    assert isinstance(PPO(gamma=1).gamma, float)


def test_numbers_of_numpy_are_numbers():
    settings = PPO(num_envs=np.int64(8), gamma=np.float32(0.5), hidden=(np.int32(4),))
    assert (settings.num_envs, settings.gamma, settings.hidden) == (8, 0.5, (4,))
    assert json.loads(json.dumps(settings.to_dict()))["num_envs"] == 8
    with pytest.raises(ConfigError, match="a whole number"):
        PPO(num_envs=np.float64(8.0))
    with pytest.raises(ConfigError, match="a number"):
        PPO(gamma=np.array([0.5]))


def test_numbers_are_told_from_shapes():
    floats = PPO().floats()
    assert {"gamma", "lambda_", "learning_rate", "clip_eps", "entropy_coef"} <= floats.keys()
    assert not floats.keys() & {"num_envs", "epochs", "psi", "hidden", "value_clip_eps"}
    assert "value_clip_eps" in PPO(value_clip_eps=0.2).floats()


def test_the_default_weighting_is_said_honestly():
    assert REINFORCE().weighting == "discounted"
    assert PPO().weighting == A2C().weighting == "undiscounted"
    assert "no function" in PPO().estimates
    assert all(cls.__doc__ and "Source" in cls.__doc__ for cls in ALGORITHMS.values())


def test_only_reinforce_plays_whole_episodes():
    assert REINFORCE().episodic
    assert not PPO().episodic
    assert not REINFORCE().has_critic
    assert REINFORCE(psi="baselined_return").has_critic
