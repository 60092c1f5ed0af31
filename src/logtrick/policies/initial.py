"""Initial weights: orthogonal, biases 0, drawn by NumPy."""

import contextlib
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from logtrick.errors import ConfigError
from logtrick.policies.protocols import Key
from logtrick.support.dispatch import run_where_called

HIDDEN_GAIN = math.sqrt(2)


def generator(key: Key) -> np.random.Generator:
    """Initial weights are drawn by NumPy: compiling JAX's QR costs more than training CartPole."""
    run_where_called()  # with its network a value function begins JAX
    if isinstance(key, jax.core.Tracer):
        raise ConfigError(
            "A module's key is host data: build modules outside jit and vmap, then stack their "
            "arrays with jax.tree.map(lambda *x: jnp.stack(x), *modules)."
        )
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    if key is not None:  # which would be another policy every time
        with contextlib.suppress(TypeError, ValueError):
            return np.random.default_rng(key)
    raise ConfigError(f"key={key!r}; it must be a whole number, at least 0, or a key of JAX's.")


def linear(rng: np.random.Generator) -> Any:
    """Give a function (inputs, outputs, gain) -> Linear with an orthogonal weight and bias 0."""

    def make(inputs: int, outputs: int, gain: float) -> eqx.nn.Linear:
        empty = eqx.filter_eval_shape(eqx.nn.Linear, inputs, outputs, key=jax.random.key(0))
        arrays = orthogonal(rng, outputs, inputs, gain), np.zeros(outputs, np.float32)
        return eqx.tree_at(lambda layer: (layer.weight, layer.bias), empty, arrays)

    return make


def recurrent_cell(kind: Any, inputs: int, width: int, rng: np.random.Generator) -> Any:
    """A GRU or LSTM cell: each gate's matrices orthogonal with gain 1, biases 0."""
    empty = eqx.filter_eval_shape(kind, inputs, width, key=jax.random.key(0))

    def fill(leaf: Any) -> np.ndarray:
        if leaf.ndim < 2:
            return np.zeros(leaf.shape, np.float32)
        gates = leaf.shape[0] // width
        return np.concatenate([orthogonal(rng, width, leaf.shape[1], 1.0) for _ in range(gates)])

    return jax.tree.map(fill, empty)


def orthogonal(rng: np.random.Generator, rows: int, columns: int, gain: float) -> np.ndarray:
    """A random matrix whose rows or columns, the fewer of them, are orthonormal, times `gain`."""
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))  # without this q is not uniformly distributed
    return (gain * (q if rows >= columns else q.T)).astype(np.float32)
