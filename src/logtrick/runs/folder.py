"""What is in a run folder, by name, and how new folders and policies are written."""

import itertools
import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from logtrick.errors import ConfigError, RunError
from logtrick.runs.config import CONFIG, FORMAT, RunConfig, given_in_python
from logtrick.runs.tree_files import write_arrays_atomic
from logtrick.support.files import PathLike, lock_folder, write_json_atomic
from logtrick.support.safe_paths import Place, SafePath, folder_of
from logtrick.support.spaces import space_to_dict

METRICS, TIMINGS, EVALUATIONS = "metrics.jsonl", "timings.jsonl", "evaluations.jsonl"
CHECKPOINTS, DESCRIPTION = "checkpoints", "policy.json"
POLICY, BEST = "policy.safetensors", "best_policy.safetensors"
CURVE, REPORT = "learning_curve.png", "report.html"
SWEEP = "sweep.json"
"""What a sweep's folder holds, in which the folders of its runs are."""


def model_template(config: RunConfig, policy: Any = None) -> Any:
    """The structure of the stacked models, from the configuration alone."""
    import jax

    from logtrick.algorithms.models import build_model

    spaces = config.observation_space, config.action_space
    model = build_model(config.algorithm, *spaces, seed=0, policy=policy)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((config.seeds, *x.shape), x.dtype), model)


def write_policy(folder: SafePath, config: RunConfig, models: Any) -> None:
    """Write the models of all seeds, and a description of them.

    Args:
        folder: the run folder.
        config: the configuration of the run.
        models: arrays [seeds, …], or their `Snapshot`.
    """
    write_arrays_atomic(folder / POLICY, models, {})
    description = {
        "format": FORMAT,
        "contains": "ActorCritic models of all seeds, stacked; load them with logtrick.load",
        "seeds": config.seeds,
        "algorithm": config.algorithm.to_dict(),
        "observation_space": space_to_dict(config.observation_space),
        "action_space": space_to_dict(config.action_space),
    }
    write_json_atomic(folder / DESCRIPTION, description)


def shown(path: PathLike) -> str:
    """A path as one would type it here: relative where it lies in the working directory."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(path)


def resume_command(path: PathLike, config: RunConfig | None = None, *, what: str = "train") -> str:
    """The command that resumes a run or a sweep, ready to be pasted.

    Args:
        path: the folder.
        config: the configuration of the run. If only Python can make its environment or its
            policy, the command is a line of Python.
        what: "train" or "sweep".

    Returns:
        A line for the shell, or for Python.
    """
    given = {} if config is None else given_in_python(config)
    if not given:
        return f"logtrick {what} --resume {shlex.quote(shown(path))}"
    function = {"train": "lt.resume", "sweep": "lt.resume_sweep"}[what]
    arguments = ", ".join([repr(shown(path)), *(f"{name}={name}" for name in given)])
    return f"{function}({arguments})"


def absolute(out: PathLike) -> Path:
    """The folder of new runs, resolved before an environment can change the working directory."""
    if not isinstance(out, str | os.PathLike):
        raise ConfigError(f"out={out!r}; it must name a folder.")
    return Path(out).absolute()


def new_folder(parent: Path, name: str) -> SafePath:
    """Make a folder of this name, numbered if it is taken, in a parent that is made if need be."""
    if (parent / CONFIG).exists():
        raise RunError(
            f"{parent} is itself a run; --out names the folder in which new runs are made. To "
            f"resume it: {resume_command(parent)}"
        )
    for number in itertools.count(1):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
            return SafePath(path)
        except FileExistsError:
            if not parent.is_dir():
                raise RunError(f"{parent} is a file; --out must name a folder.") from None
        except OSError as error:
            reason = error.strerror or error
            raise RunError(f"{parent} cannot take a new run: {reason}. Choose --out.") from error
    raise AssertionError


@contextmanager
def lock_run(place: Place) -> Iterator[None]:
    """Hold a run as its only writer; see `files.lock_folder`.

    A point of a sweep is written by the sweep too, which must not come upon it in the meantime: its
    folder is held together with other points, but not with the sweep itself.
    """
    folder = folder_of(place)
    above = SafePath(Path(os.path.realpath(folder.path)).parent)
    with ExitStack() as stack:
        if (above / SWEEP).exists():
            stack.enter_context(lock_folder(above, shared=True))
        stack.enter_context(lock_folder(folder))
        yield
