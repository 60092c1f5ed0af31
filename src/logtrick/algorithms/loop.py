"""The one training loop: pure, compiled in chunks, the same update on the device and on the host.

`update = improve ∘ collect`. On a device environment both are one program, and a chunk of n updates
runs without the host; on host environments `collect` runs here and `improve` is the very same
function. Seeds are one `vmap` around it.
"""

import functools
import time
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PRNGKeyArray, UInt32

from logtrick.algorithms import grouped
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.estimation import estimate
from logtrick.algorithms.group_configs import GroupAlgorithm
from logtrick.algorithms.metrics import array_names, episodes, finite
from logtrick.algorithms.models import build_model
from logtrick.algorithms.update import descend, optimizer
from logtrick.envs.protocol import DeviceEnv
from logtrick.envs.spec import EnvSpec, Workers
from logtrick.errors import ConfigError
from logtrick.rollouts import HostRollout, Row, Trajectory, rollout, start_rows

MAX_CHUNK = 256
"""Updates between two visits of the host, at most."""


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
    reference: Any
    """The model's arrays before training, where the algorithm compares with them; else None."""


class Loop:
    """An algorithm on an environment, for some seeds: `initial` state, then `advance` it.

    Args:
        algorithm: the configuration.
        spec: the environment.
        seed: of the first of the runs; the s-th uses seed + s.
        num_seeds: S, how many runs are trained side by side.
        steps: transitions after which a run is done.
        workers: where the rows of a host environment run, "sync" or "async".
    """

    def __init__(
        self,
        algorithm: Algorithm,
        spec: EnvSpec,
        *,
        seed: int,
        num_seeds: int,
        steps: int,
        workers: Workers = "sync",
    ) -> None:
        self.algorithm, self.spec = algorithm, spec
        self.num_steps = algorithm.num_steps or episode_steps(spec)
        self.group_size = algorithm.group_size if isinstance(algorithm, GroupAlgorithm) else 1
        models = [
            build_model(algorithm, spec.observation_space, spec.action_space, seed + s)
            for s in range(num_seeds)
        ]
        params, statics = zip(*(eqx.partition(m, eqx.is_array) for m in models), strict=True)
        self.static = statics[0]
        self.params = jax.tree.map(lambda *x: np.stack(x), *params)
        self.arrays = array_names(self.params)
        self.seeds = np.arange(seed, seed + num_seeds, dtype=np.uint32)
        # Numbers are arguments of the compiled program, not constants in it: another learning
        # rate, another number of steps, another seed, and nothing is compiled again.
        self.settings = {k: np.float32(v) for k, v in algorithm.floats().items()}
        self.total = np.uint32(steps)
        self.compile_seconds = 0.0
        self._programs: dict[str, Any] = {}
        self.env: DeviceEnv | None = None
        self.host: HostRollout | None = None
        built = spec.build(num_seeds * algorithm.num_envs, workers=workers)
        if isinstance(built, DeviceEnv):
            self.env = built
        else:
            self.host = HostRollout(
                built,
                self._act_on_host,
                seed=seed,
                num_seeds=num_seeds,
                group_size=self.group_size,
            )

    def close(self) -> None:
        """End the host environments' processes."""
        if self.host is not None:
            self.host.envs.close()

    def initial(self) -> TrainState:
        """The state before the first update."""
        return self._run("start", self._over_seeds(self._start), self.seeds, self.params)

    def advance(self, state: TrainState, limit: int) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Advance by at most `limit` updates: (state, metrics [updates made, seeds, ...]).

        It stops early when every run is done, or with the update in which a number ceased to be
        finite (`metrics["finite"]`, in the order of `arrays`). The given state is used up.
        """
        if self.host is not None:
            return self._advance_host(state, limit)
        arguments = state, np.int32(min(limit, MAX_CHUNK)), self.settings, self.total
        state, metrics, done = self._run("chunk", self._chunk, *arguments, donate=0)
        made = int(done)
        return state, {name: np.asarray(x)[:made] for name, x in metrics.items()}

    def is_done(self, state: TrainState) -> bool:
        """Whether every run has learned from its `steps` transitions."""
        return bool(np.all(np.asarray(state.steps) >= self.total))

    def _advance_host(
        self, state: TrainState, limit: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        assert self.host is not None
        rows: list[dict[str, np.ndarray]] = []
        while len(rows) < limit and not self.is_done(state):
            key, key_rollout = self._run("split", _split, state.key)
            trajectory = self.host.collect(
                state.params, key_rollout, self.num_steps, one_episode=self.algorithm.episodic
            )
            improve = self._over_seeds(self._improve, (None, None, 0, 0))
            arguments = self.settings, self.total, state._replace(key=key), trajectory
            state, metrics = self._run("improve", improve, *arguments, donate=2)
            rows.append(jax.device_get(metrics))
            if not rows[-1]["finite"].all():
                break
        return state, {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _act_on_host(
        self, params: Any, key: Any, t: int, obs: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        act = self._over_seeds(self._act, (0, 0, None, 0))
        action, log_prob = self._run("act", act, params, key, np.int32(t), obs)
        return np.asarray(action), np.asarray(log_prob)

    def _over_seeds(self, function: Any, axes: tuple[int | None, ...] | None = None) -> Any:
        """`vmap` over the seeds, where there are several.

        A single one goes without: matrix products with a batch axis of length 1 are several times
        slower on a CPU than the same products without it.
        """
        if len(self.seeds) > 1:
            return jax.vmap(function, 0 if axes is None else axes)

        def alone(*arguments: Any) -> Any:
            mapped = (0,) * len(arguments) if axes is None else axes
            inner = [
                x if axis is None else jax.tree.map(lambda leaf: leaf[0], x)
                for x, axis in zip(arguments, mapped, strict=True)
            ]
            return jax.tree.map(lambda leaf: jnp.expand_dims(leaf, 0), function(*inner))

        return alone

    def _run(self, name: str, function: Any, *arguments: Any, donate: int | None = None) -> Any:
        """Call a function compiled once, ahead of time, so that the time it takes is known."""
        if name not in self._programs:
            begin = time.perf_counter()
            jitted = jax.jit(function, donate_argnums=donate)
            self._programs[name] = jitted.lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - begin
        return self._programs[name](*arguments)

    def model(self, params: Any) -> Any:
        """The models with these arrays."""
        return eqx.combine(params, self.static)

    def _start(self, seed: Array, params: Any) -> TrainState:
        key, key_rows = jax.random.split(jax.random.key(seed))
        rows = None
        if (env := self.env) is not None:
            rows = start_rows(key_rows, env, self.algorithm.num_envs)
        opt_state = optimizer(self.algorithm).init(eqx.filter(params, eqx.is_inexact_array))
        zero = jnp.zeros((), jnp.int32)
        reference = params if self.algorithm.needs_reference else None
        return TrainState(key, params, opt_state, rows, zero, zero.astype(jnp.uint32), reference)

    def _chunk(
        self, state: TrainState, limit: Array, settings: Any, total: Array
    ) -> tuple[TrainState, Any, Array]:
        """Advance by at most `limit` updates: (state, metrics [MAX_CHUNK, …], updates made).

        It stops early, with the state as it then is, when a number is no longer finite.
        """
        shapes = jax.eval_shape(self._advance_seeds, state, settings, total)[1]
        buffer = jax.tree.map(lambda x: jnp.zeros((MAX_CHUNK, *x.shape), x.dtype), shapes)

        def body(carry: Any) -> Any:
            state, buffer, done, _ = carry
            state, metrics = self._advance_seeds(state, settings, total)
            buffer = jax.tree.map(lambda b, m: b.at[done].set(m), buffer, metrics)
            return state, buffer, done + 1, jnp.all(metrics["finite"])

        def going_on(carry: Any) -> Array:
            state, _, done, finite = carry
            return (done < limit) & finite & jnp.any(state.steps < total)

        zero = jnp.zeros((), jnp.int32)
        state, buffer, done, _ = jax.lax.while_loop(
            going_on, body, (state, buffer, zero, jnp.ones((), bool))
        )
        return state, buffer, done

    def _advance_seeds(self, state: TrainState, settings: Any, total: Array) -> Any:
        return self._over_seeds(self._advance, (0, None, None))(state, settings, total)

    def _advance(self, state: TrainState, settings: Any, total: Array) -> tuple[TrainState, Any]:
        """One update on a device environment."""
        assert self.env is not None
        key, key_rollout = jax.random.split(state.key)
        model, episodic = self.model(state.params), self.algorithm.episodic
        rows, num_envs = state.rows, self.algorithm.num_envs
        if self.group_size > 1:
            key_rollout, key_starts = jax.random.split(key_rollout)
            rows = start_rows(key_starts, self.env, num_envs, group_size=self.group_size)
        fresh = episodic and self.group_size == 1
        act = functools.partial(
            rollout,
            env=self.env,
            policy=lambda obs: model(obs)[0],
            num_steps=self.num_steps,
            one_episode=episodic,
        )
        keys = jax.random.split(key_rollout, num_envs)
        rows, trajectory = jax.vmap(lambda key, row: act(key, row=None if fresh else row))(
            keys, rows
        )
        return self._improve(settings, total, state._replace(key=key, rows=rows), trajectory)

    def _improve(
        self, settings: Any, total: Array, state: TrainState, trajectory: Trajectory
    ) -> tuple[TrainState, Any]:
        """Learn from trajectories [N, T]: (state, metrics)."""
        algorithm = self.algorithm.with_values(settings)
        model = self.model(state.params)
        key, key_shuffle = jax.random.split(state.key)
        if isinstance(algorithm, GroupAlgorithm):
            reference = None if state.reference is None else self.model(state.reference)
            batch = grouped.estimate(algorithm, model, reference, trajectory)
            explained = jnp.zeros(())
        else:
            batch, explained = estimate(algorithm, model, trajectory)
        rate = jnp.asarray(algorithm.learning_rate)
        if algorithm.schedule == "linear":
            rate = rate * jnp.maximum(1 - state.steps / total, 0.0)
        model, opt_state, parts = descend(
            algorithm, model, state.opt_state, batch, rate, key_shuffle
        )
        params = eqx.filter(model, eqx.is_array)
        new_steps = jnp.sum(trajectory.valid, dtype=jnp.uint32)
        following = TrainState(
            key,
            params,
            opt_state,
            state.rows,
            state.updates + 1,
            state.steps + new_steps,
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

    def _act(self, params: Any, key: PRNGKeyArray, t: Array, obs: Array) -> tuple[Array, Array]:
        """Actions and their log-probabilities for rows of host observations [N, …]."""
        keys = jax.random.split(jax.random.fold_in(key, t), len(obs))

        def one_row(key: PRNGKeyArray, obs: Array) -> tuple[Array, Array]:
            distribution, _ = self.model(params)(obs)
            action = distribution.sample(key)
            return action, distribution.log_prob(action)

        return jax.vmap(one_row)(keys, obs)


def _split(keys: Key[Array, " S"]) -> tuple[Key[Array, " S"], Key[Array, " S"]]:
    """(the keys to go on with, the keys to act with), both [seeds]."""
    both = jax.vmap(jax.random.split)(keys)
    return both[:, 0], both[:, 1]


def episode_steps(spec: EnvSpec) -> int:
    """The time limit, where whole episodes are played."""
    if spec.max_episode_steps is None:
        raise ConfigError(
            f"{spec.id} has no time limit that is known, so a whole episode may never end; set "
            "num_steps (max_steps to evaluate), or give the environment a limit "
            "(gymnasium.wrappers.TimeLimit)."
        )
    return spec.max_episode_steps
