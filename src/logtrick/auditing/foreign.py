"""Somebody else's estimator: called on batches of trajectories, and what comes back is checked.

JAX estimators are compiled and mapped over many batches at once. One that cannot be (it uses NumPy,
or branches on numbers) is called on one batch after another, with arrays of NumPy.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from logtrick.auditing.scored import ScoredPolicy
from logtrick.errors import EstimatorError
from logtrick.rollouts.device import Trajectory

CHUNK = 2048
"""Batches in one compiled call."""
ADDRESS = re.compile(r"0x[0-9a-f]+")
"""Of objects in a trace, which two traces do not share."""


@runtime_checkable
class JaxPolicy(Protocol):
    """What a `JaxRunner` asks of a policy."""

    model: Any
    """What the estimator is called with."""

    def flat_gradients(self, leaves: list[np.ndarray]) -> Float64[np.ndarray, "U N"]:
        """U gradients, leaf by leaf [U, ...] in the order of the model's, by θ: one a row."""


class JaxRunner:
    """Calls `estimator(policy, trajectories)` for policies that are pytrees or arrays of JAX."""

    def __init__(self, estimator: Callable[..., Any]) -> None:
        self.estimator = estimator
        self.batched = True
        self.resolution = float(np.finfo(np.float64).eps)

    def __call__(
        self, policy: ScoredPolicy, trajectories: Trajectory
    ) -> Float64[np.ndarray, "U N"]:
        """One gradient a row; float64 is on while the estimator runs."""
        assert isinstance(policy, JaxPolicy)
        count = len(trajectories.reward)
        parts = []
        with jax.enable_x64(True):
            model = jax.tree.map(_as_jax, policy.model)
            for first in range(0, count, CHUNK):
                size = min(CHUNK, count)
                chunk = trajectories if size == count else _rows(trajectories, first, size)
                parts.append(self._leaves(model, chunk))
        leaves = [np.concatenate(leaf)[:count] for leaf in zip(*parts, strict=True)]
        return policy.flat_gradients(leaves)

    def once(self, policy: ScoredPolicy, batch: Trajectory) -> list[Any]:
        """What the Python code does in one call: its trace, or its numbers if it has none.

        Nothing is compiled, not even what the estimator compiles, so nothing is remembered.

        Args:
            policy: the policy.
            batch: trajectories [B, T].
        """
        assert isinstance(policy, JaxPolicy)
        call = partial(_called, self.estimator)
        with jax.enable_x64(True):
            model = jax.tree.map(_as_jax, policy.model)
            try:
                with jax.disable_jit():
                    on_device = Trajectory(*map(jnp.asarray, batch))
                    closed = eqx.filter_make_jaxpr(call)(model, on_device)[0]
                for dtype in _narrowed(closed.jaxpr):  # it returns float64 all the same
                    self.resolution = max(self.resolution, float(jnp.finfo(dtype).eps))
                return [ADDRESS.sub("", str(closed)), *map(_numbers, closed.consts)]
            except EstimatorError:
                raise
            except Exception:  # it looks at numbers
                return self.numbers(policy, batch)

    def numbers(self, policy: ScoredPolicy, batch: Trajectory) -> list[Any]:
        """The numbers of one call, nothing compiled."""
        assert isinstance(policy, JaxPolicy)
        call = partial(_called, self.estimator)
        with jax.enable_x64(True):
            model = jax.tree.map(_as_jax, policy.model)
            try:
                with jax.disable_jit():
                    return list(map(_numbers, call(model, batch)))
            except Exception:
                return list(map(_numbers, attempt(call, model, batch)))

    def _leaves(self, model: Any, trajectories: Trajectory) -> list[np.ndarray]:
        """The gradient's arrays [U, ...], in the order of the policy's."""
        if self.batched:
            try:
                on_device = Trajectory(*map(jnp.asarray, trajectories))
                return self._read(_mapped(self.estimator, model, on_device))
            except EstimatorError:
                raise
            except Exception:
                self.batched = False  # once is enough: one at a time, it may work or say why not
        batches = [Trajectory(*(x[u] for x in trajectories)) for u in range(len(trajectories[0]))]
        call = partial(_called, self.estimator)
        one_by_one = [self._read(attempt(call, model, batch)) for batch in batches]
        return [np.stack(leaf) for leaf in zip(*one_by_one, strict=True)]

    def _read(self, leaves: list[Any]) -> list[np.ndarray]:
        for leaf in leaves:
            self.resolution = max(self.resolution, float(jnp.finfo(leaf.dtype).eps))
        return [np.asarray(leaf, np.float64) for leaf in leaves]


def _narrowed(jaxpr: Any) -> Iterator[Any]:
    """The dtypes that numbers of float64 are rounded to on the way."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "convert_element_type":
            before, after = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
            if before == jnp.float64 and jnp.issubdtype(after, jnp.floating) and after != before:
                yield after
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, list | tuple) else [parameter]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from _narrowed(inner)


def _numbers(array: Any) -> np.ndarray:
    if jnp.issubdtype(getattr(array, "dtype", np.float64), jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.asarray(array)


def attempt(estimator: Callable[..., Any], model: Any, batch: Trajectory) -> Any:
    """What the estimator returns; whatever it raises is an `EstimatorError` that says where."""
    try:
        return estimator(model, batch)
    except EstimatorError:
        raise
    except Exception as error:
        raise EstimatorError(
            f"the estimator failed on trajectories {list(batch.reward.shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error


@eqx.filter_jit
def _mapped(estimator: Callable[..., Any], model: Any, trajectories: Trajectory) -> list[Any]:
    return jax.vmap(lambda batch: _called(estimator, model, batch))(trajectories)


def _called(estimator: Callable[..., Any], model: Any, batch: Trajectory) -> list[Any]:
    """The leaves of one gradient, after its structure was compared with the policy's."""
    gradient = estimator(model, batch)
    wanted, found = _named_leaves(model), _named_leaves(gradient)
    if {k: np.shape(v) for k, v in found.items()} != {k: v.shape for k, v in wanted.items()}:
        raise EstimatorError(
            f"the estimator returned {_listed(found) or type(gradient).__name__}; a gradient is "
            f"shaped like the policy: {_listed(wanted)}"
        )
    return [found[name] for name in wanted]


def _named_leaves(tree: Any) -> dict[str, Any]:
    tree = eqx.filter(tree, eqx.is_inexact_array)
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path) or "array": leaf for path, leaf in paths}


def _listed(leaves: dict[str, Any]) -> str:
    return ", ".join(f"{name} {list(np.shape(leaf))}" for name, leaf in leaves.items())


def _rows(trajectories: Trajectory, first: int, size: int) -> Trajectory:
    """`size` batches from `first` on; the last ones are repeated so that shapes stay the same."""
    where = np.minimum(np.arange(first, first + size), len(trajectories.reward) - 1)
    return Trajectory(*(x[where] for x in trajectories))


def _as_jax(leaf: Any) -> Any:
    """Parameters as float64 arrays of JAX; whatever else a pytree holds as it is."""
    return jnp.asarray(leaf, jnp.float64) if eqx.is_inexact_array(leaf) else leaf
