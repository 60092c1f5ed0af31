"""Policies by name or from a file: "uniform", a run folder, tables in .npy, .npz or .json."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from logtrick.errors import ConfigError, LogtrickError
from logtrick.exact import tables
from logtrick.mdp.model import FiniteMDP
from logtrick.policies import SoftmaxTable
from logtrick.support.files import read_regular

#: The largest .json that is read, in bytes.
LARGEST_JSON = 2**28


class NamedPolicy(NamedTuple):
    """A policy that fits its MDP, and where it came from."""

    policy: Any
    """Probabilities [S, A], actions int[S], or a pytree called on one observation."""
    source: str


def read_policy(mdp: FiniteMDP, name: str, horizon: int | None = None) -> NamedPolicy:
    """Find a policy for an MDP.

    Args:
        mdp: the MDP.
        name: "uniform"; a run folder, of which it is the first seed's policy; or a file of
            probabilities [S, A] or actions [S]: a `.npy`, or the array `policy` of a `.npz` or a
            `.json` (which may also be nothing but the list).
        horizon: H, where a file may also hold a policy for each step: [H, S, A] or [H, S].

    Returns:
        The policy, checked against the MDP.

    Raises:
        ConfigError: no such name or file, or a file that holds no policy.
        ShapeError: it does not fit the MDP.
        MDPError: a row is no distribution, or a state lacks the action.

    Example:
        >>> from logtrick import problems
        >>> read_policy(problems.corridor(), "uniform").policy.logits.shape
        (1, 2)
    """
    if name == "uniform":
        return NamedPolicy(SoftmaxTable(mdp), "uniform")
    path = Path(name)
    if path.is_dir():
        return _of_run(mdp, path)
    readers = {".npy": _from_numpy, ".npz": _from_numpy, ".json": _from_json}
    if path.suffix not in readers or not path.is_file():
        raise ConfigError(
            f"policy {name!r} is unknown; give uniform, optimal, a run folder, or a file "
            "(.npy, .npz or .json) of probabilities [S, A] or actions [S]"
        )
    found = readers[path.suffix](path)
    try:
        if horizon is None:
            tables.probabilities(mdp, found)
        else:
            tables.probabilities_over(mdp, found, horizon)
    except LogtrickError as error:
        raise type(error)(f"{path}: {error}") from error
    return NamedPolicy(found, str(path))


def read_parametrised(mdp: FiniteMDP, name: str) -> NamedPolicy:
    """Find a policy that has parameters: a table of probabilities becomes a softmax of logits.

    Args:
        mdp: the MDP.
        name: as in `read_policy`.

    Returns:
        A pytree called on one observation; a table's logits are float64.

    Raises:
        ConfigError: a probability of 0, which no logit gives, or states that look the same and are
            treated differently.
    """
    if name == "optimal":
        raise ConfigError(
            "an optimal policy is deterministic, and no parameters of a softmax give it: take "
            "uniform, a run folder, or a file of positive probabilities"
        )
    found = read_policy(mdp, name)
    if not tables.is_array(found.policy):
        return found
    table = tables.probabilities(mdp, found.policy)
    if not (table > 0)[mdp.available].all():
        state, action = np.argwhere((table == 0) & mdp.available)[0]
        raise ConfigError(
            f"{name} gives action {action} of state {state} no probability, which no logit does; "
            "positive probabilities are needed"
        )
    _, first, row = np.unique(mdp.observations, axis=0, return_index=True, return_inverse=True)
    apart = (table[first][row.ravel()] != table).any(axis=1)
    if apart.any():
        state = int(np.argmax(apart))
        raise ConfigError(
            f"{name} treats states {first[row.ravel()[state]]} and {state} differently, which look "
            "the same"
        )
    with jax.enable_x64(True):
        logits = np.log(np.where(mdp.available, table, 1.0))[first]
        return NamedPolicy(SoftmaxTable(mdp, logits=logits), found.source)


def _from_numpy(path: Path) -> np.ndarray:
    from logtrick.mdp.readers.numpy_files import read_arrays

    arrays = read_arrays(path)
    name = "policy" if path.suffix == ".npz" else ""
    if name not in arrays:
        raise ConfigError(f"{path} has no array `{name}`; it has {', '.join(arrays) or 'none'}")
    return arrays[name]


def _from_json(path: Path) -> np.ndarray:
    try:
        value = json.loads(read_regular(path, LARGEST_JSON))
        array = np.array(value["policy"] if isinstance(value, dict) else value)
    except (ValueError, KeyError, RecursionError) as error:
        raise ConfigError(f"{path} holds no policy, a list of numbers: {error!r}") from error
    if not np.issubdtype(array.dtype, np.number):
        raise ConfigError(f"{path} holds {array.dtype} values; a policy consists of numbers")
    return array


def _of_run(mdp: FiniteMDP, path: Path) -> NamedPolicy:
    """The first seed's policy, if it sees and does what there is on this MDP."""
    from logtrick.envs import finite
    from logtrick.runs.run import load

    run = load(path)
    config = run.config
    seen, done = finite.observation_space(mdp), finite.action_space(mdp)
    for what, theirs, ours in (
        ("observations", config.observation_space, seen),
        ("actions", config.action_space, done),
    ):
        if type(theirs) is not type(ours) or getattr(theirs, "n", theirs.shape) != getattr(
            ours, "n", ours.shape
        ):
            raise ConfigError(
                f"{path} was trained on {config.env} with the {what} {theirs}; this MDP has {ours}"
            )
    return NamedPolicy(run.policy, f"{path}, trained on {config.env}")
