"""Formulas of the documentation's pages: found in the prose, typeset as MathML.

Docstrings and guides write a formula as one reads it, "δ_t = r_t + γ V(s'_t) − V(s_t)". After the
site is built, `typeset` walks through a page, finds what can only be a formula, and puts MathML in
its place. Browsers draw MathML themselves, so no page needs a script or a font of another host.
What is code, a heading's link or a formula already stays as it is.
"""

import re
from collections.abc import Iterator
from html import escape, unescape
from html.parser import HTMLParser

from logtrick.lessons.mathml import mathml

#: Elements in which nothing is typeset.
_AS_IT_IS = {"code", "math", "pre", "script", "style", "svg", "textarea", "th", "title"}
_VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}

_GREEK = "α-ωΑ-Ωϵ"
_SIGNS = "∇Σ∂∞√∏∫≤≥≠≈∈𝔼‖∼"
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀᵗᵏⁿ", "0123456789−+Ttkn", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉ₜₖᵢ", "0123456789tki", strict=True))
_UP, _LOW = "".join(_RAISED), "".join(_LOWERED)
_FUNCTIONS = "argmax|clip|Cov|exp|KL|log|max|mean|min|Pr|sign|std|tr|Var"

#: What a word of a formula is made of; a word with anything else in it is prose.
_LEXEME = re.compile(
    rf"""(?:{_FUNCTIONS})(?![A-Za-z])
    | [A-Za-z]{{2,}}_[A-Za-z](?![A-Za-z_])          # terminated_t
    | (?<![A-Za-z])[A-Za-z][\u0300-\u036f]?(?![A-Za-z])
    | (?<=ᵀ)[A-Za-z]{{1,3}}(?![A-Za-z])             # xᵀFx
    | [{_GREEK}{_SIGNS}][\u0300-\u036f]?
    | \d+(?:[.,]\d+)*
    | [_^]\{{[^{{}}]*\}} | [_^][A-Za-z]+ | [_^](?=[\d*{_GREEK}∞(−])
    | [{_UP}{_LOW}]
    | [][()|.,;:!*/'′…=+−·×<>←→⟨⟩±½¼¾%-]
    """,
    re.VERBOSE,
)
#: What makes a formula of a run of such words.
_STRONG = re.compile(
    rf"[{_GREEK}{_SIGNS}{_UP}{_LOW}]|(?<![A-Za-z])[A-Za-z]['′]?[_^][\w{{*(−]"
    r"|(?<![A-Za-z])[A-Za-z]\([sa][',)|]"
    r"|(?<![A-Za-z])[A-Za-z)] ?[=−] ?[A-Z(](?![a-z])|(?<![A-Za-z*])[A-Za-z]\*(?![A-Za-z*])"
)
_EQUATION = re.compile(r"^(?:[VJGDI]\d)$|^[A-Z]\d$")
_OPERATOR = re.compile(r"^[=+−·×/<>≤≥≠≈∈←→∼|±:-]+$")
_ARTICLES = {"a", "A", "I", "i.e.", "e.g.", "i.e", "e.g"}
_BREAKS = "=≤≥≈≠<>←→∼+−"
#: Glyphs that fit on a line of a phone.
_FITS = 24


def typeset(html: str) -> str:
    """A page with its formulas as MathML.

    Args:
        html: a whole document, or a part of one.

    Example:
        >>> typeset("<p>The discount γ^2, and <code>γ^2</code>.</p>")[:30]
        '<p>The discount <math alttext='
    """
    page = _Page()
    page.feed(html)
    page.close()
    page.flush()
    return "".join(page.parts)


class _Page(HTMLParser):
    """Repeats a document tag by tag, and typesets the text between the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._text = ""
        self._within: list[str] = []

    def flush(self) -> None:
        text, self._text = self._text, ""
        if text and not _AS_IT_IS.isdisjoint(self._within):
            self.parts.append(text)
        elif text:
            self.parts.append("".join(_written(unescape(text))))

    def _tag(self) -> None:
        self.flush()
        self.parts.append(self.get_starttag_text() or "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag()
        if tag not in _VOID:
            self._within.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag()

    def handle_endtag(self, tag: str) -> None:
        self.flush()
        self.parts.append(f"</{tag}>")
        if tag in self._within:  # what was left open inside ends with it
            while self._within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_entityref(self, name: str) -> None:
        self._text += f"&{name};"

    def handle_charref(self, name: str) -> None:
        self._text += f"&#{name};"

    def handle_comment(self, data: str) -> None:
        self.flush()
        self.parts.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.flush()
        self.parts.append(f"<!{decl}>")


def _written(text: str) -> Iterator[str]:
    """Text as HTML, with what is a formula in it typeset."""
    end = 0
    for start, stop in formulas(text):
        typed = _typed(text[start:stop])
        if typed:
            yield escape(text[end:start], quote=False) + typed
            end = stop
    yield escape(text[end:], quote=False)


def formulas(text: str) -> list[tuple[int, int]]:
    """Where the formulas of a text are.

    Example:
        >>> text = "It follows that V(s) = 1/(1 − γ), a bound."
        >>> [text[i:j] for i, j in formulas(text)]
        ['V(s) = 1/(1 − γ)']
        >>> formulas("V-trace and a batch_size of 3 (G2)")
        []
    """
    words = list(re.finditer(r'[^\s"“”]+', text))
    found, run = [], []
    for at, word in enumerate(words):
        if run and "\n\n" in text[words[at - 1].end() : word.start()]:
            found.append(run)
            run = []
        if _is_mathematical(words, at):
            run.append(word)
            inside = "".join(w[0] for w in run)
            open_ = sum(map(inside.count, "([")) > sum(map(inside.count, ")]"))
            if word[0][-1] not in ",.;:" or (open_ and word[0][-1] == ","):
                continue
        if run:
            found.append(run)
            run = []
    found.append(run)
    spans = (_trimmed(text, run[0].start(), run[-1].end()) for run in found if run)
    return [(i, j) for i, j in spans if i < j and _STRONG.search(text[i:j])]


def _is_mathematical(words: list[re.Match[str]], at: int) -> bool:
    word = words[at][0]
    bare = word.strip("().,;:[]")
    if _EQUATION.match(bare):  # V2, G4: the name of an equation
        return False
    if bare in _ARTICLES or word in _ARTICLES:
        before = words[at - 1][0] if at else ""
        after = words[at + 1][0] if at + 1 < len(words) else ""
        return bool(
            "." not in word
            and (before[-1:] in tuple("=+−·×/|,(") or _OPERATOR.match(after) or ")" in word)
        )
    place = 0
    while place < len(word):
        lexeme = _LEXEME.match(word, place)
        if not lexeme:
            return False
        place = lexeme.end()
    return True


def _trimmed(text: str, start: int, stop: int) -> tuple[int, int]:
    """Without punctuation, operators and brackets that belong to the sentence."""
    while start < stop:
        part = text[start:stop]
        first, last = part.split()[0], part.split()[-1]
        opened = sum(map(part.count, "([")) - sum(map(part.count, ")]"))
        if part[-1] in ",.;:!" and not part.endswith("…"):
            stop -= 1
        elif _OPERATOR.match(last) or (opened > 0 and last in _ARTICLES):
            stop -= len(last)
        elif part[0] in "([" and opened > 0:
            start += 1
        elif part[-1] in ")]" and opened < 0:
            stop -= 1
        elif part[0] in ",.;:)]'" or (_OPERATOR.match(first) and first not in "=≤≥≈<>−"):
            start += 1
        elif part[0] == "(" and part[-1] == ")" and _closes(part) == len(part) - 1:
            start, stop = start + 1, stop - 1
        else:
            break
        while start < stop and text[start].isspace():
            start += 1
        while start < stop and text[stop - 1].isspace():
            stop -= 1
    return start, stop


def _closes(part: str) -> int:
    """Where the bracket that stands first is closed."""
    depth = 0
    for place, sign in enumerate(part):
        depth += (sign in "([") - (sign in ")]")
        if depth == 0:
            return place
    return -1


def _typed(formula: str) -> str:
    """A formula as MathML, in pieces between which a line may break; "" where it is none."""
    try:
        return " ".join(_one(piece) for piece in _pieces(formula))
    except ValueError:
        return ""


def _one(piece: str) -> str:
    typed = mathml(_notation(piece))
    typed = typed.replace(f'alttext="{escape(re.sub(r"[{}]", "", _notation(piece)))}"', "alttext=")
    typed = re.sub(r' data-source="[^"]*"', "", typed)
    typed = typed.replace("alttext=", f'alttext="{escape(piece)}"', 1)
    # A sign that begins a piece stands between it and the piece before, after a space of the text.
    typed = re.sub(
        r"(<math[^>]*>)<mo>([−+=≤≥≈≠→←∼]|&[lg]t;)</mo>",
        r'\1<mo form="infix" lspace="0">\2</mo>',
        typed,
        count=1,
    )
    return re.sub(rf"(<mi>(?:{_FUNCTIONS})</mi>)(?=<m(?!o))", r'\1<mspace width=".16em"/>', typed)


def _notation(formula: str) -> str:
    """In the notation of the lessons: scripts by _ and ^."""
    for signs, mark in ((_RAISED, "^"), (_LOWERED, "_")):
        formula = re.sub(
            f"[{''.join(signs)}]+",
            lambda m, s=signs, k=mark: f"{k}{{{''.join(s[c] for c in m[0])}}}",
            formula,
        )
    formula = re.sub(r"([^\W\d_][\u0300-\u036f]?)['′]", r"{\1′}", formula)
    formula = re.sub(r"(?<=[A-Za-z])\*(?![A-Za-z\d])", "^{∗}", formula)
    return re.sub(r"_(\w{2,})", r"_{\1}", formula)


def _pieces(formula: str) -> list[str]:
    """The formula, cut where a line may break."""
    if len(formula) <= _FITS // 2:
        return [formula]
    pieces = _cut(formula, deepest=0, only_before=_BREAKS)
    return [small for piece in pieces for small in _small(piece)]


def _small(piece: str) -> list[str]:
    if len(re.sub(r"[_^{}\s]", "", piece)) <= _FITS:
        return [piece]
    for deepest, only_before in ((1, _BREAKS), (0, ""), (1, ""), (9, "")):
        parts = _cut(piece, deepest, only_before)
        if len(parts) > 1:
            return [small for part in parts for small in _small(part)]
    return [piece]


def _cut(formula: str, deepest: int, only_before: str) -> list[str]:
    """Cut at the spaces inside at most so many brackets, before some signs or before anything."""
    parts, depth, begin = [], 0, 0
    for place, sign in enumerate(formula):
        depth += (sign in "([{") - (sign in ")]}")
        fits = sign == " " and depth <= deepest and place > begin
        if fits and (not only_before or formula[place + 1 : place + 2] in tuple(only_before)):
            if re.match(r"\s*[^\s]*[=+−·×/<>|]\s*$", formula[begin:place]):
                continue  # an operator does not stand at the end of a line
            parts.append(formula[begin:place])
            begin = place + 1
    return [*parts, formula[begin:]]
