"""Advice in messages works when it is followed.

First what all messages name (commands, flags, extras, wrappers, names of this library) is there.
Then the advice of single messages is taken out of their text and followed.
"""

import ast
import copy
import dataclasses
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

import logtrick as lt
from logtrick import errors
from logtrick.algorithms import presets
from logtrick.algorithms.configs import ALGORITHMS
from logtrick.commands import cli
from logtrick.support.names import reason

SOURCE = Path(lt.__file__).parent
ROOT = Path(__file__).parent.parent
TINY = lt.PPO(num_envs=2, num_steps=16, minibatches=1, epochs=1, hidden=(4,))
TINY_FLAGS = "--num-envs 2 --num-steps 16 --minibatches 1 --epochs 1 --hidden 4 --steps 64"


def trained(env, out, settings=TINY, **more):
    return lt.train(env, settings, steps=64, out=out, progress=False, **more)


def said(kind, call, *given, **named):
    """The message of an error that a call raises."""
    with pytest.raises(kind) as caught:
        call(*given, **named)
    return str(caught.value)


# --- what messages name -------------------------------------------------------------------------


def texts():
    """(place, text) of every string in the sources; what an f-string fills in is ⟨⟩."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        inside = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "⟨⟩" for p in node.values]
                inside.update(map(id, node.values))
                yield f"{path.name}:{node.lineno}", "".join(parts)
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and id(node) not in inside:
                yield f"{path.name}:{node.lineno}", text


TEXTS = list(texts())


def named(pattern):
    """(place, what the pattern's group found) in all texts."""
    found = [(place, x) for place, text in TEXTS for x in re.findall(pattern, text)]
    assert found, pattern
    return found


def test_every_flag_is_one():
    owners = [cls for cls, _ in cli._COMMANDS.values()] + [*ALGORITHMS.values()]
    known = {f.name.strip("_").replace("_", "-") for cls in owners for f in dataclasses.fields(cls)}
    # `imports`, whose flag is a word of Python; TensorBoard's, and a colour of CSS.
    others = {"help", "version", "import", "logdir", "ink"}
    for place, flag in named(r"(?<![\w({;!-])--([a-z][a-z-]*[a-z])(?![:\w])"):
        plain = flag.removeprefix("no-")
        assert plain in known | others, f"{place} names --{flag}"


def test_every_command_is_one():
    for place, command in named(r"`logtrick ([a-z]+)"):
        assert command in cli._COMMANDS, place


def test_every_extra_is_one():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = set(extras["optional-dependencies"])
    for place, extra in named(r'pip install "logtrick\[([^\]⟨]+)\]"'):
        assert extra in known, place
    for path in SOURCE.rglob("*.py"):
        for extra in re.findall(r'extras\.(?:load|install)\([^,)]+, "(\w+)"\)', path.read_text()):
            assert extra in known, path


def test_every_wrapper_is_one():
    for place, wrapper in named(r"gymnasium\.wrappers\.([A-Z]\w+)"):
        assert hasattr(gymnasium.wrappers, wrapper), place
    for place, wrapper in named(r"\b((?:Transform|Filter|Flatten|Rescale|Normalize)[A-Z]\w+)"):
        assert hasattr(gymnasium.wrappers, wrapper), place


def test_every_name_of_this_library_is_there():
    for place, name in named(r"(?<![\w.])lt\.([A-Za-z_]\w*)"):
        assert hasattr(lt, name), f"{place}: lt.{name}"
    for _, name in named(r"(?<![\w./@])logtrick\.([a-z_]\w*(?:\.[A-Za-z_]\w*)*)"):
        target = lt
        for part in name.split("."):
            if not hasattr(target, part):
                target = importlib.import_module(f"{target.__name__}.{part}")
            else:
                target = getattr(target, part)


# --- spaces that no policy serves ---------------------------------------------------------------


class Mission(spaces.Space):
    """Sentences, like MiniGrid's MissionSpace: Gymnasium cannot flatten it."""

    def __init__(self):
        super().__init__((), str)

    def sample(self, mask=None, probability=None):
        return "go"

    def contains(self, x):
        return isinstance(x, str)


VIEW = spaces.Box(0, 255, (7, 7, 3), np.uint8)
GRID = spaces.Dict({"direction": spaces.Discrete(4), "image": VIEW, "mission": Mission()})
BOX = spaces.Box(-1, 1, (2,))


class Odd(gymnasium.Env):
    """Four steps in any spaces."""

    def __init__(self, observation_space=GRID, action_space=None):
        self.observation_space = copy.deepcopy(observation_space)
        self.action_space = action_space or spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        return self.observation_space.sample(), 1.0, self.steps == 4, False, {}


def wrapped(message, **names):
    """A function that makes what the message's wrapper makes of `env`."""
    (call,) = re.findall(r"(gymnasium\.wrappers\.\w+\(env.*\))\.$", message)
    return lambda: eval(call, {"gymnasium": gymnasium, **{k: v() for k, v in names.items()}})


@pytest.mark.parametrize(
    "space",
    [
        GRID,
        spaces.Dict({"a": spaces.Text(5), "b": spaces.Dict({"c": BOX}), "d": BOX}),
        spaces.Dict({"seen": spaces.Dict({"words": Mission(), "box": BOX})}),
        spaces.Tuple([spaces.Text(5), BOX]),
        spaces.Sequence(BOX),
        Mission(),
    ],
    ids=lambda space: type(space).__name__,
)
def test_observations_that_cannot_be_served(tmp_path, space):
    message = said(errors.SpaceError, trained, lambda: Odd(space), tmp_path)
    assert "its observation space has the part" in message
    make = wrapped(
        message,
        env=lambda: Odd(space),
        function=lambda: lambda obs: np.zeros(2, np.float32),
        observation_space=lambda: BOX,
    )
    assert trained(make, tmp_path).metrics


@pytest.mark.parametrize("space", [spaces.Text(5), spaces.Dict({"a": BOX, "words": Mission()})])
def test_actions_that_cannot_be_served(tmp_path, space):
    message = said(errors.SpaceError, trained, lambda: Odd(BOX, space), tmp_path)
    make = wrapped(
        message,
        env=lambda: Odd(BOX, space),
        function=lambda: lambda action: space.sample(),
        action_space=lambda: BOX,
    )
    assert trained(make, tmp_path).metrics


@pytest.mark.parametrize(
    ("space", "settings", "instead"),
    [
        (spaces.Box(-1, np.inf, (2,)), {"distribution": "beta"}, {"distribution": "normal"}),
        (spaces.Box(0, 0, (2,)), {"distribution": "tanh_normal"}, {"distribution": "normal"}),
        (spaces.Box(0, 5, (2,), np.int32), {}, None),
    ],
)
def test_boxes_of_actions_that_cannot_be_served(tmp_path, space, settings, instead):
    env = lambda: Odd(BOX, space)  # noqa: E731
    algorithm = dataclasses.replace(TINY, **settings)
    message = said(errors.SpaceError, trained, env, tmp_path, algorithm)
    assert "TransformAction" in message
    if instead is not None:
        assert f"use '{instead['distribution']}'" in message
        assert trained(env, tmp_path, dataclasses.replace(algorithm, **instead)).metrics

    def make():
        return gymnasium.wrappers.TransformAction(env(), lambda a: space.sample(), BOX)

    assert trained(make, tmp_path, algorithm).metrics


class Silent(gymnasium.Env):
    def __init__(self):
        raise NotImplementedError

    def reset(self, **options):
        assert not options  # says nothing either


def test_an_error_that_says_nothing_is_told_by_its_place():
    message = said(errors.EnvError, lt.train, Silent)
    assert re.search(r"NotImplementedError in .*test_advice.py, line \d+: raise NotImpl", message)
    assert reason(KeyError("a")) == "KeyError: 'a'"
    assert "says nothing more" in reason(ValueError())


# --- no time limit ------------------------------------------------------------------------------


def command(line, capsys):
    """What a command that fails says; nothing where it works."""
    try:
        cli.main(shlex.split(line))
    except SystemExit as ended:
        if not ended.code:
            return ""
    return capsys.readouterr().err


def test_evaluations_without_a_time_limit(tmp_path, capsys):
    line = f"train Blackjack-v1 {TINY_FLAGS} --eval-every 32 --eval-episodes 2 --out {tmp_path}"
    message = command(line, capsys)
    (flag,) = re.findall(r"(--eval-max-steps \d+)", message)
    assert "has no time limit" in message
    assert not command(f"{line} {flag}", capsys)
    (run,) = tmp_path.glob("gym-Blackjack*")
    for what in (f"eval {run} --episodes 2", f"enjoy {run} --out {tmp_path / 'a.gif'}"):
        message = command(f"{what}", capsys)
        (flag,) = re.findall(r"(?<!\w)(--max-steps \d+)", message)
        assert "no time limit" not in command(f"{what} {flag}", capsys)
    found = lt.load(run)
    message = said(errors.ConfigError, found.evaluate, 2)
    (steps,) = re.findall(r"cut: max_steps=(\d+)", message)
    assert found.evaluate(2, max_steps=int(steps)).returns.shape == (1, 2)
    assert "lt.Evaluation(every=…, max_steps=1000)" in message


@pytest.mark.parametrize("flag", ["--eval-episodes 3", "--eval-max-steps 9", "--no-eval-greedy"])
def test_a_setting_of_evaluations_that_nobody_asked_for(tmp_path, capsys, flag):
    line = f"train CartPole-v1 {TINY_FLAGS} --out {tmp_path} {flag}"
    (more,) = re.findall(r"add (--eval-every \d+)", command(line, capsys))
    assert not command(f"{line} {more}", capsys)


def test_whole_episodes_without_a_time_limit(tmp_path):
    reinforce = lt.REINFORCE(num_envs=2, hidden=(4,))
    message = said(errors.ConfigError, trained, "Blackjack-v1", tmp_path, reinforce)
    assert "Set num_steps, or give the environment a limit" in message
    assert trained("Blackjack-v1", tmp_path, dataclasses.replace(reinforce, num_steps=16)).metrics
    group = lt.RLOO(num_envs=4, group_size=2, hidden=(4,))
    message = said(errors.ConfigError, trained, "Blackjack-v1", tmp_path, group)
    assert "num_steps" not in message  # which a group rule refuses
    (wrapper,) = re.findall(r"gymnasium\.wrappers\.(\w+)\(env, 1000\)", message)

    def limited():
        return getattr(gymnasium.wrappers, wrapper)(gymnasium.make("Blackjack-v1"), 10)

    for settings in (reinforce, group):
        assert trained(limited, tmp_path, settings).metrics


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("PongNoFrameskip-v4", "pong"),
        ("BreakoutDeterministic-v4", "breakout"),
        ("ALE/MsPacman-v5", "ms_pacman"),
        ("SpaceInvadersNoFrameskip-v4", "space_invaders"),
    ],
)
def test_ataris_games_are_found_by_their_old_names(name, game):
    if name in gymnasium.registry:
        pytest.skip("ale-py has registered it: Gymnasium makes it")
    message = said(errors.UnknownEnvError, lt.train, name)
    (line,) = re.findall(r"`logtrick train (atari:\w+)`", message)
    assert line == f"atari:{game}"
    if importlib.util.find_spec("ale_py") is None:
        assert 'pip install "logtrick[atari]"' in said(
            errors.MissingExtraError, lt.envs.resolve, line
        )
    else:
        assert lt.envs.resolve(line).id == line


def test_what_another_package_registers(tmp_path, monkeypatch):
    name = "Advice-Empty-5x5-v0"
    message = said(errors.UnknownEnvError, lt.train, name)
    (told,) = re.findall(r"`logtrick train (PACKAGE:.*)`\.", message)
    entry = "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv"
    (tmp_path / "advised.py").write_text(
        f"import gymnasium\ngymnasium.register({name!r}, {entry!r})"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert trained(told.replace("PACKAGE", "advised"), tmp_path).metrics
    finally:
        del gymnasium.registry[name]


def test_a_short_name_of_several_environments(monkeypatch):
    several = ["gym:Reacher-v4", "envpool:Reacher-v1"]
    monkeypatch.setattr(presets, "environments", lambda: several)
    message = said(errors.UnknownEnvError, presets.env_id, "reacher")
    ids = re.search(r"may mean (.*): give the id", message)[1].split(" or ")
    assert [presets.env_id(id) for id in ids] == ids == several


# --- environments that exist already ------------------------------------------------------------


def test_the_number_of_rows_of_a_vector_environment(tmp_path):
    vector = SyncVectorEnv([lambda: Odd(BOX)] * 4)
    for seeds in (1, 2):
        message = said(
            errors.ConfigError, trained, vector, tmp_path, seeds=seeds, settings=lt.PPO()
        )
        (num_envs,) = re.findall(r"set num_envs=(\d+)", message)
        assert int(num_envs) * seeds == 4
        settings = dataclasses.replace(TINY, num_envs=int(num_envs))
        assert trained(vector, tmp_path, settings, seeds=seeds).metrics
    message = said(errors.ConfigError, trained, vector, tmp_path, seeds=3)
    assert "train one seed at a time" in message


def test_one_environment_is_no_function(tmp_path):
    settings = dataclasses.replace(TINY, num_envs=1)
    env = Odd(BOX)
    evaluation = lt.Evaluation(every=32, episodes=1, max_steps=4)
    for more in ({"evaluation": evaluation}, {"workers": "async"}):
        with pytest.raises(errors.LogtrickError, match=r"[Pp]ass a function that makes"):
            trained(env, tmp_path, settings, **more)
    assert trained(lambda: Odd(BOX), tmp_path, settings, evaluation=evaluation).evaluations


def test_what_only_python_can_make_again(tmp_path):
    run = trained(lambda: Odd(BOX), tmp_path)
    message = said(errors.UnknownEnvError, lt.load(run.path).evaluate, 1, max_steps=4)
    assert "lt.load(path).evaluate(env=…), lt.resume(path, env=…)" in message
    scores = lt.load(run.path).evaluate(1, max_steps=4, env=lambda: Odd(BOX))
    assert scores.returns.tolist() == [[4.0]]
    assert lt.resume(run.path, env=lambda: Odd(BOX), progress=False).metrics


def test_the_best_policies_of_a_run_without_evaluations(tmp_path):
    run = trained("CartPole-v1", tmp_path)
    message = said(errors.RunError, lambda: run.best_models)
    (flag,) = re.findall(r"`(--eval-every \d+)`", message)
    assert cli._parse(["train", "CartPole-v1", *flag.split()]).eval_every == 10_000


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"num_envs": 3, "num_steps": 5, "minibatches": 4}, {"minibatches": 5}),
        ({"num_steps": None, "minibatches": 4}, {"minibatches": 1}),
        ({"num_steps": None, "minibatches": 4}, {"num_steps": 64}),
        ({"num_envs": 1, "num_steps": 1, "minibatches": 1}, {"normalise": "none"}),
        ({"surrogate": "kl_penalty"}, {"target_kl": 0.01}),
        ({"trunk": "shared", "hidden": ()}, {"trunk": "separate"}),
        ({"memory": "gru", "num_envs": 3, "num_steps": 4}, {"minibatches": 3}),
        ({"psi": "vtrace"}, {"psi": "gae"}),
    ],
)
def test_settings_that_exclude_each_other(wrong, right):
    message = said(errors.ConfigError, lt.PPO, **wrong)
    assert next(iter(right)) in message
    assert lt.PPO(**(wrong | right))


# --- units --------------------------------------------------------------------------------------


def test_warnings_of_check_env():
    class Large(Odd):
        def step(self, action):
            obs, _, *rest = super().step(action)
            return obs, 1e5, *rest

    far = spaces.Box(0, 1000, (2,))
    warned = lt.check_env(lambda: Large(spaces.Box(-1e6, 1e6, (2,)), far), steps=20).warnings
    of_actions, of_observations, of_rewards = warned
    assert lt.PPO(**_setting(of_observations), **_setting(of_rewards))
    (call,) = re.findall(r"gymnasium\.wrappers\.RescaleAction\(env, -1, 1\)", of_actions)

    def make():
        names = {"gymnasium": gymnasium, "env": Odd(BOX, far)}
        return eval(call.replace("-1, 1", "np.float32(-1), np.float32(1)"), names | {"np": np})

    assert lt.check_env(make, steps=20).warnings == ()


def _setting(words):
    name, value = re.search(r"(\w+)='(\w+)'", words).groups()
    return {name: value}
