"""The one training loop: a `Program` compiled in chunks, over seeds, on the device or the host.

On a device environment a chunk of n updates runs without the host; on host environments the
rollout runs here, and what learns from it is the very same function. Seeds are one `vmap` around.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.metrics import array_names
from logtrick.algorithms.models import build_model
from logtrick.algorithms.program import Program, TrainState
from logtrick.envs.host.alarm import close_safely
from logtrick.envs.protocol import DeviceEnv
from logtrick.envs.spec import TIMEOUT, EnvSpec, Workers
from logtrick.errors import ConfigError
from logtrick.policies.actor_critic import Acting
from logtrick.policies.memory import initial_carry
from logtrick.rollouts.acting import HostActor
from logtrick.rollouts.host import HostRollout
from logtrick.support.programs import Programs, over_seeds

MAX_CHUNK = 256
"""Updates between two visits of the host, at most."""


class Loop:
    """An algorithm on an environment, for some seeds: `initial` state, then `advance` it.

    Args:
        algorithm: the configuration.
        spec: the environment.
        seed: of the first of the runs; the s-th uses seed + s.
        num_seeds: S, how many runs are trained side by side.
        steps: transitions after which a run is done.
        workers: where the rows of a host environment run, "sync" or "async".
        policy: a user's own, in the place of the algorithm's: see `models.build_model`.
        timeout: seconds that a row of a host environment may take to answer.
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
        policy: Any = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.algorithm, self.spec, self.timeout = algorithm, spec, timeout
        num_steps = algorithm.num_steps or _episode_steps(algorithm, spec)
        _check_rows(algorithm, spec, num_seeds)
        models = [
            build_model(algorithm, spec.observation_space, spec.action_space, seed + s, policy)
            for s in range(num_seeds)
        ]
        params, statics = zip(*(eqx.partition(m, eqx.is_array) for m in models), strict=True)
        self.params = jax.tree.map(lambda *x: np.stack(x), *params)
        self.arrays = array_names(self.params)
        self.seeds = np.arange(seed, seed + num_seeds, dtype=np.uint32)
        # Numbers are arguments of the compiled program, not constants in it: another learning
        # rate, another number of steps, another seed, and nothing is compiled again.
        self.settings = {k: np.float32(v) for k, v in algorithm.floats().items()}
        self.total = np.uint32(steps)
        self.programs = Programs()
        built = spec.build(num_seeds * algorithm.num_envs, workers=workers, timeout=timeout)
        env = built if isinstance(built, DeviceEnv) else None
        self.program = Program(algorithm, statics[0], env, num_steps)
        self.host: HostRollout | None = None
        if not isinstance(built, DeviceEnv):
            if algorithm.rows_per_start > 1 and not built.one_seed_each:
                raise ConfigError(
                    f"{spec.id} takes one seed for all its rows, so the {algorithm.rows_per_start} "
                    "episodes of a group cannot start alike: pass a function that makes one "
                    "environment."
                )
            carry = self._initial_carries((num_seeds, algorithm.num_envs))
            self.host = HostRollout(
                built,
                HostActor(self._policy, num_seeds, self.programs),
                seed=seed,
                num_seeds=num_seeds,
                carry=carry,
                group_size=algorithm.rows_per_start,
            )

    def close(self) -> None:
        """End the host environments' processes; their errors are logged and stop nothing."""
        if self.host is not None:
            close_safely(self.host.envs.close, self.host.envs.id, self.timeout)

    @property
    def compile_seconds(self) -> float:
        """How long compiling took so far."""
        return self.programs.compile_seconds

    def adopt(self, other: "Loop") -> None:
        """Take over what another loop compiled, whose algorithm differs in numbers only."""
        self.programs.adopt(other.programs, but="start")

    def initial(self) -> TrainState:
        """The state before the first update."""
        return self.programs.run(
            "start", self._over_seeds(self.program.start), self.seeds, self.params
        )

    def advance(self, state: TrainState, limit: int) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Advance by at most `limit` updates: (state, metrics [updates made, seeds, ...]).

        It stops early when every run is done, or with the update in which a number ceased to be
        finite (`metrics["finite"]`, in the order of `arrays`). The given state is used up.
        """
        if self.host is not None:
            return self._advance_host(state, limit)
        arguments = state, np.int32(min(limit, MAX_CHUNK)), self.settings, self.total
        state, metrics, done = self.programs.run("chunk", self._chunk, *arguments, donate=0)
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
            key, key_rollout = self.programs.run("split", _split, state.key)
            carry = self.host.carry
            num_steps, episodic = self.program.num_steps, self.algorithm.episodic
            trajectory = self.host.collect(
                state.actor, key_rollout, num_steps, one_episode=episodic
            )
            improve = self._over_seeds(self.program.improve, (None, None, 0, 0, 0))
            arguments = self.settings, self.total, state._replace(key=key), trajectory, carry
            state, metrics = self.programs.run("improve", improve, *arguments, donate=2)
            rows.append(jax.device_get(metrics))
            if not rows[-1]["finite"].all():
                break
        return state, {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _policy(self, params: Any) -> Acting:
        return Acting(self.program.model(params))

    def _initial_carries(self, axes: tuple[int, ...]) -> Any:
        """The model's initial memory, with axes in front; None where it has none."""
        carry = initial_carry(self.program.model(jax.tree.map(lambda x: x[0], self.params)))
        return jax.tree.map(lambda x: np.broadcast_to(x, (*axes, *x.shape)), carry)

    def _over_seeds(self, function: Any, axes: tuple[int | None, ...] | None = None) -> Any:
        return over_seeds(function, len(self.seeds), axes)

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

        def unfinished(carry: Any) -> Array:
            state, _, done, finite = carry
            return (done < limit) & finite & jnp.any(state.steps < total)

        zero = jnp.zeros((), jnp.int32)
        state, buffer, done, _ = jax.lax.while_loop(
            unfinished, body, (state, buffer, zero, jnp.ones((), bool))
        )
        return state, buffer, done

    def _advance_seeds(self, state: TrainState, settings: Any, total: Array) -> Any:
        return self._over_seeds(self.program.advance, (0, None, None))(state, settings, total)


def _split(keys: Key[Array, " S"]) -> tuple[Key[Array, " S"], Key[Array, " S"]]:
    """(the keys of the next state, the keys to act with), both [seeds]."""
    both = jax.vmap(jax.random.split)(keys)
    return both[:, 0], both[:, 1]


def _episode_steps(algorithm: Algorithm, spec: EnvSpec) -> int:
    """The time limit, where whole episodes are played."""
    if spec.max_episode_steps is None:
        give = "Give" if "num_steps" in algorithm.without_effect else "Set num_steps, or give"
        raise ConfigError(
            f"{spec.id} has no time limit that is known, and {type(algorithm).__name__} plays "
            f"whole episodes, which may never end. {give} the environment a limit: pass a "
            "function that makes it inside gymnasium.wrappers.TimeLimit(env, 1000)."
        )
    return spec.max_episode_steps


def _check_rows(algorithm: Algorithm, spec: EnvSpec, num_seeds: int) -> None:
    """A vector environment has as many rows as it has."""
    rows, asked = spec.num_envs, num_seeds * algorithm.num_envs
    if rows in (None, asked):
        return
    seeds = f"{num_seeds} seeds × " if num_seeds > 1 else ""
    fits = rows is not None and rows % num_seeds == 0
    raise ConfigError(
        f"{spec.id} has {rows} row{'' if rows == 1 else 's'}, and {seeds}num_envs="
        f"{algorithm.num_envs} asks for {asked}: "
        + (f"set num_envs={rows // num_seeds}" if rows and fits else "train one seed at a time")
        + ", or pass a function that makes one environment."
    )
