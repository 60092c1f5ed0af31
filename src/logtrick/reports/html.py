"""Reports as one HTML file: no network, no scripts, light and dark, for screen, phone and print.

A page is built from elements; text that goes into an element is escaped, always, so that a run
named `<script>` is a name and nothing else. Only `Html` goes in as it is, and only this module and
`plots.to_svg` make it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Literal, NamedTuple

from logtrick.support.files import write_bytes_atomic
from logtrick.support.safe_paths import Place


class Html(str):
    """Markup: text that was escaped already."""

    __slots__ = ()


def element(name: str, *children: Any, **attributes: str) -> Html:
    """An HTML element.

    Args:
        name: Its tag.
        children: `Html` goes in as it is; anything else as escaped text.
        attributes: `class_` stands for `class`; values are escaped.

    Example:
        >>> element("p", "a < b, ", element("b", "bold"), class_="note")
        '<p class="note">a &lt; b, <b>bold</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(child if isinstance(child, Html) else escape(str(child)) for child in children)
    return Html(f"<{name}{given}>{inner}</{name}>")


class Section(NamedTuple):
    """A heading and what stands under it."""

    heading: str
    content: Sequence[Html]


def paragraph(text: str) -> Html:
    """A paragraph of plain text."""
    return element("p", text)


def tiles(numbers: Iterable[tuple[str, str, str]]) -> Html:
    """Headline numbers: (label, number, remark) each."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", label),
                element("dd", element("strong", number), element("span", remark)),
            )
            for label, number, remark in numbers
        ),
        class_="tiles",
    )


def facts(values: Mapping[str, Any]) -> Html:
    """Names and values, in columns where there is room."""
    pairs = [
        element("div", element("dt", name), element("dd", _fact(value)))
        for name, value in values.items()
    ]
    return element("dl", *pairs, class_="facts")


def _fact(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return " × ".join(map(str, value))
    return f"{value:,}" if type(value) is int else str(value)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[int] = ()
) -> Html:
    """A table; the columns whose places are in `numeric` are flush right."""

    def cells(tag: str, row: Sequence[str]) -> list[Html]:
        return [
            element(tag, value, **({"class_": "number"} if place in numeric else {}))
            for place, value in enumerate(row)
        ]

    top = element("thead", element("tr", *cells("th", head)))
    body = element("tbody", *(element("tr", *cells("td", row)) for row in rows))
    return element("div", element("table", top, body), class_="scrolled")


def code(text: str) -> Html:
    """Lines to copy into a terminal or a program."""
    return element("pre", element("code", text))


def figure(svg: str, caption: Html | str, *, label: str, narrow: str | None = None) -> Html:
    """A diagram.

    Args:
        svg: What `plots.to_svg` made.
        caption: What is to be seen.
        label: The same in a few words, for who cannot see it.
        narrow: The same diagram drawn for a phone, where the text of `svg` would be too small.
    """
    drawings = [_drawing(svg, label, "wide" if narrow else "any")]
    if narrow:
        drawings.append(_drawing(narrow, label, "narrow"))
    return element("figure", *drawings, element("figcaption", caption))


def animation(gif: bytes, caption: str) -> Html:
    """An animated picture, inside the page."""
    data = base64.b64encode(gif).decode()
    picture = Html(f'<img src="data:image/gif;base64,{data}" alt="{escape(caption)}">')
    return element("figure", picture, element("figcaption", caption))


def _drawing(svg: str, label: str, width: str) -> Html:
    given = f'<svg role="img" aria-label="{escape(label)}" class="{width}" '
    return Html(svg.replace("<svg ", given, 1))


def gallery(figures: Iterable[Html], *, size: Literal["small", "large", "wide"] = "small") -> Html:
    """Diagrams in rows: three small ones side by side, two large ones, or one that is wide."""
    return element("div", *figures, class_=f"gallery {size}")


def write_report(
    path: Place, title: str, sections: Iterable[Section], *, subtitle: str = ""
) -> None:
    """Write a report; a reader finds the old or the new file, whole.

    Args:
        path: The file.
        title: Its heading, any text.
        sections: What it says, in order; a section without a heading continues the one before.
        subtitle: A line under the title.

    Raises:
        RunError: It cannot be written.
    """
    parts = [
        element(
            "section",
            *([element("h2", section.heading)] if section.heading else []),
            *section.content,
        )
        for section in sections
    ]
    header = element("header", element("h1", title), element("p", subtitle))
    page = _PAGE.format(
        title=escape(title), policy=_POLICY, style=_STYLE, body=header + element("main", *parts)
    )
    # A lone surrogate (from a folder's name) is no text; "?" stands for it.
    write_bytes_atomic(path, page.encode("utf-8", "replace"))


# The page can load nothing, whatever is in it; its pictures are inside.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_STYLE = """
:root {
  --ink: #1c2330; --muted: #5f6b7a; --grid: #e3e7ec; --paper: #ffffff; --tile: #f5f7f9;
  --seed: #a9bfd6; --line: #0b5fa5; --band: #cfe1f2; --mark: #c4511a;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e6eaf0; --muted: #9aa7b6; --grid: #2b333e; --paper: #12161c; --tile: #1a2028;
    --seed: #4c6684; --line: #6db3f2; --band: #1d3a57; --mark: #f0894f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 60rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  -webkit-text-size-adjust: 100%; overflow-wrap: anywhere;
}
header p { color: var(--muted); margin: .25rem 0 0; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -.015em; margin: 0; }
h2 { font-size: 1.15rem; letter-spacing: -.005em; margin: 2.75rem 0 .75rem; }
p { max-width: 44rem; margin: .5rem 0; }
dl, dd { margin: 0; }
.tiles {
  display: grid; gap: .75rem; margin-top: 1.75rem;
  grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
}
.tiles > div { background: var(--tile); border-radius: .5rem; padding: .8rem 1rem .9rem; }
.tiles dt, .tiles span { color: var(--muted); font-size: .84rem; line-height: 1.4; }
.tiles strong, .tiles span { display: block; }
.tiles strong {
  font-size: 1.5rem; line-height: 1.35; font-weight: 650;
  letter-spacing: -.01em; font-variant-numeric: tabular-nums;
}
figure { margin: .25rem 0 0; }
figcaption { color: var(--muted); font-size: .88rem; line-height: 1.45; }
img { display: block; max-width: 100%; }
svg { display: block; width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt; }
svg.narrow { display: none; }
.gallery {
  display: grid; gap: 1.75rem 2rem;
  grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr));
}
.gallery.large, .gallery.wide { grid-template-columns: 1fr; margin-top: 2.75rem; }
@media (min-width: 52rem) { .gallery.large { grid-template-columns: 1fr 1fr; } }
.gallery figure { margin: 0; display: flex; flex-direction: column-reverse; }
.gallery figure > figcaption { flex: 1; margin-bottom: .35rem; }
.gallery figcaption b { color: var(--ink); display: block; font-size: .95rem; }
.key::before {
  content: ""; display: inline-block; width: 1.4em; margin-right: .4em; vertical-align: .22em;
}
.key.line::before { border-top: 3px solid var(--line); }
.key.seed::before { border-top: 1px solid var(--seed); }
.key.band::before { height: .8em; background: var(--band); vertical-align: -.08em; }
.key { display: inline-block; margin-right: 1.1em; }
.facts { columns: 17rem; column-gap: 2.5rem; font-size: .92rem; }
.facts > div {
  border-bottom: 1px solid var(--grid);
  display: flex; justify-content: space-between; gap: 1rem; padding: .28rem 0;
  break-inside: avoid;
}
.facts dt { color: var(--muted); flex: none; }
.facts dd { text-align: right; font-variant-numeric: tabular-nums; }
.scrolled { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th { color: var(--muted); font-weight: 500; text-align: left; }
th, td { border-bottom: 1px solid var(--grid); padding: .28rem 1.5rem .28rem 0; }
th.number, td.number { text-align: right; }
th, td:not(:last-child) { white-space: nowrap; }
pre {
  background: var(--tile); border-radius: .5rem; padding: .8rem 1rem; margin: .5rem 0;
  overflow-x: auto; font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: normal;
}
@media screen and (max-width: 34rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .tiles > div { padding: .65rem .75rem .7rem; }
  .tiles strong { font-size: 1.25rem; }
  svg.wide { display: none; }
  svg.narrow { display: block; }
}
@media print {
  html { font-size: 11.5px; }
  body { padding: 0; max-width: none; }
  h2 { margin-top: 1.75rem; break-after: avoid; }
  figure, pre, .tiles, .tiles > div { break-inside: avoid; }
  .tiles { grid-template-columns: repeat(5, 1fr); }
  .gallery { grid-template-columns: repeat(3, 1fr); gap: 1rem 1.5rem; }
  .tiles > div, pre { border: 1px solid var(--grid); }
  pre { white-space: pre-wrap; }
}
"""
