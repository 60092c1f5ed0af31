"""Evaluation: fresh episodes, each counted once, with the policies held still."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick.actor_critic import Acting
from logtrick.algorithms.loop import episode_steps
from logtrick.envs.protocol import DeviceEnv, HostEnvs
from logtrick.envs.spec import EnvSpec
from logtrick.errors import ConfigError
from logtrick.host_rollouts import HostRollout
from logtrick.memory import call, initial_carry, restart
from logtrick.rollouts import rollout

HOST_ROWS = 16


def evaluate(
    models: tuple[Any, ...],
    spec: EnvSpec,
    episodes: int,
    *,
    seed: int = 0,
    greedy: bool = False,
    max_steps: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Play `episodes` whole episodes with each model's policy.

    Every row plays one episode and stops, so a short episode weighs no more than a long one.

    Args:
        models: one for each seed, all of one structure.
        spec: the environment.
        episodes: for each model.
        seed: of the episodes.
        greedy: take the mode of the policy instead of a sample.
        max_steps: where an episode is cut; None: at the environment's own time limit.

    Returns:
        (undiscounted returns, lengths), both [models, episodes].

    Raises:
        ConfigError: no episodes, or an environment without a time limit and no `max_steps`.
    """
    for name, value in (("episodes", episodes), ("max_steps", max_steps)):
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigError(f"{name}={value!r}; it must be a whole number, at least 1.")
    limit = max_steps or episode_steps(spec)
    params, statics = zip(*(eqx.partition(model, eqx.is_array) for model in models), strict=True)
    built = spec.build(min(episodes, HOST_ROWS))
    play = _play_on_device if isinstance(built, DeviceEnv) else _play_on_host
    results = play(built, statics[0], params, episodes, limit, seed, greedy)  # type: ignore[arg-type]
    returns, lengths = zip(*results, strict=True)
    return np.stack(returns).astype(np.float64), np.stack(lengths).astype(np.int64)


def _play_on_device(
    env: DeviceEnv, static: Any, params: Any, episodes: int, limit: int, seed: int, greedy: bool
) -> list[Any]:
    def one_episode(params: Any, key: Any) -> tuple[Array, Array]:
        model = eqx.combine(params, static)
        _, trajectory = rollout(key, env, Acting(model), limit, one_episode=True, greedy=greedy)
        return jnp.sum(trajectory.reward * trajectory.valid), jnp.sum(trajectory.valid)

    play = jax.jit(jax.vmap(one_episode, (None, 0)))
    keys = jax.random.split(jax.random.key(seed), episodes)
    return [jax.device_get(play(p, keys)) for p in params]


def _play_on_host(
    envs: HostEnvs, static: Any, params: Any, episodes: int, limit: int, seed: int, greedy: bool
) -> list[Any]:
    def one_row(params: Any, key: Any, obs: Any, carry: Any, begins: Array) -> Any:
        policy = Acting(eqx.combine(params, static))
        before = restart(begins, initial_carry(policy), carry)
        distribution, carry = call(policy, obs, before)
        action = distribution.mode if greedy else distribution.sample(key)
        return action, distribution.log_prob(action), carry

    @jax.jit
    def rows(params: Any, key: Any, t: Array, *rest: Any) -> Any:
        keys = jax.random.split(jax.random.fold_in(key, t), envs.num_envs)
        return jax.vmap(one_row, (None, 0, 0, 0, 0))(params, keys, *rest)

    def act(params: Any, key: Any, t: int, *rest: Any) -> Any:
        one_seed = jax.tree.map(lambda x: x[0], rest)
        acted = jax.device_get(rows(params, key, np.int32(t), *one_seed))
        return jax.tree.map(lambda x: x[None], acted)

    carry = initial_carry(Acting(eqx.combine(params[0], static)))
    axes = (1, envs.num_envs)
    carry = jax.tree.map(lambda x: np.broadcast_to(x, (*axes, *x.shape)), carry)
    results = []
    try:
        for p in params:
            host, key = HostRollout(envs, act, seed=seed, carry=carry), jax.random.key(seed)
            returns: list[float] = []
            lengths: list[int] = []
            for number in range(-(-episodes // envs.num_envs)):
                key_round = jax.random.fold_in(key, number)
                batch = host.collect(p, key_round, limit, one_episode=True)
                returns.extend(np.sum(batch.reward * batch.valid, axis=-1)[0].tolist())
                lengths.extend(np.sum(batch.valid, axis=-1)[0].tolist())
            results.append((np.array(returns[:episodes]), np.array(lengths[:episodes])))
    finally:
        envs.close()
    return results
