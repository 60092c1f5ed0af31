"""Rollouts: a policy acts, and no transition loses information.

`rollout` is unbatched and pure: one device environment, one policy; rows and seeds are `vmap`
outside. `host.HostRollout` steps rows of host environments and delivers the very same
`Trajectory`. Both own the reset: an environment never resets itself, so `next_obs` is the
observation that was really reached, and both flags stay apart.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv
from logtrick.policies.memory import call, initial_carry
from logtrick.support.spaces import over_leaves

AnyArray = Any  # of JAX, or of NumPy when it comes from host environments
Policy = Callable[..., Any]
"""obs -> Distribution, or with memory: see `logtrick.policies.memory`."""
FRESH_BYTES = 2**18
"""Fresh starts for all steps of a row are drawn beforehand if they need less memory than this."""


class Trajectory(NamedTuple):
    """T consecutive transitions of one environment; batches carry their axes in front."""

    obs: Any
    """[T, ...] the observation on which the policy acted; a pytree where the space is a Dict."""
    action: Any
    """[T, ...] as sampled, a pytree likewise; a Box action is clipped to its space only on its way
    to the environment, so that `log_prob` is that of the action that was drawn."""
    reward: Float[AnyArray, "*batch T"]
    next_obs: Any
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


class DeviceRow(NamedTuple):
    """One device environment between two steps."""

    state: Any
    obs: Any
    step: Int[Array, ""]
    episode_return: Float[Array, ""]
    carry: Any = None
    """The policy's memory; None where it has none."""


def start_row(key: PRNGKeyArray, env: DeviceEnv, carry: Any = None) -> DeviceRow:
    """Reset a device environment.

    Args:
        key: a JAX key, of the reset.
        env: the environment.
        carry: the policy's initial memory; None where it has none.

    Returns:
        The row with its first observation, at step 0 of an episode.
    """
    state, obs = env.reset(key)
    return DeviceRow(state, obs, jnp.zeros((), jnp.int32), jnp.zeros(()), carry)


def start_rows(
    key: PRNGKeyArray, env: DeviceEnv, num_envs: int, carry: Any = None, *, group_size: int = 1
) -> DeviceRow:
    """Reset N device environments; each `group_size` of them, in turn, to one and the same start.

    Args:
        key: a JAX key.
        env: the environment.
        num_envs: N, a multiple of `group_size`.
        carry: the policy's initial memory.
        group_size: G. What follows the reset is left to each row's own key.

    Returns:
        The rows, N in front.
    """
    keys = jax.random.split(key, num_envs // group_size)
    rows = jax.vmap(lambda k: start_row(k, env, carry))(keys)
    return jax.tree.map(lambda x: jnp.repeat(x, group_size, axis=0), rows)


def rollout(
    key: PRNGKeyArray,
    env: DeviceEnv,
    policy: Policy,
    num_steps: int,
    row: DeviceRow | None = None,
    *,
    one_episode: bool = False,
    greedy: bool = False,
) -> tuple[DeviceRow, Trajectory]:
    """Let a policy act for T steps in one device environment; episodes follow one another.

    Args:
        key: a JAX key.
        env: the environment; unbatched, as this function is: use `jax.vmap` for many.
        policy: one observation -> a distribution over actions; with memory, (observation, carry)
            -> (distribution, carry), and the memory starts anew with each episode.
        num_steps: T.
        row: where the last rollout left off; None starts a fresh episode.
        one_episode: mark what follows the first episode's end as invalid.
        greedy: take the distribution's mode instead of a sample.

    Returns:
        (the row after the last step, the Trajectory [T, ...]).

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
    fresh_carry = initial_carry(policy)
    if row is None:
        key, key_start = jax.random.split(key)
        row = start_row(key_start, env, fresh_carry)

    key_act, key_step, key_reset = jax.random.split(key, 3)
    # Noise and fresh starts are drawn for all steps at once, outside the sequential loop.
    shape, _ = jax.eval_shape(functools.partial(call, policy), row.obs, row.carry)
    noise = jax.vmap(shape.draw_noise)(jax.random.split(key_act, num_steps))
    resets = jax.random.split(key_reset, num_steps)
    leaves = jax.tree.leaves(row._replace(carry=None))
    small = num_steps * sum(x.size * x.dtype.itemsize for x in leaves) < FRESH_BYTES
    fresh = jax.vmap(lambda k: start_row(k, env))(resets) if small else resets

    def step(state: Any, drawn: Any) -> tuple[Any, Trajectory]:
        row, running = state
        noise, key_step, fresh = drawn
        distribution, carry = call(policy, row.obs, row.carry)
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
        reached_row = DeviceRow(reached.state, reached.obs, row.step + 1, episode_return, carry)
        begun = (fresh if small else start_row(fresh, env))._replace(carry=fresh_carry)
        following = jax.tree.map(lambda a, b: jnp.where(ended, a, b), begun, reached_row)
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

    def inside(part: spaces.Space[Any], taken: Any) -> Any:
        return taken.clip(part.low, part.high) if isinstance(part, spaces.Box) else taken

    return over_leaves(inside, space, action)
