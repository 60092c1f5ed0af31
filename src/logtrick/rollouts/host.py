"""Rollouts over host environments, which deliver the same `Trajectory` as those on the device."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from gymnasium.vector.utils import create_empty_array
from jaxtyping import PyTree

from logtrick.envs.protocol import HostEnvs
from logtrick.errors import CheckpointError
from logtrick.rollouts.acting import Step
from logtrick.rollouts.device import Trajectory, executable


class HostRollout:
    """Rollouts over host environments: R rows = seeds × environments, stepped together.

    Every episode starts with a seed that follows from (run seed, row, episode number). So an
    unfinished episode can be played again from its seed and its actions, and an interrupted run
    goes on exactly without asking an environment for its inner state (`state`, `restore`).

    Args:
        envs: R = num_seeds × num_envs environments.
        actor: (model, key) -> how it acts during one rollout, such as a `HostActor`; `begins` says
            where the memory has to be the initial one.
        seed: of the run; the s-th block of rows uses seed + s.
        num_seeds: S.
        carry: [S, N, ...] the policy's initial memory; None where it has none.
        group_size: G. With `one_episode`, each G neighbouring rows start with the same seed: they
            share the start, and all chance of the environment that the seed decides beside it.
    """

    def __init__(
        self,
        envs: HostEnvs,
        actor: Callable[[Any, Any], Step],
        *,
        seed: int,
        num_seeds: int = 1,
        carry: Any = None,
        group_size: int = 1,
    ) -> None:
        self.envs, self.actor, self.seed, self.num_seeds = envs, actor, seed, num_seeds
        self.group_size = group_size
        self.carry = carry
        rows = envs.num_envs
        self.shape = (num_seeds, rows // num_seeds)
        self.episode = np.zeros(rows, np.int64)
        self.step = np.zeros(rows, np.int32)
        self.episode_return = np.zeros(rows, np.float32)
        self.history: list[PyTree] = []
        """Actions of all rows, from the first step of the oldest unfinished episode on."""
        self.began = np.zeros(rows, np.int64)
        """Where in the history each row's episode began."""
        self.obs = self._start(np.ones(rows, bool))

    def collect(
        self, model: Any, key: Any, num_steps: int, *, one_episode: bool = False
    ) -> Trajectory:
        """Step all rows T times: a Trajectory of NumPy arrays [S, N, T, ...].

        With `one_episode` every row starts a fresh episode and what follows its end is invalid.
        """
        if one_episode:
            # Rows that ended early have begun more episodes than their neighbours.
            of_groups = self.episode.reshape(-1, self.group_size)
            self.episode = np.repeat(of_groups.max(axis=1), self.group_size)
            self.obs = self._start(np.ones(len(self.step), bool))
        act = self.actor(model, key)
        running = np.ones(len(self.step), bool)
        columns: Any = None
        for t in range(num_steps):
            if not running.any():
                _repeat_invalid(columns, t)
                break
            transition = self._step(*self._act(act, t), running)
            if columns is None:
                columns = _empty_columns(transition, num_steps)
            _fill(columns, t, transition)
            running = running & ~(one_episode & (transition.terminated | transition.truncated))
        oldest = int(self.began.min())
        del self.history[:oldest]
        self.began -= oldest
        return jax.tree.map(lambda x: x.reshape(*self.shape, *x.shape[1:]), columns)

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs, as plain arrays under their paths."""
        names = ("episode", "step", "episode_return", "began", "obs", "carry")
        tree = {name: getattr(self, name) for name in names}
        history = (
            jax.tree.map(lambda *steps: np.stack(steps), *self.history) if self.history else {}
        )
        leaves = jax.tree_util.tree_leaves_with_path(tree | {"history": history})
        return {_name(path): np.array(leaf) for path, leaf in leaves}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Play the unfinished episodes again, and check that they led to the same observations.

        Rows whose episode began later play their neighbours' past until then; a reset with the
        episode's seed undoes it.
        """

        def saved(name: str, like: Any) -> Any:
            return jax.tree_util.tree_map_with_path(lambda p, _: state[_name(p)], {name: like})[
                name
            ]

        for name in ("episode", "step", "episode_return", "began", "carry"):
            setattr(self, name, saved(name, getattr(self, name)))
        self.history = []
        if any(name.split("/")[0] == "history" for name in state):
            actions = saved("history", create_empty_array(self.envs.action_space, 1))
            length = len(jax.tree.leaves(actions)[0])
            self.history = [jax.tree.map(lambda x, t=t: x[t], actions) for t in range(length)]
        fresh = np.ones(len(self.began), bool)
        for t, action in enumerate(self.history):
            fresh |= self.began == t
            if fresh.any():
                self.envs.reset(self._seeds(fresh), fresh)
            reached = self.envs.step(executable(self.envs.action_space, action))
            fresh = reached.terminated | reached.truncated
            self.obs = reached.obs
        fresh |= self.began == len(self.history)
        if fresh.any():
            self.obs = self.envs.reset(self._seeds(fresh), fresh)
        self._compare(saved("obs", self.obs))

    def start_over(self, episode: int) -> None:
        """Begin fresh episodes in all rows, those after the `episode`-th."""
        self.episode[:] = episode
        self.obs = self._start(np.ones(len(self.step), bool))

    def _compare(self, expected: PyTree) -> None:
        for now, then in zip(jax.tree.leaves(self.obs), jax.tree.leaves(expected), strict=True):
            if not np.array_equal(now, then, equal_nan=now.dtype.kind == "f"):
                row = int(np.argmin((now == then).reshape(len(now), -1).all(axis=1)))
                raise CheckpointError(
                    f"{self.envs.id}, row {row}: replaying the unfinished episode from its seed "
                    "led to another observation, so this environment cannot be resumed exactly. "
                    "Its version differs from the one that wrote the checkpoint, or it does not "
                    "obey its seed."
                )

    def _act(self, act: Step, t: int) -> tuple[PyTree, np.ndarray]:
        obs = jax.tree.map(lambda x: x.reshape(*self.shape, *x.shape[1:]), self.obs)
        begins = (self.step == 0).reshape(self.shape)
        action, log_prob, self.carry = act(t, obs, self.carry, begins)
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), action)
        return flat, log_prob.reshape(-1)

    def _step(self, action: PyTree, log_prob: np.ndarray, running: np.ndarray) -> Trajectory:
        reached = self.envs.step(executable(self.envs.action_space, action))
        self.history.append(action)
        self.episode_return = self.episode_return + np.where(reached.valid, reached.reward, 0)
        transition = Trajectory(
            obs=self.obs,
            action=action,
            reward=reached.reward,
            next_obs=reached.obs,
            terminated=reached.terminated,
            truncated=reached.truncated,
            valid=reached.valid & running,
            log_prob=log_prob,
            step=self.step,
            episode_return=self.episode_return,
        )
        self.step = self.step + reached.valid
        self.obs = reached.obs
        if (ended := reached.terminated | reached.truncated).any():
            self.obs = self._start(ended)
        return transition

    def _start(self, mask: np.ndarray) -> PyTree:
        """Begin new episodes in the rows of the mask."""
        self.episode = self.episode + mask
        self.step = np.where(mask, 0, self.step)
        self.episode_return = np.where(mask, np.float32(0), self.episode_return)
        self.began = np.where(mask, len(self.history), self.began)
        return self.envs.reset(self._seeds(mask), mask)

    def _seeds(self, mask: np.ndarray) -> np.ndarray:
        """Seeds for the episodes in the mask; 31 bits, since some environments take no more."""
        seeds = np.zeros(len(mask), np.uint32)
        for row in np.flatnonzero(mask):
            block, within = divmod(int(row), self.shape[1])
            entropy = (self.seed + block, within // self.group_size, int(self.episode[row]))
            seeds[row] = np.random.SeedSequence(entropy).generate_state(1)[0] >> 1
        return seeds


def _empty_columns(transition: Trajectory, num_steps: int) -> Trajectory:
    """Room [R, T, ...] for T transitions [R, ...]."""
    return jax.tree.map(lambda x: np.empty((len(x), num_steps, *x.shape[1:]), x.dtype), transition)


def _fill(columns: Trajectory, t: int, transition: Trajectory) -> None:
    """Write the transition of step t into its place."""
    for column, x in zip(jax.tree.leaves(columns), jax.tree.leaves(transition), strict=True):
        column[:, t] = x


def _repeat_invalid(columns: Trajectory, t: int) -> None:
    """Fill up from step t on with the last transition, marked as none."""
    for column in jax.tree.leaves(columns):
        column[:, t:] = column[:, t - 1 : t]
    columns.valid[:, t:] = False


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
