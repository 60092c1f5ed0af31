"""The command line: `logtrick COMMAND …`.

Reading the command line loads no JAX, so `--help` answers at once. A user's mistake is one line on
standard error and exit status 2, an interrupted run 130; a traceback is a fault of ours.
"""

import contextlib
import dataclasses
import errno
import importlib
import io
import itertools
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union, cast

import tyro

from logtrick import __version__
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import ALGORITHMS
from logtrick.algorithms.elsewhere import flag_meant
from logtrick.algorithms.presets import preset
from logtrick.commands.audit import AuditCommand
from logtrick.commands.derive import DeriveCommand
from logtrick.commands.enjoy import EnjoyCommand
from logtrick.commands.env_flags import import_modules
from logtrick.commands.envs import EnvsCommand
from logtrick.commands.evaluate import EvalCommand
from logtrick.commands.export import ExportCommand
from logtrick.commands.learn import LearnCommand
from logtrick.commands.list_presets import PresetsCommand
from logtrick.commands.solve import SolveCommand
from logtrick.commands.sweep import SweepCommand
from logtrick.commands.train import TrainCommand
from logtrick.commands.write_report import ReportCommand
from logtrick.errors import ConfigError, LogtrickError, ModuleNotLoadedError

_COMMANDS: dict[str, tuple[type[Any], str]] = {
    "train": (TrainCommand, "logtrick.commands.train"),
    "sweep": (SweepCommand, "logtrick.commands.sweep"),
    "eval": (EvalCommand, "logtrick.commands.evaluate"),
    "enjoy": (EnjoyCommand, "logtrick.commands.enjoy"),
    "export": (ExportCommand, "logtrick.commands.export"),
    "report": (ReportCommand, "logtrick.commands.write_report"),
    "solve": (SolveCommand, "logtrick.commands.solve"),
    "audit": (AuditCommand, "logtrick.commands.audit"),
    "derive": (DeriveCommand, "logtrick.commands.derive"),
    "learn": (LearnCommand, "logtrick.commands.learn"),
    "presets": (PresetsCommand, "logtrick.commands.list_presets"),
    "envs": (EnvsCommand, "logtrick.commands.envs"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Args:
        arguments: what follows `logtrick`; None takes `sys.argv`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # γ is ? where the terminal has no γ
    sys.exit(_main(sys.argv[1:] if arguments is None else list(arguments)))


def _main(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"logtrick {__version__}")
        return 0
    try:
        options = _parse(arguments)
        import_modules(options)
        module = next(m for cls, m in _COMMANDS.values() if isinstance(options, cls))
        importlib.import_module(module).run(options)
        print(end="", flush=True)  # here, so that a failing write is reported
    except LogtrickError as error:
        # A note of one line is advice; the others are tracebacks for an environment's author.
        advice = [note for note in getattr(error, "__notes__", ()) if "\n" not in note]
        if isinstance(error, ModuleNotLoadedError):
            command = shlex.join(["logtrick", *arguments, "--import", error.module])
            advice.append(f"Here: {command}")
        _say(" ".join([str(error), *advice]), label="error", style="bold red")
        return 2
    except MemoryError as error:
        _say(f"not enough memory: {error}", label="error", style="bold red")
        return 2
    except KeyboardInterrupt as error:
        _say(str(error) or "Interrupted.")
        return 130
    except BrokenPipeError:
        _discard_output()
        return 0  # whoever read our output has seen enough
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _discard_output()
        _say(f"the output cannot be written: {error.strerror}", label="error", style="bold red")
        return 2
    return 0


def _discard_output() -> None:
    """Python would try once more to write what is left when it ends, and fail again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(arguments: list[str]) -> Any:
    """Read the options; the preset of `train` depends on what else was said, for its help too."""
    default = preset("", _algorithm_name(arguments)).algorithm
    _refuse_foreign_flags(arguments, default)
    known = arguments
    if arguments[:1] == ["train"]:
        known = [argument for argument in arguments if argument not in ("-h", "--help")]
    options = _read(known, default)
    if not isinstance(options, TrainCommand):
        return options
    if not options.env or options.resume is not None:
        _read(arguments, default)  # which ends here where help was asked for
    else:
        chosen = preset(options.env, options.algo)
        options = _read(arguments, chosen.algorithm)
        if options.steps is None:
            options = dataclasses.replace(options, steps=chosen.steps)
    checked = ALGORITHMS[options.algo](**_values(options.algorithm))
    return dataclasses.replace(options, algorithm=checked)


def _refuse_foreign_flags(arguments: list[str], algorithm: Algorithm) -> None:
    """Say which flag was meant by a name from elsewhere."""
    commands: dict[str, Any] = {"train": TrainCommand, "sweep": SweepCommand}
    if not arguments or (command := commands.get(arguments[0])) is None:
        return
    owners = (command, type(algorithm)) if command is TrainCommand else (command,)
    known = [field.name for owner in owners for field in dataclasses.fields(owner)]
    for argument in arguments[1:]:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and (hint := flag_meant(name, known)):
            raise ConfigError(f"logtrick {arguments[0]} has no flag --{name}. {hint}")


def _read(arguments: list[str], algorithm: Algorithm) -> Any:
    """Read the options, with an algorithm's settings as the defaults of its flags."""
    defaults: dict[type[Any], Any] = {TrainCommand: TrainCommand(algorithm=_unchecked(algorithm))}
    choices = tuple(
        Annotated[cls, tyro.conf.subcommand(name, default=defaults.get(cls, tyro.MISSING_NONPROP))]
        for name, (cls, _) in _COMMANDS.items()
    )
    union: Any = Union[choices]  # noqa: UP007
    return tyro.cli(
        union,
        args=arguments,
        prog="logtrick",
        description="The policy gradient: exactly, from samples, and ascended fast. "
        "`logtrick --version` says which version this is.",
        config=(tyro.conf.OmitSubcommandPrefixes,),
    )


def _unchecked(algorithm: Algorithm) -> Algorithm:
    """The same settings without their checks, which `_parse` makes up for.

    tyro would turn what a check raises into a box of its own; all our errors should look alike.
    """
    cls = type(algorithm)
    flags = type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "__post_init__": lambda _: None})
    return cast(Algorithm, flags(**_values(algorithm)))


def _values(algorithm: Algorithm) -> dict[str, Any]:
    return {f.name: getattr(algorithm, f.name) for f in dataclasses.fields(algorithm)}


def _algorithm_name(arguments: list[str]) -> str:
    """The last value of --algo, before anything else is read: it decides which flags there are."""
    name = "ppo"
    for argument, following in itertools.pairwise([*arguments, ""]):
        if argument == "--algo" and following:
            name = following
        elif argument.startswith("--algo="):
            name = argument.removeprefix("--algo=")
    return name


def _say(message: str, **how: str) -> None:
    from logtrick.support.terminal import console, say

    say(console(stderr=True), message, **how)
