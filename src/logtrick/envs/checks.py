"""`check_env`: does an environment keep the contract that training relies on?"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import PyTree

from logtrick.envs._device_checks import Tally, check_device
from logtrick.envs._drive import Rows, drive_host, named_leaves, numbers, random_actions
from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.envs.registry import resolve
from logtrick.envs.spaces import in_short, last_numbers, named_parts
from logtrick.envs.spec import TIMEOUT, EnvSpec, trainable
from logtrick.errors import EnvError, SpaceError
from logtrick.validation import checked_whole

_ROWS = 4


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
        The checks that passed, and those that these steps could not decide.

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
        finally:
            if built is not env:
                built.close()
    _check_spaces(spec, rows, tally)
    _check_time_limit(spec, rows, tally)
    episodes = int(rows.ended.sum())
    seen = int(rows.valid.sum())
    return EnvReport(spec.id, spec.kind, seen, episodes, tuple(tally.passed), tuple(tally.unseen))


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
    for name, first, second in zip(Rows._fields, rows, again, strict=True):
        for (part, was), (_, now) in zip(named_leaves(first), named_leaves(second), strict=True):
            differ = (numbers(was, 2) != numbers(now, 2)).any(axis=2)
            if differ.any():
                t, row = np.argwhere(differ)[0]
                raise EnvError(
                    f"{envs.id}, environment {row}, step {t}: {name}{part} was "
                    f"{in_short(was[t, row])}, and with the same seed and actions "
                    f"{in_short(now[t, row])}. Draw all chance from self.np_random, call "
                    "super().reset(seed=seed) in reset, and keep nothing from one episode to the "
                    "next (NormalizeObservation and NormalizeReward do)."
                )
    tally.passed.append(check)
    return rows


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
