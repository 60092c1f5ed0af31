"""Encoders: from one observation to one vector, as its space asks.

| space                       | vector                                                            |
|-----------------------------|-------------------------------------------------------------------|
| Box                         | its numbers                                                       |
| Box of three axes, ≥ 5 × 5  | an image: convolutions; channels: the shorter of first and last   |
| Discrete, MultiDiscrete     | one-hot; the next layer's columns are the embedding               |
| MultiBinary                 | its bits                                                          |
| Dict, Tuple                 | the parts one after the other; `action_mask` is left out          |
"""

import abc
import math
import numbers
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from logtrick.errors import ConfigError, ShapeError, SpaceError
from logtrick.policies.initial import HIDDEN_GAIN, orthogonal
from logtrick.policies.protocols import Mask, Observation, Observations

ACTION_MASK = "action_mask"
"""The key of a Dict observation that says which actions can be taken: 1 where one can."""

ATARI = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""Filters, size and stride of each convolution for images of 36 × 36 and more.

Source: Mnih et al. (2015), "Human-level control through deep reinforcement learning"."""
MINATAR = ((16, 3, 1),)
"""For smaller images, 5 × 5 at least. Source: Young and Tian (2019), "MinAtar"."""


class Encoder(eqx.Module):
    """One observation -> one vector of `width` numbers."""

    width: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, obs: Observation, dtype: DTypeLike) -> Float[Array, " width"]:
        """The vector."""


def check_one(obs: Observation, shape: tuple[int, ...]) -> None:
    """Refuse what is not one observation, or one part of it: a list, a batch.

    Shapes are known while a program is traced, so this costs nothing when it runs.

    Raises:
        ShapeError: what was given, and what is asked for.
    """
    wanted = f"one observation here is an array of shape {shape}" if shape else "a single number"
    if not (hasattr(obs, "shape") or isinstance(obs, numbers.Number)):
        raise ShapeError(
            f"A policy was given a {type(obs).__name__}, {obs!r:.60}, and {wanted}: "
            "numpy.asarray makes one of a list of numbers."
        )
    given = np.shape(obs)
    if given != shape:
        batch = len(given) > len(shape) and given[len(given) - len(shape) :] == shape
        hint = "jax.vmap(policy)(observations) takes a batch." if batch else "Was it reshaped?"
        raise ShapeError(f"A policy was given an array of shape {given}, and {wanted}. {hint}")


class Flat(Encoder):
    """The numbers themselves."""

    shape: tuple[int, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.width = shape, math.prod(shape)

    def __call__(self, obs: Observation, dtype: DTypeLike) -> Float[Array, " width"]:
        """All axes in one."""
        check_one(obs, self.shape)
        return jnp.ravel(obs).astype(dtype)


class OneHot(Encoder):
    """Whole numbers, each as a vector with a single 1."""

    choices: tuple[int, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, choices: tuple[int, ...], shape: tuple[int, ...]) -> None:
        self.choices, self.shape, self.width = choices, shape, sum(choices)

    def __call__(self, obs: Observation, dtype: DTypeLike) -> Float[Array, " width"]:
        """One vector after the other."""
        check_one(obs, self.shape)
        which = jnp.reshape(obs, (len(self.choices),))
        vectors = [jax.nn.one_hot(which[i], n, dtype=dtype) for i, n in enumerate(self.choices)]
        return jnp.concatenate(vectors)


class Convolution(eqx.Module):
    """A square convolution without padding, the channels last: one matrix product over patches.

    A convolution of XLA's is 30 to 40 times slower than this inside a loop on the CPU, where all of
    an update is inside a loop. The image is cut into squares of the stride's size first, so that a
    patch of 8 × 8 at stride 4 is put together of 4 squares, not of 64 pixels.

    Args:
        rng: for the filters, orthonormal rows times √2; the bias is 0.
        channels: of the image.
        filters: channels of the output.
        side: of a filter, a multiple of the stride.
        stride: pixels from one patch to the next.
    """

    weight: Float[Array, "filters channels side side"]
    bias: Float[Array, " filters"]
    stride: int = eqx.field(static=True)

    def __init__(
        self, rng: np.random.Generator, channels: int, filters: int, side: int, stride: int
    ) -> None:
        rows = orthogonal(rng, filters, channels * side * side, HIDDEN_GAIN)
        self.weight = jnp.asarray(rows.reshape(filters, channels, side, side))
        self.bias = jnp.zeros(filters, jnp.float32)
        self.stride = stride

    def __call__(
        self, image: Float[Array, "rows columns channels"]
    ) -> Float[Array, "_rows _columns filters"]:
        """The output at every place where a patch fits."""
        filters, channels, side, _ = self.weight.shape
        step, span = self.stride, side // self.stride
        rows, columns = ((pixels - side) // step + 1 for pixels in image.shape[:2])
        down, across = rows - 1 + span, columns - 1 + span
        squares = image[: down * step, : across * step].reshape(down, step, across, step, channels)
        squares = squares.swapaxes(1, 2).reshape(down, across, step * step * channels)
        corners = [(i, j) for i in range(span) for j in range(span)]
        patches = [squares[i : i + rows, j : j + columns] for i, j in corners]
        split = self.weight.reshape(filters, channels, span, step, span, step)
        matrix = split.transpose(2, 4, 3, 5, 1, 0).reshape(-1, filters)
        products = jnp.concatenate(patches, axis=-1) @ matrix
        return products + jnp.broadcast_to(self.bias, products.shape)


class Image(Encoder):
    """Convolutions with ReLU, flattened; images of bytes are divided by 255."""

    convolutions: tuple[Convolution, ...]
    shape: tuple[int, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)
    channels_last: bool = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __init__(self, space: spaces.Box, rng: np.random.Generator) -> None:
        shape = self.shape = space.shape
        self.channels_last = shape[2] <= shape[0]
        channels, *size = (shape[2], *shape[:2]) if self.channels_last else shape
        self.scale = 255.0 if space.dtype == np.uint8 else 1.0
        layers = []
        for filters, side, stride in ATARI if min(size) >= 36 else MINATAR:
            layers.append(Convolution(rng, channels, filters, side, stride))
            channels, size = filters, [(x - side) // stride + 1 for x in size]
        self.convolutions, self.width = tuple(layers), channels * math.prod(size)

    def __call__(self, obs: Observation, dtype: DTypeLike) -> Float[Array, " width"]:
        """The last convolution's output."""
        check_one(obs, self.shape)
        x = jnp.asarray(obs).astype(dtype) / self.scale
        if not self.channels_last:
            x = jnp.moveaxis(x, 0, -1)
        for layer in self.convolutions:
            x = jax.nn.relu(layer(x))
        return jnp.ravel(x)


class Parts(Encoder):
    """The parts of a Dict or Tuple observation, one after the other."""

    keys: tuple[Any, ...] = eqx.field(static=True)
    encoders: tuple[Encoder, ...]
    width: int = eqx.field(static=True)

    def __init__(self, keys: tuple[Any, ...], encoders: tuple[Encoder, ...]) -> None:
        self.keys, self.encoders = keys, encoders
        self.width = sum(encoder.width for encoder in encoders)

    def __call__(self, obs: Observation, dtype: DTypeLike) -> Float[Array, " width"]:
        """Each part encoded by its own encoder."""
        kind = tuple if isinstance(self.keys[0], int) else dict
        if not isinstance(obs, kind):
            raise ShapeError(
                f"A policy was given a {type(obs).__name__}, {obs!r:.60}, and one observation here "
                f"is a {kind.__name__} of the parts {', '.join(map(repr, self.keys))}."
            )
        parts = [
            encoder(obs[key], dtype) for key, encoder in zip(self.keys, self.encoders, strict=True)
        ]
        return jnp.concatenate(parts)


def encoder(
    observations: Observations, rng: np.random.Generator, *, images: str = "auto"
) -> Encoder:
    """The encoder for a space, or for a `FiniteMDP`.

    Args:
        observations: the space, or the MDP.
        rng: draws the initial weights, where there are any.
        images: "auto" or "flat".

    Raises:
        SpaceError: for a space that cannot be served.

    Example:
        >>> space = spaces.Dict({"seen": spaces.Box(-1, 1, (3,)), "room": spaces.Discrete(4)})
        >>> encoder(space, np.random.default_rng(0)).width
        7
    """
    if images not in ("auto", "flat"):
        raise ConfigError(f"images={images!r}; it must be 'auto' or 'flat'.")
    if hasattr(observations, "observations"):
        rows = np.asarray(observations.observations)
        if rows.ndim == 1 and np.issubdtype(rows.dtype, np.integer):
            return OneHot((int(rows.max()) + 1,), ())
        return Flat(rows.shape[1:])
    match observations:
        case spaces.Discrete(n=n):
            _starts_at_0(observations)
            return OneHot((int(n),), ())
        case spaces.MultiDiscrete():
            _starts_at_0(observations)
            return OneHot(tuple(np.ravel(observations.nvec).tolist()), observations.shape)
        case spaces.Box() if is_image(observations, images):
            return Image(observations, rng)
        case spaces.Box(shape=shape) | spaces.MultiBinary(shape=shape):
            return Flat(shape)
        case spaces.Dict():
            return _parts(list(observations.items()), rng, images)
        case spaces.Tuple():
            return _parts(list(enumerate(observations)), rng, images)
    raise SpaceError(
        f"Observations from {observations} cannot be served: Box, Discrete, MultiDiscrete, "
        "MultiBinary, Dict and Tuple spaces can be. Wrap the environment "
        "(gymnasium.wrappers.TransformObservation, say)."
    )


def is_image(space: spaces.Box, images: str) -> bool:
    """Whether convolutions see this Box: three axes, of which the two of the picture are ≥ 5."""
    if images == "flat" or len(space.shape) != 3:
        return False
    first, middle, last = space.shape
    return min(middle, max(first, last)) >= 5


def action_mask(obs: Observation) -> Mask:
    """The mask in an observation; None where it has none."""
    return obs.get(ACTION_MASK) if isinstance(obs, dict) else None


def _parts(
    items: Sequence[tuple[Any, spaces.Space[Any]]], rng: np.random.Generator, images: str
) -> Parts:
    for key, space in items:
        if isinstance(space, spaces.Dict) and ACTION_MASK in space.spaces and key != ACTION_MASK:
            raise SpaceError(
                f"The part {key!r} of the observation has a part {ACTION_MASK!r} of its own, which "
                "masks nothing there: put it beside the other parts, at the top."
            )
    seen = [(key, space) for key, space in items if key != ACTION_MASK]
    if not seen:
        raise SpaceError(f"The observation has no part besides {ACTION_MASK!r} to be seen.")
    encoders = tuple(encoder(space, rng, images=images) for _, space in seen)
    return Parts(tuple(key for key, _ in seen), encoders)


def _starts_at_0(space: Any) -> None:
    if np.any(space.start != 0):
        raise SpaceError(f"{space} does not start at 0; shift it in the adapter.")
