"""`--import MODULE`, for the commands that look for an environment."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from logtrick.errors import EnvError

Imports = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]],
    tyro.conf.arg(
        name="import",
        metavar="MODULE",
        help="Import this module first, which registers environments with Gymnasium. It is looked "
        "for in the working directory, too. May be given more than once.",
    ),
]


def import_modules(options: Any) -> None:
    """Import what a command names: its `--import`, and the module before the colon of its ENV.

    Args:
        options: of any command.

    Raises:
        EnvError: a module cannot be imported.
    """
    modules = list(getattr(options, "imports", ()))
    env = getattr(options, "env", None) or ""
    if not modules and ":" not in env:
        return
    from logtrick.envs.adapters.gymnasium import import_module
    from logtrick.envs.catalog import module_of
    from logtrick.support.terminal import console, say

    if (named := module_of(env)) is not None:
        modules.append(named)
    if modules and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # last, so that no file here hides an installed module
    for module in modules:
        if module.endswith(".py"):
            raise EnvError(f"--import takes a module's name: {Path(module).stem}, not {module}.")
        if module not in sys.modules:
            import_module(module)
            say(console(stderr=True), f"imported {module}")
