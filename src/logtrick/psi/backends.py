"""One wrapper that lets an equation written for JAX arrays serve NumPy and torch arrays too.

The equations of this package are plain JAX code. `array_function` gives back the kind and the
dtype that came in. Inside a JAX transform nothing is added. NumPy and torch arrays are computed
under `jax.enable_x64`, so float64 stays float64 whatever JAX's own setting is.

NaN and infinity in what is given go on into the result. Where everything given is finite and the
result is not, a number was too large for the dtype, and that is an error; under a transform, where
numbers cannot be looked at, it stays infinite or NaN.
"""

import functools
import inspect
import math
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logtrick.errors import ConfigError, NonFiniteError, ShapeError

FLAGS = frozenset({"terminated", "truncated", "valid"})
"""Arguments that are read as booleans: bool, or the numbers 0 and 1."""

RANGES = {
    "gamma": (0.0, 1.0),
    "lambda_": (0.0, 1.0),
    "rho_bar": (0.0, math.inf),
    "advantage_rho_bar": (0.0, math.inf),
    "c_bar": (0.0, math.inf),
    "epsilon": (0.0, math.inf),
    "epsilon_low": (0.0, 1.0),
    "epsilon_high": (0.0, math.inf),
    "bound": (1.0, math.inf),
    "beta": (0.0, math.inf),
    "max_length": (1.0, math.inf),
    "lengths": (1.0, math.inf),
    "ratios": (0.0, math.inf),
    "probabilities": (0.0, 1.0),
}
"""The closed interval of every setting that is a real number, and of the arrays that have one."""

INTEGERS = {"n": (1, math.inf), "ddof": (0, 1)}
"""The same for the settings that are integers."""


def array_function(
    axis: str,
    *,
    static: tuple[str, ...] = (),
    one_per_row: tuple[str, ...] = (),
    by_name: tuple[str, ...] = (),
    pad: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of JAX arrays one of JAX, NumPy or torch arrays.

    Positional parameters are arrays of one common shape [..., `axis`]; those that default to None
    may be left out. Keyword-only parameters are settings, but for those in `by_name`.

    Args:
        axis: the name of the last axis in error messages.
        static: settings that are not traced (an integer that decides a loop's length).
        one_per_row: arrays without the last axis, [...].
        by_name: arrays that are keyword-only.
        pad: the axis is time and may be padded behind a cut; host arrays are then computed at the
            next power of two, so that episodes of every length do not each compile their own code.

    Returns:
        A decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        parameters = signature.parameters.values()
        arrays = {p.name for p in parameters if p.kind is not p.KEYWORD_ONLY} | {*by_name}
        compiled = jax.jit(function, static_argnames=static)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            settings = {k: _setting(k, v) for k, v in given.items() if k not in arrays}
            values = {k: v for k, v in given.items() if k in arrays and v is not None}
            kind = _common_kind(values)
            if kind == "jax":
                values = _prepare(values, axis, one_per_row, jnp)
                if any(isinstance(v, jax.core.Tracer) for v in (values | settings).values()):
                    return function(**values, **settings)
                result = compiled(**values, **settings)
                _check_finite(function.__name__, result, values)
                return result
            as_numpy = {k: _to_numpy(k, v) for k, v in values.items()}
            as_numpy = _prepare(as_numpy, axis, one_per_row, np)
            result = _on_host(compiled, as_numpy, settings, pad)
            _check_finite(function.__name__, result, as_numpy)
            return result if kind == "numpy" else _to_torch(result, values)

        return wrapper

    return decorate


def _on_host(
    compiled: Callable[..., Any], values: dict[str, Any], settings: dict[str, Any], pad: bool
) -> Any:
    """Run on NumPy arrays, in their own precision and outside any trace."""
    length = next(iter(values.values())).shape[-1]
    if pad:
        values = _padded(values, length)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        result = jax.tree.map(np.array, compiled(**values, **settings))
    return jax.tree.map(lambda x: x[..., :length].copy(), result) if pad else result


def _check_finite(name: str, result: Any, values: Mapping[str, Any]) -> None:
    """Refuse a result that is not finite in a row in which everything given is."""
    for part in jax.tree.leaves(result):
        xp: Any = jnp if isinstance(part, jax.Array) else np
        if bool(xp.isfinite(part).all()):
            continue
        wrong = ~np.isfinite(np.asarray(part))
        rows = _finite_rows({k: np.asarray(v) for k, v in values.items()})
        wrong &= rows[..., None] if wrong.ndim > rows.ndim else rows
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise NonFiniteError(
                f"{name} at {where} is {np.asarray(part)[where]}, although all that was given is "
                f"finite: a number on the way is too large for {part.dtype}. Give smaller numbers, "
                "or a wider dtype"
            )


def _finite_rows(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """bool[...]: where every number along the last axis is finite, or not valid."""
    shape = next(iter(values.values())).shape
    counted = values.get("valid", np.ones(shape, bool))
    rows = np.ones(shape[:-1], bool)
    for array in values.values():
        finite = np.isfinite(array)
        rows &= finite if array.shape != shape else (finite | ~counted).all(axis=-1)
    return rows


def _setting(name: str, value: Any) -> Any:
    """A concrete number, checked, as a Python number; anything else as it is."""
    if value is None or isinstance(value, jax.core.Tracer):
        return value
    if name not in RANGES and name not in INTEGERS:
        return value
    low, high = RANGES.get(name) or INTEGERS[name]
    try:
        number = float(value) if name in RANGES else operator.index(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        what = "real number" if name in RANGES else "integer"
        raise ConfigError(f"{name} = {value!r}; it must be one {what} in [{low:g}, {high:g}]")
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


def _prepare(
    values: dict[str, Any], axis: str, one_per_row: tuple[str, ...], xp: Any
) -> dict[str, Any]:
    """Check shapes, dtypes and ranges; flags become booleans, the rest one common float dtype."""
    if xp is np:
        values = {k: _native(k, v) for k, v in values.items()}
    _check_shapes({k: v.shape for k, v in values.items()}, axis, one_per_row)
    for name, value in values.items():
        if not any(
            xp.issubdtype(value.dtype, kind) for kind in (xp.floating, xp.integer, xp.bool_)
        ):
            raise ShapeError(f"{name} has dtype {value.dtype}; real numbers are needed")
        if name in RANGES and not isinstance(value, jax.core.Tracer):
            _check_range(name, np.asarray(value))
    dtypes = [v.dtype for k, v in values.items() if k not in FLAGS]
    floats = [dtype for dtype in dtypes if xp.issubdtype(dtype, xp.floating)]
    dtype = xp.result_type(*floats) if floats else xp.result_type(float)
    return {k: _as_flag(k, v) if k in FLAGS else v.astype(dtype) for k, v in values.items()}


def _check_shapes(
    shapes: Mapping[str, tuple[int, ...]], axis: str, one_per_row: tuple[str, ...]
) -> None:
    (first, expected), *others = shapes.items()
    if not expected:
        raise ShapeError(f"{first} is a scalar; give [{axis}], batch axes in front")
    if 0 in expected:
        raise ShapeError(f"{first} has shape {expected}: there is nothing to compute")
    for name, shape in others:
        wanted = expected[:-1] if name in one_per_row else expected
        if shape == wanted:
            continue
        message = f"{name} has shape {shape}, but {first} has {expected}: {wanted} is needed"
        if shape == (*expected[:-1], expected[-1] + 1):
            message += (
                f". It has {axis}+1 entries: give V(s_t) as values[..., :-1] and V(s'_t) as "
                "next_values = values[..., 1:], the latter with the critic on the observation that "
                "was really reached wherever an episode was cut"
            )
        raise ShapeError(message)


def _check_range(name: str, value: np.ndarray) -> None:
    low, high = RANGES[name]
    wrong = (value < low) | (value > high)
    end = "]"
    if name == "lengths":
        wrong, end = wrong | ~np.isfinite(value), ")"
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ConfigError(f"{name} at {where} is {value[where]:g}, outside [{low:g}, {high:g}{end}")


def _as_flag(name: str, value: Any) -> Any:
    if value.dtype == bool:
        return value
    if isinstance(value, jax.core.Tracer):
        if jnp.issubdtype(value.dtype, jnp.floating):
            raise ShapeError(
                f"{name} is {value.dtype} where it cannot be looked at (inside jit, grad or vmap); "
                "flags are bool there: `flags.astype(bool)`, if flags they are"
            )
    else:
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


def _to_torch(result: Any, like: Mapping[str, Any]) -> Any:
    """On the device of the first argument, in the dtype that torch itself would give."""
    torch = sys.modules["torch"]
    dtypes = [v.dtype for k, v in like.items() if k not in FLAGS]
    dtype = functools.reduce(torch.promote_types, dtypes)
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    device = next(iter(like.values())).device
    return jax.tree.map(lambda x: torch.from_numpy(x).to(device=device, dtype=dtype), result)
