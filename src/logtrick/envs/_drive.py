"""Episodes of random actions, collected for `check_env`."""

import copy
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from jaxtyping import Array, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, HostEnvs


class Rows(NamedTuple):
    """Transitions, in the order in which they were collected: arrays [T, N, ...]."""

    obs: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray

    @property
    def ended(self) -> np.ndarray:
        """bool[T, N]: the last transitions of episodes."""
        return self.terminated | self.truncated

    def ages(self) -> np.ndarray:
        """int[T, N]: 1 at an episode's first transition."""
        ages, age = np.zeros(self.valid.shape, int), np.zeros(self.valid.shape[1], int)
        for t, (valid, ended) in enumerate(zip(self.valid, self.ended, strict=True)):
            age = age + valid
            ages[t] = age
            age = np.where(ended, 0, age)
        return ages


def random_actions(space: spaces.Space[Any], seed: int, length: int, num_envs: int) -> np.ndarray:
    """[T, N, ...] random actions; the caller's space keeps its own generator."""
    batch = batch_space(copy.deepcopy(space), num_envs)
    batch.seed(seed)
    return np.stack([batch.sample() for _ in range(length)])


def drive_device(env: DeviceEnv, actions: Array, key: PRNGKeyArray) -> tuple[Rows, Any]:
    """The transitions, and the state before each: a pytree of [T, N, ...]."""
    num_envs = actions.shape[1]

    def advance(carry: tuple[Any, Array], scanned: tuple[Array, PRNGKeyArray]) -> Any:
        (state, obs), (action, key) = carry, scanned
        step_key, reset_key = jax.random.split(key)
        step = jax.vmap(env.step)(jax.random.split(step_key, num_envs), state, action)
        fresh = jax.vmap(env.reset)(jax.random.split(reset_key, num_envs))
        ended = step.terminated | step.truncated

        def select(new: Array, old: Array) -> Array:
            return jnp.where(ended.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        row = (obs, step.reward, step.obs, step.terminated, step.truncated)
        return jax.tree.map(select, fresh, (step.state, step.obs)), (row, state)

    @jax.jit
    def drive(actions: Array, key: PRNGKeyArray) -> Any:
        first_key, key = jax.random.split(key)
        start = jax.vmap(env.reset)(jax.random.split(first_key, num_envs))
        return jax.lax.scan(advance, start, (actions, jax.random.split(key, len(actions))))[1]

    row, states = drive(actions, key)
    obs, reward, next_obs, terminated, truncated = (np.asarray(array) for array in row)
    valid = np.ones(actions.shape[:2], bool)
    return Rows(obs, reward, next_obs, terminated, truncated, valid), states


def drive_host(envs: HostEnvs, actions: np.ndarray, seed: int) -> Rows:
    """The transitions; the same seed and actions give the same seeds to the same episodes."""
    rng = np.random.default_rng(seed)
    columns: list[tuple[np.ndarray, ...]] = []

    def reset(mask: np.ndarray) -> np.ndarray:
        return envs.reset(rng.integers(2**32, size=envs.num_envs, dtype=np.uint32), mask)

    obs = reset(np.ones(envs.num_envs, bool))
    for action in actions:
        step = envs.step(action)
        columns.append((obs, step.reward, step.obs, step.terminated, step.truncated, step.valid))
        ended = step.terminated | step.truncated
        obs = reset(ended) if ended.any() else step.obs
    return Rows(*(np.stack(column) for column in zip(*columns, strict=True)))
