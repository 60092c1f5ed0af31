"""The configuration of a run: `config.json`, everything needed to run it again."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import from_dict
from logtrick.algorithms.field_checks import check_names
from logtrick.envs import EnvSpec, resolve
from logtrick.envs.catalog import resolve_recorded
from logtrick.envs.spec import TIMEOUT, Workers, check_timeout
from logtrick.errors import ConfigError, LogtrickError, MissingExtraError, RunError
from logtrick.support.numbers import checked_whole
from logtrick.support.safe_paths import SafePath
from logtrick.support.spaces import space_from_dict, space_to_dict

FORMAT = 1
_KINDS: dict[str, Any] = {
    "env": str,
    "kind": str,
    "max_episode_steps": int | None,
    "workers": str,
    "made_by": dict,
    "env_settings": dict | None,
    "env_kwargs": dict | None,
    "policy": str | None,
}
"""What the other entries of the file are; spaces, algorithm and sizes have checks of their own."""
_KEYS = {"provenance": "made_by"}
"""Fields that have another name in the file."""
_CONFIG_LIMIT = 2**24
CONFIG = "config.json"


@dataclass(frozen=True)
class Evaluation:
    """Evaluations during training (of an MDP: `exact.policy_evaluation.Evaluation`).

    Their episodes are played while a run is trained, which never learns from them.
    Training with and without it is the same, bit for bit: the episodes have environments and
    random numbers of their own, and running moments stay as they are.

    Attributes:
        every: steps of each seed between two evaluations; they come after whole updates, and
            another one after the last update.
        episodes: for each seed.
        greedy: play the most probable actions instead of sampled ones.
        stop_at: training ends once every seed's mean return reaches this.
        max_steps: where an episode is cut; None: at the environment's own time limit.

    Raises:
        ConfigError: a number that cannot be meant.

    Example:
        >>> Evaluation(every=50_000, stop_at=475.0).episodes
        10
    """

    every: int
    episodes: int = 10
    greedy: bool = True
    stop_at: float | None = None
    max_steps: int | None = None

    def __new__(cls, *args: Any, **settings: Any) -> "Evaluation":
        """Refuse what is no setting, with the one that was meant."""
        check_names(cls, settings)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in ("every", "episodes"):
            whole = checked_whole(f"evaluation: {name}", getattr(self, name), 1)
            object.__setattr__(self, name, whole)  # as Python's, which JSON can hold
        if self.stop_at is not None and not math.isfinite(self.stop_at):
            raise ConfigError(f"evaluation: stop_at={self.stop_at!r}; it must be a finite return.")


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run."""

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
    """The seed of the first run; the others count up from it."""
    seeds: int
    """How many runs were trained side by side."""
    workers: Workers
    """Where the rows of a host environment ran."""
    provenance: Mapping[str, Any]
    """Versions, machine and device."""
    env_settings: Mapping[str, Any] | None = None
    """The constants of a device environment, which its id does not tell."""
    env_kwargs: Mapping[str, Any] | None = None
    """The keyword arguments that the environment was made with; None where there were none."""
    policy: str | None = None
    """`object:NAME` of a user's own policy, which only Python can make; None: the algorithm's."""
    evaluation: Evaluation | None = None
    """Episodes played while the run is trained."""
    timeout: float = TIMEOUT
    """Seconds that a row of a host environment may take to answer; it changes no number."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `config.json`."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values = {_KEYS.get(name, name): value for name, value in values.items()}
        if self.env_kwargs is None:  # a file as 0.1.0 reads it
            del values["env_kwargs"]
        return {
            "format": FORMAT,
            **values,
            "observation_space": space_to_dict(self.observation_space),
            "action_space": space_to_dict(self.action_space),
            "algorithm": self.algorithm.to_dict(),
            "env_settings": self.env_settings and dict(self.env_settings),
            "made_by": dict(self.provenance),
            "evaluation": self.evaluation and dataclasses.asdict(self.evaluation),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RunConfig":
        """The inverse of `to_dict`.

        Raises:
            RunError: another format, or an entry that cannot be meant.
        """
        fields = dict(data)
        if (found := fields.pop("format", None)) != FORMAT:
            raise RunError(f"format {found!r} is not {FORMAT}, the one that this version reads")
        fields["observation_space"] = space_from_dict(fields["observation_space"])
        fields["action_space"] = space_from_dict(fields["action_space"])
        # What a run that knows no such setting was trained with.
        fields["algorithm"] = from_dict({"action_scale": "raw", **fields["algorithm"]})
        if fields.get("evaluation") is not None:
            fields["evaluation"] = Evaluation(**fields["evaluation"])
        for name, kind in _KINDS.items():
            if not isinstance(fields.get(name), kind):
                raise RunError(f"{name} is {fields.get(name)!r:.40}")
        for name, key in _KEYS.items():
            fields[name] = fields.pop(key)
        check_sizes(fields["steps"], fields["seed"], fields["seeds"])
        fields["timeout"] = check_timeout(fields.get("timeout", TIMEOUT))
        return cls(**fields)


def policy_name(policy: Any) -> str:
    """The name under which `config.json` keeps a user's own policy.

    Example:
        >>> policy_name(policy_name)
        'object:policy_name'
    """
    return f"object:{getattr(policy, '__name__', type(policy).__name__)}"


def env_settings(spec: EnvSpec) -> dict[str, Any] | None:
    """The constants of a device environment as plain data; None where there are none to know."""
    if spec.kind != "device":
        return None
    env: Any = spec.build(1)
    if not dataclasses.is_dataclass(env):
        return None
    settings = {f.name: getattr(env, f.name) for f in dataclasses.fields(env)}
    return json.loads(json.dumps(settings, default=repr))


def checked_kwargs(kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The environment's keyword arguments as `config.json` holds them; None where there are none.

    Raises:
        ConfigError: a value that JSON cannot hold as it is.
    """
    if not kwargs:
        return None
    try:
        kept = json.loads(json.dumps(dict(kwargs), allow_nan=False))
    except (TypeError, ValueError):
        kept = None
    if kept != kwargs:
        raise ConfigError(
            f"env_kwargs={kwargs!r:.200} cannot be kept in {CONFIG}, which holds numbers, text, "
            "true, false, null and lists of them; pass a function that makes the environment."
        )
    return dict(kept)


def find_env(config: RunConfig, env: Any = None, *, timeout: float | int | None = None) -> EnvSpec:
    """The environment of a configuration, made with the keyword arguments that it was made with.

    Args:
        config: of the run.
        env: the environment, where its id does not lead to it.
        timeout: as in `resolve`; None: the configuration's.

    Raises:
        ModuleNotLoadedError, UnknownEnvError, MissingExtraError, SpaceError, EnvError: as in
            `resolve_recorded`.
    """
    given: dict[str, Any] = {"timeout": config.timeout if timeout is None else timeout}
    if env is None or isinstance(env, str) or callable(env):  # not what exists already
        given["kwargs"] = config.env_kwargs
    return resolve_recorded(config.env, **given) if env is None else resolve(env, **given)


def given_in_python(config: RunConfig) -> dict[str, str]:
    """The arguments of `train` that only Python can make again, each with what is known of it."""
    given = {} if config.policy is None else {"policy": config.policy}
    return {"env": config.env} | given if _is_own(config) else given


def _is_own(config: RunConfig) -> bool:
    """Whether the environment's id does not lead to it."""
    if config.kind != "device" or config.env_settings is None:
        return config.env.startswith("object:")
    try:
        return env_settings(find_env(config)) != config.env_settings
    except MissingExtraError:
        return False
    except LogtrickError:
        return True


def read_config(folder: SafePath) -> RunConfig:
    """Read `config.json`, or say what is wrong with it."""
    file = folder / CONFIG
    if not file.exists():
        what = "is not a folder" if not folder.is_folder() else f"holds no {CONFIG}"
        raise RunError(
            f"{folder} {what}, so it is no run; a run is a folder such as runs/CartPole-…."
        )
    try:
        return RunConfig.from_dict(json.loads(file.read(_CONFIG_LIMIT).decode()))
    except (LogtrickError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise RunError(f"{file} is damaged, or not logtrick's: {error}") from error


def check_sizes(steps: Any, seed: Any, seeds: Any) -> tuple[int, int, int]:
    """The three as Python's whole numbers; what cannot be trained is refused."""
    steps, seeds = checked_whole("steps", steps, 1), checked_whole("seeds", seeds, 1)
    seed = checked_whole("seed", seed, 0)
    if steps >= 2**32 - 2**24:
        raise ConfigError(f"steps={steps:,}; a run counts at most 4.2 billion transitions a seed.")
    if seed + seeds > 2**32:
        raise ConfigError(f"seed={seed} with seeds={seeds} goes beyond 2^32.")
    return steps, seed, seeds
