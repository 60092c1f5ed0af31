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
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.learning import learner_of, scheduled
from logtrick.algorithms.metrics import episodes, finite
from logtrick.algorithms.normalisation import Normalised, RewardScale, trainable
from logtrick.algorithms.update import optimizer
from logtrick.envs.protocol import DeviceEnv
from logtrick.policies.actor_critic import Acting
from logtrick.policies.memory import initial_carry
from logtrick.rollouts.device import DeviceRow, Trajectory, rollout, start_rows


class TrainState(NamedTuple):
    """Everything that the next update depends on, and nothing else; axes [seeds, …] in front."""

    key: PRNGKeyArray
    params: Any
    """The model's arrays."""
    opt_state: Any
    rows: DeviceRow | None
    """The device environments [seeds, num_envs]; None where they live on the host."""
    updates: Int[Array, "*seeds"]
    steps: UInt32[Array, "*seeds"]
    """Transitions learned from."""
    reward_scale: RewardScale | None = None
    """What rewards are divided by; None where they are taken as they are."""
    acting: Any = None
    """The parameters that act, where they may lag behind `params`."""
    kl_coef: Float[Array, "*seeds"] | None = None
    """β of PPO's adaptive penalty."""
    reference: Any = None
    """The model's arrays before training, where the algorithm compares with them."""

    @property
    def actor(self) -> Any:
        """The parameters that act."""
        return self.params if self.acting is None else self.acting


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
        state = TrainState(key, params, opt_state, rows, zero, zero.astype(jnp.uint32))
        if self.algorithm.rewards == "normalised":
            state = state._replace(reward_scale=RewardScale(self.algorithm.num_envs))
        if self.algorithm.actors_lag:
            state = state._replace(acting=params)
        if (beta := learner_of(self.algorithm).first_kl_coef(self.algorithm)) is not None:
            state = state._replace(kl_coef=beta)
        if self.algorithm.needs_reference:
            state = state._replace(reference=params)
        return state

    def advance(self, state: TrainState, settings: Any, total: Array) -> tuple[TrainState, Any]:
        """One update on a device environment."""
        assert self.env is not None
        key, key_rollout = jax.random.split(state.key)
        model, episodic = self.model(state.actor), self.algorithm.episodic
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
        if state.kl_coef is not None:
            algorithm = algorithm.with_values({"kl_coef": state.kl_coef})
        algorithm = scheduled(algorithm, state.steps / total)
        model = self.model(state.params)
        key, key_learn = jax.random.split(state.key)
        learned, reward_scale = trajectory, state.reward_scale
        if reward_scale is not None:
            reward_scale, rewards = reward_scale.observe(trajectory, algorithm.gamma)
            learned = trajectory._replace(reward=rewards)
        learner = learner_of(algorithm)
        reference = None if state.reference is None else self.model(state.reference)
        batch, explained = learner.estimate(algorithm, model, reference, learned, carry)
        model, opt_state, parts = learner.learn(algorithm, model, state.opt_state, batch, key_learn)
        if isinstance(model, Normalised):
            model = model.observe(trajectory.obs, trajectory.valid)
        params = eqx.filter(model, eqx.is_array)
        following = state._replace(
            key=key,
            params=params,
            opt_state=opt_state,
            updates=state.updates + 1,
            steps=state.steps + jnp.sum(trajectory.valid, dtype=jnp.uint32),
            reward_scale=reward_scale,
            acting=_acting(algorithm, state, params),
            kl_coef=learner.next_kl_coef(algorithm, state.kl_coef, parts),
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
        if algorithm.episodic or self.env is None:
            # Episodes differ in length, and rows on the host may lose steps to resets, so runs
            # reach their last step at different updates.
            keep = state.steps < total
            following = jax.tree.map(lambda a, b: jnp.where(keep, a, b), following, state)
        return following, metrics


def _acting(algorithm: Algorithm, state: TrainState, params: Any) -> Any:
    """The parameters that act next, where they may be older than those that learn."""
    if state.acting is None:
        return None
    due = algorithm.actors_sync(state.updates + 1)
    return jax.tree.map(functools.partial(jnp.where, due), params, state.acting)
