"""Heads: from a network's outputs to a distribution over an action space.

| actions        | distribution                                                             |
|----------------|--------------------------------------------------------------------------|
| Discrete       | `Categorical`; masks of n entries                                        |
| MultiDiscrete  | `MultiCategorical`; masks of Σ n_d entries, coordinate after coordinate  |
| MultiBinary    | `MultiCategorical` with two choices in each coordinate                   |
| Box            | `Normal`, `TanhNormal` or `Beta`, as the caller says                     |
| Dict, Tuple    | `Product` of the parts; masks for some or all parts, under their keys    |

Where such an action has another number of axes than one, the same, `Reshaped`; its coordinates are
counted row after row.
"""

import abc
import math
from typing import Any, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float

from logtrick.errors import ConfigError, SpaceError
from logtrick.policies.box_scale import ActionScale, Place, place
from logtrick.policies.distributions import (
    Beta,
    Categorical,
    Distribution,
    MultiCategorical,
    Normal,
    Product,
    Reshaped,
    TanhNormal,
    masked,
)
from logtrick.policies.encoders import ACTION_MASK
from logtrick.policies.protocols import Mask, Observations
from logtrick.support.dispatch import run_where_called

POLICY_GAIN = 0.01
"""Scale at which the weights of the layer before a head start."""
BOX_DISTRIBUTIONS = ("normal", "tanh_normal", "beta")


class Head(eqx.Module):
    """`width` outputs of a network, and perhaps a mask -> a distribution."""

    width: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> Distribution:
        """π(·|s)."""


class DiscreteHead(Head):
    """The outputs are the logits."""

    width: int = eqx.field(static=True)

    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> Categorical:
        """A `Categorical`."""
        return Categorical(outputs if mask is None else masked(outputs, jnp.asarray(mask)))


class MultiDiscreteHead(Head):
    """The outputs are the logits of one coordinate after the other."""

    choices: tuple[int, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, choices: tuple[int, ...]) -> None:
        self.choices, self.width = choices, sum(choices)

    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> MultiCategorical:
        """A `MultiCategorical`, filled up with −inf to the largest number of choices."""
        widest, start, rows = max(self.choices), 0, []
        allowed = None if mask is None else jnp.asarray(mask)
        for n in self.choices:
            logits = outputs[start : start + n]
            if allowed is not None:
                logits = masked(logits, allowed[start : start + n])
            rows.append(jnp.pad(logits, (0, widest - n), constant_values=-jnp.inf))
            start += n
        return MultiCategorical(jnp.stack(rows))


class NormalHead(Head):
    """The outputs are the means; the standard deviation is a parameter, the same in every state.

    With bounds the Normal is squashed into them. With a place the Normal is that of
    (a − middle)/scale: see `box_scale`.
    """

    log_std: Float[Array, " D"]
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = eqx.field(static=True)
    place: Place | None = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, width: int, bounds: Any = None, place: Place | None = None) -> None:
        self.log_std = jnp.zeros(width, jnp.float32)
        self.bounds, self.place, self.width = bounds, place, width

    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> Distribution:
        """A `Normal` or `TanhNormal`."""
        if self.bounds is not None:
            return TanhNormal(outputs, self.log_std, *self.bounds)
        if self.place is None:
            return Normal(outputs, self.log_std)
        middle, scale = (jnp.asarray(x, outputs.dtype) for x in self.place)
        log_scale = jnp.asarray(np.log(self.place.scale), self.log_std.dtype)
        return Normal(middle + scale * outputs, self.log_std + log_scale)


class BetaHead(Head):
    """α = 1 + softplus of the first half of the outputs, β of the second: one mode, inside."""

    low: tuple[float, ...] = eqx.field(static=True)
    high: tuple[float, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, low: tuple[float, ...], high: tuple[float, ...]) -> None:
        self.low, self.high, self.width = low, high, 2 * len(low)

    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> Beta:
        """A `Beta`."""
        alpha, beta = jnp.split(1 + jax.nn.softplus(outputs), 2)
        return Beta(alpha, beta, self.low, self.high)


class ReshapedHead(Head):
    """Actions with another number of axes than one."""

    flat: Head
    shape: tuple[int, ...] = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __init__(self, flat: Head, shape: tuple[int, ...]) -> None:
        self.flat, self.shape, self.width = flat, shape, flat.width

    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> Reshaped:
        """A `Reshaped`."""
        return Reshaped(self.flat(outputs, mask), self.shape)


class ProductHead(Head):
    """A head for each part of a Dict or Tuple action."""

    keys: tuple[Any, ...] = eqx.field(static=True)
    heads: tuple[Head, ...]
    width: int = eqx.field(static=True)

    def __init__(self, keys: tuple[Any, ...], heads: tuple[Head, ...]) -> None:
        self.keys, self.heads, self.width = keys, heads, sum(head.width for head in heads)

    def __call__(self, outputs: Float[Array, " width"], mask: Mask = None) -> Product:
        """A `Product`, a tuple where the keys are positions."""
        start, parts = 0, []
        for key, head in zip(self.keys, self.heads, strict=True):
            parts.append(head(outputs[start : start + head.width], _part(mask, key)))
            start += head.width
        if isinstance(self.keys[0], int):
            return Product(tuple(parts))
        return Product(dict(zip(self.keys, parts, strict=True)))


def head(
    observations: Observations | None,
    actions: spaces.Space[Any] | None,
    *,
    distribution: str = "normal",
    action_scale: str = "box",
) -> Head:
    """The head for an action space, or for the actions of a `FiniteMDP`.

    Args:
        observations: the observation space, or the MDP.
        actions: the action space; None with an MDP.
        distribution: over Box actions: "normal" (unbounded; clipped on its way to the
            environment), "tanh_normal" or "beta" (both need finite bounds).
        action_scale: of a Normal: "box" starts in the middle of a Box, at its scale (see
            `box_scale.place`); "raw" at mean 0 and standard deviation 1, whatever its bounds.

    Raises:
        SpaceError: for a space that cannot be served.

    Example:
        >>> head(None, spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,))])).width
        5
    """
    run_where_called()  # with its head a policy begins JAX
    if distribution not in BOX_DISTRIBUTIONS:
        known = ", ".join(BOX_DISTRIBUTIONS)
        raise ConfigError(f"distribution={distribution!r} is unknown; choose one of {known}.")
    if action_scale not in get_args(ActionScale):
        raise ConfigError(f"action_scale={action_scale!r}; it must be 'box' or 'raw'.")
    if actions is None and (count := getattr(observations, "num_actions", None)) is not None:
        return DiscreteHead(int(count))
    if isinstance(observations, spaces.Dict) and ACTION_MASK in observations.spaces:
        _check_mask(observations[ACTION_MASK], actions)
    if _is_empty(actions):
        raise SpaceError(f"Actions in {actions} have no part that could be chosen.")
    match actions:
        case spaces.Discrete(n=n):
            return DiscreteHead(int(n))
        case spaces.MultiDiscrete(nvec=nvec) if not np.any(actions.start):
            return _in_shape(MultiDiscreteHead(tuple(nvec.ravel().tolist())), nvec.shape)
        case spaces.MultiBinary(shape=shape):
            return _in_shape(MultiDiscreteHead((2,) * math.prod(shape)), shape)
        case spaces.Box(shape=shape) if np.issubdtype(actions.dtype, np.floating):
            return _in_shape(_box_head(actions, distribution, action_scale), shape)
        case spaces.Dict():
            return _product(list(actions.items()), distribution, action_scale)
        case spaces.Tuple():
            return _product(list(enumerate(actions)), distribution, action_scale)
    raise SpaceError(
        f"Actions in {actions} cannot be served: Discrete spaces can be, MultiDiscrete (from 0), "
        "MultiBinary and Box spaces (of floats), and Dict and Tuple spaces of them. Wrap the "
        "environment (gymnasium.wrappers.TransformAction, say)."
    )


def _in_shape(flat: Head, shape: tuple[int, ...]) -> Head:
    return flat if len(shape) == 1 else ReshapedHead(flat, shape)


def _is_empty(space: spaces.Space[Any] | None) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return not len(space)
    return isinstance(space, spaces.Box) and 0 in space.shape


def _box_head(space: spaces.Box, distribution: str, action_scale: str) -> Head:
    low, high = (tuple(map(float, bound.ravel())) for bound in (space.low, space.high))
    if distribution == "normal":
        return NormalHead(len(low), place=place(space, action_scale))
    if not all(map(math.isfinite, low + high)):
        raise SpaceError(
            f"distribution={distribution!r} needs finite bounds, and {space} has infinite ones; "
            "use 'normal', or give the actions bounds with TransformAction (gymnasium.wrappers)."
        )
    if any(bottom >= top for bottom, top in zip(low, high, strict=True)):
        raise SpaceError(
            f"distribution={distribution!r} needs an interval for each coordinate, and in {space} "
            "one is a single point; use 'normal', or leave that coordinate out with "
            "TransformAction (gymnasium.wrappers)."
        )
    if distribution == "beta":
        return BetaHead(low, high)
    return NormalHead(len(low), (low, high))


def _product(
    items: list[tuple[Any, spaces.Space[Any]]], distribution: str, action_scale: str
) -> ProductHead:
    given = {"distribution": distribution, "action_scale": action_scale}
    heads = tuple(head(None, space, **given) for _, space in items)
    return ProductHead(tuple(key for key, _ in items), heads)


def _check_mask(mask: spaces.Space[Any], actions: Any) -> None:
    """Refuse a mask that does not fit the actions."""
    match actions:
        case spaces.Discrete(n=n):
            width = int(n)
        case spaces.MultiDiscrete(nvec=nvec):
            width = int(nvec.sum())
        case spaces.MultiBinary():
            width = 2 * math.prod(actions.shape)
        case spaces.Dict() if isinstance(mask, spaces.Dict) and set(mask) <= set(actions):
            for key, part in mask.items():
                _check_mask(part, actions[key])
            return
        case spaces.Tuple() if isinstance(mask, spaces.Tuple) and len(mask) == len(actions):
            for part, action in zip(mask, actions, strict=True):
                _check_mask(part, action)
            return
        case _:
            raise SpaceError(
                f"An {ACTION_MASK} in {mask} does not fit actions in {actions}: for Dict actions "
                "it is a Dict of masks under some of their keys, for a Tuple a Tuple of as many; "
                "Box actions have none."
            )
    if isinstance(mask, spaces.Box) and np.any(mask.low < 0):
        raise SpaceError(
            f"An {ACTION_MASK} in {mask} can be negative: it holds 1 where an action can be taken "
            "and 0 where not, and is no summand of logits."
        )
    if mask.shape != (width,):
        raise SpaceError(
            f"An {ACTION_MASK} in {mask} does not fit actions in {actions}: it needs {width} "
            "entries, 1 where an action can be taken."
        )


def _part(mask: Mask, key: Any) -> Mask:
    """The mask of one part; None where it has none."""
    if mask is None:
        return None
    return mask[key] if isinstance(key, int) else mask.get(key)
