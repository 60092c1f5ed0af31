"""Presets: settings by environment and algorithm, short names, and what was reached with them.

The settings are data, in `presets.toml`, and what was reached with them is beside it. No JAX here:
the command line shows both.
"""

import functools
import importlib.resources
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import from_dict
from logtrick.errors import UnknownEnvError

TABLE = "presets.toml"
"""Beside this module: the settings, by environment."""
REACHED = "reached.json"
"""Beside this module: what `benchmarks/scores.py` measured, with every setting."""
_DEFAULT_STEPS = 500_000


@dataclass(frozen=True)
class Preset:
    """An algorithm's settings and a number of steps."""

    algorithm: Algorithm
    steps: int


class Reached(NamedTuple):
    """The final training returns of some seeds: see `Run.final_returns`."""

    seeds: int
    iqm: float
    """Interquartile mean."""
    low: float
    """Lower end of its 95 % bootstrap interval."""
    high: float
    """Upper end."""
    episodes: int | None = None
    """Over how many episodes each seed's return is a mean, at least; None: not written down."""
    since_step: int | None = None
    """After which step the first of them ended; None: not written down."""


def preset(env: str, name: str) -> Preset:
    """The preset for an environment, or the algorithm's defaults where there is none.

    Args:
        env: an environment's id or short name. What works on `CartPole-v1` does so behind any
            prefix (`gym:`) and namespace (`gym:phys2d/`). Behind `mdp:` stands a finite MDP, whose
            γ belongs to the problem and is taken from there.
        name: an algorithm's name.

    Raises:
        ConfigError: the algorithm is unknown.
        UnknownEnvError: a short name that several environments have.
        MDPError: there is no such MDP.

    Example:
        >>> preset("gym:CartPole-v1", "ppo").steps
        150000
    """
    env = env_id(env)
    prefix, _, rest = env.partition(":")
    default = from_dict({"name": name})
    if prefix == "mdp":
        from logtrick.mdp import problems

        return Preset(replace(default, gamma=problems.make(rest).gamma), _DEFAULT_STEPS)
    own = [chosen for chosen in _own(env) if chosen.algorithm.name == name]
    return own[0] if own else Preset(default, _DEFAULT_STEPS)


def listed() -> list[tuple[str, Preset]]:
    """Each environment that has a short name, with each of its presets."""
    return [(env, chosen) for env in environments() for chosen in _own(env)]


def environments() -> list[str]:
    """The ids of the environments that have a short name."""
    ids: list[str] = _table()["listed"]
    return ids


def _own(env: str) -> list[Preset]:
    """The presets for an environment, one for each algorithm that has any."""
    rest = env.partition(":")[2]
    ids = (env, rest, rest.rpartition("/")[2])
    return [
        Preset(from_dict({"name": row["algorithm"], **row.get("settings", {})}), row["steps"])
        for row in _table()["presets"]
        if any(re.fullmatch(_pattern(row), id) for id in ids)
    ]


def _pattern(row: Mapping[str, Any]) -> str:
    """The regular expression of a row, with the names that it stands for."""
    pattern: str = row["environments"]
    for word, names in _table()["names"].items():
        pattern = pattern.replace(f"{{{word}}}", "|".join(names))
    return pattern


def env_id(name: Any) -> Any:
    """The environment that a short name means; whatever else is given comes back as it is.

    A short name is an id without prefix and version, in upper or lower case, with or without
    hyphens.

    Raises:
        UnknownEnvError: the name is that of several environments.

    Example:
        >>> env_id("hopper"), env_id("mountaincar-continuous"), env_id("Hopper-v5")
        ('gym:Hopper-v4', 'MountainCarContinuous-v0', 'Hopper-v5')
    """
    if not isinstance(name, str) or ":" in name:
        return name
    found = [env for env in environments() if _letters(name) in map(_letters, short_names(env))]
    if len(found) > 1:
        raise UnknownEnvError(f"{name!r} may mean {' or '.join(found)}: give the id.")
    return found[0] if found else name


def short_names(env: str) -> list[str]:
    """By which an environment is called, the one that is listed first.

    Example:
        >>> short_names("gymnax:Breakout-MinAtar")
        ['breakout-minatar', 'breakout']
    """
    name = re.sub(r"-v\d+$", "", env.rpartition(":")[2]).lower()
    return list(dict.fromkeys([name, name.removesuffix("-minatar")]))


def _letters(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def reached(env: str, chosen: Preset) -> Reached | None:
    """What training with exactly these settings came to; None where that was not measured."""
    for entry in _measured():
        measured = Preset(from_dict(entry["algorithm"]), entry["steps"])
        if entry["environment"] == env and measured == chosen:
            return Reached(**{name: entry[name] for name in Reached._fields if name in entry})
    return None


@functools.cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(_read(TABLE))


@functools.cache
def _measured() -> Sequence[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = json.loads(_read(REACHED))
    return rows


def _read(file: str) -> str:
    return importlib.resources.files("logtrick.algorithms").joinpath(file).read_text("utf-8")
