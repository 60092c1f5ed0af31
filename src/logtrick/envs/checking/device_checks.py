"""What `check_env` asks of a device environment."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from logtrick.envs.checking.chances import check_chances
from logtrick.envs.checking.driving import Rows, at, chooser, drive_device, named_leaves, numbers
from logtrick.envs.host.masks import without_actions
from logtrick.envs.protocol import DeviceEnv, Enumerable, Step
from logtrick.errors import EnvError
from logtrick.support.names import reason
from logtrick.support.spaces import in_short, last_numbers, named_parts


@dataclass
class Tally:
    """The checks that passed, and those that nothing could be seen of."""

    passed: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def check_device(env: DeviceEnv, actions: PyTree, seed: int, tally: Tally) -> Rows:
    """Check that steps trace, are pure and finite, and flag ends rightly; what they showed."""
    _check_signature(env, at(actions, 0, 0), tally)
    _check_pure(env, actions, seed, tally)
    rows, states = drive_device(env, actions, jax.random.key(seed))
    for name, shown in (("reward", rows.reward), ("observation", rows.next_obs)):
        for part, array in named_leaves(shown):
            bad = ~np.isfinite(numbers(array, 2)).all(axis=2)
            if bad.any():
                t, row = np.argwhere(bad)[0]
                where = f"{env.id}, row {row}, step {t}"
                seen = in_short(array[t, row])
                raise EnvError(f"{where}: the {name}{part} is {seen}, which is not finite.")
    tally.passed.append("rewards and observations are finite")
    _check_masks(env, rows)
    _check_true_ends(env, rows, states, tally)
    if isinstance(env, Enumerable):
        tally.passed.append(check_chances(env, states, rows.action, rows.ended, seed))
    return rows


def _check_masks(env: DeviceEnv, rows: Rows) -> None:
    length, num_envs = rows.valid.shape
    obs = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows.obs)
    stuck = without_actions(env.observation_space, env.action_space, obs)
    if stuck is not None and stuck.any():
        t, row = np.argwhere(stuck.reshape(length, num_envs))[0]
        raise EnvError(
            f"{env.id}, row {row}, step {t}: its action_mask allows no action, yet the episode "
            "goes on."
        )


def _check_signature(env: DeviceEnv, action: PyTree, tally: Tally) -> None:
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
    _check_observation(env, obs)
    tally.passed.append("states and observations keep their structure, shapes and dtypes")


def _check_observation(env: DeviceEnv, obs: Any) -> None:
    """Is this what the space says? Shapes and dtypes are known, no values."""
    try:
        parts = list(named_parts(env.observation_space, obs))
    except (KeyError, IndexError, TypeError) as error:
        raise EnvError(
            f"{env.id}: the observation lacks parts of its space {env.observation_space}."
        ) from error
    for name, space, part in parts:
        if not isinstance(part, jax.ShapeDtypeStruct):
            raise EnvError(
                f"{env.id}: the observation{name} is a {type(part).__name__}; its space is {space}."
            )
        whole = last_numbers(space) is not None
        fits = part.dtype.kind in "iub" if whole else part.dtype == space.dtype
        if part.shape != space.shape or not fits:
            got = f"{part.dtype}{list(part.shape)}"
            raise EnvError(f"{env.id}: the observation{name} is {got}; its space is {space}.")
    if len(parts) != len(jax.tree.leaves(obs)):
        raise EnvError(
            f"{env.id}: the observation has parts that its space {env.observation_space} lacks."
        )


def _traced(env: DeviceEnv, name: str, function: Any, *arguments: Any) -> Any:
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:
        text = reason(error).partition("\n")[0]
        raise EnvError(
            f"{env.id}: {name} cannot be traced by jax: {text} Branch with "
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


def _check_pure(env: DeviceEnv, actions: PyTree, seed: int, tally: Tally) -> None:
    """Compile everything twice: what Python remembers differs from one trace to the next."""
    key = jax.random.key(seed)
    state, obs = _agreed(env, "reset", _traced_twice(env.reset), key)
    steps, choose = _traced_twice(env.step), chooser(env.observation_space, env.action_space)
    for t in range(min(8, len(jax.tree.leaves(actions)[0]))):
        action = choose(jax.random.key(t), obs, at(actions, t, 0))
        step = _agreed(env, "step", steps, jax.random.fold_in(key, t), state, action)
        if step.terminated or step.truncated:
            break
        state, obs = step.state, step.obs
    tally.passed.append("reset and step are pure: the same arguments give the same results")


def _traced_twice(function: Any) -> tuple[Any, Any]:
    """Two compiled functions, since jax remembers the trace of one."""

    def compiled() -> Any:
        return jax.jit(lambda *arguments: function(*arguments))

    return compiled(), compiled()


def _agreed(env: DeviceEnv, name: str, functions: tuple[Any, Any], *arguments: Any) -> Any:
    first, second = (function(*arguments) for function in functions)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        if not np.array_equal(_no_key(a), _no_key(b), equal_nan=True):
            raise EnvError(
                f"{env.id}: {name} gave two results for the same arguments. All that changes must "
                "be in the state, and all chance must come from the key."
            )
    return first


def _no_key(leaf: Any) -> np.ndarray:
    """A leaf of a state, which may be a key, as numbers."""
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _check_true_ends(env: DeviceEnv, rows: Rows, states: Any, tally: Tally) -> None:
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
        [_depends_on_key(step, rows, states, t, row) for t, row in np.argwhere(where)[:4]]
        for where in (rows.ended, others)
    )
    starts = numbers(jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 16))[1], 1)
    reached = numbers(rows.next_obs, 2)
    one_start = (starts == starts[0]).all()
    always_start = (reached[rows.ended] == starts[0]).all()
    moves = (reached[~rows.ended] != starts[0]).any()
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


def _depends_on_key(step: Any, rows: Rows, states: Any, t: Any, row: Any) -> bool:
    """Whether another key would have shown another observation, the episode ending all the same."""
    keys = jax.random.split(jax.random.key(0), 16)
    steps = step(keys, at(states, t, row), at(rows.action, t, row))
    same_flag = np.asarray(steps.terminated) == rows.terminated[t, row]
    shown = numbers(steps.obs, 1)[same_flag]
    return bool((shown != shown[:1]).any())
