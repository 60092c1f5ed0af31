"""Networks under policies and values: the perceptron."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logtrick.errors import ConfigError, SpaceError
from logtrick.policies.encoders import Encoder, encoder
from logtrick.policies.initial import HIDDEN_GAIN, generator, linear
from logtrick.policies.protocols import Key, Observation, Observations
from logtrick.support.numbers import checked_whole

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu}


class MLP(eqx.Module):
    """A multilayer perceptron on one encoded observation: x ↦ W_n f(… f(W_1 x + b_1) …) + b_n.

    Weights are orthogonal with gain √2 and `output_gain` in the last layer, biases 0 (Engstrom et
    al. 2020 found this to matter for PPO). How an observation becomes the vector x is its space's
    matter: see `encoders.encoder`.

    Args:
        observations: the observation space, or a `FiniteMDP`.
        outputs: length of the output.
        hidden: widths of the hidden layers; () is a linear map.
        activation: f, "tanh", "relu" or "silu"; applied to the hidden layers.
        output_gain: scale of the last layer's weights.
        activate_output: apply f to the output too, for a trunk that heads stand on.
        images: "auto" puts convolutions below images; "flat" flattens them.
        key: an integer seed or a JAX key (host data: build modules outside `jit` and `vmap`).
    """

    encoder: Encoder
    layers: tuple[eqx.nn.Linear, ...]
    activation: str = eqx.field(static=True)
    activate_output: bool = eqx.field(static=True)

    def __init__(
        self,
        observations: Observations,
        outputs: int,
        *,
        hidden: Sequence[int] = (64, 64),
        activation: str = "tanh",
        output_gain: float = 1.0,
        activate_output: bool = False,
        images: str = "auto",
        key: Key = 0,
    ) -> None:
        if activation not in _ACTIVATIONS:
            raise ConfigError(
                f"activation={activation!r} is unknown; choose one of {', '.join(_ACTIVATIONS)}."
            )
        self.activation = activation
        self.activate_output = activate_output
        hidden = [checked_whole("hidden", width, 1) for width in hidden]
        rng = generator(key)
        self.encoder = encoder(observations, rng, images=images)
        if not self.encoder.width:
            raise SpaceError(f"Observations from {observations}: there is nothing to be seen.")
        widths = [self.encoder.width, *hidden, outputs]
        gains = [HIDDEN_GAIN] * len(hidden) + [output_gain]
        self.layers = tuple(map(linear(rng), widths[:-1], widths[1:], gains))

    def __call__(self, obs: Observation) -> Float[Array, " outputs"]:
        """The output for one observation."""
        x = self.encoder(obs, self.layers[0].weight.dtype)
        f = _ACTIVATIONS[self.activation]
        for layer in self.layers[:-1]:
            x = f(layer(x))
        x = self.layers[-1](x)
        return f(x) if self.activate_output else x
