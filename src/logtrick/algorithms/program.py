"""One run's update, pure and unbatched: collect, learn, and the state in between.

`advance` is `improve ∘ collect` on a device environment; on host environments the rollout calls
`act`, and `improve` is the very same function. Seeds are `vmap` outside.
"""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from logtrick.actor_critic import Acting
from logtrick.algorithms import grouped
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.estimation import Batch, estimate
from logtrick.algorithms.group_configs import GroupAlgorithm
from logtrick.algorithms.metrics import episodes, finite
from logtrick.algorithms.update import descend, optimizer
from logtrick.envs.protocol import DeviceEnv
from logtrick.memory import call, initial_carry, restart
from logtrick.normalisation import Normalised, RewardScale, trainable
from logtrick.rollouts import Row, Trajectory, rollout, start_rows


class TrainState(NamedTuple):
    """Everything that the next update depends on, and nothing else; axes [seeds, …] in front."""

    key: PRNGKeyArray
    params: Any
    """The model's arrays."""
    opt_state: Any
    rows: Row | None
    """The device environments [seeds, num_envs]; None where they live on the host."""
    updates: Int[Array, "*seeds"]
    steps: UInt32[Array, "*seeds"]
    """Transitions learned from."""
    reward_scale: RewardScale | None = None
    """What rewards are divided by; None where they are taken as they are."""
    reference: Any = None
    """The model's arrays before training, where the algorithm compares with them."""


@dataclass(frozen=True)
class Program:
    """What one run computes; numbers that may change without a new compilation are arguments."""

    algorithm: Algorithm
    static: Any
    """The model without its arrays."""
    env: DeviceEnv | None
    """None where the environments live on the host."""
    num_steps: int

    def model(self, params: Any) -> Any:
        """The model with these arrays."""
        return eqx.combine(params, self.static)

    def start(self, seed: Array, params: Any) -> TrainState:
        """The state before the first update."""
        key, key_rows = jax.random.split(jax.random.key(seed))
        rows = None
        if (env := self.env) is not None:
            carry = initial_carry(self.model(params))
            rows = start_rows(key_rows, env, self.algorithm.num_envs, carry)
        opt_state = optimizer(self.algorithm).init(trainable(params)[0])
        zero = jnp.zeros((), jnp.int32)
        scaled = self.algorithm.rewards == "normalised"
        reward_scale = RewardScale(self.algorithm.num_envs) if scaled else None
        return TrainState(
            key,
            params,
            opt_state,
            rows,
            zero,
            zero.astype(jnp.uint32),
            reward_scale,
            reference=params if self.algorithm.needs_reference else None,
        )

    def advance(self, state: TrainState, settings: Any, total: Array) -> tuple[TrainState, Any]:
        """One update on a device environment."""
        assert self.env is not None
        key, key_rollout = jax.random.split(state.key)
        model, episodic = self.model(state.params), self.algorithm.episodic
        rows, num_envs = state.rows, self.algorithm.num_envs
        fresh = episodic
        if (group_size := self.algorithm.rows_per_start) > 1:
            key_rollout, key_starts = jax.random.split(key_rollout)
            carry = initial_carry(model)
            rows = start_rows(key_starts, self.env, num_envs, carry, group_size=group_size)
            fresh = False
        act = functools.partial(
            rollout,
            env=self.env,
            policy=Acting(model),
            num_steps=self.num_steps,
            one_episode=episodic,
        )
        keys = jax.random.split(key_rollout, num_envs)
        rows, trajectory = jax.vmap(lambda key, row: act(key, row=None if fresh else row))(
            keys, rows
        )
        carry = None if state.rows is None else state.rows.carry
        return self.improve(settings, total, state._replace(key=key, rows=rows), trajectory, carry)

    def improve(
        self, settings: Any, total: Array, state: TrainState, trajectory: Trajectory, carry: Any
    ) -> tuple[TrainState, Any]:
        """Learn from trajectories [N, T] and the memories before them: (state, metrics)."""
        algorithm = self.algorithm.with_values(settings)
        model = self.model(state.params)
        key, key_shuffle = jax.random.split(state.key)
        learned, reward_scale = trajectory, state.reward_scale
        if reward_scale is not None:
            reward_scale = reward_scale.observe(
                trajectory.reward, trajectory.step, trajectory.valid, algorithm.gamma
            )
            learned = trajectory._replace(reward=reward_scale.scale(trajectory.reward))
        batch, explained = self._estimate(algorithm, model, state.reference, learned, carry)
        rate = jnp.asarray(algorithm.learning_rate)
        if algorithm.schedule == "linear":
            rate = rate * jnp.maximum(1 - state.steps / total, 0.0)
        model, opt_state, parts = descend(
            algorithm, model, state.opt_state, batch, rate, key_shuffle
        )
        if isinstance(model, Normalised):
            model = model.observe(trajectory.obs, trajectory.valid)
        params = eqx.filter(model, eqx.is_array)
        following = TrainState(
            key,
            params,
            opt_state,
            state.rows,
            state.updates + 1,
            state.steps + jnp.sum(trajectory.valid, dtype=jnp.uint32),
            reward_scale,
            state.reference,
        )
        metrics = (
            parts
            | episodes(trajectory)
            | {
                "explained_variance": explained,
                "steps": following.steps,
                "active": state.steps < total,
                "finite": finite(trajectory, batch, parts, params),
            }
        )
        if algorithm.episodic:
            # Episodes differ in length, so runs reach their last step at different updates.
            keep = state.steps < total
            following = jax.tree.map(lambda a, b: jnp.where(keep, a, b), following, state)
        return following, metrics

    def _estimate(
        self, algorithm: Algorithm, model: Any, reference: Any, trajectory: Trajectory, carry: Any
    ) -> tuple[Batch, Array]:
        if not isinstance(algorithm, GroupAlgorithm):
            return estimate(algorithm, model, trajectory, carry)
        before = None if reference is None else self.model(reference)
        batch = grouped.estimate(algorithm, before, trajectory, carry)
        return batch, jnp.zeros(())  # no critic explains anything

    def act(
        self, params: Any, key: PRNGKeyArray, t: Array, obs: Any, carry: Any, begins: Array
    ) -> tuple[Any, Array, Any]:
        """(actions, log-probabilities, memories) for rows of host observations [N, …]."""
        policy = Acting(self.model(params))
        keys = jax.random.split(jax.random.fold_in(key, t), len(begins))
        forgotten = initial_carry(policy)

        def one_row(
            key: PRNGKeyArray, obs: Any, carry: Any, begins: Array
        ) -> tuple[Any, Array, Any]:
            distribution, carry = call(policy, obs, restart(begins, forgotten, carry))
            action = distribution.sample(key)
            return action, distribution.log_prob(action), carry

        return jax.vmap(one_row)(keys, obs, carry, begins)
