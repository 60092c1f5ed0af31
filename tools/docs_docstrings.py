"""Docstrings, read: Google's sections, and their prose as Markdown."""

import re
import textwrap
from typing import NamedTuple


class Item(NamedTuple):
    """An argument, a field, or an error."""

    name: str
    text: str
    type: str = ""
    default: str = ""


class Docstring(NamedTuple):
    """A docstring by its sections."""

    text: str
    arguments: list[Item]
    attributes: list[Item]
    returns: str
    raises: list[Item]
    examples: list[tuple[str, str]]
    source: str

    @property
    def summary(self) -> str:
        """Its first line."""
        return self.text.partition("\n")[0]


_SECTION = re.compile(
    r"^(Args|Arguments|Attributes|Returns|Yields|Raises|Examples?|Sources?|References?):[ ]*(.*)$",
    re.MULTILINE,
)
_ITEM = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*):\s*(.*)$")
_CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
#: Signs that Markdown would read; in entities, which it leaves alone.
_PLAIN = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "*": "&#42;",
        "[": "&#91;",
        "$": "&#36;",
        "~": "&#126;",
    }
)


def read(docstring: str) -> Docstring:
    r"""A cleaned docstring by its sections.

    Example:
        >>> doc = read("Add.\n\nArgs:\n    x: a number,\n        say 1.\n")
        >>> doc.text, doc.arguments[0]
        ('Add.', Item(name='x', text='a number, say 1.', type='', default=''))
    """
    heads = list(_SECTION.finditer(docstring))
    text = docstring[: heads[0].start()] if heads else docstring
    bodies: dict[str, str] = {}
    examples, after = [], []
    for at, head in enumerate(heads):
        end = heads[at + 1].start() if at + 1 < len(heads) else len(docstring)
        body, rest = _section(docstring[head.end() : end])
        name = head[1].rstrip("s") if head[1] in ("Sources", "References") else head[1]
        body = f"{head[2]}\n{body}".strip() if head[2] else body
        if name.startswith("Example"):
            examples.append(("Example", body))
        else:
            bodies[{"Arguments": "Args", "Reference": "Source"}.get(name, name)] = body
        after.append(rest)
    whole = "\n\n".join(part.strip("\n") for part in (text, *after) if part.strip())
    return Docstring(
        text=whole.strip(),
        arguments=_items(bodies.get("Args", "")),
        attributes=_items(bodies.get("Attributes", "")),
        returns=bodies.get("Returns", bodies.get("Yields", "")),
        raises=_items(bodies.get("Raises", "")),
        examples=examples,
        source=bodies.get("Source", ""),
    )


def _section(text: str) -> tuple[str, str]:
    """What belongs to a section (what is indented), and the prose that follows it."""
    lines = text.strip("\n").split("\n")
    for at, line in enumerate(lines):
        before = at == 0 or not lines[at - 1].strip()
        if line and not line[0].isspace() and before and at:
            return _body(lines[:at]), "\n".join(lines[at:])
    return _body(lines), ""


def _body(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)).strip("\n")


def _items(body: str) -> list[Item]:
    found: list[Item] = []
    for line in body.split("\n"):
        head = _ITEM.match(line)
        if head and not line[0].isspace():
            found += [Item(name.strip(), head[2]) for name in head[1].split(",")]
            shared = len(head[1].split(","))
        elif found and line.strip():
            for at in range(len(found) - shared, len(found)):
                found[at] = found[at]._replace(text=f"{found[at].text} {line.strip()}".strip())
    return found


def prose(text: str, *, inline: bool = False) -> str:
    """Text of a docstring as Markdown in which nothing is markup but code, lists and tables.

    Args:
        text: of a docstring.
        inline: as HTML on one line, for a place where Markdown is not read.

    Example:
        >>> prose("At a*b, `x` in [0, 1].")
        'At a&#42;b, `x` in &#91;0, 1].'
        >>> prose("See `x<y`.", inline=True)
        'See <code>x&lt;y</code>.'
    """
    if inline:
        return "".join(_inline(part) for part in _CODE.split(" ".join(text.split())))
    blocks = re.split(r"\n{2,}", text)
    return "\n\n".join(block if _is_code(block) else _block(block) for block in blocks)


def _is_code(block: str) -> bool:
    return all(line.startswith("    ") for line in block.split("\n"))


def _block(block: str) -> str:
    parts = _CODE.split(block)
    plain = (part if part.startswith("`") else part.translate(_PLAIN) for part in parts)
    return re.sub(r"::$", ":", "".join(plain))


def _inline(part: str) -> str:
    if not part.startswith("`"):
        return part.translate(_PLAIN)
    code = part.strip("`").strip()
    return f"<code>{code.translate(_PLAIN)}</code>"
