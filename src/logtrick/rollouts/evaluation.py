"""Evaluation: fresh episodes, each counted once, with the policies held still."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick.envs.host.alarm import close_safely
from logtrick.envs.protocol import DeviceEnv
from logtrick.envs.spec import TIMEOUT, EnvSpec, Workers
from logtrick.errors import ConfigError
from logtrick.policies.actor_critic import Acting
from logtrick.policies.memory import initial_carry
from logtrick.rollouts.acting import HostActor
from logtrick.rollouts.device import rollout
from logtrick.rollouts.host import HostRollout
from logtrick.support.numbers import checked_whole
from logtrick.support.programs import Programs

HOST_ROWS = 16
"""Host environments that are stepped side by side, at most."""


class Evaluator:
    """Plays whole episodes with policies of one structure; what it compiles serves every call.

    Every row plays one episode and stops, so a short episode weighs no more than a long one.
    Running moments of observations stay as they are.

    Args:
        spec: the environment.
        episodes: for each model and call.
        greedy: take the mode of the policy instead of a sample.
        max_steps: where an episode is cut; None: at the environment's own time limit.
        workers: where the rows of a host environment run.
        timeout: seconds that such a row may take to answer.

    Raises:
        ConfigError: no episodes, or an environment without a time limit and no `max_steps`.
    """

    def __init__(
        self,
        spec: EnvSpec,
        episodes: int,
        *,
        greedy: bool = False,
        max_steps: int | None = None,
        workers: Workers = "sync",
        timeout: float = TIMEOUT,
    ) -> None:
        self.timeout = timeout
        self.episodes, self.greedy = checked_whole("episodes", episodes, 1), greedy
        self.limit = step_limit(spec, max_steps)
        rows = spec.num_envs or min(episodes, HOST_ROWS)
        self.envs = spec.build(rows, workers=workers, timeout=timeout)
        self._static: Any = None
        self._programs = Programs()

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the host environments' processes; their errors are logged and stop nothing."""
        if not isinstance(self.envs, DeviceEnv):
            close_safely(self.envs.close, self.envs.id, self.timeout)

    def play(self, models: Sequence[Any], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Play `episodes` episodes with each model's policy, the same starts for each.

        Args:
            models: of one structure, the same at every call.
            seed: of the episodes.

        Returns:
            (undiscounted returns, lengths), both [models, episodes].
        """
        parts = [eqx.partition(model, eqx.is_array) for model in models]
        if self._static is None:
            self._static = parts[0][1]
        play = self._on_device if isinstance(self.envs, DeviceEnv) else self._on_host
        returns, lengths = zip(*(play(params, seed) for params, _ in parts), strict=True)
        return np.stack(returns).astype(np.float64), np.stack(lengths).astype(np.int64)

    def _policy(self, params: Any) -> Acting:
        return Acting(eqx.combine(params, self._static))

    # --- on the device: all episodes in one program -----------------------------------------

    def _on_device(self, params: Any, seed: int) -> Any:
        keys = jax.random.split(jax.random.key(seed), self.episodes)
        return jax.device_get(self._programs.run("play", self._whole_episodes, params, keys))

    def _whole_episodes(self, params: Any, keys: Array) -> tuple[Array, Array]:
        env = self.envs
        assert isinstance(env, DeviceEnv)

        def one_episode(key: Array) -> tuple[Array, Array]:
            _, trajectory = rollout(
                key,
                env,
                self._policy(params),
                self.limit,
                one_episode=True,
                greedy=self.greedy,
            )
            return jnp.sum(trajectory.reward * trajectory.valid), jnp.sum(trajectory.valid)

        return jax.vmap(one_episode)(keys)

    # --- on the host: rounds of as many episodes as there are rows --------------------------

    def _on_host(self, params: Any, seed: int) -> Any:
        envs: Any = self.envs
        carry = initial_carry(self._policy(params))
        carry = jax.tree.map(lambda x: np.broadcast_to(x, (1, envs.num_envs, *x.shape)), carry)
        actor = HostActor(self._policy, 1, self._programs, greedy=self.greedy)
        host = HostRollout(envs, actor, seed=seed, carry=carry)
        params = jax.tree.map(lambda x: np.asarray(x)[None], params)
        key = jax.random.key(seed)
        returns: list[float] = []
        lengths: list[int] = []
        for number in range(-(-self.episodes // envs.num_envs)):
            key_round = jax.random.fold_in(key, number)[None]
            batch = host.collect(params, key_round, self.limit, one_episode=True)
            returns.extend(np.sum(batch.reward * batch.valid, axis=-1)[0].tolist())
            lengths.extend(np.sum(batch.valid, axis=-1)[0].tolist())
        return np.array(returns[: self.episodes]), np.array(lengths[: self.episodes])


def step_limit(spec: EnvSpec, max_steps: int | None) -> int:
    """Steps after which an episode is cut: `max_steps` where it was given."""
    if max_steps is not None:
        return checked_whole("max_steps", max_steps, 1)
    if spec.max_episode_steps is None:
        raise ConfigError(
            f"{spec.id} has no time limit that is known, so an episode may never end. Say where it "
            "is cut: max_steps=1000 (at the command line --max-steps 1000), and for evaluations of "
            "a training lt.Evaluation(every=…, max_steps=1000) (--eval-max-steps 1000); or give "
            "the environment a limit (gymnasium.wrappers.TimeLimit)."
        )
    return spec.max_episode_steps


def evaluate(
    models: Sequence[Any],
    spec: EnvSpec,
    episodes: int,
    *,
    seed: int = 0,
    greedy: bool = False,
    max_steps: int | None = None,
    timeout: float = TIMEOUT,
) -> tuple[np.ndarray, np.ndarray]:
    """Play `episodes` whole episodes with each model's policy: see `Evaluator`.

    Returns:
        (undiscounted returns, lengths), both [models, episodes].
    """
    seed = checked_whole("seed", seed, 0)
    with Evaluator(
        spec, episodes, greedy=greedy, max_steps=max_steps, timeout=timeout
    ) as evaluator:
        return evaluator.play(models, seed)
