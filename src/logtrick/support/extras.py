"""Optional dependencies: loaded where they are used, and named with the line that installs them."""

import importlib
import importlib.util
from typing import Any

from logtrick.errors import MissingExtraError


def load(module: str, extra: str) -> Any:
    """Import a module that an extra of logtrick brings.

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
