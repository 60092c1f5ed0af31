"""Checks that an argument is the number, the flag or the array of numbers that is meant."""

import numbers
from typing import Any

import numpy as np

from logtrick.errors import ConfigError, MDPError, ShapeError


def checked_whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least` to 2^63 − 1, NumPy's or Python's, as Python's; or an error."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (whole and least <= value < 2**63):
        most = " and below 2^63" if whole and value >= 2**63 else ""
        raise ConfigError(f"{name}={value!r}; it must be a whole number, at least {least}{most}.")
    return int(value)


def checked_tolerance(tol: Any) -> float:
    """A tolerance as a float, or an error."""
    number = isinstance(tol, int | float | np.number) and not isinstance(tol, bool)
    if not (number and tol > 0):
        raise ConfigError(f"tol={tol!r}; a bound is a positive number")
    return float(tol)


def checked_number(name: str, value: Any) -> float:
    """A real number as a float: no text, no truth value; NaN and ±∞ are numbers.

    Raises:
        TypeError: it is none, or too large.
    """
    number = value.item() if getattr(value, "ndim", None) == 0 else value  # any library's scalar
    if isinstance(number, bool | np.bool_) or not isinstance(number, numbers.Real):
        raise TypeError(f"the {name} {value!r} is no number")
    try:
        return float(number)
    except OverflowError as error:
        raise TypeError(f"the {name} is beyond float64") from error


def checked_flag(name: str, value: Any) -> bool:
    """True or False, 1 or 0, as a bool; no text, no other number.

    Raises:
        TypeError: it is none.
    """
    flag = value.item() if getattr(value, "ndim", None) == 0 else value
    known = isinstance(flag, bool | np.bool_ | numbers.Real)
    if not (known and flag in (0, 1)):
        raise TypeError(f"the {name} {value!r} is neither True nor False")
    return bool(flag)


def as_numbers(name: str, array: Any, dtype: Any) -> np.ndarray:
    """An array of another kind, if that holds the same numbers.

    Raises:
        ShapeError: it is no array of numbers.
        MDPError: a number would change.
    """
    try:
        given = np.asarray(array)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"its entries are {given.dtype}")
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name} is no array of numbers: {error}") from error
    with np.errstate(invalid="ignore"):
        numbers = np.asarray(given, dtype)
    if not np.can_cast(given.dtype, numbers.dtype):
        changed = numbers != given
        if changed.any():
            entry, kind = given[changed].flat[0], numbers.dtype
            raise MDPError(f"{name} has the entry {entry}, which {kind} cannot hold")
    return numbers
