"""Settings under the names that they have elsewhere: an error that names ours, and it works."""

import copy
import dataclasses
import pickle
import re

import equinox as eqx
import jax
import numpy as np
import pytest
from gymnasium import spaces

import logtrick as lt
from logtrick.algorithms import elsewhere
from logtrick.algorithms.configs import ALGORITHMS
from logtrick.commands.cli import main
from logtrick.errors import ConfigError, ShapeError
from logtrick.policies import MLPPolicy, RecurrentPolicy
from small_runs import SMALL

FIELDS = {f.name for cls in ALGORITHMS.values() for f in dataclasses.fields(cls)}
# The names in the signatures of Stable-Baselines3's PPO and A2C and of CleanRL's ppo.py, but for
# those that are ours too, and those of logging and devices.
STABLE_BASELINES3 = {
    "n_steps": "num_steps", "batch_size": "minibatches", "n_epochs": "epochs",
    "gae_lambda": "lambda_", "clip_range": "clip_eps", "clip_range_vf": "value_clip_eps",
    "normalize_advantage": "normalise", "ent_coef": "entropy_coef", "vf_coef": "value_coef",
    "policy_kwargs": "hidden", "rms_prop_eps": "optimizer_eps", "use_rms_prop": "optimizer",
    "tensorboard_log": "tensorboard", "verbose": "progress", "total_timesteps": "steps",
    "n_envs": "num_envs",
}  # fmt: skip
CLEANRL = {
    "total_timesteps": "steps", "anneal_lr": "schedule", "gae_lambda": "lambda_",
    "num_minibatches": "minibatches", "update_epochs": "epochs", "norm_adv": "normalise",
    "clip_coef": "clip_eps", "clip_vloss": "value_clip_eps", "ent_coef": "entropy_coef",
    "vf_coef": "value_coef", "env_id": "env",
}  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), (STABLE_BASELINES3 | CLEANRL).items())
def test_a_name_from_elsewhere_leads_to_ours(theirs, ours):
    for name in (theirs, theirs.upper()):
        with pytest.raises(ConfigError, match=rf"PPO has no setting '{name}'. Here it is {ours}\b"):
            lt.PPO(**{name: 1})
    with pytest.raises(ConfigError, match=rf"lt.train has no setting '{theirs}'.* {ours}\b"):
        lt.train("CartPole-v1", **{theirs: 1})


def test_every_name_in_the_tables_is_one_of_ours_and_none_is_ours_already():
    train = set(elsewhere.inspect.signature(lt.train).parameters)
    for table, known in (
        (elsewhere._OF_ALGORITHMS, FIELDS),
        (elsewhere._OF_TRAINING, train),
        (elsewhere._OF_EVALUATIONS, {f.name for f in dataclasses.fields(lt.Evaluation)}),
    ):
        for theirs, words in table.items():
            assert re.split(r"[ =]", words)[0] in known, theirs
            assert theirs not in known


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lt.PPO(gama=0.9), r"Did you mean gamma\?"),
        (lambda: lt.PPO(1e-3), r"takes its settings by name, such as PPO\(gamma=0.99\); 0.001"),
        (lambda: lt.PPO(max_kl=0.1), r"setting of an algorithm: lt.train\(env, lt.NPG\(max_kl"),
        (lambda: lt.PPO(seed=1), r"Here it is seed, an argument of lt.train"),
        (lambda: lt.GRPO(num_generations=4), "Here it is group_size"),
        (lambda: dataclasses.replace(lt.PPO(), n_steps=3), "Here it is num_steps"),
        (lambda: lt.Evaluation(eval_freq=3), "Evaluation has no setting .* Here it is every"),
        (lambda: lt.sweep("CartPole-v1", None, {"ent_coef": [1]}), "Here it is entropy_coef"),
        (lambda: lt.sweep("CartPole-v1", None, {"gamma": [1]}, total_timesteps=3), "is steps"),
        (lambda: lt.resume("runs/x", total_timesteps=3), "lt.resume has no setting"),
        (lambda: lt.train("CartPole-v1", eval_freq=3), r"evaluation=lt.Evaluation\(every=…\)"),
    ],
)
def test_a_setting_that_is_none_is_refused_by_name(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train CartPole-v1 --total-timesteps=3", "--total-timesteps. Here it is --steps."),
        ("train CartPole-v1 --ent-coef 0.1", "--ent-coef. Here it is --entropy-coef."),
        ("train CartPole-v1 --gae_lambda 0.1", "--gae_lambda. Here it is --lambda."),
        ("train CartPole-v1 --eval-freq 10", "--eval-freq. Here it is --eval-every."),
        ("train CartPole-v1 --algo grpo --num-generations 2", "Here it is --group-size."),
        ("sweep CartPole-v1 --total-timesteps 3", "Here it is --steps."),
        ("sweep CartPole-v1 --set lr=1,2", "Here it is learning_rate."),
    ],
)
def test_a_flag_from_elsewhere_leads_to_ours(line, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_settings_can_be_copied_as_before():
    settings = lt.PPO(gamma=0.9)
    for same in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert same == settings


# --- policies of other libraries ----------------------------------------------------------------


def other(library):
    """An instance of a class of this library, as far as its name tells."""
    cls = type("Net", (), {"__module__": f"{library}.nn.modules", "__call__": lambda s, x: x})
    return type("Mine", (cls,), {"__module__": "__main__"})()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (other("torch"), "policy=Mine belongs to torch, .* Equinox .*from_torch"),
        (other("flax"), "policy=Mine belongs to flax, .* Equinox"),
        (lambda o, a, s: other("torch"), "policy=Mine belongs to torch"),
        ("MlpPolicy", "policy='MlpPolicy' is a name, .* lt.PPO"),
        ([1.0], r"policy=\[1.0\] cannot be called on an observation"),
        ({"a": np.ones(3)}, "cannot be called on an observation"),
        (lambda o, a, s: None, "policy=None cannot be called"),
        (eqx.nn.Linear, "Pass a module, or a function"),
    ],
)
def test_what_is_no_policy_gets_a_sentence(policy, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        lt.train("CartPole-v1", SMALL, steps=128, policy=policy, out=tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


# --- what a policy is called on -----------------------------------------------------------------

BOX = spaces.Box(-1, 1, (4,))
IMAGE = spaces.Box(0, 255, (10, 10, 3), np.uint8)
DICT = spaces.Dict({"a": BOX, "b": spaces.Discrete(3)})


@pytest.mark.parametrize(
    ("space", "obs", "said"),
    [
        (BOX, [0.0, 0.0, 0.0, 0.0], r"a list, .* an array of shape \(4,\): numpy.asarray"),
        (BOX, [np.zeros(4)] * 3, "a list, .* numpy.asarray"),
        (BOX, (0.0,) * 4, "a tuple"),
        (BOX, np.zeros((5, 4)), r"of shape \(5, 4\), .* jax.vmap\(policy\)\(observations\)"),
        (BOX, np.zeros((1, 4)), r"of shape \(1, 4\), .* jax.vmap"),
        (BOX, np.zeros((2, 2)), r"of shape \(2, 2\).* Was it reshaped"),
        (BOX, 0.0, r"of shape \(\), and one observation here is an array of shape \(4,\)"),
        (BOX, "left", "a str, 'left'"),
        (BOX, None, "a NoneType"),
        (BOX, {"a": np.zeros(4)}, "a dict"),
        (spaces.Discrete(3), [1], "a single number"),
        (spaces.Discrete(3), np.zeros(5, int), r"of shape \(5,\), and a single number.*jax.vmap"),
        (spaces.MultiDiscrete([2, 3]), np.zeros((7, 2), int), r"of shape \(7, 2\)"),
        (IMAGE, np.zeros((2, 10, 10, 3)), "jax.vmap"),
        (DICT, np.zeros(4), "a ndarray, .* is a dict of the parts 'a', 'b'"),
        (DICT, {"a": np.zeros((3, 4)), "b": np.zeros(3, int)}, "jax.vmap"),
    ],
)
def test_a_policy_is_called_on_one_observation(space, obs, said):
    policy = MLPPolicy(space, spaces.Discrete(2), hidden=(4,))
    with pytest.raises(ShapeError, match=said):
        policy(obs)
    remembering = RecurrentPolicy(space, spaces.Discrete(2), hidden=(4,))
    with pytest.raises(ShapeError, match=said):
        remembering(obs, remembering.initial_carry())


def test_a_table_is_called_on_one_observation_too():
    table = lt.SoftmaxTable(3, 2)
    for obs in ([0, 1], np.array([0, 1])):
        with pytest.raises(ShapeError, match="a single number"):
            table(obs)
    assert jax.vmap(table)(np.array([0, 1])).probs.shape == (2, 2)


def test_normalised_observations_are_one_too(tmp_path):
    settings = dataclasses.replace(SMALL, observations="normalised")
    run = lt.train("CartPole-v1", settings, steps=128, out=tmp_path, progress=False)
    for obs in ([0.0] * 4, np.zeros((5, 4))):
        with pytest.raises(ShapeError, match="A policy was given"):
            run.policy(obs)


def test_the_advice_works():
    policy = MLPPolicy(BOX, spaces.Discrete(2), hidden=(4,))
    assert policy(np.asarray([0.0] * 4)).probs.shape == (2,)
    assert jax.vmap(policy)(np.zeros((5, 4))).probs.shape == (5, 2)
