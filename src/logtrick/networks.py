"""Networks under policies and values: the perceptron, its initial weights, what it can read."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float

from logtrick.errors import ConfigError, SpaceError

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu}
HIDDEN_GAIN = math.sqrt(2)


class MLP(eqx.Module):
    """A multilayer perceptron on one observation: x ↦ W_n f(… f(W_1 x + b_1) …) + b_n.

    Weights are orthogonal with gain √2 and `output_gain` in the last layer, biases 0 (Engstrom et
    al. 2020 found this to matter for PPO). An integer observation is one-hot encoded, any other
    is flattened.

    Args:
        observations: the observation space, or a `FiniteMDP`.
        outputs: length of the output.
        hidden: widths of the hidden layers; () is a linear map.
        activation: f, "tanh", "relu" or "silu"; applied to the hidden layers.
        output_gain: scale of the last layer's weights.
        activate_output: apply f to the output too, for a trunk that heads stand on.
        key: an integer seed or a JAX key (host data: build modules outside `jit` and `vmap`).
    """

    layers: tuple[eqx.nn.Linear, ...]
    num_categories: int | None = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    activate_output: bool = eqx.field(static=True)

    def __init__(
        self,
        observations: Any,
        outputs: int,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        output_gain: float = 1.0,
        activate_output: bool = False,
        key: Any = 0,
    ) -> None:
        if activation not in _ACTIVATIONS:
            raise ConfigError(
                f"activation={activation!r} is unknown; choose one of {', '.join(_ACTIVATIONS)}."
            )
        self.num_categories, width = observation_width(observations)
        self.activation = activation
        self.activate_output = activate_output
        rng = generator(key)
        widths = [width, *hidden, outputs]
        gains = [HIDDEN_GAIN] * len(hidden) + [output_gain]
        self.layers = tuple(map(linear(rng), widths[:-1], widths[1:], gains))

    def __call__(self, obs: Any) -> Float[Array, " outputs"]:
        """The output for one observation."""
        dtype = self.layers[0].weight.dtype
        if self.num_categories is None:
            x = jnp.ravel(obs).astype(dtype)
        else:
            x = jax.nn.one_hot(obs, self.num_categories, dtype=dtype)
        f = _ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            x = f(layer(x))
        x = self.layers[-1](x)
        return f(x) if self.activate_output else x


def generator(key: Any) -> np.random.Generator:
    """Initial weights are drawn by NumPy: compiling JAX's QR costs more than training CartPole."""
    if isinstance(key, jax.core.Tracer):
        raise ConfigError(
            "A module's key is host data: build modules outside jit and vmap, then stack their "
            "arrays with jax.tree.map(lambda *x: jnp.stack(x), *modules)."
        )
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    return np.random.default_rng(key)


def linear(rng: np.random.Generator) -> Any:
    """Give a function (inputs, outputs, gain) -> Linear with an orthogonal weight and bias 0."""

    def make(inputs: int, outputs: int, gain: float) -> eqx.nn.Linear:
        empty = eqx.filter_eval_shape(eqx.nn.Linear, inputs, outputs, key=jax.random.key(0))
        arrays = _orthogonal(rng, outputs, inputs, gain), np.zeros(outputs, np.float32)
        return eqx.tree_at(lambda layer: (layer.weight, layer.bias), empty, arrays)

    return make


def _orthogonal(rng: np.random.Generator, rows: int, columns: int, gain: float) -> np.ndarray:
    """A random matrix whose rows or columns, the fewer of them, are orthonormal, times `gain`."""
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))  # without this q is not uniformly distributed
    return (gain * (q if rows >= columns else q.T)).astype(np.float32)


def observation_width(observations: Any) -> tuple[int | None, int]:
    """(categories to one-hot encode or None, length of the encoded observation)."""
    if hasattr(observations, "observations"):
        rows = np.asarray(observations.observations)
        if rows.ndim == 1 and np.issubdtype(rows.dtype, np.integer):
            return int(rows.max()) + 1, int(rows.max()) + 1
        return None, int(np.prod(rows.shape[1:]))
    match observations:
        case spaces.Discrete(n=n, start=start):
            if start != 0:
                raise SpaceError(f"{observations} does not start at 0; shift it in the adapter.")
            return int(n), int(n)
        case spaces.Box(shape=shape):
            return None, math.prod(shape)
    raise SpaceError(
        f"Observations from {observations} cannot be served: Box and Discrete spaces can be. Wrap "
        "the environment (gymnasium.wrappers.FlattenObservation, say)."
    )


def action_width(
    observations: Any, actions: spaces.Space[Any] | None
) -> tuple[int, tuple[int, ...], bool]:
    """(outputs of the network, shape of one action, whether actions are continuous)."""
    if actions is None and hasattr(observations, "num_actions"):
        return int(observations.num_actions), (), False
    match actions:
        case spaces.Discrete(n=n):
            return int(n), (), False
        case spaces.Box(shape=(width,)) if np.issubdtype(actions.dtype, np.floating):
            return width, (width,), True
    raise SpaceError(
        f"Actions in {actions} cannot be served: Discrete spaces and one-dimensional Box spaces of "
        "floats can be."
    )
