"""Results as plain text and plain data: Markdown tables, and values that JSON can hold."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""A table in Markdown.

    Args:
        head: the titles of the columns.
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
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(_line(line) for line in lines)


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"


def json_ready(value: Any) -> Any:
    """The same value as plain data: None (null) for NaN and infinity, lists for arrays and tuples.

    Args:
        value: numbers, texts, arrays, and dictionaries, lists or tuples of them.

    Returns:
        What `json.dumps` can write with `allow_nan=False`.

    Example:
        >>> import numpy as np
        >>> json_ready({"mean": np.array([0.5, np.nan]), "steps": (8, math.inf)})
        {'mean': [0.5, None], 'steps': [8, None]}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    return value
