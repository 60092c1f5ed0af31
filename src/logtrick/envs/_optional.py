"""What the adapters to optional ecosystems share."""

import importlib
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from logtrick.errors import MissingExtraError


def load(module: str, extra: str) -> Any:
    """Import a module of an optional ecosystem.

    Raises:
        MissingExtraError: It cannot be imported; the install line is given.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} cannot be imported ({error}). Install it with: {_line(extra)}"
        ) from error


def install(module: str, extra: str) -> str:
    """The command that installs `module`; empty where it is there."""
    return "" if importlib.util.find_spec(module) is not None else _line(extra)


def _line(extra: str) -> str:
    return f'pip install "logtrick[{extra}]"'


def strong(leaf: Any) -> Array:
    """As an array without a weak type, for which jax would compile everything once more."""
    array = jnp.asarray(leaf)
    return jax.lax.convert_element_type(array, array.dtype)
