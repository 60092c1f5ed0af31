"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(titles: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    r"""A table in Markdown.

    Args:
        titles: of the columns.
        rows: a cell for each column, each written by `str`; a | in it is escaped.

    Returns:
        The lines, without a newline at the end.

    Example:
        >>> print(markdown_table(["name", "value"], [["γ", 0.9], ["P(s|a)", ""]]))
        | name | value |
        | --- | --- |
        | γ | 0.9 |
        | P(s\|a) |  |
    """
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(_line(line) for line in lines)


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"
