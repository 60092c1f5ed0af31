"""What `check_env` asks of a device environment."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick.envs._chances import check_chances
from logtrick.envs._drive import Rows, drive_device
from logtrick.envs.protocol import DeviceEnv, Enumerable, Step
from logtrick.envs.spaces import last_numbers
from logtrick.errors import EnvError


@dataclass
class Tally:
    """The checks that passed, and those that nothing could be seen of."""

    passed: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def check_device(env: DeviceEnv, actions: Array, seed: int, tally: Tally) -> Rows:
    """Traced, pure, finite, honest at the ends: else an `EnvError`; what its steps showed."""
    _check_signature(env, actions[0, 0], tally)
    _check_pure(env, actions[:, 0], seed, tally)
    rows, states = drive_device(env, actions, jax.random.key(seed))
    for name, array in (("reward", rows.reward), ("observation", rows.next_obs)):
        bad = ~np.isfinite(array.reshape(*array.shape[:2], -1)).all(axis=2)
        if bad.any():
            t, row = np.argwhere(bad)[0]
            raise EnvError(f"{env.id}, row {row}, step {t}: the {name} is {array[t, row]}.")
    tally.passed.append("rewards and observations are finite")
    _check_true_ends(env, rows, states, actions, tally)
    if isinstance(env, Enumerable):
        tally.passed.append(check_chances(env, states, actions, rows.ended, seed))
    return rows


def _check_signature(env: DeviceEnv, action: Array, tally: Tally) -> None:
    key = jax.random.key(0)
    state, obs = _traced(env, "reset", env.reset, key)
    step = _traced(env, "step", env.step, key, state, action)
    if not isinstance(step, Step):
        raise EnvError(f"{env.id}: step returns a {type(step).__name__} and no logtrick Step.")
    tally.passed.append("reset and step can be traced, with shapes that depend on no key")
    expected = {"reward": "floating", "terminated": "bool_", "truncated": "bool_"}
    for name, kind in expected.items():
        array = getattr(step, name)
        if array.shape != () or not jnp.issubdtype(array.dtype, getattr(jnp, kind)):
            got = f"{array.dtype}{list(array.shape)}"
            raise EnvError(f"{env.id}: {name} is {got}, not one {kind} scalar.")
    tally.passed.append("the reward is a float, the flags are two separate bools")
    _check_same_leaves(env, "state", state, step.state)
    _check_same_leaves(env, "observation", obs, step.obs)
    space = env.observation_space
    if not isinstance(obs, jax.ShapeDtypeStruct):
        raise EnvError(
            f"{env.id}: the observation is a {type(obs).__name__}; its space is {space}."
        )
    whole = last_numbers(space) is not None
    fits = obs.dtype.kind in "iub" if whole else obs.dtype == space.dtype
    if obs.shape != space.shape or not fits:
        got = f"{obs.dtype}{list(obs.shape)}"
        raise EnvError(f"{env.id}: the observation is {got}; its space is {space}.")
    tally.passed.append("states and observations keep their structure, shapes and dtypes")


def _traced(env: DeviceEnv, name: str, function: Any, *arguments: Any) -> Any:
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:
        text = str(error).partition("\n")[0]
        raise EnvError(
            f"{env.id}: {name} cannot be traced by jax: {type(error).__name__}: {text} Branch with "
            "jnp.where or jax.lax.cond, and keep numpy and Python numbers out of it."
        ) from error


def _check_same_leaves(env: DeviceEnv, name: str, first: Any, second: Any) -> None:
    before: Any = jax.tree.structure(first)
    if before != jax.tree.structure(second):
        raise EnvError(f"{env.id}: the {name} after step is another pytree than after reset.")
    leaves = jax.tree.leaves_with_path(first)
    for (path, old), new in zip(leaves, jax.tree.leaves(second), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise EnvError(
                f"{env.id}: {name}{jax.tree_util.keystr(path)} is {old.dtype}{list(old.shape)} "
                f"after reset and {new.dtype}{list(new.shape)} after step."
            )


def _check_pure(env: DeviceEnv, actions: Array, seed: int, tally: Tally) -> None:
    """Compile everything twice: what Python remembers differs from one trace to the next."""
    key = jax.random.key(seed)
    state, _ = _agreed(env, "reset", _traced_twice(env.reset), key)
    steps = _traced_twice(env.step)
    for t, action in enumerate(actions[:8]):
        step = _agreed(env, "step", steps, jax.random.fold_in(key, t), state, action)
        if step.terminated or step.truncated:
            break
        state = step.state
    tally.passed.append("reset and step are pure: the same arguments give the same results")


def _traced_twice(function: Any) -> tuple[Any, Any]:
    """Two compiled functions, since jax remembers the trace of one."""

    def compiled() -> Any:
        return jax.jit(lambda *arguments: function(*arguments))

    return compiled(), compiled()


def _agreed(env: DeviceEnv, name: str, functions: tuple[Any, Any], *arguments: Any) -> Any:
    first, second = (function(*arguments) for function in functions)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        if not np.array_equal(_numbers(a), _numbers(b), equal_nan=True):
            raise EnvError(
                f"{env.id}: {name} gave two results for the same arguments. All that changes must "
                "be in the state, and all chance must come from the key."
            )
    return first


def _numbers(leaf: Any) -> np.ndarray:
    """A leaf of a state, which may be a key."""
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _check_true_ends(env: DeviceEnv, rows: Rows, states: Any, actions: Array, tally: Tally) -> None:
    """At an end `step` must not return what `reset` would.

    Two signs of an environment that resets itself: what it shows at ends depends on the key,
    though nothing else does; or it is the one start observation, always.
    """
    check = "the observation at an end is the one that was reached"
    if not rows.ended.any():
        tally.unseen.append(f"{check}: no episode ended")
        return
    # Compared with the steps just before the ends, where as much may happen by chance.
    last = np.zeros_like(rows.ended)
    last[:-1] = rows.ended[1:] & ~rows.ended[:-1]
    others = last if last.any() else ~rows.ended
    step = jax.jit(jax.vmap(env.step, (0, None, None)))
    at_ends, elsewhere = (
        [_depends_on_key(step, rows, states, actions, t, row) for t, row in np.argwhere(where)[:4]]
        for where in (rows.ended, others)
    )
    starts = np.asarray(jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 16))[1])
    one_start = (starts == starts[0]).all()
    always_start = (rows.next_obs[rows.ended] == starts[0]).all()
    moves = (rows.next_obs[~rows.ended] != starts[0]).any()
    only_ends_vary = all(at_ends) and elsewhere and not any(elsewhere)
    if only_ends_vary or (one_start and always_start and moves):
        raise EnvError(
            f"{env.id}: what step returns at the end of an episode looks like a fresh start. "
            "Return the state that was reached; the rollout resets."
        )
    if any(elsewhere) and not one_start:
        tally.unseen.append(f"{check}: its steps are random, and its starts too")
    else:
        tally.passed.append(check)


def _depends_on_key(step: Any, rows: Rows, states: Any, actions: Array, t: Any, row: Any) -> bool:
    """Whether another key would have shown another observation, the episode ending all the same."""
    state = jax.tree.map(lambda leaf: leaf[t, row], states)
    keys = jax.random.split(jax.random.key(0), 16)
    steps = step(keys, state, actions[t, row])
    same_flag = np.asarray(steps.terminated) == rows.terminated[t, row]
    shown = np.asarray(steps.obs)[same_flag]
    return bool((shown != shown[:1]).any())
