"""What only the source says: signatures as they are written, fields, places; and source pages."""

import ast
import dataclasses
import functools
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from docs_docstrings import Item
from logtrick.runs.training.options import RunOptions

ROOT = Path(__file__).parents[1]
#: In the site: the pages of source code.
FOLDER = "source"

_linked: set[Path] = set()


class Signature(NamedTuple):
    """A signature as it is written, and its arguments."""

    text: str
    arguments: list[Item]
    returns: str


class Field(NamedTuple):
    """A field of a dataclass."""

    name: str
    type: str
    default: str
    text: str
    is_argument: bool
    by_name_only: bool

    @property
    def signature(self) -> str:
        """As an argument of the constructor."""
        default = f" = {self.default}" if self.default else ""
        return f"{self.name}: {self.type}{default}"

    @property
    def short(self) -> str:
        """As an argument, without its type."""
        return f"{self.name}={self.default}" if self.default else self.name


@functools.cache
def _tree(path: str) -> ast.Module:
    return ast.parse(Path(path).read_text())


@functools.cache
def _definitions(path: str) -> dict[str, Any]:
    """The functions and classes of a file, by their qualified names."""
    found: dict[str, Any] = {}

    def visit(body: list[ast.stmt], within: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                name = f"{within}{node.name}"
                found[name] = node  # of overloads the last one, which has the body
                inner = ".<locals>." if isinstance(node, ast.FunctionDef) else "."
                visit(node.body, name + inner)
            elif isinstance(node, ast.If | ast.Try):
                visit(node.body, within)

    visit(_tree(path).body, "")
    return found


def _file(thing: Any) -> str:
    """The file in which a function or class is defined; "" where that is unknown."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return getattr(module, "__file__", None) or ""


def _node(thing: Any) -> Any:
    """The definition of a function or class in the tree of its file; None where it has none."""
    thing = inspect.unwrap(thing) if not inspect.isclass(thing) else thing
    path = _file(thing)
    known = _definitions(path) if path.endswith(".py") else {}
    return known.get(getattr(thing, "__qualname__", ""))


def place(thing: Any) -> tuple[Path, int] | None:
    """(file, line) of a definition, the file relative to the checkout."""
    node = _node(thing)
    thing = inspect.unwrap(thing) if not inspect.isclass(thing) else thing
    path = Path(_file(thing))
    if node is None or not path.is_relative_to(ROOT):
        return None
    return path.relative_to(ROOT), node.lineno


def signature(function: Any, *, drop_self: bool = False) -> Signature:
    """The signature of a function, its annotations as they are written."""
    node = _node(function)
    if node is None:
        return Signature("(…)", [], "")
    given = node.args
    scope = vars(inspect.getmodule(inspect.unwrap(function)) or object)
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = list(zip(positional, defaults, strict=True))
    if drop_self and pairs and pairs[0][0].arg in ("self", "cls"):
        pairs = pairs[1:]
    items = [_argument(arg, default, scope) for arg, default in pairs]
    if given.vararg:
        items.append(_argument(given.vararg, None, scope, "*"))
    elif given.kwonlyargs:
        items.append(Item("*", ""))
    items += [
        _argument(a, d, scope) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        items += _run_options(function) or [_argument(given.kwarg, None, scope, "**")]
    inside = ", ".join(_shown(item) for item in items)
    returns = annotation(node.returns, scope) if node.returns else ""
    arrow = f" -> {returns}" if returns and returns != "None" else ""
    return Signature(f"({inside}){arrow}", items, returns)


def _run_options(function: Any) -> list[Item]:
    """The options of a run, where a function's signature shows them in the place of its **."""
    shown = inspect.signature(function).parameters
    usual = {field.name: field.default for field in dataclasses.fields(RunOptions)}
    return [
        Item(
            field.name,
            "",
            field.type,
            field.default
            if shown[field.name].default == usual[field.name]
            else repr(shown[field.name].default),
        )
        for field in fields(RunOptions)
        if field.name in shown
    ]


def _argument(arg: ast.arg, default: Any, scope: Any, stars: str = "") -> Item:
    type_ = annotation(arg.annotation, scope) if arg.annotation else ""
    return Item(stars + arg.arg, "", type_, _written(default, scope) if default is not None else "")


def _shown(item: Item) -> str:
    name = f"{item.name}: {item.type}" if item.type else item.name
    if not item.default:
        return name
    return f"{name} = {item.default}" if item.type else f"{name}={item.default}"


_ARRAY = re.compile(r"(\w+)\[(?:np\.ndarray|Array|jax\.Array|Any), *f?(['\"])([^'\"]*)\2\]")
_KINDS = {"Float": "float", "Float64": "float64", "Int": "int", "Int32": "int32", "Bool": "bool"}


def annotation(node: ast.expr, scope: Any) -> str:
    """An annotation as a reader wants it: shapes in brackets, choices spelled out.

    Example:
        >>> annotation(ast.parse("Float[Array, '*batch T']", mode="eval").body, {})
        'float[*batch, T]'
        >>> annotation(ast.parse("How | None", mode="eval").body, {"How": typing.Literal["a"]})
        '"a" | None'
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    node = _Choices(scope).visit(ast.parse(ast.unparse(node), mode="eval").body)
    text = _ARRAY.sub(_shape, ast.unparse(node))
    return re.sub(r"(?<![\w'])'([^']*)'(?![\w'])", r'"\1"', text)


def _shape(found: re.Match[str]) -> str:
    axes = re.sub(r"\b_?([A-Z])(?:1|_plus_one)\b", r"\1+1", found[3]).split()
    kind = _KINDS.get(found[1], found[1].lower() if found[1] != "Shaped" else "array")
    return f"{kind}[{', '.join('...' if axis == '...' else axis for axis in axes)}]"


class _Choices(ast.NodeTransformer):
    """Names of literal types are replaced by the choices; what is annotated, by its type."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    def visit_Name(self, node: ast.Name) -> ast.expr:
        known = self.scope.get(node.id)
        if typing.get_origin(known) is typing.Literal:
            values = " | ".join(repr(value) for value in typing.get_args(known))
            return ast.parse(values, mode="eval").body
        is_union = isinstance(known, types.UnionType) or typing.get_origin(known) is typing.Union
        if is_union:  # an alias of a few types
            names = [getattr(part, "__name__", "") for part in typing.get_args(known)]
            if all(name.isidentifier() for name in names):
                return ast.parse(" | ".join(names), mode="eval").body
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        name = getattr(node.value, "id", getattr(node.value, "attr", ""))
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Annotated":
            return self.visit(parts[0])
        if name == "Literal":
            return ast.parse(" | ".join(map(ast.unparse, parts)), mode="eval").body
        if name in ("Sequence", "Mapping", "tuple", "list", "dict", "type", "Callable"):
            return typing.cast(ast.expr, self.generic_visit(node))
        return node


def fields(thing: type) -> list[Field]:
    """The fields of a dataclass, in the order of its constructor; private ones are left out."""
    written: dict[str, tuple[str, str, str]] = {}
    for base in reversed(thing.__mro__):
        node = _node(base) if base.__module__.startswith("logtrick.") else None
        scope = vars(inspect.getmodule(base) or object)
        for at, line in enumerate(node.body if node else []):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                default = _default(line.value, scope)
                text = _below(node.body, at) or written.get(line.target.id, ("", "", ""))[2]
                written[line.target.id] = (annotation(line.annotation, scope), default, text)
    if dataclasses.is_dataclass(thing):
        names = {f.name: (f.init, f.kw_only) for f in dataclasses.fields(thing)}
    else:  # a NamedTuple
        names = dict.fromkeys(getattr(thing, "_fields", ()), (True, False))
    return [
        Field(name, *written.get(name, ("", "", "")), *how)
        for name, how in names.items()
        if not name.startswith("_")
    ]


def _default(value: ast.expr | None, scope: Any) -> str:
    if value is None:
        return ""
    if (
        isinstance(value, ast.Call)
        and getattr(value.func, "attr", getattr(value.func, "id", "")) == "field"
    ):
        for keyword in value.keywords:
            if keyword.arg == "default":
                return _written(keyword.value, scope)
            if keyword.arg == "default_factory":
                return f"{ast.unparse(keyword.value)}()"
        return ""
    return _written(value, scope)


def _written(value: ast.expr, scope: Any) -> str:
    """A default as one writes it; a constant of the module by its value."""
    known = scope.get(value.id) if isinstance(value, ast.Name) else None
    if isinstance(known, int | float | str | tuple):
        return json.dumps(known) if isinstance(known, str) else repr(known).replace("e-0", "e-")
    text = re.sub(r"(?<=\de)-0(?=\d)", "-", ast.unparse(value))
    return re.sub(r"^'([^']*)'$", r'"\1"', text)


def _below(body: list[ast.stmt], at: int) -> str:
    after = body[at + 1] if at + 1 < len(body) else None
    is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    return inspect.cleandoc(str(after.value.value)) if is_text else ""  # type: ignore[union-attr]


def constructor(shown: list[Field]) -> str:
    """The signature of a constructor that a dataclass generates."""
    short = len(shown) > 8  # the types are in the list of fields
    parts: list[str] = []
    for by_name in (False, True):
        named = [f for f in shown if f.is_argument and f.by_name_only == by_name]
        parts += ["*"] if by_name and named else []
        parts += [f.short if short else f.signature for f in named]
    return f"({', '.join(parts)})"


def own_init(thing: type) -> Any:
    """The constructor that somebody wrote, not one that a dataclass generates; or None."""
    for base in thing.__mro__:
        init = vars(base).get("__init__")
        if init is not None and base.__module__.startswith("logtrick."):
            return init if _node(init) is not None else None
    return None


def deferred_imports(function: Any) -> Iterator[tuple[str, str]]:
    """(module, name) of what a function's module imports for type checkers, or inside functions."""
    for node in ast.walk(_tree(_file(function))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name


def split(arguments: str) -> list[str]:
    """Arguments of a signature, at the commas that stand in no bracket or quote."""
    parts, depth, quoted, begin = [], 0, "", 0
    for at, sign in enumerate(arguments):
        if quoted:
            quoted = "" if sign == quoted else quoted
        elif sign in "'\"":
            quoted = sign
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0 and not quoted:
            parts.append(arguments[begin:at].strip())
            begin = at + 1
    return [part for part in (*parts, arguments[begin:].strip()) if part]


def link(path: Path, line: int, note: str = "") -> str:
    """A link to a line of a source page."""
    _linked.add(path)
    shown = path.as_posix().removeprefix("tests/")
    where = f"../{FOLDER}/{path.as_posix()}.html#L{line}"
    return f'<a href="{where}"><code>{escape(shown)}</code></a>{note}'


def write(folder: Path) -> None:
    """Write a page for each file that was linked to."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    for path in sorted(_linked):
        shape = HtmlFormatter(
            full=False, linenos="inline", lineanchors="L", anchorlinenos=False, style="default"
        )
        body = highlight((ROOT / path).read_text(), PythonLexer(), shape)
        body = re.sub(r'(id|name)="L-(\d+)"', r'\1="L\2"', body)
        up = "../" * len(path.parts)
        target = folder / f"{path.as_posix()}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_PAGE.format(title=path.as_posix(), up=up, body=body))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - logtrick</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="icon" href="{up}assets/images/favicon.png">
<link rel="stylesheet" href="{up}assets/source.css"></head>
<body><header><a href="{up}">logtrick</a> <a href="{up}api/">API reference</a></header>
<main><h1>{title}</h1>
<div class="code" tabindex="0" role="region" aria-label="Source code">{body}</div></main>
</body></html>
"""
