"""`check_env`: does an environment keep the contract that training relies on?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import PyTree

from logtrick.envs.catalog import resolve
from logtrick.envs.checking.device_checks import Tally, check_device
from logtrick.envs.checking.driving import (
    Rows,
    at,
    drive_host,
    named_leaves,
    numbers,
    random_actions,
)
from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.envs.spec import TIMEOUT, EnvSpec, trainable
from logtrick.errors import EnvError, SpaceError
from logtrick.policies.box_scale import where_it_starts
from logtrick.policies.encoders import is_image
from logtrick.support.numbers import checked_whole
from logtrick.support.spaces import in_short, last_numbers, named_parts

_ROWS = 4
LARGE_OBSERVATION, LARGE_REWARD = 100.0, 1000.0
"""Beyond these `check_env` warns."""


@dataclass(frozen=True)
class EnvReport:
    """What `check_env` saw."""

    id: str
    """The environment's id."""
    kind: Literal["device", "host"]
    """Where it runs."""
    steps: int
    """Transitions seen."""
    episodes: int
    """Episodes seen to their end."""
    passed: tuple[str, ...]
    """The checks that passed."""
    unseen: tuple[str, ...]
    """What this run could not show: nothing was found wrong, and nothing was proved."""
    warnings: tuple[str, ...] = ()
    """What breaks no contract, and may keep a policy from learning: units far from 1."""


def check_env(
    env: Any, *, seed: int = 0, steps: int = 1000, timeout: float | int = TIMEOUT
) -> EnvReport:
    """Take random actions, those that its mask allows, and check what training relies on.

    A device environment must be traceable and pure, keep its shapes and dtypes, and return the
    state that it reached, also at an end, where it must not reset itself; where it counts its own
    chances (`envs.Enumerable`), what it samples must agree. A host environment must
    give the same episode again for the same seed and actions, where its kind allows to ask for
    that. Both must stay in their spaces, pay finite rewards, give two separate flags, and truncate,
    not terminate, at their time limit. Each part of a Dict or Tuple is checked by itself.

    Args:
        env: An id, or whatever `envs.resolve` takes.
        seed: Of the actions, and of the environment.
        steps: Steps to take, of all rows together.
        timeout: Seconds that a row of a host environment may take to answer.

    Returns:
        The checks that passed, those that these steps could not decide, and warnings: of actions,
        observations and rewards in units from which a policy learns badly.

    Raises:
        EnvError: The first check that failed: what, where, and what to do.
        SpaceError: A space that no policy can serve.

    Example:
        >>> import logtrick as lt
        >>> report = lt.check_env("MountainCar-v0", steps=1000)
        >>> report.episodes, report.unseen
        (4, ())
    """
    steps, seed = checked_whole("steps", steps, 1), checked_whole("seed", seed, 0)
    spec = resolve(env, timeout=timeout)
    if not trainable(spec.observation_space, spec.action_space):
        raise SpaceError(
            f"{spec.id}: from {spec.observation_space} to {spec.action_space}: policies serve no "
            "such spaces; see `logtrick.policies.encoders` and `logtrick.policies.heads`."
        )
    num_envs = spec.num_envs or _ROWS
    length = -(-steps // num_envs)
    built = spec.build(num_envs, timeout=timeout)
    tally = Tally()
    actions = random_actions(spec.action_space, seed, length, num_envs)
    if isinstance(built, DeviceEnv):
        rows = check_device(built, jax.tree.map(jnp.asarray, actions), seed, tally)
    else:
        try:
            rows = _check_host(built, actions, seed, tally)
            _check_apart(spec, rows, actions, seed, tally)
        finally:
            if built is not env:
                built.close()
    _check_spaces(spec, rows, tally)
    _check_time_limit(spec, rows, tally)
    episodes = int(rows.ended.sum())
    seen = int(rows.valid.sum())
    passed, unseen = tuple(tally.passed), tuple(tally.unseen)
    return EnvReport(spec.id, spec.kind, seen, episodes, passed, unseen, tuple(_units(spec, rows)))


def _units(spec: EnvSpec, rows: Rows) -> Iterator[str]:
    """Warnings of numbers that are far from 1."""
    for name, space, _ in named_parts(spec.action_space, spec.action_space):
        if isinstance(space, spaces.Box) and (words := where_it_starts(space)):
            yield f"actions{name}: {words}"
    for name, space, obs in named_parts(spec.observation_space, rows.obs):
        if not isinstance(space, spaces.Box) or is_image(space, "auto"):
            continue
        if (largest := np.abs(obs.astype(np.float64)).max(initial=0.0)) > LARGE_OBSERVATION:
            yield (
                f"observations{name}: there are entries of size {largest:.3g}, which saturate a "
                "network's first layer. observations='normalised' brings them to a common scale."
            )
    if (largest := np.abs(rows.reward.astype(np.float64)).max(initial=0.0)) > LARGE_REWARD:
        yield (
            f"rewards: there are some of size {largest:.3g}, for which a value function that "
            "starts near 0 takes long. rewards='normalised' brings them to a common scale."
        )


def _check_host(envs: HostEnvs, actions: PyTree, seed: int, tally: Tally) -> Rows:
    """What the adapter does not check at every step that it takes."""
    rows = drive_host(envs, actions, seed)
    tally.passed.append("reset and step return what Gymnasium asks for, in shape and dtype")
    tally.passed.append("rewards and observations are finite; the flags are two separate bools")
    check = "the same seed and actions give the same episode"
    if not envs.replayable:
        tally.unseen.append(f"{check}: it cannot be seeded episode by episode")
        return rows
    again = drive_host(envs, actions, seed)
    if (found := _first_difference(rows, again)) is not None:
        name, t, row, was, now = found
        raise EnvError(
            f"{envs.id}, environment {row}, step {t}: {name} was {was}, and with the same seed and "
            f"actions {now}. Draw all chance from self.np_random, call "
            "super().reset(seed=seed) in reset, and keep nothing from one episode to the "
            "next (NormalizeObservation and NormalizeReward do)."
        )
    tally.passed.append(check)
    return rows


def _check_apart(spec: EnvSpec, rows: Rows, actions: PyTree, seed: int, tally: Tally) -> None:
    """Whether the first row sees the same without the others."""
    if spec.num_envs is not None:
        return
    alone = spec.build(1)
    assert isinstance(alone, HostEnvs)
    with alone:
        if not alone.replayable:
            return
        first = jax.tree.map(lambda x: x[:, :1], actions)
        found = _first_difference(at(rows, slice(None), slice(1)), drive_host(alone, first, seed))
    if found is not None:
        name, t, _, was, now = found
        raise EnvError(
            f"{spec.id}, environment 0, step {t}: {name} was {was} beside other rows, and with the "
            f"same seed and actions {now} alone. The rows share something that changes (an object, "
            "an attribute of the class, a variable of the module): make it anew for each "
            "environment."
        )
    tally.passed.append("a row sees the same beside others as alone")


def _first_difference(rows: Rows, again: Rows) -> tuple[str, int, int, str, str] | None:
    """(what, step, row, was, is now) of the first field in which two drives differ."""
    for name, first, second in zip(Rows._fields, rows, again, strict=True):
        for (part, was), (_, now) in zip(named_leaves(first), named_leaves(second), strict=True):
            differ = (numbers(was, 2) != numbers(now, 2)).any(axis=2)
            if differ.any():
                t, row = map(int, np.argwhere(differ)[0])
                return f"{name}{part}", t, row, in_short(was[t, row]), in_short(now[t, row])
    return None


def _check_spaces(spec: EnvSpec, rows: Rows, tally: Tally) -> None:
    for name, obs in (("next observation", rows.next_obs), ("observation", rows.obs)):
        for part, space, values in named_parts(spec.observation_space, obs):
            _check_limits(spec.id, f"{name}{part}", space, values)
    tally.passed.append("observations stay in their space")


def _check_limits(id: str, name: str, space: spaces.Space[Any], obs: np.ndarray) -> None:
    low, high = _limits(space)
    # What was computed in float32 may miss a bound by its rounding.
    slack = 1e-5 * np.maximum(1.0, np.abs(obs))
    outside = (obs + slack < low) | (obs - slack > high)
    if outside.any():
        t, row, *where = map(int, np.argwhere(outside)[0])
        entry = tuple(where)
        raise EnvError(
            f"{id}, row {row}, step {t}: the {name}{where or ''} is {obs[(t, row, *entry)]}, "
            f"outside [{low[entry]:g}, {high[entry]:g}]: widen the space."
        )


def _limits(space: spaces.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value of each entry."""
    if isinstance(space, spaces.Box):
        return space.low.astype(float), space.high.astype(float)
    high = np.broadcast_to(np.asarray(last_numbers(space), float), space.shape or ())
    return np.zeros_like(high), high


def _check_time_limit(spec: EnvSpec, rows: Rows, tally: Tally) -> None:
    limit = spec.max_episode_steps
    if limit is None:
        return
    check = f"the time limit of {limit} steps truncates, and does not terminate"
    ages = np.where(rows.valid, rows.ages(), 0)
    late = (ages >= limit) & ~rows.truncated
    if late.any():
        t, row = np.argwhere(late)[0]
        what = "terminated" if rows.terminated[t, row] else "went on"
        raise EnvError(
            f"{spec.id}, row {row}: an episode {what} at step {ages[t, row]} and was not truncated;"
            f" its time limit is {limit}. Set truncated there, and terminated only where the task "
            "itself ends."
        )
    if (ages == limit).any():
        tally.passed.append(check)
    else:
        tally.unseen.append(f"{check}: no episode lasted so long")
