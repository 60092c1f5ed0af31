"""Text files of numbers, line by line: what the explicit formats of PRISM and Storm share."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from logtrick.errors import MDPError

Line = tuple[int, list[str]]


def lines_of(path: Path) -> Iterator[Line]:
    """Numbered lines as words; comments and empty lines are left out."""
    for number, text in raw_lines(path):
        words = text.split()
        if words and not words[0].startswith("//") and words[0] != "#":
            yield number, words


def raw_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines as they are.

    Raises:
        MDPError: there is no such file, or it is no text.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from enumerate(file, 1)
    except UnicodeDecodeError as error:
        raise MDPError(f"{path} is not a text file: {error}") from error
    except OSError as error:
        raise MDPError(f"{path} cannot be read: {error.strerror}") from error


def number_in(word: str) -> float:
    """A decimal, or a fraction such as 1/3."""
    value = float(Fraction(word)) if "/" in word else float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return value


def parsed(parse: Callable[[str], Any], word: str, path: Path, number: int) -> Any:
    """A word as a number, or an error that names the line."""
    try:
        return parse(word)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise MDPError(f"{path}, line {number}: {word!r} is not a number") from error
