"""Episodes of random actions, collected for `check_env`."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from jaxtyping import Array, PRNGKeyArray, PyTree

from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.policies.encoders import action_mask
from logtrick.policies.heads import head
from logtrick.support.row_masks import over_axes
from logtrick.support.spaces import over_leaves

Choose = Callable[[PRNGKeyArray, Any, Any], Any]
"""(key, observation, random action) -> an action that can be taken there."""


class Rows(NamedTuple):
    """Transitions, in the order in which they were collected: arrays [T, N, ...]."""

    obs: PyTree
    action: PyTree
    reward: np.ndarray
    next_obs: PyTree
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


def at(tree: PyTree, *index: Any) -> Any:
    """One row of each array."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def numbers(tree: PyTree, axes: int) -> np.ndarray:
    """All that the arrays hold, side by side behind their first axes."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return np.concatenate([leaf.reshape(*leaf.shape[:axes], -1) for leaf in leaves], axis=-1)


def named_leaves(tree: PyTree) -> list[tuple[str, np.ndarray]]:
    """The arrays with their places, ['seen'][0] say."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves]


def random_actions(space: spaces.Space[Any], seed: int, length: int, num_envs: int) -> PyTree:
    """[T, N, ...] random actions; the caller's space keeps its own generator."""
    batch = batch_space(copy.deepcopy(space), num_envs)
    batch.seed(seed)
    return jax.tree.map(lambda *rows: np.stack(rows), *(batch.sample() for _ in range(length)))


def chooser(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> Choose:
    """The random action as it is, or where there is a mask, one that it allows, each as likely."""
    uniform = head(observation_space, action_space)

    def choose(key: PRNGKeyArray, obs: Any, drawn: Any) -> Any:
        if (mask := action_mask(obs)) is None:
            return drawn
        allowed = uniform(jnp.zeros(uniform.width), mask).sample(key)

        def pick(space: spaces.Space[Any], drawn: Any, allowed: Any) -> Any:
            return drawn if isinstance(space, spaces.Box) else allowed

        return over_leaves(pick, action_space, drawn, allowed)

    return choose


def drive_device(env: DeviceEnv, actions: PyTree, key: PRNGKeyArray) -> tuple[Rows, Any]:
    """The transitions, and the state before each: a pytree of [T, N, ...]."""
    length, num_envs = jax.tree.leaves(actions)[0].shape[:2]
    choose = chooser(env.observation_space, env.action_space)

    def advance(carry: tuple[Any, Any], scanned: tuple[Any, PRNGKeyArray]) -> Any:
        (state, obs), (drawn, key) = carry, scanned
        step_key, reset_key = jax.random.split(key)
        action_keys = jax.random.split(jax.random.fold_in(key, 0), num_envs)
        action = jax.vmap(choose)(action_keys, obs, drawn)
        step = jax.vmap(env.step)(jax.random.split(step_key, num_envs), state, action)
        fresh = jax.vmap(env.reset)(jax.random.split(reset_key, num_envs))
        ended = step.terminated | step.truncated

        def select(new: Array, old: Array) -> Array:
            return jnp.where(over_axes(ended, new), new, old)

        row = (obs, action, step.reward, step.obs, step.terminated, step.truncated)
        return jax.tree.map(select, fresh, (step.state, step.obs)), (row, state)

    @jax.jit
    def drive(actions: PyTree, key: PRNGKeyArray) -> Any:
        first_key, key = jax.random.split(key)
        start = jax.vmap(env.reset)(jax.random.split(first_key, num_envs))
        return jax.lax.scan(advance, start, (actions, jax.random.split(key, length)))[1]

    row, states = drive(actions, key)
    columns = (*jax.tree.map(np.asarray, row), np.ones((length, num_envs), bool))
    return Rows._make(columns), states


def drive_host(envs: HostEnvs, actions: PyTree, seed: int) -> Rows:
    """The transitions; the same seed and actions give the same seeds to the same episodes.

    What a row gets does not depend on how many rows there are.
    """
    episode = np.zeros(envs.num_envs, int)
    columns: list[Any] = []
    choose = jax.jit(jax.vmap(chooser(envs.observation_space, envs.action_space)))
    fold = jax.jit(jax.vmap(jax.random.fold_in, (None, 0)))

    def reset(mask: np.ndarray) -> Any:
        episode[mask] += 1
        entropy = [(seed, row, number) for row, number in enumerate(episode.tolist())]
        drawn = [np.random.SeedSequence(x).generate_state(1)[0] for x in entropy]
        return envs.reset(np.array(drawn, np.uint32), mask)

    obs = reset(np.ones(envs.num_envs, bool))
    for t in range(len(jax.tree.leaves(actions)[0])):
        action = at(actions, t)
        if action_mask(obs) is not None:
            keys = fold(jax.random.key(t), np.arange(envs.num_envs))
            action = jax.tree.map(np.asarray, choose(keys, obs, action))
        step = envs.step(action)
        row = (obs, action, step.reward, step.obs, step.terminated, step.truncated, step.valid)
        columns.append(row)
        ended = step.terminated | step.truncated
        obs = reset(ended) if ended.any() else step.obs
    return Rows(*jax.tree.map(lambda *rows: np.stack(rows), *columns))
