"""The flags of the commands that look for an environment: `--import` and `--env-kwargs`."""

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from logtrick.errors import ConfigError, EnvError

Imports = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(
        name="import",
        metavar="MODULE",
        help="Import this module first, which registers environments with Gymnasium. It is looked "
        "for in the working directory, too.",
    ),
]
EnvKwargs = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(
        metavar="KEY=VALUE",
        help="A keyword argument to make the environment with, such as size=9, of a core or a "
        "Gymnasium environment.",
    ),
]
_WORDS = {"true": True, "false": False, "none": None, "null": None}


def read_kwargs(given: Sequence[str]) -> dict[str, Any] | None:
    """The values of `--env-kwargs`: Python's literals where they are some, else text.

    Args:
        given: `KEY=VALUE` each.

    Returns:
        By key; None where there are none.

    Raises:
        ConfigError: one is no `KEY=VALUE`, or a key comes twice.

    Example:
        >>> read_kwargs(["size=9", "slippery=false", "map_name=8x8"])
        {'size': 9, 'slippery': False, 'map_name': '8x8'}
    """
    found: dict[str, Any] = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals or not key.isidentifier():
            raise ConfigError(f"--env-kwargs {each}: write KEY=VALUE, such as size=9.")
        if key in found:
            raise ConfigError(f"--env-kwargs {key} is given twice.")
        try:
            found[key] = _WORDS[text.lower()] if text.lower() in _WORDS else ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            found[key] = text
    return found or None


def import_modules(options: Any) -> None:
    """Import what `--import` names; that of an ENV such as `coins:Coin-v0` can be found then, too.

    Args:
        options: of any command.

    Raises:
        EnvError: a module cannot be imported.
    """
    modules = getattr(options, "imports", ())
    env = getattr(options, "env", None) or ""
    if not modules and ":" not in env:
        return
    from logtrick.envs.adapters.gymnasium import import_module
    from logtrick.envs.catalog import module_of
    from logtrick.support.terminal import console, say

    asked = modules or module_of(env)
    if asked and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # last, so that no file here hides an installed module
    for module in modules:
        if module.endswith(".py"):
            raise EnvError(f"--import takes a module's name: {Path(module).stem}, not {module}.")
        if module not in sys.modules:
            import_module(module)
            say(console(stderr=True), f"imported {module}")
