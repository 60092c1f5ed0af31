"""One wrapper that lets an equation written for JAX arrays serve NumPy and torch arrays too.

The equations of this package are plain JAX code. `array_function` gives back the kind and the
dtype that came in. Inside a JAX transform nothing is added. NumPy and torch arrays are computed
under `jax.enable_x64`, so float64 stays float64 whatever JAX's own setting is.
"""

import functools
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logtrick.errors import ConfigError, ShapeError

FLAGS = frozenset({"terminated", "truncated", "valid"})
"""Arguments that are read as booleans: bool, or the numbers 0 and 1."""

RANGES = {"gamma": (0.0, 1.0), "lambda_": (0.0, 1.0)}
"""Settings that are real numbers, and the closed interval in which they lie."""


def array_function(
    axis: str, *, static: tuple[str, ...] = (), pad: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of JAX arrays one of JAX, NumPy or torch arrays.

    Positional parameters are arrays of one common shape [..., `axis`]; those that default to None
    may be left out. Keyword-only parameters are settings.

    Args:
        axis: the name of the last axis in error messages.
        static: settings that are not traced (an integer that decides a loop's length).
        pad: the axis is time and may be padded behind a cut; host arrays are then computed at the
            next power of two, so that episodes of every length do not each compile their own code.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        arrays = [p.name for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        compiled = jax.jit(function, static_argnames=static)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            settings = {k: _setting(k, v) for k, v in given.items() if k not in arrays}
            values = {k: v for k, v in given.items() if k in arrays and v is not None}
            kind = _common_kind(values)
            if kind == "jax":
                values = _prepare(values, axis, jnp)
                traced = any(isinstance(v, jax.core.Tracer) for v in (values | settings).values())
                return (function if traced else compiled)(**values, **settings)
            return _on_host(compiled, kind, values, settings, axis, pad)

        return wrapper

    return decorate


def _on_host(
    compiled: Callable[..., Any],
    kind: str,
    values: dict[str, Any],
    settings: dict[str, Any],
    axis: str,
    pad: bool,
) -> Any:
    """Run on NumPy copies of the arguments in their own precision; return the caller's kind."""
    dtype = _torch_dtype(values) if kind == "torch" else None
    device = getattr(next(iter(values.values())), "device", None)
    values = _prepare({k: _to_numpy(k, v) for k, v in values.items()}, axis, np)
    length = next(iter(values.values())).shape[-1]
    if pad:
        values = _padded(values, length)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        result = jax.tree.map(np.array, compiled(**values, **settings))
    if pad:
        result = jax.tree.map(lambda x: x[..., :length].copy(), result)
    if kind == "torch":
        torch = sys.modules["torch"]
        return jax.tree.map(lambda x: torch.from_numpy(x).to(device=device, dtype=dtype), result)
    return result


def _setting(name: str, value: Any) -> Any:
    """A concrete real setting as a Python float in its range; a traced one as it is."""
    if name not in RANGES or isinstance(value, jax.core.Tracer):
        return value
    low, high = RANGES[name]
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{name} must be one real number in [{low:g}, {high:g}], not {value!r}"
        ) from None
    if not low <= number <= high or math.isnan(number):
        raise ConfigError(f"{name} = {number:g} is outside [{low:g}, {high:g}]")
    return number


def _common_kind(values: Mapping[str, Any]) -> str:
    kinds = {name: _kind(name, value) for name, value in values.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} is {kind}" for name, kind in kinds.items())
        raise ShapeError(f"arrays of different kinds: {listed}. Convert them all to one kind")
    return next(iter(kinds.values()))


def _kind(name: str, value: Any) -> str:
    if isinstance(value, jax.Array):
        return "jax"
    if isinstance(value, np.ma.MaskedArray):
        raise ShapeError(
            f"{name} is a masked array, whose mask would be lost: call .filled() first"
        )
    if isinstance(value, (np.ndarray, np.generic, list, tuple, float, int)):
        return "numpy"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return "torch"
    raise ShapeError(
        f"{name} is a {type(value).__name__}; give a JAX, NumPy or torch array, or a list"
    )


def _prepare(values: dict[str, Any], axis: str, xp: Any) -> dict[str, Any]:
    """Check shapes and dtypes; flags become booleans, the rest one common float dtype."""
    if xp is np:
        values = {k: _native(k, v) for k, v in values.items()}
    _check_shapes({k: v.shape for k, v in values.items()}, axis)
    for name, value in values.items():
        if not any(
            xp.issubdtype(value.dtype, kind) for kind in (xp.floating, xp.integer, xp.bool_)
        ):
            raise ShapeError(f"{name} has dtype {value.dtype}; real numbers are needed")
    dtypes = [v.dtype for k, v in values.items() if k not in FLAGS]
    floats = [dtype for dtype in dtypes if xp.issubdtype(dtype, xp.floating)]
    dtype = xp.result_type(*floats) if floats else xp.result_type(float)
    return {k: _as_flag(k, v) if k in FLAGS else v.astype(dtype) for k, v in values.items()}


def _check_shapes(shapes: Mapping[str, tuple[int, ...]], axis: str) -> None:
    (first, expected), *others = shapes.items()
    if not expected:
        raise ShapeError(f"{first} is a scalar; give [{axis}], batch axes in front")
    if expected[-1] == 0:
        raise ShapeError(f"{first} has shape {expected}: {axis} = 0, there is nothing to compute")
    for name, shape in others:
        if shape == expected:
            continue
        message = f"{name} has shape {shape}, but {first} has {expected}; all must agree"
        if shape and shape == (*expected[:-1], expected[-1] + 1):
            message += (
                f". It has {axis}+1 entries: give V(s_t) as values[..., :-1] and V(s'_t) as "
                "next_values = values[..., 1:], the latter with the critic on the observation that "
                "was really reached wherever an episode was cut"
            )
        raise ShapeError(message)


def _as_flag(name: str, value: Any) -> Any:
    if value.dtype == bool:
        return value
    if not isinstance(value, jax.core.Tracer):
        wrong = ~np.isin(np.asarray(value), (0, 1))
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ShapeError(f"{name} at {where} is {value[where]}; flags are bool, or 0 and 1")
    return value != 0


def _native(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name} is not a rectangular array: {error}") from None
    if array.dtype == np.longdouble and np.longdouble != np.float64:
        raise ShapeError(f"{name} has dtype {array.dtype}; convert it to float64 first")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _padded(values: dict[str, Any], length: int) -> dict[str, Any]:
    """Cut after the last row, which is a cut in any case, and let zeros follow."""
    extra = (1 << (length - 1).bit_length()) - length
    if "truncated" in values:
        values["truncated"] = values["truncated"].copy()
        values["truncated"][..., -1] = True
    return {k: np.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, extra)]) for k, v in values.items()}


def _to_numpy(name: str, value: Any) -> Any:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return value
    value = value.detach()
    if value.dtype == torch.bfloat16:  # NumPy has none; it is rounded back at the end
        value = value.to(torch.float32)
    try:
        return value.resolve_conj().resolve_neg().cpu().numpy()
    except (RuntimeError, TypeError) as error:
        raise ShapeError(f"{name} cannot be read as a dense array: {error}") from None


def _torch_dtype(values: Mapping[str, Any]) -> Any:
    """The dtype that torch itself would give the result."""
    torch = sys.modules["torch"]
    reals = [v.dtype for k, v in values.items() if k not in FLAGS]
    dtype = functools.reduce(torch.promote_types, reals)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()
