"""The run folder: what a run was told, what it measured, and the policies that came of it.

    config.json          everything needed to run it again, versions and device included
    metrics.jsonl        one line for each update and seed; no wall-clock, so that it is bit-exact
    timings.jsonl        wall-clock, compile time apart
    checkpoints/         the last three states, each verified by its SHA-256 sums
    policy.safetensors   the latest policies and value functions, all seeds; policy.json says how
    learning_curve.png   report.html

All of it is data: loading a run executes nothing that it contains.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from logtrick.algorithms.configs import Algorithm, from_dict
from logtrick.checkpoints import read_arrays, write_arrays_atomic
from logtrick.envs import EnvSpec, resolve
from logtrick.envs.spaces import space_from_dict, space_to_dict
from logtrick.envs.spec import Workers
from logtrick.errors import ConfigError, LogtrickError, RunError
from logtrick.files import PathLike, read_regular, write_json_atomic
from logtrick.logs import read_jsonl

FORMAT = 1
_CONFIG_LIMIT = 2**24
CONFIG, METRICS, TIMINGS = "config.json", "metrics.jsonl", "timings.jsonl"
CHECKPOINTS, POLICY, DESCRIPTION = "checkpoints", "policy.safetensors", "policy.json"
CURVE, REPORT = "learning_curve.png", "report.html"
FINAL_EPISODES = 100
"""Episodes at the end of training over which each seed's score is a mean, at least."""


@dataclass(frozen=True)
class RunConfig:
    """What a run was told."""

    env: str
    """The environment's id, prefix included."""
    kind: str
    """ "device" or "host"."""
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    max_episode_steps: int | None
    algorithm: Algorithm
    steps: int
    """Transitions to learn from, for each seed."""
    seed: int
    """Of the first run; the others follow."""
    seeds: int
    """How many runs were trained side by side."""
    workers: Workers
    """Where the rows of a host environment ran."""
    made_by: Mapping[str, Any]
    """Versions, machine and device."""
    env_settings: Mapping[str, Any] | None = None
    """The constants of a device environment, which its id does not tell."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `config.json`."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            "format": FORMAT,
            **values,
            "observation_space": space_to_dict(self.observation_space),
            "action_space": space_to_dict(self.action_space),
            "algorithm": self.algorithm.to_dict(),
            "env_settings": self.env_settings and dict(self.env_settings),
            "made_by": dict(self.made_by),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RunConfig":
        """The inverse of `to_dict`."""
        fields = dict(data)
        if (found := fields.pop("format", None)) != FORMAT:
            raise RunError(f"format {found!r} is not {FORMAT}, the one that this version reads")
        fields["observation_space"] = space_from_dict(fields["observation_space"])
        fields["action_space"] = space_from_dict(fields["action_space"])
        fields["algorithm"] = from_dict(fields["algorithm"])
        return cls(**fields)


@dataclass(frozen=True)
class Scores:
    """Undiscounted returns of evaluation episodes."""

    returns: np.ndarray
    """float64[seeds, episodes]"""
    lengths: np.ndarray
    """int64[seeds, episodes]"""

    @property
    def mean(self) -> float:
        """Over all episodes of all seeds."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Of single episodes."""
        return float(self.returns.std())


class Run:
    """A run folder, opened for reading.

    Args:
        path: the folder.

    Raises:
        RunError: it is not a run folder, or a file in it is damaged.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.config = read_config(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @functools.cached_property
    def models(self) -> tuple[Any, ...]:
        """Policy and value function of each seed, as they were at the latest checkpoint."""
        import jax

        template = model_template(self.config)
        if not (self.path / POLICY).exists():
            raise RunError(f"{self.path} holds no {POLICY} yet: no checkpoint was reached.")
        stacked, _ = read_arrays(self.path / POLICY, template)
        return tuple(jax.tree.map(lambda x, s=s: x[s], stacked) for s in range(self.config.seeds))

    @property
    def policies(self) -> tuple[Any, ...]:
        """The policy of each seed: one observation -> a distribution over actions."""
        return tuple(model.policy for model in self.models)

    @property
    def policy(self) -> Any:
        """The first seed's policy."""
        return self.policies[0]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One row for each update and seed."""
        return read_jsonl(self.path / METRICS)

    @property
    def timings(self) -> list[dict[str, Any]]:
        """Wall-clock of each stretch of training."""
        return read_jsonl(self.path / TIMINGS)

    @property
    def final_returns(self) -> np.ndarray:
        """float64[seeds]: each seed's mean training return over its last episodes.

        The last whole updates in which at least 100 episodes ended (fewer where the whole run had
        fewer; NaN where none ended).
        """
        return final_returns(self.metrics, self.config)

    def evaluate(
        self,
        episodes: int = 100,
        *,
        seed: int = 0,
        greedy: bool = False,
        max_steps: int | None = None,
        env: Any = None,
    ) -> Scores:
        """Play fresh episodes with each seed's policy.

        Every episode counts once, whatever its length, so the mean is unbiased.

        Args:
            episodes: for each policy.
            seed: of the episodes.
            greedy: take the most probable action instead of a sample.
            max_steps: where an episode is cut at the latest; needed where the environment has no
                time limit that is known.
            env: the environment, where it has no id by which it is found again.
        """
        from logtrick.evaluation import evaluate

        spec = self.env_spec(env)
        played = evaluate(
            self.models, spec, episodes, seed=seed, greedy=greedy, max_steps=max_steps
        )
        return Scores(*played)

    def env_spec(self, env: Any = None) -> EnvSpec:
        """The environment that the run was trained on, checked against its spaces."""
        spec = resolve(self.config.env if env is None else env)
        for name in ("observation_space", "action_space"):
            if getattr(spec, name) != getattr(self.config, name):
                raise RunError(
                    f"{self.path} was trained with the {name} {getattr(self.config, name)}, but "
                    f"{spec.id} has {getattr(spec, name)}; pass the environment that it was "
                    "trained on."
                )
        if env is None and env_settings(spec) != self.config.env_settings:
            raise RunError(
                f"{self.path} was trained on {spec.id} with settings of its own "
                f"({self.config.env_settings}); pass that environment: env=…"
            )
        return spec

    def report(self) -> Path:
        """Write `learning_curve.png` and `report.html`; the report's path."""
        from logtrick.presentation import write_run_report

        return write_run_report(self)


def load(path: PathLike) -> Run:
    """Open a run folder again; nothing in it is executed.

    Args:
        path: the folder, `runs/CartPole-v1-ppo-…`.

    Raises:
        RunError: it is not a run folder, or a file in it is damaged.
    """
    return Run(path)


def model_template(config: RunConfig) -> Any:
    """The structure of the stacked models, from the configuration alone."""
    import jax

    from logtrick.algorithms.loop import build_model

    spaces = config.observation_space, config.action_space
    model = build_model(config.algorithm, *spaces, seed=0)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((config.seeds, *np.shape(x)), np.result_type(x)), model
    )


def env_settings(spec: EnvSpec) -> dict[str, Any] | None:
    """The constants of a device environment as plain data; None where there are none to know."""
    if spec.kind != "device":
        return None
    env: Any = spec.build(1)
    if not dataclasses.is_dataclass(env):
        return None
    settings = {f.name: getattr(env, f.name) for f in dataclasses.fields(env)}
    return json.loads(json.dumps(settings, default=repr))


def write_policy(path: Path, config: RunConfig, params: Any) -> None:
    """Write the models' arrays (a host snapshot works too) and what they are."""
    write_arrays_atomic(path / POLICY, params, {})
    description = {
        "format": FORMAT,
        "contains": "ActorCritic models of all seeds, stacked; load them with logtrick.load",
        "seeds": config.seeds,
        "algorithm": config.algorithm.to_dict(),
        "observation_space": space_to_dict(config.observation_space),
        "action_space": space_to_dict(config.action_space),
    }
    write_json_atomic(path / DESCRIPTION, description)


def read_config(path: Path) -> RunConfig:
    """Read `config.json`, or say what is wrong with it."""
    if not (path / CONFIG).is_file():
        what = "is not a folder" if not path.is_dir() else f"holds no {CONFIG}"
        raise RunError(
            f"{path} {what}, so it is no run; a run is a folder such as runs/CartPole-…."
        )
    try:
        return RunConfig.from_dict(json.loads(read_regular(path / CONFIG, _CONFIG_LIMIT).decode()))
    except (LogtrickError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise RunError(f"{path / CONFIG} is damaged, or not logtrick's: {error}") from error


def new_folder(parent: PathLike, name: str) -> Path:
    """Make a folder of this name, numbered if it is taken, in a parent that is made if need be."""
    parent = Path(parent)
    if (parent / CONFIG).exists():
        raise RunError(
            f"{parent} is itself a run; --out names the folder in which new runs are made. To go "
            f"on with it: logtrick train --resume {parent}"
        )
    for number in itertools.count(1):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            if not parent.is_dir():
                raise RunError(f"{parent} is a file; --out must name a folder.") from None
        except OSError as error:
            reason = error.strerror or error
            raise RunError(f"{parent} cannot take a new run: {reason}. Choose --out.") from error
    raise AssertionError


def final_returns(rows: list[dict[str, Any]], config: RunConfig) -> np.ndarray:
    """See `Run.final_returns`."""
    episodes = np.zeros(config.seeds)
    total = np.zeros(config.seeds)
    for row in reversed(rows):
        s = row["seed"] - config.seed
        if episodes[s] < FINAL_EPISODES and row["episodes"]:
            episodes[s] += row["episodes"]
            total[s] += row["episodes"] * row["episode_return"]
    with np.errstate(invalid="ignore"):
        return total / episodes


def check_sizes(steps: Any, seed: Any, seeds: Any) -> None:
    """Refuse what cannot be trained."""
    for name, value, low in (("steps", steps, 1), ("seeds", seeds, 1), ("seed", seed, 0)):
        if type(value) is not int or value < low:
            raise ConfigError(f"{name}={value!r}; it must be a whole number, at least {low}.")
    if steps >= 2**32 - 2**24:
        raise ConfigError(f"steps={steps:,}; a run counts at most 4.2 billion transitions a seed.")
    if seed + seeds > 2**32:
        raise ConfigError(f"seed={seed} with seeds={seeds} goes beyond 2^32.")
