"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(titles: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    r"""A table as Markdown writes it, without a newline at its end.

    Args:
        titles: of the columns.
        rows: the cells of each row, as text.

    Returns:
        One line for the titles, one for the rule below them and one for each row.

    Example:
        >>> markdown_table(["seed", "return"], [["0", "500"], ["1", "487"]]).splitlines()
        ['| seed | return |', '| --- | --- |', '| 0 | 500 |', '| 1 | 487 |']
    """
    lines = (titles, ["---"] * len(titles), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
