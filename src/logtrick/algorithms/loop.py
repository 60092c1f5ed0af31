"""The one training loop: pure, compiled in chunks, the same update on the device and on the host.

`update = improve ∘ collect`. On a device environment both are one program, and a chunk of n updates
runs without the host; on host environments `collect` runs here and `improve` is the very same
function. Seeds are one `vmap` around it.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from logtrick.algorithms.configs import Algorithm
from logtrick.algorithms.update import descend, estimate, optimizer
from logtrick.envs.protocol import DeviceEnv, EnvSpec
from logtrick.policies import ActorCritic, MLPPolicy, MLPValue, SharedActorCritic
from logtrick.rollouts import Row, Trajectory, rollout, start_row

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


def build_model(algorithm: Algorithm, spec: EnvSpec, seed: int) -> Any:
    """The policy and the value function that an algorithm trains on an environment."""
    spaces = spec.observation_space, spec.action_space
    shape = {"hidden": algorithm.hidden, "activation": algorithm.activation}
    if algorithm.trunk == "shared":
        return SharedActorCritic(*spaces, key=seed, **shape)
    policy_seed, value_seed = np.random.SeedSequence(seed).generate_state(2)
    policy = MLPPolicy(*spaces, key=int(policy_seed), **shape)
    if not algorithm.has_critic:
        return ActorCritic(policy, None)
    return ActorCritic(policy, MLPValue(spec.observation_space, key=int(value_seed), **shape))


class Loop:
    """An algorithm on an environment, for some seeds: `start` a state, then advance it.

    Args:
        algorithm: the configuration.
        spec: the environment.
        env: the built device environment; None where it lives on the host.
        seed: of the first of the runs; the s-th uses seed + s.
        num_seeds: how many runs are trained side by side.
        steps: transitions after which a run is done.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        spec: EnvSpec,
        env: DeviceEnv | None,
        *,
        seed: int,
        num_seeds: int,
        steps: int,
    ) -> None:
        self.algorithm, self.spec, self.env = algorithm, spec, env
        self.num_steps = algorithm.num_steps or episode_steps(spec)
        models = [build_model(algorithm, spec, seed + s) for s in range(num_seeds)]
        params, statics = zip(*(eqx.partition(m, eqx.is_array) for m in models), strict=True)
        self.static = statics[0]
        self.params = jax.tree.map(lambda *x: np.stack(x), *params)
        self.seeds = np.arange(seed, seed + num_seeds, dtype=np.uint32)
        # Numbers are arguments of the compiled program, not constants in it: another learning
        # rate, another number of steps, another seed, and nothing is compiled again.
        self.settings = {k: np.float32(v) for k, v in algorithm.floats().items()}
        self.total = np.float32(steps)
        self.arrays = array_names(self.params)
        self.start = jax.jit(jax.vmap(self._start))
        self.improve = jax.jit(jax.vmap(self._improve, (None, None, 0, 0)))
        self.act = jax.jit(jax.vmap(self._act, (0, 0, None, 0)))
        self.chunk = jax.jit(self._chunk, donate_argnums=0)

    def model(self, params: Any) -> Any:
        """The model with these arrays."""
        return eqx.combine(params, self.static)

    def initial(self) -> TrainState:
        """The state before the first update."""
        return self.start(self.seeds, self.params)

    def metric_shapes(self) -> Any:
        """The structure of one update's metrics, without running it."""
        state = jax.eval_shape(self.start, self.seeds, self.params)
        return jax.eval_shape(self._advance_seeds, state, self.settings, self.total)[1]

    def _start(self, seed: Array, params: Any) -> TrainState:
        key, key_rows = jax.random.split(jax.random.key(seed))
        rows = None
        if self.env is not None:
            keys = jax.random.split(key_rows, self.algorithm.num_envs)
            rows = jax.vmap(lambda k: start_row(k, self.env))(keys)
        opt_state = optimizer(self.algorithm).init(eqx.filter(params, eqx.is_inexact_array))
        zero = jnp.zeros((), jnp.int32)
        return TrainState(key, params, opt_state, rows, zero, zero.astype(jnp.uint32))

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
        return jax.vmap(self._advance, (0, None, None))(state, settings, total)

    def _advance(self, state: TrainState, settings: Any, total: Array) -> tuple[TrainState, Any]:
        """One update on a device environment."""
        key, key_rollout = jax.random.split(state.key)
        model, episodic = self.model(state.params), self.algorithm.episodic

        def one_row(key: PRNGKeyArray, row: Row) -> tuple[Row, Trajectory]:
            start = None if episodic else row
            return rollout(
                key,
                self.env,
                lambda obs: model(obs)[0],
                self.num_steps,
                start,
                one_episode=episodic,
            )

        keys = jax.random.split(key_rollout, self.algorithm.num_envs)
        rows, trajectory = jax.vmap(one_row)(keys, state.rows)
        return self._improve(settings, total, state._replace(key=key, rows=rows), trajectory)

    def _improve(
        self, settings: Any, total: Array, state: TrainState, trajectory: Trajectory
    ) -> tuple[TrainState, Any]:
        """Learn from trajectories [N, T]: (state, metrics)."""
        algorithm = self.algorithm.with_values(settings)
        model = self.model(state.params)
        key, key_shuffle = jax.random.split(state.key)
        batch, explained = estimate(algorithm, model, trajectory)
        left = jnp.maximum(1 - state.steps / total, 0.0) if algorithm.schedule == "linear" else 1.0
        model, opt_state, parts = descend(
            algorithm, model, state.opt_state, batch, algorithm.learning_rate * left, key_shuffle
        )
        params = eqx.filter(model, eqx.is_array)
        new_steps = jnp.sum(trajectory.valid, dtype=jnp.uint32)
        following = TrainState(
            key, params, opt_state, state.rows, state.updates + 1, state.steps + new_steps
        )
        metrics = (
            parts
            | _episodes(trajectory)
            | {
                "explained_variance": explained,
                "steps": following.steps,
                "active": state.steps < total,
                "finite": _finite(trajectory, batch, parts, params),
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


def episode_steps(spec: EnvSpec) -> int:
    """The time limit, where whole episodes are played."""
    if spec.max_episode_steps is None:
        from logtrick.errors import ConfigError

        raise ConfigError(
            f"{spec.id} has no time limit that is known, so a whole episode may never end; set "
            "num_steps, or give the environment a limit (gymnasium.wrappers.TimeLimit)."
        )
    return spec.max_episode_steps


def _episodes(trajectory: Trajectory) -> dict[str, Array]:
    """Number, mean return and mean length of the episodes that ended in this batch."""
    t = trajectory
    ended = (t.terminated | t.truncated) & t.valid
    count = jnp.sum(ended)

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(ended, x, 0)) / count  # NaN where none ended

    return {
        "episodes": count,
        "episode_return": mean(t.episode_return),
        "episode_length": mean(t.step + 1),
    }


def array_names(params: Any) -> list[str]:
    """What the finite check looks at, in the order in which a bad number would spread."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    leaves = [jax.tree_util.keystr(path, simple=True, separator="/") for path in paths]
    data = ["observations", "rewards", "next observations", "actions", "log-probabilities"]
    return [*data, "values", "psi", "loss", "gradient", *leaves]


def _finite(
    trajectory: Trajectory, batch: Any, parts: dict[str, Array], params: Any
) -> Float[Array, " arrays"]:
    """Whether each array of `array_names` is finite, where the rows are transitions."""
    t = trajectory

    def valid(x: Array) -> Array:
        mask = t.valid.reshape(t.valid.shape + (1,) * (x.ndim - t.valid.ndim))
        return jnp.all(jnp.isfinite(x) | ~mask)

    data = [valid(x) for x in (t.obs, t.reward, t.next_obs, t.action, t.log_prob)]
    rest = [batch.value, batch.psi * batch.valid, parts["loss"], parts["grad_norm"]]
    leaves = [*rest, *jax.tree.leaves(params)]
    return jnp.stack([*data, *(jnp.all(jnp.isfinite(x)) for x in leaves)])
