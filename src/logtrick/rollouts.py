"""Rollouts: a policy acts, and no transition loses information.

`rollout` is unbatched and pure: one device environment, one policy; rows and seeds are `vmap`
outside. `HostRollout` steps rows of host environments and delivers the very same `Trajectory`.
Both own the reset: an environment never resets itself, so `next_obs` is the observation that was
really reached, and both flags stay apart.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from logtrick.distributions import Distribution
from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.errors import CheckpointError

AnyArray = Any  # of JAX, or of NumPy when it comes from host environments
Policy = Callable[[Any], Distribution]
FRESH_BYTES = 2**18
"""Fresh starts for all steps of a row are drawn beforehand if they need less memory than this."""

Act = Callable[[Any, Any, int, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Trajectory(NamedTuple):
    """T consecutive transitions of one environment; batches carry their axes in front."""

    obs: Shaped[AnyArray, "..."]
    """[T, ...] the observation on which the policy acted."""
    action: Shaped[AnyArray, "..."]
    """[T, ...] as sampled; a Box action is clipped to its space only on its way to the
    environment, so that `log_prob` is that of the action that was drawn."""
    reward: Float[AnyArray, "*batch T"]
    next_obs: Shaped[AnyArray, "..."]
    """[T, ...] the observation really reached, at the end of an episode too."""
    terminated: Bool[AnyArray, "*batch T"]
    truncated: Bool[AnyArray, "*batch T"]
    valid: Bool[AnyArray, "*batch T"]
    """False for rows that are no transition of the batch; they carry no gradient."""
    log_prob: Float[AnyArray, "*batch T"]
    """log π(a_t|s_t) under the policy that acted."""
    step: Int[AnyArray, "*batch T"]
    """k: how many steps of the same episode came before."""
    episode_return: Float[AnyArray, "*batch T"]
    """Undiscounted reward of the episode so far, this step included."""


class Row(NamedTuple):
    """One device environment between two steps."""

    state: Any
    obs: Array
    step: Int[Array, ""]
    episode_return: Float[Array, ""]


def start_row(key: PRNGKeyArray, env: DeviceEnv) -> Row:
    """Reset a device environment."""
    state, obs = env.reset(key)
    return Row(state, obs, jnp.zeros((), jnp.int32), jnp.zeros(()))


def start_rows(key: PRNGKeyArray, env: DeviceEnv, num_envs: int, *, group_size: int = 1) -> Row:
    """Reset N device environments; each `group_size` of them, in turn, to one and the same start.

    Args:
        key: a JAX key.
        env: the environment.
        num_envs: N, a multiple of `group_size`.
        group_size: G. What follows the reset is left to each row's own key.

    Returns:
        The rows, N in front.
    """
    keys = jax.random.split(key, num_envs // group_size)
    rows = jax.vmap(lambda k: start_row(k, env))(keys)
    return jax.tree.map(lambda x: jnp.repeat(x, group_size, axis=0), rows)


def rollout(
    key: PRNGKeyArray,
    env: DeviceEnv,
    policy: Policy,
    num_steps: int,
    row: Row | None = None,
    *,
    one_episode: bool = False,
    greedy: bool = False,
) -> tuple[Row, Trajectory]:
    """Let a policy act for T steps in one device environment; episodes follow one another.

    Args:
        key: a JAX key.
        env: the environment; unbatched, as this function is: use `jax.vmap` for many.
        policy: one observation -> a distribution over actions.
        num_steps: T.
        row: where the last rollout left off; None starts a fresh episode.
        one_episode: mark what follows the first episode's end as invalid.
        greedy: take the distribution's mode instead of a sample.

    Returns:
        (the row to go on from, the Trajectory [T, ...]).

    Example:
        >>> import jax
        >>> from logtrick.envs import make
        >>> from logtrick.policies import MLPPolicy
        >>> env = make("CartPole-v1")
        >>> policy = MLPPolicy(env.observation_space, env.action_space)
        >>> _, trajectory = rollout(jax.random.key(0), env, policy, 5)
        >>> trajectory.obs.shape, trajectory.reward.tolist()
        ((5, 4), [1.0, 1.0, 1.0, 1.0, 1.0])
    """
    if row is None:
        key, key_start = jax.random.split(key)
        row = start_row(key_start, env)

    key_act, key_step, key_reset = jax.random.split(key, 3)
    # Noise and fresh starts are drawn for all steps at once, outside the sequential loop.
    shape = jax.eval_shape(policy, row.obs)
    noise = jax.vmap(shape.draw_noise)(jax.random.split(key_act, num_steps))
    resets = jax.random.split(key_reset, num_steps)
    small = num_steps * sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(row)) < FRESH_BYTES
    fresh = jax.vmap(lambda k: start_row(k, env))(resets) if small else resets

    def step(carry: Any, drawn: Any) -> tuple[Any, Trajectory]:
        row, running = carry
        noise, key_step, fresh = drawn
        distribution = policy(row.obs)
        action = distribution.mode if greedy else distribution.from_noise(noise)
        reached = env.step(key_step, row.state, executable(env.action_space, action))
        episode_return = row.episode_return + reached.reward
        transition = Trajectory(
            obs=row.obs,
            action=action,
            reward=reached.reward,
            next_obs=reached.obs,
            terminated=reached.terminated,
            truncated=reached.truncated,
            valid=running,
            log_prob=distribution.log_prob(action),
            step=row.step,
            episode_return=episode_return,
        )
        ended = reached.terminated | reached.truncated
        going_on = Row(reached.state, reached.obs, row.step + 1, episode_return)
        begun = fresh if small else start_row(fresh, env)
        following = jax.tree.map(lambda a, b: jnp.where(ended, a, b), begun, going_on)
        return (following, running & ~(ended & one_episode)), transition

    start: Any = (row, jnp.ones((), bool))
    drawn = noise, jax.random.split(key_step, num_steps), fresh
    (last, _), trajectory = jax.lax.scan(step, start, drawn)
    return last, trajectory


def executable(space: spaces.Space[Any], action: Any) -> Any:
    """The action as the environment takes it: inside the bounds of a Box.

    Works on JAX and NumPy arrays alike. An unbounded normal policy is clipped here, as everybody
    does; the gradient is that of the unclipped policy in the environment with clipping inside.
    """
    if isinstance(space, spaces.Box):
        return action.clip(space.low, space.high)
    return action


class HostRollout:
    """Rollouts over host environments: R rows = seeds × environments, stepped together.

    Every episode starts with a seed that follows from (run seed, row, episode number). So an
    unfinished episode can be played again from its seed and its actions, and an interrupted run
    goes on exactly without asking an environment for its inner state (`state`, `restore`).

    Args:
        envs: R = num_seeds × num_envs environments.
        act: (model, key, t, obs [S, N, ...]) -> (action, log_prob), NumPy arrays [S, N, ...].
        seed: of the run; the s-th block of rows uses seed + s.
        num_seeds: S.
        group_size: G. With `one_episode`, each G neighbouring rows start with the same seed: they
            share the start, and all chance of the environment that the seed decides beside it.
    """

    def __init__(
        self, envs: HostEnvs, act: Act, *, seed: int, num_seeds: int = 1, group_size: int = 1
    ) -> None:
        self.envs, self.act, self.seed, self.num_seeds = envs, act, seed, num_seeds
        self.group_size = group_size
        rows = envs.num_envs
        self.shape = (num_seeds, rows // num_seeds)
        self.episode = np.zeros(rows, np.int64)
        self.step = np.zeros(rows, np.int32)
        self.episode_return = np.zeros(rows, np.float32)
        self.history: list[np.ndarray] = []
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
        running = np.ones(len(self.step), bool)
        rows: list[Trajectory] = []
        for t in range(num_steps):
            if not running.any():
                rows.extend([rows[-1]._replace(valid=running)] * (num_steps - t))
                break
            rows.append(self._step(*self._act(model, key, t), running))
            running = running & ~(one_episode & (rows[-1].terminated | rows[-1].truncated))
        oldest = int(self.began.min())
        del self.history[:oldest]
        self.began -= oldest
        return Trajectory(*map(self._stack, zip(*rows, strict=True)))

    def state(self) -> dict[str, np.ndarray]:
        """What `restore` needs, as plain arrays."""
        names = ("episode", "step", "episode_return", "began", "obs")
        arrays = {name: np.array(getattr(self, name)) for name in names}
        return arrays | {"history": np.array(self.history)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Play the unfinished episodes again, and check that they led to the same observations.

        Rows whose episode began later play their neighbours' past until then; a reset with the
        episode's seed makes that forgotten.
        """
        self.history = list(state["history"])
        for name in ("episode", "step", "episode_return", "began"):
            setattr(self, name, state[name])
        fresh = np.ones(len(self.began), bool)
        for t, actions in enumerate(self.history):
            fresh |= self.began == t
            if fresh.any():
                self.envs.reset(self._seeds(fresh), fresh)
            reached = self.envs.step(executable(self.envs.action_space, actions))
            fresh = reached.terminated | reached.truncated
            self.obs = reached.obs
        fresh |= self.began == len(self.history)
        if fresh.any():
            self.obs = self.envs.reset(self._seeds(fresh), fresh)
        if not np.array_equal(self.obs, state["obs"], equal_nan=True):
            same = (self.obs == state["obs"]).reshape(len(self.obs), -1).all(axis=1)
            row = int(np.argmin(same))
            raise CheckpointError(
                f"{self.envs.id}, row {row}: replaying the unfinished episode from its seed led to "
                "another observation, so this environment cannot be resumed exactly. Its version "
                "differs from the one that wrote the checkpoint, or it does not obey its seed."
            )

    def _act(self, model: Any, key: Any, t: int) -> tuple[np.ndarray, np.ndarray]:
        action, log_prob = self.act(
            model, key, t, self.obs.reshape(*self.shape, *self.obs.shape[1:])
        )
        return action.reshape(-1, *action.shape[2:]), log_prob.reshape(-1)

    def _step(self, action: np.ndarray, log_prob: np.ndarray, running: np.ndarray) -> Trajectory:
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

    def _start(self, mask: np.ndarray) -> np.ndarray:
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

    def _stack(self, column: tuple[np.ndarray, ...]) -> np.ndarray:
        stacked = np.stack(column, axis=1)
        return stacked.reshape(*self.shape, *stacked.shape[1:])
