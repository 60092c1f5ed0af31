"""The API reference, written from the docstrings: one page for each group of public names.

A page documents names that a reader can type (`lt.PPO`, `lt.psi.gae`), never the modules in which
they are defined, so the source may be moved. For each name: the signature, the arguments or fields
with their types, shapes and defaults, what is returned and raised, an example, a link to the
source, and the tests that use it.
"""

import dataclasses
import enum
import functools
import importlib
import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import docs_source
import docs_uses
import logtrick
from docs_docstrings import Docstring, Item, prose, read


class Page(NamedTuple):
    """A page of the reference."""

    title: str
    intro: str
    names: tuple[str, ...]
    """Public names, or modules of them, without `lt.`; the order of the page."""


#: slug -> page. A test fails where a public name is on no page or on two.
PAGES: dict[str, Page] = {
    "training": Page(
        "Train, resume and search",
        "What starts a run, goes on with one and compares many, and what comes back.",
        (
            *("train", "resume", "load", "Run", "Evaluation"),
            *("sweep", "search", "Range", "resume_sweep"),
        ),
    ),
    "algorithms": Page(
        "Algorithms and their fields",
        "Every algorithm is a frozen configuration of one training loop. Each field is also a flag "
        "of `logtrick train`: `clip_eps` is `--clip-eps`, and `lambda_` is `--lambda`.",
        (
            *("PPO", "A2C", "REINFORCE", "NPG", "TRPO", "IMPALA"),
            *("RLOO", "GRPO", "DrGRPO", "DAPO", "GSPO", "CISPO", "REINFORCEPlusPlus"),
        ),
    ),
    "policies": Page(
        "Policies and value functions",
        "A policy is called on one observation and returns a distribution over actions.",
        ("policies",),
    ),
    "distributions": Page(
        "Distributions", "What a policy returns for one observation.", ("distributions",)
    ),
    "envs": Page(
        "Environments and rollouts",
        "How environments are made, checked and played.",
        ("envs", "check_env", "rollout", "Trajectory"),
    ),
    "mdp": Page(
        "Finite MDPs",
        "The finite Markov decision process, and the standard problems of the field.",
        ("FiniteMDP", "Histories", "problems"),
    ),
    "exact": Page(
        "Exact values and gradients",
        "Values, visits, objectives and gradients of a policy on a finite MDP, in float64, each "
        "with a bound on its error.",
        ("exact",),
    ),
    "planning": Page("Planning", "The best policy of a finite MDP.", ("planning",)),
    "derivation": Page(
        "The derivation", "The seven lines of the policy gradient, as numbers.", ("derivation",)
    ),
    "psi": Page(
        "ψ and group rules",
        "Every ψ, ratio, KL estimate and group rule. Each takes arrays of NumPy, JAX or torch "
        "whose last axis is time, and gives the same kind back.",
        ("psi",),
    ),
    "objectives": Page(
        "Surrogates and losses", "What an optimiser differentiates.", ("objectives",)
    ),
    "audit": Page(
        "Audit", "What an estimator's expectation is, and whose gradient that is.", ("audit",)
    ),
    "lessons": Page("Lessons", "The introduction as files and as figures.", ("lessons",)),
    "errors": Page(
        "Errors",
        "Every error that logtrick raises on purpose is a `LogtrickError`. Its message says "
        "what is wrong, where, and what to do.",
        ("LogtrickError", "errors"),
    ),
}


#: Whose fields have headings of their own, so that a search for one finds it first.
WITH_HEADINGS = ("lt.PPO",)


class Entry(NamedTuple):
    """One public name, or a type that comes back from one."""

    name: str
    thing: Any
    page: str
    aliases: tuple[str, ...] = ()


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Every public name, each once, in the order of the pages."""
    found: dict[str, list[tuple[str, Any]]] = {slug: [] for slug in PAGES}
    for slug, page in PAGES.items():
        for name in page.names:
            found[slug] += _named(name)
    shortest: dict[int, list[str]] = {}
    for pairs in found.values():
        for name, thing in pairs:
            shortest.setdefault(_identity(name, thing), []).append(name)
    done: set[int] = set()
    result = []
    for slug, pairs in found.items():
        for name, thing in pairs:
            key = _identity(name, thing)
            if key not in done:
                done.add(key)
                names = sorted(set(shortest[key] + _top_level(thing)), key=lambda n: (len(n), n))
                result.append(Entry(names[0], thing, slug, tuple(names[1:])))
    return tuple(result)


def _named(name: str) -> list[tuple[str, Any]]:
    thing = getattr(logtrick, name)
    if not inspect.ismodule(thing):
        return [(f"lt.{name}", thing)]
    names = getattr(thing, "__all__", None) or [
        n
        for n, member in vars(thing).items()
        if not n.startswith("_") and getattr(member, "__module__", None) == thing.__name__
    ]
    return [(f"lt.{name}.{n}", getattr(thing, n)) for n in names]


def _identity(name: str, thing: Any) -> int:
    return id(thing) if hasattr(thing, "__module__") and callable(thing) else hash(name)


def _top_level(thing: Any) -> list[str]:
    if not callable(thing):
        return []
    named = getattr(thing, "__name__", "")
    same = named in logtrick.__all__ and getattr(logtrick, named) is thing
    return [f"lt.{named}"] if same else []


@functools.cache
def returned() -> dict[type, tuple[str, str]]:
    """Types without a public name that public functions and methods return: (name, page)."""
    public = {id(entry.thing) for entry in entries()}
    found: dict[type, tuple[str, str]] = {}
    queue = [(entry.thing, entry.page) for entry in entries()]
    while queue:
        thing, page = queue.pop(0)
        for function in _functions(thing):
            for kind in _types(_hint(function)):
                ours = kind.__module__.startswith("logtrick.")
                if ours and id(kind) not in public and kind not in found:
                    if kind.__name__.startswith("_") or typing.is_typeddict(kind):
                        continue
                    found[kind] = (kind.__name__, page)
                    queue.append((kind, page))
    for base in _shared_bases():
        found.setdefault(base, (base.__name__, _page_below(base)))
    visit = importlib.import_module(_home(logtrick.train)).Callback
    for kind in typing.get_args(visit)[0]:  # what callbacks are handed
        found.setdefault(kind, (kind.__name__, "training"))
    return found


def _shared_bases() -> list[type]:
    """Our classes without a public name that several public classes are built on."""
    public = {id(entry.thing) for entry in entries()}
    below: dict[type, int] = {}
    for entry in entries():
        for base in getattr(entry.thing, "__mro__", ())[1:]:
            if base.__module__.startswith("logtrick.") and id(base) not in public:
                below[base] = below.get(base, 0) + 1
    return [base for base, count in below.items() if count > 1 and _docs(base)]


def _docs(thing: Any) -> str:
    return vars(thing).get("__doc__") or ""


def _page_below(base: type) -> str:
    found = (e.page for e in entries() if inspect.isclass(e.thing) and issubclass(e.thing, base))
    return next(found)


def _home(thing: Any) -> str:
    return str(inspect.unwrap(thing).__module__)


def _functions(thing: Any) -> Iterator[Any]:
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if not name.startswith("_"):
                inner = _function_of(member)
                if inner is not None:
                    yield inner
    elif callable(thing):
        yield inspect.unwrap(thing)


def _function_of(member: Any) -> Any:
    """The function below a method, property, class method or cached property; or None."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    elif isinstance(member, classmethod | staticmethod):
        member = member.__func__
    member = inspect.unwrap(member) if callable(member) else member
    return member if inspect.isfunction(member) else None


def _hint(function: Any) -> Any:
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        module = inspect.getmodule(function)
        names = dict(vars(module)) if module else {}
        try:
            return eval(annotation, names)
        except Exception:
            return _of_annotation(annotation, function)
    return annotation


def _of_annotation(annotation: str, function: Any) -> Any:
    """A class named only for type checkers: found in the module that the function imports."""
    for path, name in docs_source.deferred_imports(function):
        if name == annotation.strip("\"'"):
            return getattr(importlib.import_module(path), name, None)
    return None


def _types(hint: Any) -> Iterator[type]:
    if inspect.isclass(hint) and not typing.get_args(hint):
        yield hint
    for inner in typing.get_args(hint):
        yield from _types(inner)


def pages() -> Iterator[tuple[str, str]]:
    """(file, Markdown) of each page of the reference."""
    yield "index.md", _index()
    for slug, page in PAGES.items():
        lines = [f"# {page.title}", "", page.intro, ""]
        for entry in entries():
            if entry.page == slug:
                lines += _entry(entry)
        others = [(n, kind) for kind, (n, where) in returned().items() if where == slug]
        if others:
            lines += ["## What comes back { .api-returned }", ""]
            lines += ["These have no public name of their own; you get them from the names above."]
            lines.append("")
            for name, kind in sorted(others, key=lambda pair: pair[0]):
                lines += _entry(Entry(name, kind, slug), level=3)
        yield f"{slug}.md", "\n".join(lines) + "\n"


def _index() -> str:
    lines = [
        "# API reference",
        "",
        "Everything that `import logtrick as lt` offers, written from the docstrings.",
        "Every example on these pages is run by the tests.",
        "",
    ]
    for slug, page in PAGES.items():
        lines += [f"## [{page.title}]({slug}.md)", "", '<dl class="api-list" markdown="0">']
        for entry in entries():
            if entry.page == slug:
                first = prose(read(_doc(entry.thing)).summary, inline=True)
                link = f'<a href="{slug}/#{entry.name}"><code>{entry.name}</code></a>'
                lines.append(f"<dt>{link}</dt><dd>{first or '&nbsp;'}</dd>")
        lines += ["</dl>", ""]
    return "\n".join(lines)


def _doc(thing: Any) -> str:
    if inspect.isclass(thing) or inspect.isroutine(thing) or callable(thing):
        text = inspect.getdoc(thing) or ""
        generated = inspect.isclass(thing) and text.startswith(f"{thing.__name__}(")
        return "" if generated else text
    return ""


def _entry(entry: Entry, level: int = 2) -> list[str]:
    """The lines of one name: a heading, and what there is to say."""
    thing, marks = entry.thing, "#" * level
    lines = [f"{marks} {entry.name} {{ #{entry.name} .api-name }}", ""]
    if entry.aliases:
        also = ", ".join(f"`{name}`" for name in entry.aliases)
        lines += [f"Also {also}.", ""]
    if inspect.isclass(thing):
        lines += _class(entry, level)
    elif inspect.isroutine(thing) or callable(thing):
        lines += _function(entry.name, thing)
    else:
        lines += _data(thing)
    return [*lines, *_footer(entry), ""]


def _function(name: str, function: Any) -> list[str]:
    doc = read(_doc(function))
    shown = docs_source.signature(function)
    lines = _signature(name, shown.text)
    lines += _body(doc)
    lines += _items("Arguments", _joined(shown.arguments, doc.arguments), f"{name}.")
    return lines + _outcome(doc)


def _class(entry: Entry, level: int) -> list[str]:
    thing, name = entry.thing, entry.name
    doc = read(_doc(thing))
    has_fields = dataclasses.is_dataclass(thing) or hasattr(thing, "_fields")
    fields = docs_source.fields(thing) if has_fields else []
    init = docs_source.own_init(thing)
    lines: list[str] = []
    if issubclass(thing, BaseException):
        bases = ", ".join(f"`{base.__name__}`" for base in thing.__bases__)
        lines += [f"An error; a kind of {bases}.", ""]
    elif issubclass(thing, enum.Enum):
        lines += _signature(name, " | ".join(repr(member.value) for member in thing))
    elif init is not None:
        lines += _signature(name, docs_source.signature(init, drop_self=True).text)
    elif fields:
        lines += _signature(name, docs_source.constructor(fields))
    lines += _body(doc)
    if init is not None:
        shown = docs_source.signature(init, drop_self=True)
        told = [*doc.arguments, *read(inspect.getdoc(init) or "").arguments]
        lines += _items("Arguments", _joined(shown.arguments, told), f"{name}.")
    said = {item.name: item.text for base in reversed(thing.__mro__) for item in _told(base)}
    items = [
        Item(f.name, f.text or said.get(f.name, ""), f.type, f.default)
        for f in fields
        if init is None or f.name not in {item.name for item in doc.arguments}
    ]
    estimates = getattr(thing, "estimates", None)
    if isinstance(estimates, str):
        words = prose(estimates[0].upper() + estimates[1:], inline=True)
        lines += [f"**Which gradient it ascends.** {words}", ""]
    kind = "Arguments and fields" if fields and init is None else "Fields"
    if name in WITH_HEADINGS:
        return lines + _outcome(doc) + _headed(items, f"{name}.") + _members(entry, level + 1)
    lines += _items(kind, items, f"{name}.")
    lines += _outcome(doc)
    return lines + _members(entry, level + 1)


def _told(base: type) -> list[Item]:
    doc = read(inspect.cleandoc(_docs(base)))
    return [*doc.attributes, *doc.arguments]


def _members(entry: Entry, level: int) -> list[str]:
    """Public methods and properties, those of our own base classes included."""
    thing, lines = entry.thing, []
    if issubclass(thing, BaseException | enum.Enum):
        return []
    documented = {id(e.thing) for e in entries()} | {id(kind) for kind in returned()}
    inherited: dict[type, list[str]] = {}
    for name, owner in _public_members(thing):
        if _is_told_above(thing, owner, name, documented):
            continue
        if owner is not thing and id(owner) in documented:
            if _function_of(inspect.getattr_static(owner, name)) is not None:
                inherited.setdefault(owner, []).append(name)
            continue
        member = inspect.getattr_static(owner, name)
        function = _function_of(member)
        if function is None:
            continue
        shown = docs_source.signature(function, drop_self=not isinstance(member, staticmethod))
        full = f"{entry.name}.{name}"
        doc = read(inspect.getdoc(member) or inspect.getdoc(function) or "")
        lines += [f"{'#' * level} {full} {{ #{full} .api-name }}", ""]
        if isinstance(member, property | functools.cached_property):
            returns = f": {shown.returns}" if shown.returns else ""
            lines += _signature(full, returns)
        else:
            lines += _signature(full, shown.text)
        lines += _body(doc)
        lines += _items("Arguments", _joined(shown.arguments, doc.arguments), f"{full}.")
        lines += _outcome(doc)
    above = []
    for owner, names in inherited.items():
        which = ", ".join(f"`{name}`" for name in names)
        above += [f"From {_linked(owner)}: {which}.", ""]
    return [*above, *lines]


def _is_told_above(thing: type, owner: type, name: str, documented: set[int]) -> bool:
    """Whether a member only carries out what a documented base class declares."""
    above = any(name in vars(base) and id(base) in documented for base in thing.__mro__[1:])
    function = _function_of(inspect.getattr_static(owner, name))
    return owner is thing and above and function is not None and not function.__doc__


def _linked(thing: type) -> str:
    """A class's name with a link to where it is documented."""
    for entry in entries():
        if entry.thing is thing:
            return f"[`{entry.name}`]({entry.page}.md#{entry.name})"
    name, page = returned()[thing]
    return f"[`{name}`]({page}.md#{name})"


def _public_members(thing: type) -> Iterator[tuple[str, type]]:
    seen = set()
    for owner in thing.__mro__:
        if not owner.__module__.startswith("logtrick."):
            continue
        for name in vars(owner):
            if not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, owner


def _data(thing: Any) -> list[str]:
    values = typing.get_args(thing) if typing.get_origin(thing) is typing.Literal else None
    if values:
        return ["One of " + ", ".join(f'`"{value}"`' for value in values) + ".", ""]
    if isinstance(thing, dict):
        return ["A dictionary with " + ", ".join(f"`{key}`" for key in thing) + ".", ""]
    if isinstance(thing, types.UnionType) or hasattr(thing, "__args__"):
        return [f"`{thing}`", ""]
    kinds = sorted({type(item).__name__ for item in thing})
    return [f"A {type(thing).__name__} of {len(thing)} `{'`, `'.join(kinds)}`.", ""]


def _signature(name: str, text: str) -> list[str]:
    """A signature in a block of code, on several lines where one is too narrow."""
    one = f"{name}{text}"
    if len(one) > 72 and "(" in one:
        head, _, rest = one.partition("(")
        inside, _, returns = rest.rpartition(")")
        parts = docs_source.split(inside)
        one = f"{head}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"
        one = one.replace("    *,\n", "    *,\n").replace("    /,\n", "    /,\n")
    return ["```python { .api-signature }", one, "```", ""]


def _body(doc: Docstring) -> list[str]:
    return [prose(doc.text), ""] if doc.text else []


def _joined(shown: Iterable[Item], told: Iterable[Item]) -> list[Item]:
    """Arguments of the signature, with what the docstring says of them."""
    words = {item.name.lstrip("*"): item.text for item in told}
    return [
        item._replace(text=words.get(item.name.lstrip("*"), ""))
        for item in shown
        if item.name not in ("*", "/")
    ]


def _items(title: str, items: list[Item], prefix: str) -> list[str]:
    """A list of names with their types, defaults and meanings."""
    items = [item for item in items if item.text or item.type or item.default]
    if not items:
        return []
    lines = [f'<p class="api-part">{title}</p>', '<dl class="api-fields">']
    for item in items:
        about = f' <span class="api-type">{escape(item.type)}</span>' if item.type else ""
        if item.default:
            about += f' <span class="api-default">= {escape(item.default)}</span>'
        anchor = escape(prefix + item.name.lstrip("*"))
        meaning = prose(item.text, inline=True) or "–"
        lines.append(
            f'<dt id="{anchor}"><code>{escape(item.name)}</code>{about}</dt><dd>{meaning}</dd>'
        )
    return [*lines, "</dl>", ""]


def _headed(items: list[Item], prefix: str) -> list[str]:
    """Fields, each below a heading."""
    lines: list[str] = []
    for item in items:
        about = f"`{item.type}`" + (f", by default `{item.default}`" if item.default else "")
        lines += [f"### {prefix}{item.name} {{ #{prefix}{item.name} .api-name }}", "", about + "  "]
        lines += [prose(" ".join(item.text.split())), ""]
    return lines


def _outcome(doc: Docstring) -> list[str]:
    lines: list[str] = []
    if doc.returns:
        lines += ['<p class="api-part">Returns</p>', "", prose(doc.returns), ""]
    lines += _items("Raises", doc.raises, "")
    lines = [line.replace(' id="', ' data-error="') if "<dt" in line else line for line in lines]
    for title, example in doc.examples:
        lines += [f'<p class="api-part">{escape(title)}</p>', "", "```pycon", example, "```", ""]
    if doc.source:
        lines += ['<p class="api-part">Literature</p>', "", prose(doc.source), ""]
    return lines


def _footer(entry: Entry) -> list[str]:
    """Where the source is, and which tests use the name."""
    place = docs_source.place(entry.thing)
    if place is None:
        return []
    path, line = place
    parts = [f'<p class="api-where">Source: {docs_source.link(path, line)}']
    used = docs_uses.tests_of(entry.thing)
    if used:
        shown = [
            docs_source.link(use.path, use.line, note=f" ({use.count})" if use.count > 1 else "")
            for use in used[:5]
        ]
        more = f" and {len(used) - 5} more files" if len(used) > 5 else ""
        parts.append(f"<br>Tests: {', '.join(shown)}{more}")
    return ["".join(parts) + "</p>"]


def write(folder: Path) -> None:
    """Write the pages into a folder, and the pages of source code that they link to."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / name).write_text(text)
    docs_source.write(folder.parent / docs_source.FOLDER)
