"""Policies and value functions: pytrees that are called on one observation.

`policy(obs) -> Distribution`, `value(obs) -> scalar`; batches are `vmap` outside. The same object
goes into the exact gradient, the sampled gradient, the audit and training.
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float

from logtrick.distributions import Categorical, Distribution, Normal
from logtrick.errors import ConfigError, SpaceError

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu}
HIDDEN_GAIN = math.sqrt(2)


class SoftmaxTable(eqx.Module):
    """π(a|o) = softmax(θ[o])_a: one row of logits for each distinct observation.

    Args:
        observations: the number of distinct observations, or a `FiniteMDP` (one row for each
            distinct row of `mdp.observations`, so aliased states share theirs).
        num_actions: needed with a number; taken from an MDP.
        logits: float[O, A], θ; zeros (the uniform policy) where not given.

    Example:
        >>> [round(float(p), 3) for p in SoftmaxTable(3, 2)(0).probs]
        [0.5, 0.5]
    """

    logits: Float[Array, "O A"]
    rows: tuple[Any, ...] | None = eqx.field(static=True)
    """The observation of each row; None where row o belongs to the observation o."""

    def __init__(
        self, observations: Any, num_actions: int | None = None, *, logits: Any = None
    ) -> None:
        self.rows = None
        if hasattr(observations, "observations"):
            num_actions = int(observations.num_actions)
            distinct = np.unique(np.asarray(observations.observations), axis=0)
            num_rows = len(distinct)
            if distinct.ndim > 1 or not np.array_equal(distinct, np.arange(num_rows)):
                self.rows = tuple(map(_hashable, distinct.tolist()))
        else:
            num_rows = int(observations)
        if num_actions is None:
            raise SpaceError("SoftmaxTable(rows, num_actions): the number of actions is missing.")
        shape = (num_rows, num_actions)
        table = np.zeros(shape, np.float32) if logits is None else logits
        if np.shape(table) != shape:
            raise SpaceError(
                f"SoftmaxTable: logits have shape {np.shape(table)}, but {num_rows} observations "
                f"and {num_actions} actions need {shape}."
            )
        self.logits = jnp.asarray(table)

    def __call__(self, obs: Any) -> Categorical:
        """π(·|o) for one observation: an integer, or a row of `mdp.observations`."""
        if self.rows is None:
            return Categorical(self.logits[obs])
        same = np.asarray(self.rows) == jnp.asarray(obs)[None]
        row = jnp.argmax(same.reshape(len(self.rows), -1).all(axis=1))
        return Categorical(self.logits[row])


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
        self.num_categories, width = _observation_width(observations)
        self.activation = activation
        self.activate_output = activate_output
        rng = _generator(key)
        widths = [width, *hidden, outputs]
        gains = [HIDDEN_GAIN] * len(hidden) + [output_gain]
        self.layers = tuple(map(_linear(rng), widths[:-1], widths[1:], gains))

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


class MLPPolicy(eqx.Module):
    """π_θ(·|s) with an MLP: Categorical for `Discrete` actions, Normal for `Box`.

    The Normal's mean is the MLP's output and its log standard deviation a parameter of its own,
    the same in every state and 0 at the start. The last layer starts at a hundredth of its usual
    scale, so that the first policy is nearly uniform (or centred).

    Args:
        observations: the observation space, or a `FiniteMDP` (the actions are then its own).
        actions: the action space.
        hidden: widths of the hidden layers; () is a linear policy.
        activation: "tanh", "relu" or "silu".
        key: an integer seed or a JAX key.

    Raises:
        SpaceError: for spaces that it cannot serve.

    Example:
        >>> from gymnasium.spaces import Box, Discrete
        >>> policy = MLPPolicy(Box(-1, 1, (4,)), Discrete(2), key=0)
        >>> [round(float(p), 1) for p in policy(np.zeros(4)).probs]
        [0.5, 0.5]
    """

    network: MLP
    log_std: Float[Array, " D"] | None
    shape: tuple[int, ...] = eqx.field(static=True)
    """Of one action."""

    def __init__(
        self,
        observations: Any,
        actions: spaces.Space[Any] | None = None,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        key: Any = 0,
    ) -> None:
        outputs, self.shape, continuous = _action_width(observations, actions)
        self.network = MLP(
            observations, outputs, hidden=hidden, activation=activation, output_gain=0.01, key=key
        )
        self.log_std = jnp.zeros(outputs) if continuous else None

    def __call__(self, obs: Any) -> Distribution:
        """π_θ(·|s) for one observation."""
        return _head(self.network(obs), self.log_std)


class LinearPolicy(MLPPolicy):
    """π_θ(·|s) = softmax(Wφ(s) + b), or the Normal with that mean: an MLP without hidden layers.

    Example:
        >>> from gymnasium.spaces import Discrete
        >>> LinearPolicy(Discrete(5), Discrete(3)).network.layers[0].weight.shape
        (3, 5)
    """

    def __init__(
        self, observations: Any, actions: spaces.Space[Any] | None = None, *, key: Any = 0
    ) -> None:
        super().__init__(observations, actions, hidden=(), key=key)


class MLPValue(eqx.Module):
    """V_φ(s) with an MLP.

    Example:
        >>> from gymnasium.spaces import Box
        >>> MLPValue(Box(-1, 1, (4,)), key=0)(np.zeros(4)).shape
        ()
    """

    network: MLP

    def __init__(
        self,
        observations: Any,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        key: Any = 0,
    ) -> None:
        self.network = MLP(observations, 1, hidden=hidden, activation=activation, key=key)

    def __call__(self, obs: Any) -> Float[Array, ""]:
        """V_φ for one observation."""
        return self.network(obs)[0]


class ValueTable(eqx.Module):
    """V(o), one number for each observation 0 … O−1.

    Example:
        >>> float(ValueTable(3)(2))
        0.0
    """

    values: Float[Array, " O"]

    def __init__(self, num_observations: int) -> None:
        self.values = jnp.zeros(num_observations)

    def __call__(self, obs: Any) -> Float[Array, ""]:
        """V for one observation."""
        return self.values[obs]


class ActorCritic(eqx.Module):
    """A policy and a value function side by side, nothing shared.

    `value` is None where the algorithm learns no value function; it then reads as 0.
    """

    policy: Any
    value: Any

    def __call__(self, obs: Any) -> tuple[Distribution, Float[Array, ""]]:
        """(π(·|s), V(s)) for one observation."""
        return self.policy(obs), self.state_value(obs)

    def state_value(self, obs: Any) -> Float[Array, ""]:
        """V(s) alone."""
        return jnp.zeros(()) if self.value is None else self.value(obs)


class SharedActorCritic(eqx.Module):
    """A policy and a value function on one trunk: their gradients meet in its parameters."""

    trunk: MLP
    actor: eqx.nn.Linear
    critic: eqx.nn.Linear
    log_std: Float[Array, " D"] | None
    shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        observations: Any,
        actions: spaces.Space[Any],
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        key: Any = 0,
    ) -> None:
        if not hidden:
            raise ConfigError("A shared trunk needs at least one hidden layer; hidden is empty.")
        outputs, self.shape, continuous = _action_width(observations, actions)
        rng = _generator(key)
        *below, top = hidden
        self.trunk = MLP(
            observations,
            top,
            hidden=below,
            activation=activation,
            output_gain=HIDDEN_GAIN,
            activate_output=True,
            key=int(rng.integers(2**32)),
        )
        make = _linear(rng)
        self.actor, self.critic = make(top, outputs, 0.01), make(top, 1, 1.0)
        self.log_std = jnp.zeros(outputs) if continuous else None

    def __call__(self, obs: Any) -> tuple[Distribution, Float[Array, ""]]:
        """(π(·|s), V(s)) for one observation; the trunk runs once."""
        x = self.trunk(obs)
        return _head(self.actor(x), self.log_std), self.critic(x)[0]

    def state_value(self, obs: Any) -> Float[Array, ""]:
        """V(s) alone."""
        return self.critic(self.trunk(obs))[0]

    @property
    def policy(self) -> "SharedPolicy":
        """The policy alone."""
        return SharedPolicy(self)


class SharedPolicy(eqx.Module):
    """The policy half of a `SharedActorCritic`."""

    model: SharedActorCritic

    def __call__(self, obs: Any) -> Distribution:
        """π(·|s) for one observation."""
        return self.model(obs)[0]


def _head(outputs: Float[Array, " D"], log_std: Float[Array, " D"] | None) -> Distribution:
    return Categorical(outputs) if log_std is None else Normal(outputs, log_std)


def _generator(key: Any) -> np.random.Generator:
    """Initial weights are drawn by NumPy: compiling JAX's QR costs more than training CartPole."""
    if isinstance(key, jax.core.Tracer):
        raise ConfigError(
            "A module's key is host data: build modules outside jit and vmap, then stack their "
            "arrays with jax.tree.map(lambda *x: jnp.stack(x), *modules)."
        )
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    return np.random.default_rng(key)


def _linear(rng: np.random.Generator) -> Any:
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


def _observation_width(observations: Any) -> tuple[int | None, int]:
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


def _action_width(
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


def _hashable(row: Any) -> Any:
    return tuple(map(_hashable, row)) if isinstance(row, list) else row
