"""How everything is printed that a person reads in a terminal."""

from typing import NoReturn

from rich.console import Console
from rich.markup import escape


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command line, where rich would exit with status 1."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """What prints. A user's words stay as they are: `:x:` is no picture, a number no colour."""
    return _Console(stderr=stderr, emoji=False, highlight=False)


def say(to: Console, message: str, *, label: str = "", style: str = "") -> None:
    """Print a message as it is, after a label in a style.

    Args:
        to: where.
        message: taken literally, brackets included.
        label: what kind of message it is, such as "error".
        style: of the label, such as "bold red".
    """
    prefix = f"[{style}]{label}:[/] " if label else ""
    to.print(prefix + escape(message), soft_wrap=True)
