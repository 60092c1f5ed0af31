"""A policy as a table of probabilities [S, A], and derivatives through that table.

Three things are policies on a finite MDP: a table of probabilities, one action for each state, and
any pytree that is called on one observation and returns a distribution over actions. The logits of
actions that a state does not have are −∞: the probabilities of a pytree are masked and
renormalised; a table that puts mass there is refused.

Everything about ∇π goes through `pull` (a cotangent of the table to the parameters) and `push` (a
direction of the parameters to the table), so that no Jacobian [S·A, parameters] is ever made.
"""

import inspect
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree, Shaped

from logtrick.errors import ConfigError, MDPError, PrecisionError, ShapeError
from logtrick.exact.matrix_free import AnyMDP
from logtrick.mdp.row_sums import ROW_SUM_TOLERANCE, normalised

#: Observations that a policy is called on at once; beyond it memory, not speed, would grow.
CHUNK = 65536


def is_array(policy: Any) -> bool:
    """True for tables of probabilities and for actions, False for pytrees."""
    return isinstance(policy, np.ndarray | jax.Array | list | tuple)


def is_traced(*trees: Any) -> bool:
    """True inside the caller's own `jit`, `grad` or `vmap`."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def require_x64() -> None:
    """Inside the caller's transform, float64 must be on.

    Raises:
        PrecisionError: it is not.
    """
    if jnp.zeros(()).dtype != jnp.float64:
        raise PrecisionError(
            "exact numbers need float64 inside jit, grad and vmap: wrap the call in "
            "`with jax.enable_x64(True):`, or call logtrick.exact outside of the transform"
        )


def probabilities(model: AnyMDP, policy: Any) -> Float[np.ndarray, "S A"]:
    """π(a | s) of a concrete policy.

    Args:
        model: the MDP.
        policy: probabilities [S, A], actions int[S], or a pytree.

    Returns:
        A float64 table; 0 at actions that a state does not have. Rows of an array that are off by
        more than rounding (by 10⁻⁹ at most) are divided by their sums.

    Raises:
        ShapeError: the policy does not fit the MDP.
        MDPError: a row is no distribution, or puts mass on an action that is not there.
        ConfigError: the policy depends on history, or returns no distribution over actions; or
            `model` is no MDP.
    """
    _check_model(model)
    if is_array(policy):
        return _checked_table(model, np.asarray(policy))
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        params, static = _parameters(policy)
        table = np.asarray(_table(params, static, *_inputs(model)))
    _check_table(model, table)
    return table


def probabilities_over(model: AnyMDP, policy: Any, horizon: int) -> Float[np.ndarray, "..."]:
    """π_t(a | s) of a policy over H steps: [S, A] where it is the same at every step, or [H, S, A].

    Args:
        model: the MDP.
        policy: as in `probabilities`, for every step; or one for each step, as probabilities
            [H, S, A] or actions int[H, S] (what `planning.solve` returns for a horizon).
        horizon: H.

    Raises:
        ConfigError: an array that could be read either way.
        ShapeError, MDPError, ConfigError: as in `probabilities`.
    """
    _check_model(model)
    array = np.asarray(policy) if is_array(policy) else np.empty(0)
    stationary, actions = (model.num_states, model.num_actions), (horizon, model.num_states)
    whole = np.issubdtype(array.dtype, np.integer) and array.ndim == 2
    if whole and array.shape == actions == stationary:
        raise ConfigError(
            f"a policy of whole numbers {array.shape} may be actions [H, S] or probabilities "
            "[S, A]; pass probabilities as floats, or actions as probabilities [H, S, A]"
        )
    if not (array.ndim == 3 or (whole and array.shape == actions)):
        return probabilities(model, policy)
    if len(array) != horizon:
        raise ShapeError(f"the policy has {len(array)} steps, the horizon {horizon}")
    return np.array([_checked_table(model, array[t]) for t in range(horizon)]).reshape(
        horizon, *stationary
    )


def traced_probabilities(model: AnyMDP, policy: Any) -> Float[Array, "S A"]:
    """π(a | s), differentiable, inside the caller's transform."""
    _check_model(model)
    require_x64()
    if is_array(policy):
        table = jnp.asarray(policy)
        if not jnp.issubdtype(table.dtype, jnp.floating):
            raise ConfigError("actions cannot be traced; pass probabilities [S, A]")
        if table.shape != (model.num_states, model.num_actions):
            raise ShapeError(_misfit(model, table.shape))
        return jnp.where(model.available, table.astype(jnp.float64), 0.0)
    params, static = _parameters(policy)
    return _table(params, static, *_inputs(model))


def pull(model: AnyMDP, policy: Any, cotangent: Float[np.ndarray, "S A"]) -> PyTree:
    """Σ_{s,a} cotangent(s, a) ∇π(a | s), shaped like the policy's parameters."""
    if is_array(policy):
        return np.where(model.available, cotangent, 0.0)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        params, static = _parameters(policy)
        return _to_numpy(_pull(params, static, *_inputs(model), jnp.asarray(cotangent)))


def push(model: AnyMDP, policy: Any, vector: PyTree) -> Float[np.ndarray, "S A"]:
    """The change of π(a | s) when the parameters move along `vector`."""
    if is_array(policy):
        return np.where(model.available, np.asarray(vector, np.float64), 0.0)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        params, static = _parameters(policy)
        direction = like_parameters(params, vector)
        return np.asarray(_push(params, static, *_inputs(model), direction))


def jacobian(model: AnyMDP, policy: Any) -> Float[np.ndarray, "S A n"]:
    """∂π(a | s)/∂θ over flat parameters; for few of them."""
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        params, static = _parameters(policy)
        return np.asarray(_jacobian(params, static, *_inputs(model)))


def pull_derivative(
    model: AnyMDP,
    policy: Any,
    cotangent: Float[np.ndarray, "S A"],
    vector: PyTree,
    change: Float[np.ndarray, "S A"],
) -> PyTree:
    """The change of `pull` when the parameters move along `vector`, the cotangent by `change`."""
    if is_array(policy):
        return np.where(model.available, change, 0.0)
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        params, static = _parameters(policy)
        direction = like_parameters(params, vector)
        arrays = (jnp.asarray(cotangent), direction, jnp.asarray(change))
        return _to_numpy(_pull_derivative(params, static, *_inputs(model), *arrays))


@eqx.filter_jit
def _table(
    params: PyTree,
    static: PyTree,
    observations: Shaped[Array, "S ..."],
    available: Bool[Array, "S A"],
) -> Float[Array, "S A"]:
    """π of the pytree on every observation: a softmax over the actions that are there."""
    policy = eqx.combine(params, static)

    def log_probs(observation: Array) -> Array:
        values = _log_probs(policy(observation))
        if values.shape != available.shape[1:]:
            raise ShapeError(
                f"the policy has {values.shape} log-probabilities, the MDP "
                f"{available.shape[1]} actions"
            )
        return values

    if len(observations) > CHUNK:
        logits = jax.lax.map(jax.checkpoint(log_probs), observations, batch_size=CHUNK)
    else:
        logits = jax.vmap(log_probs)(observations)
    return jax.nn.softmax(logits, axis=-1, where=available)


def _log_probs(distribution: Any) -> Array:
    for name in ("log_probs", "probs"):
        values = getattr(distribution, name, None)
        if values is not None and not callable(values):
            return values if name == "log_probs" else jnp.log(values)
    raise ConfigError(
        f"the policy returned {type(distribution).__name__}; on a finite MDP it must be a "
        "distribution over actions with `log_probs` or `probs` [A]"
    )


@eqx.filter_jit
def _pull(params: PyTree, static: PyTree, observations: Any, available: Any, cotangent: Any) -> Any:
    _, pullback = jax.vjp(lambda p: _table(p, static, observations, available), params)
    return pullback(cotangent)[0]


@eqx.filter_jit
def _push(params: PyTree, static: PyTree, observations: Any, available: Any, vector: Any) -> Any:
    table = lambda p: _table(p, static, observations, available)  # noqa: E731
    return jax.jvp(table, (params,), (vector,))[1]


@eqx.filter_jit
def _jacobian(params: PyTree, static: PyTree, observations: Any, available: Any) -> Any:
    flat, unravel = ravel_pytree(params)
    return jax.jacfwd(lambda f: _table(unravel(f), static, observations, available))(flat)


@eqx.filter_jit
def _pull_derivative(
    params: PyTree,
    static: PyTree,
    observations: Any,
    available: Any,
    cotangent: Any,
    vector: Any,
    change: Any,
) -> Any:
    def pulled(p: PyTree, c: Array) -> Any:
        return _pull(p, static, observations, available, c)

    return jax.jvp(pulled, (params, cotangent), (vector, change))[1]


def like_parameters(params: PyTree, vector: PyTree) -> PyTree:
    """The vector in float64, after its shapes were compared with the parameters."""
    vector = eqx.filter(vector, eqx.is_inexact_array)
    structures: list[Any] = [jax.tree.structure(tree) for tree in (params, vector)]
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(vector)]
    if structures[0] != structures[1] or shapes != [leaf.shape for leaf in jax.tree.leaves(params)]:
        raise ShapeError("the vector is not shaped like the policy's parameters")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), vector)


def _parameters(policy: Any) -> tuple[PyTree, PyTree]:
    """The float arrays of a pytree, in float64, and the rest."""
    _check_memoryless(policy)
    params, static = eqx.partition(policy, eqx.is_inexact_array)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params), static


def _inputs(model: AnyMDP) -> tuple[Array, Array]:
    observations = model.observations
    if np.issubdtype(observations.dtype, np.floating):
        observations = observations.astype(np.float64)
    return jnp.asarray(observations), jnp.asarray(model.available)


def _check_model(model: Any) -> None:
    if not isinstance(model, AnyMDP):
        raise ConfigError(f"{type(model).__name__} is no MDP; see logtrick.FiniteMDP")


def _check_memoryless(policy: Any) -> None:
    if not callable(policy):
        raise ConfigError(
            f"{type(policy).__name__} is no policy: pass probabilities [S, A], actions int[S], or "
            "a pytree that is called on one observation"
        )
    needed = [
        parameter
        for parameter in inspect.signature(policy).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) != 1:
        raise ConfigError(
            "a policy with memory has no table of probabilities on this MDP; it has one on the "
            "tree of histories: tree = logtrick.Histories(mdp), then tree.mdp and "
            "tree.policy(policy). lt.audit does that by itself"
        )


def _checked_table(model: AnyMDP, policy: np.ndarray) -> np.ndarray:
    shape = (model.num_states, model.num_actions)
    if np.issubdtype(policy.dtype, np.integer) and policy.shape == shape[:1]:
        wrong = (policy < 0) | (policy >= shape[1])
        wrong |= ~model.available[np.arange(shape[0]), np.where(wrong, 0, policy)]
        if wrong.any():
            state = int(np.argmax(wrong))
            raise MDPError(f"state {state} has no action {policy[state]}")
        return np.eye(shape[1])[policy]
    if policy.shape != shape:
        raise ShapeError(_misfit(model, policy.shape))
    table = policy.astype(np.float64)
    _check_table(model, table)
    return normalised(table)


def _check_table(model: AnyMDP, table: np.ndarray) -> None:
    wrong = ~((table >= 0) & (table <= 1 + ROW_SUM_TOLERANCE))
    if wrong.any():
        state, action = np.argwhere(wrong)[0]
        raise MDPError(f"state {state}, action {action}: the policy gives {table[state, action]}")
    extra = (table > 0) & ~model.available
    if extra.any():
        state, action = np.argwhere(extra)[0]
        raise MDPError(
            f"the policy puts {table[state, action]:.3g} on action {action}, which state {state} "
            "does not have"
        )
    off = np.abs(table.sum(axis=1) - 1) > ROW_SUM_TOLERANCE
    if off.any():
        state = int(np.argmax(off))
        raise MDPError(f"the policy sums to {table[state].sum():.12g} in state {state}, not to 1")


def _misfit(model: AnyMDP, shape: tuple[int, ...]) -> str:
    return (
        f"the policy has shape {shape}; probabilities [{model.num_states}, {model.num_actions}] "
        f"or actions int[{model.num_states}] are needed"
    )


def _to_numpy(tree: PyTree) -> PyTree:
    return jax.tree.map(np.asarray, tree)
