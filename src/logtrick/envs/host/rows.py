"""Gymnasium's vector environments as `HostEnvs`: every autoreset mode, every fault a message."""

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from logtrick.envs.host import vector as _vector
from logtrick.envs.host.alarm import close_safely, unanswered
from logtrick.envs.host.masks import without_actions
from logtrick.envs.host.vector import RowsFailed, SeededVector, Vector
from logtrick.envs.protocol import HostEnvs, HostStep
from logtrick.envs.spec import LONGER, from_zero
from logtrick.errors import EnvError, ShapeError, SpaceError
from logtrick.support.spaces import in_short, last_numbers, named_parts, over_leaves


class VectorHostEnvs(HostEnvs):
    """N rows of a Gymnasium `VectorEnv`.

    What happens at the end of an episode depends on the vector environment's autoreset mode; in
    each, `step` returns the observation that was really reached:

    - `DISABLED`: nothing; `reset` starts the episodes of its mask, each with its own seed.
    - `NEXT_STEP`: the next `step` resets the row and ignores its action; that row is not `valid`.
    - `SAME_STEP`: the vector environment has reset the row already. The observation that was
      reached comes from its info; the fresh one is handed out by `reset`.

    Discrete spaces that do not start at 0 are shifted so that they do.
    """

    def __init__(
        self,
        vector: Vector,
        *,
        id: str,
        max_episode_steps: int | None = None,
        deterministic: bool = True,
        timeout: float = 60.0,
        owned: bool = True,
    ):
        """Adapt `vector`.

        Args:
            vector: The vector environment, not yet reset.
            id: The id that makes it again.
            max_episode_steps: Its time limit, if one is known.
            deterministic: Whether seed and actions fix an episode, where seeds can be given.
            timeout: Seconds after which a row that does not answer counts as hung.
            owned: Whether `vector` is closed with this object.
        """
        self.id = id
        self.num_envs = vector.num_envs
        self.max_episode_steps = max_episode_steps
        self.observation_space = from_zero(vector.single_observation_space)
        self.action_space = from_zero(vector.single_action_space)
        self._vector = vector
        self._mode = _vector.autoreset_mode(vector)
        self.one_seed_each = isinstance(
            vector.unwrapped, SyncVectorEnv | AsyncVectorEnv | SeededVector
        )
        disabled = self._mode is AutoresetMode.DISABLED
        self.replayable = deterministic and disabled and self.one_seed_each
        self._timeout = timeout
        self._owned = owned
        self._obs: Any = None
        """What the vector environment itself showed last; None before the first reset."""
        self._ended = np.zeros(self.num_envs, bool)
        """Rows whose episode is over, and which `reset` has not been called for."""
        self._idle = np.zeros(self.num_envs, bool)
        """Rows whose next step is no transition."""
        self._steps = np.zeros(self.num_envs, int)
        """Steps since the start of each row's episode."""
        self._actions: Any = None
        """The last actions, as the environment got them."""

    def reset(self, seeds: np.ndarray, mask: np.ndarray) -> Any:
        """Start new episodes in the rows of `mask`: see `HostEnvs.reset`.

        The first reset is of all rows, and seeds every mode. So does a later one of all rows in the
        middle of their episodes; others only start what has ended, except under DISABLED.
        """
        if self._obs is None and not mask.all():
            raise EnvError(f"{self.id}: the first reset must be of all rows.")
        disabled = self._mode is AutoresetMode.DISABLED
        midway = mask & ~self._ended
        afresh = mask.all() and midway.any()
        if midway.any() and not afresh and not disabled:
            raise EnvError(
                f"{self.id}: environment {_first(midway)} cannot be reset in the middle of an "
                f"episode: its vector environment resets itself (mode {self._mode.name}). "
                "Reset all rows together."
            )
        self._steps = np.where(mask, 0, self._steps)
        if afresh or disabled:
            self._obs = self._reset_vector(seeds, mask)
            self._idle = self._idle & ~mask
        elif self._mode is AutoresetMode.NEXT_STEP:
            self._idle = self._ended & mask
        self._ended = self._ended & ~mask
        self._refuse_empty_masks(self._obs, mask & ~self._idle)
        return self._obs

    def step(self, actions: Any) -> HostStep:
        """Take one action in each row: see `HostEnvs.step`."""
        if self._obs is None or self._ended.any():
            raise EnvError(f"{self.id}: an episode is over or has not begun: call reset first.")
        self._actions = self._host_actions(actions)
        valid = ~self._idle
        self._steps = np.where(valid, self._steps + 1, 0)
        try:
            result = _vector.step(self._vector, self._actions, self._timeout)
        except RowsFailed as failure:
            raise self._error(failure) from failure.__cause__
        obs, rewards, terminations, truncations, infos = result
        terminated = self._flags("terminated", terminations) & valid
        truncated = self._flags("truncated", truncations) & valid
        self._obs = reached = self._observations(obs)
        self._ended, self._idle = terminated | truncated, np.zeros_like(valid)
        if self._mode is AutoresetMode.SAME_STEP and self._ended.any():
            reached = self._with_final(reached, infos)
        elif self._mode is AutoresetMode.NEXT_STEP:
            self._refuse_final(infos)
        self._refuse_empty_masks(reached, ~self._ended)
        return HostStep(reached, self._rewards(rewards, valid), terminated, truncated, valid)

    def close(self) -> None:
        """Close the vector environment, if it was made here; an error is only logged."""
        if not self._owned or self._vector.closed:
            return
        close_safely(lambda: _vector.close(self._vector, self._timeout), self.id, self._timeout)
        self._vector.closed = True  # once more would not go better

    def _reset_vector(self, seeds: np.ndarray, mask: np.ndarray) -> Any:
        options = {"reset_mask": mask} if self._mode is AutoresetMode.DISABLED else None
        seed: Any = [int(s) for s in seeds]
        if not self.one_seed_each:
            seed = int(seeds[0]) if mask.all() else None
        try:
            obs = _vector.reset(self._vector, seed, options, self._timeout)
        except RowsFailed as failure:
            raise self._error(failure) from failure.__cause__
        return self._observations(obs)

    def _host_actions(self, actions: Any) -> Any:
        own = self._vector.single_action_space
        return over_leaves(self._host_action, self.action_space, own, actions)

    def _host_action(
        self, space: spaces.Space[Any], own: spaces.Space[Any], actions: Any
    ) -> np.ndarray:
        actions = np.asarray(actions)
        expected = (self.num_envs, *(space.shape or ()))
        if actions.shape != expected:
            raise ShapeError(f"{self.id}: the actions have shape {actions.shape}, not {expected}.")
        if not np.can_cast(actions.dtype, space.dtype or object, "same_kind"):
            raise SpaceError(f"{self.id}: the actions are {actions.dtype}; their space is {space}.")
        bad = _not_finite(actions)
        if bad.any():
            row = _first(bad)
            raise EnvError(f"{self.id}: the action for environment {row} is {actions[row]}.")
        return actions.astype(space.dtype) + _start(own)

    def _observations(self, obs: Any) -> Any:
        own = self._vector.single_observation_space
        return over_leaves(self._observation, self.observation_space, own, obs)

    def _observation(
        self, space: spaces.Space[Any], own: spaces.Space[Any], obs: Any
    ) -> np.ndarray:
        array = self._array("observations", obs, space.shape or ())
        if not np.can_cast(array.dtype, space.dtype or object, "same_kind"):
            raise EnvError(f"{self.id}: the observations are {array.dtype}; their space is {space}")
        array = array.astype(space.dtype) - _start(own)
        bad = _not_finite(array)
        if (last := last_numbers(space)) is not None:
            bad = ((array < 0) | (array > last)).reshape(len(array), -1).any(axis=1)
        if bad.any():
            row = _first(bad)
            whole = self._vector.single_observation_space
            name = next(name for name, part, _ in named_parts(whole, whole) if part is own)
            seen = in_short(array[row] + _start(own))
            raise EnvError(f"{self._where(row)}: the observation{name} {seen} is not in {own}.")
        return array

    def _rewards(self, rewards: Any, valid: np.ndarray) -> np.ndarray:
        array = np.where(valid, self._array("rewards", rewards, ()), 0)
        bad = ~(np.abs(array) <= np.finfo(np.float32).max)
        if bad.any():
            row = _first(bad)
            raise EnvError(f"{self._where(row)}: the reward is {array[row]}, which is no float32.")
        return array.astype(np.float32)

    def _flags(self, name: str, flags: Any) -> np.ndarray:
        array = self._array(name, flags, ())
        if array.dtype != bool:
            raise EnvError(f"{self.id}: {name} is {array.dtype} and not bool.")
        return array

    def _array(self, name: str, values: Any, row_shape: tuple[int, ...]) -> np.ndarray:
        expected = (self.num_envs, *row_shape)
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise EnvError(f"{self.id}: the {name} make no array: {error}") from error
        if array.shape != expected or array.dtype.kind not in "biuf":
            got = f"{array.dtype}{list(array.shape)}"
            raise EnvError(f"{self.id}: the {name} are {got}, not numbers of shape {expected}.")
        return array

    def _with_final(self, obs: Any, infos: dict[str, Any]) -> Any:
        """The observations really reached, where `obs` has fresh ones in the rows that ended."""
        final = infos.get("final_obs")
        if final is None:
            raise EnvError(
                f"{self.id}: its autoreset mode is SAME_STEP, but info['final_obs'], the "
                "observation that was really reached, is missing."
            )
        rows = np.flatnonzero(self._ended)

        def reached(_: Any, own: spaces.Space[Any], fresh: np.ndarray, *last: Any) -> np.ndarray:
            raw = fresh + _start(own)
            for row, value in zip(rows, last, strict=True):
                raw[row] = value
            return raw

        own = self._vector.single_observation_space
        last = [final[row] for row in rows]
        return self._observations(over_leaves(reached, self.observation_space, own, obs, *last))

    def _refuse_final(self, infos: dict[str, Any]) -> None:
        if "final_obs" in infos or "final_observation" in infos:
            raise EnvError(
                f"{self.id}: its info has final observations, so it resets in the SAME_STEP, but "
                "it does not say so. Set metadata['autoreset_mode'] to AutoresetMode.SAME_STEP, "
                "and name them 'final_obs'."
            )

    def _refuse_empty_masks(self, obs: Any, running: np.ndarray) -> None:
        """An episode that goes on must allow some action; after its end it need not."""
        try:
            stuck = without_actions(self.observation_space, self.action_space, obs)
        except SpaceError as error:
            raise SpaceError(f"{self.id}: {error}") from error
        if stuck is not None and (stuck & running).any():
            where = self._where(_first(stuck & running))
            raise EnvError(f"{where}: its action_mask allows no action, yet it goes on.")

    def _error(self, failure: RowsFailed) -> EnvError:
        if self._owned:
            _vector.kill(self._vector)
        where = self._where(failure.rows[0]) if failure.rows else f"{self.id}, an environment"
        error = EnvError(f"{where}: {failure.what}.")
        if failure.what == unanswered(self._timeout):
            error.add_note(LONGER)
        if failure.trace:
            error.add_note(failure.trace)
        return error

    def _where(self, row: int) -> str:
        steps = self._steps[row]
        if not steps:
            return f"{self.id}, environment {row}, reset"
        action = over_leaves(lambda _, taken: taken[row], self.action_space, self._actions)
        return f"{self.id}, environment {row}, step {steps} of its episode, action {action}"


def _start(space: spaces.Space[Any]) -> Any:
    """What a Discrete or MultiDiscrete space counts from."""
    return space.start if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) else 0


def _not_finite(array: np.ndarray) -> np.ndarray:
    """bool[N]: the rows that hold NaN or infinity."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return np.zeros(len(array), bool)
    return ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)


def _first(rows: np.ndarray) -> int:
    return int(np.flatnonzero(rows)[0])
