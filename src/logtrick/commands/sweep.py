"""`logtrick sweep ENV`: train every combination of some settings, or search among them."""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import tyro

from logtrick.algorithms.field_checks import check_names
from logtrick.commands.env_flags import EnvKwargs, Imports, read_kwargs
from logtrick.errors import ConfigError

_RANGE = re.compile(r"(log:)?([^,]+?)\.\.([^,]+)")


@dataclass(frozen=True, kw_only=True)
class SweepCommand:
    """Train combinations of settings with the same seeds, and compare them.

    Settings that are numbers (learning_rate, gamma, clip_eps …) vary within one compiled program,
    side by side on an accelerator.

    Example: logtrick sweep CartPole-v1 --set learning_rate=1e-3,3e-4 --set gamma=.98,.99
    """

    env: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[ENV]")] = ""
    """The environment; `logtrick envs` lists what there is. MODULE:ID is one that a package
    registers with Gymnasium."""
    imports: Imports = ()
    env_kwargs: EnvKwargs = ()
    algo: str = "ppo"
    """The algorithm. All points share its preset for the environment."""
    set: tyro.conf.UseAppendAction[list[str]] = field(default_factory=list)
    """A setting and its values, such as gamma=.98,.99 or hidden=64x64,128x128. With --optuna also
    a range: gamma=.9..0.999, learning_rate=log:1e-4..1e-2, epochs=2..10. A single value holds for
    all points."""
    optuna: int | None = None
    """Let Optuna choose this many points instead of training every combination."""
    steps: int | None = None
    """Transitions to learn from, for each point and seed; the preset's number if not given."""
    seed: int = 0
    """The seed of the first run of every point."""
    seeds: int = 4
    """Runs of every point, each with its own seed."""
    out: str = "runs/"
    """The folder in which the sweep's folder is made."""
    resume: str | None = None
    """Continue the sweep in this folder, with its settings."""
    workers: Literal["sync", "async"] = "sync"
    """Where host environments run: all in this process (sync), or each in its own (async)."""
    env_timeout: float | None = None
    """Seconds that a host environment may take to reset or to step before it counts as hung; 60
    if not given."""
    at_once: int | None = None
    """Points that are trained side by side; if not given, 1 on a CPU and 64 on an accelerator."""
    json: bool = False
    """Print the results as JSON."""


def run(options: SweepCommand) -> None:
    """Train the points and print their scores."""
    from logtrick.algorithms.presets import preset
    from logtrick.commands.output import print_json, sweep_table
    from logtrick.runs.training.progress import ProgressBar
    from logtrick.runs.training.sweeping import resume_sweep, sweep

    progress = ProgressBar()
    if options.resume is not None:
        if dataclasses.replace(options, resume=None, imports=(), json=False) != SweepCommand():
            raise ConfigError(
                "--resume continues a sweep with its own settings, so no other option can be given."
            )
        found = resume_sweep(options.resume, progress=progress)
    elif not options.env:
        raise ConfigError(
            "No environment was given. For example: logtrick sweep CartPole-v1 --set …"
        )
    else:
        chosen = preset(options.env, options.algo)
        values = read_values(options.set, type(chosen.algorithm))
        common: dict[str, Any] = {
            name: getattr(options, name) for name in ("seed", "seeds", "out", "workers", "at_once")
        }
        common["env_kwargs"] = read_kwargs(options.env_kwargs)
        if options.env_timeout is not None:
            common["timeout"] = options.env_timeout
        steps = chosen.steps if options.steps is None else options.steps
        common |= {"steps": steps, "progress": progress}
        if options.optuna is None:
            found = sweep(options.env, chosen.algorithm, values, **common)
        else:
            from logtrick.runs.training.searching import search

            found = search(options.env, chosen.algorithm, values, options.optuna, **common)
    if options.json:
        print_json({"sweep": str(found.path), "results": found.results})
    else:
        sweep_table(found)


def read_values(texts: list[str], algorithm: type[Any]) -> dict[str, Any]:
    """The settings that vary, from `NAME=VALUES` each.

    Example:
        >>> from logtrick.algorithms.configs import PPO
        >>> read_values(["gamma=.98,1", "hidden=8x8,16", "max_grad_norm=none,0.5"], PPO)
        {'gamma': [0.98, 1.0], 'hidden': [(8, 8), (16,)], 'max_grad_norm': [None, 0.5]}
    """
    annotations = {f.name: str(f.type) for f in dataclasses.fields(algorithm)}
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, given = text.partition("=")
        name = name.strip().replace("-", "_")
        name = "lambda_" if name == "lambda" else name
        if not equals or not given:
            raise ConfigError(f"--set {text}: write NAME=VALUE,VALUE such as gamma=.98,.99")
        if name in values:
            raise ConfigError(f"--set {name} is given twice; write all its values in one list.")
        check_names(algorithm, [name])
        values[name] = _read(given, annotations[name])
    return values


def _read(given: str, annotation: str) -> Any:
    if (found := _RANGE.fullmatch(given)) is not None:
        from logtrick.runs.training.searching import Range

        low, high = (_value(end, annotation) for end in found.group(2, 3))
        return Range(low, high, log=found.group(1) is not None)
    return [_value(text.strip(), annotation) for text in given.split(",")]


def _value(text: str, annotation: str) -> Any:
    """A value as the field means it: 1 is 1.0 where a number with decimals belongs."""
    if text.lower() == "none":
        return None
    try:
        if "tuple" in annotation:
            return tuple(int(width) for width in text.split("x"))
        if "float" in annotation:
            return float(text)
        return json.loads(text)
    except ValueError:
        return text  # a name; the algorithm's own checks say whether it is one
