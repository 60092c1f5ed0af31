"""Lessons as single files: a template, its style, its modules and its numbers in one document.

Templates are HTML with a few additions: `<f>γ^t</f>` is a formula in the line and `<formula>` one
of its own (see `mathml`); `{{if garden}} … {{else}} … {{end}}` is for words that fit one world;
`<!--lines-->` and the like stand for markup that Python makes. Scripts are ES modules in `assets/`;
a page's file carries those that its own script imports, in order, inside one module script. The
page may load nothing: its policy names the one script that may run, by hash.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape, unescape
from importlib.resources import files
from typing import Any

from logtrick.lessons.conventions import NAMES, translate
from logtrick.lessons.mathml import displayed, mathml

_FORMULA = re.compile(r"<(f|formula)>(.*?)</\1>", re.DOTALL)
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)
_CONDITION = re.compile(r"\{\{if (\w+)\}\}(.*?)(?:\{\{else\}\}(.*?))?\{\{end\}\}", re.DOTALL)
_MATH = re.compile(r'<math [^>]*?alttext="([^"]*)"(?: data-source="([^"]*)")?>')
_FIGURE = re.compile(r'<figure [^>]*data-figure="([\w-]+)".*?</figure>', re.DOTALL)
_LIVE = re.compile(r'(<(?P<tag>\w+)[^>]* data-live="(?P<name>[\w-]+)"[^>]*>)(</(?P=tag)>)')
_PICTURE = re.compile(r'<svg class="([\w -]*)" data-picture="([\w-]+)"([^>]*)></svg>')
_HERE = files("logtrick.lessons")


@dataclass(frozen=True)
class Content:
    """What a template is filled with."""

    name: str
    """Of the template and the script."""
    title: str
    data: Mapping[str, Any]
    """What the script reads: MDPs and reference numbers."""
    flags: Mapping[str, bool] = field(default_factory=dict)
    """What the conditions in the template ask."""
    fragments: Mapping[str, str] = field(default_factory=dict)
    """Markup for the places `<!--name-->`."""
    stills: Mapping[str, Any] = field(default_factory=dict)
    """The first state of pictures and numbers, for readers without scripts."""


def document(content: Content, *, navigation: str, onward: str = "") -> str:
    """A page as HTML.

    Args:
        content: what is on it.
        navigation: the links between pages, as HTML.
        onward: the link to the next page, as HTML.

    Returns:
        The document. It refers to nothing outside itself but the pages beside it.
    """
    foot = _read("templates/foot.html").replace("{{onward}}", onward)
    return _filled(content, body(content), navigation=navigation, foot=foot)


def single_figure(content: Content, figure: str) -> str:
    """One figure of a page, alone on a page of its own.

    The rest of the page is there, hidden: figures share controls and a script.
    """
    whole = body(content)
    (found,) = (match for match in _FIGURE.finditer(whole) if match[1] == figure)
    rest = whole[: found.start()] + whole[found.end() :]
    hidden = f"{found[0]}<div hidden>{rest}</div>"
    foot = f"<div hidden>{_read('templates/foot.html').replace('{{onward}}', '')}</div>"
    return _filled(content, hidden, navigation="", foot=foot, kind="alone")


def figures_of(name: str) -> list[str]:
    """The names of the figures in a template."""
    return re.findall(r'data-figure="([\w-]+)"', _read(f"templates/{name}.html"))


def body(content: Content) -> str:
    """The HTML inside of `<main>`, with everything filled in."""
    template = _read(f"templates/{content.name}.html")
    for name in ("recall",):
        template = template.replace(f"<!--{name}-->", _read(f"templates/{name}.html"))
    template = _CONDITION.sub(
        lambda found: found[2] if content.flags.get(found[1]) else found[3] or "", template
    )
    for name, markup in content.fragments.items():
        template = template.replace(f"<!--{name}-->", markup)
    return _stilled(_FORMULA.sub(_formula, template), content.stills)


def _stilled(markup: str, stills: Mapping[str, Any]) -> str:
    """With the first state of each picture and number, where it is known."""

    def drawn(found: re.Match[str]) -> str:
        still = stills.get("pictures", {}).get(found[2])
        if still is None:
            return found[0]
        box, height, inside = still
        tall = f' height="{height}"' if height else ""
        return (
            f'<svg class="{found[1]}" data-picture="{found[2]}"{found[3]} data-still="1" '
            f'viewBox="{box}"{tall}>{inside}</svg>'
        )

    def number(found: re.Match[str]) -> str:
        words = stills.get("words", {}).get(found["name"], "")
        return f"{found[1]}{escape(words)}{found[4]}"

    return _LIVE.sub(number, _PICTURE.sub(drawn, markup))


def _filled(
    content: Content, inside: str, *, navigation: str, foot: str, kind: str = "page"
) -> str:
    script = bundle(content.name)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; font-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    foot = _stilled(foot, content.stills)
    cards = "".join(card["face"] + card["answer"] for card in content.data.get("cards", ()))
    data = {**content.data, "notations": notations(inside + cards)}
    parts = {
        "kind": kind,
        "policy": escape(policy),
        "title": escape(content.title),
        "font": font(),
        "style": _read("assets/style.css"),
        "navigation": navigation,
        "body": inside,
        "foot": foot,
        "data": json.dumps(data, allow_nan=False, ensure_ascii=False).replace("</", "<\\/"),
        "script": script,
    }
    return re.sub(
        r"\{\{(\w+)\}\}", lambda found: parts.get(found[1], found[0]), _read("templates/page.html")
    )


def printed(title: str, inside: str) -> str:
    """A page for paper, without a script.

    Args:
        title: its title.
        inside: as in a template, formulas included.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; font-src data:"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} · logtrick</title>\n"
        f"<style>{font()}{_read('assets/style.css')}</style>\n"
        f'</head>\n<body class="paper">\n<main>\n{_FORMULA.sub(_formula, inside)}\n</main>\n'
        "</body>\n</html>\n"
    )


def notations(markup: str) -> dict[str, dict[str, tuple[str, str]]]:
    """For each source the formulas that it writes otherwise: here -> (there, as MathML)."""
    sources = {unescape(text): unescape(source or text) for text, source in _MATH.findall(markup)}
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for key in NAMES:
        others = {spoken: translate(notation, key) for spoken, notation in sources.items()}
        found[key] = {
            spoken: _spoken_and_inside(mathml(other))
            for spoken, other in others.items()
            if other != sources[spoken]
        }
    return found


def _spoken_and_inside(math: str) -> tuple[str, str]:
    opening, _, rest = math.partition(">")
    return unescape(opening.split('"')[1]), rest.removesuffix("</math>")


def bundle(name: str) -> str:
    """A script and all that it imports, dependencies first, as one module without imports."""
    order: list[str] = []

    def visit(module: str) -> None:
        for imported in _IMPORT.findall(_read(f"assets/{module}.js")):
            if imported not in order:
                visit(imported)
        order.append(module)

    visit(name)
    bare = (_EXPORT.sub("", _IMPORT.sub("", _read(f"assets/{module}.js"))) for module in order)
    return "\n" + "\n".join(bare).replace("</", "<\\/")


@cache
def font() -> str:
    """The font of the formulas, inside the style: no system needs to have one."""
    data = base64.b64encode((_HERE / "assets/math.woff2").read_bytes()).decode()
    return f'@font-face{{font-family:"Lesson Math";src:url(data:font/woff2;base64,{data})}}\n'


def _formula(found: re.Match[str]) -> str:
    return displayed(found[2]) if found[1] == "formula" else mathml(found[2])


@cache
def _read(path: str) -> str:
    return (_HERE / path).read_text(encoding="utf-8")
