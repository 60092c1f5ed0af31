"""Lessons as single files: a template, its style, its modules and its numbers in one document.

Templates are HTML with two additions: `<f>γ^t</f>` is a formula in the line and `<formula>` one
of its own (see `mathml`). Scripts are ES modules in `assets/`; a page's file carries those that its
own script imports, in order, inside one module script. The page may load nothing: its policy names
the one script that may run, by hash.
"""

import base64
import hashlib
import json
import re
from html import escape
from importlib.resources import files
from typing import Any

from logtrick.lessons import bridge, lines
from logtrick.lessons.mathml import displayed, mathml

_FORMULA = re.compile(r"<(f|formula)>(.*?)</\1>", re.DOTALL)
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class)\b)", re.MULTILINE)
_HERE = files("logtrick.lessons")


def document(
    name: str, title: str, data: dict[str, Any], *, navigation: str, onward: str = ""
) -> str:
    """A page as HTML.

    Args:
        name: of its template and its script.
        title: its title.
        data: what the script reads: MDPs and reference numbers.
        navigation: the links between pages, as HTML.
        onward: the link to the next page, as HTML.

    Returns:
        The document. It refers to nothing outside itself but the pages beside it.
    """
    script = bundle(name)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    parts = {
        "policy": escape(policy),
        "title": escape(title),
        "style": _read("assets/style.css"),
        "navigation": navigation,
        "body": _typeset(_read(f"templates/{name}.html")).replace("{{onward}}", onward),
        "data": json.dumps(data, allow_nan=False, ensure_ascii=False).replace("</", "<\\/"),
        "script": script,
    }
    page = _read("templates/page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page)


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


def _typeset(template: str) -> str:
    for name in ("recall", "foot"):
        template = template.replace(f"<!--{name}-->", _read(f"templates/{name}.html"))
    for name, table in {"lines": lines.table, "bridge": bridge.table}.items():
        template = template.replace(f"<!--{name}-->", table())
    return _FORMULA.sub(_formula, template)


def _formula(found: re.Match[str]) -> str:
    return displayed(found[2]) if found[1] == "formula" else mathml(found[2])


def _read(path: str) -> str:
    return (_HERE / path).read_text(encoding="utf-8")
