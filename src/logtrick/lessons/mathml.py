"""Formulas: from the linear notation of the docstrings to MathML.

    Σ_s η(s) Σ_a Q(s,a) ∇π(a|s)         a sum takes its index below; _ and ^ bind one atom
    γ^{t+1}                             braces group
    frac{1}{1−γ}                        a fraction
    r̄  Q̃                                combining marks stand over their letter
    "in words"                          text

A symbol that has a colour in the pictures (γ, V, π, d, J, ψ) has the same one in every formula,
which is why this is not left to a library that reads TeX; and our formulas are plain.
"""

import re
from collections.abc import Iterator
from html import escape

_TOKEN = re.compile(
    r"""(?P<space>\s+)|"(?P<text>[^"]*)"|(?P<fraction>frac(?=\{))|(?P<accent>\w[\u0303\u0304\u0302])|(?P<number>\d+(?:\.\d+)?|\.\d+)
    |(?P<word>[A-Za-z]{2,})|(?P<letter>[^\W\d_]|[∞∇])|(?P<mark>[_^{}])|(?P<operator>.)""",
    re.VERBOSE,
)
_ACCENTS = {"\u0303": "~", "\u0304": "‾", "\u0302": "^"}
_SUMS = "Σ"
_RELATIONS = "=→←"
#: What has one colour on every page, in formulas as in pictures.
_COLOURS = {
    "γ": "gamma",
    "V": "value",
    "π": "policy",
    "η": "visits",
    "d": "visits",
    "J": "objective",
    "ψ": "psi",
    "Q": "psi",
    "δ": "psi",
    "A": "psi",
}
_FENCES = "()[]|‖"
_CLOSING = {"(": ")", "[": "]"}


def mathml(notation: str) -> str:
    """A formula as a `<math>` element.

    Args:
        notation: as in the module's docstring.

    Raises:
        ValueError: a brace that is not closed, or a script without anything to stand on.

    Example:
        >>> mathml("γ^t")
        '<math alttext="γ^t"><msup><mi class="gamma">γ</mi><mi>t</mi></msup></math>'
    """
    tokens = list(_tokens(notation))
    body = "".join(_row(tokens))
    if tokens:
        raise ValueError(f"{notation!r}: a closing brace too many")
    spoken = re.sub(r'["{}]', "", notation)
    source = "" if spoken == notation else f' data-source="{escape(notation)}"'
    return f'<math alttext="{escape(spoken)}"{source}>{body}</math>'


def displayed(notation: str) -> str:
    """A formula on a line of its own, in pieces that go on the next line where one is too narrow.

    A line that is too long for a phone would have to scroll, and nothing that scrolls can be
    reached with the keyboard unless it stops there. So it is broken before each relation.

    Args:
        notation: as in the module's docstring.

    Example:
        >>> displayed("V = r").count("<math ")
        2
    """
    pieces = " ".join(
        mathml(piece).replace("<math ", '<math displaystyle="true" ', 1)
        for piece in _pieces(notation)
    )
    return f'<div class="formula">{pieces}</div>'


def _pieces(notation: str) -> Iterator[str]:
    """The notation, cut before relations and words that stand in no bracket."""
    depth, begin, quoted = 0, 0, False
    for i, sign in enumerate(notation):
        if sign == '"':
            quoted = not quoted
        breaks = sign in _RELATIONS or (sign == '"' and quoted)
        if breaks and depth == 0 and notation[begin:i].strip():
            yield notation[begin:i]
            begin = i
        depth += (sign in "([{") - (sign in ")]}")
    yield notation[begin:]


def _tokens(notation: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(notation):
        kind = match.lastgroup or ""
        if kind != "space":
            yield kind, match[kind]


def _row(tokens: list[tuple[str, str]]) -> Iterator[str]:
    """Scripted atoms up to the end or a closing brace."""
    while tokens and tokens[0] != ("mark", "}"):
        yield _scripted(tokens)


def _scripted(tokens: list[tuple[str, str]]) -> str:
    is_sum = tokens[0][1] == _SUMS
    base, below, above = _atom(tokens), "", ""
    while tokens and tokens[0] in (("mark", "_"), ("mark", "^")):
        _, mark = tokens.pop(0)
        if mark == "_":
            below = _atom(tokens)
        else:
            above = _atom(tokens)
    under, over, both = ("munder", "mover", "munderover") if is_sum else ("msub", "msup", "msubsup")
    if below and above:
        return f"<{both}>{base}{below}{above}</{both}>"
    if below:
        return f"<{under}>{base}{below}</{under}>"
    return f"<{over}>{base}{above}</{over}>" if above else base


def _atom(tokens: list[tuple[str, str]]) -> str:
    if not tokens:
        raise ValueError("the formula ends where something was to follow")
    kind, text = tokens.pop(0)
    match kind:
        case "text":
            return f"<mtext>{escape(text)}</mtext>"
        case "fraction":
            return f"<mfrac><mrow>{_group(tokens)}</mrow><mrow>{_group(tokens)}</mrow></mfrac>"
        case "accent":
            mark = f'<mo stretchy="false" scriptlevel="0">{_ACCENTS[text[1]]}</mo>'
            return f"<mover>{_letter(text[0])}{mark}</mover>"
        case "number":
            return f"<mn>{text}</mn>"
        case "operator" if text in _CLOSING and ("operator", _CLOSING[text]) in tokens:
            return _bracketed(text, tokens)
        case "mark" if text == "{":
            tokens.insert(0, (kind, text))
            return f"<mrow>{_group(tokens)}</mrow>"
        case "mark":
            raise ValueError(f"{text!r} stands on nothing")
    return _symbol(kind, text)


def _symbol(kind: str, text: str) -> str:
    if text == _SUMS:
        return '<mo largeop="true" movablelimits="true">∑</mo>'
    if text == "∇":
        return '<mi mathvariant="normal">∇</mi>'
    if kind in ("word", "letter"):
        return _letter(text)
    if text in _FENCES:
        return f'<mo stretchy="false">{text}</mo>'
    return f"<mo>{escape(text)}</mo>"


def _letter(text: str) -> str:
    colour = _COLOURS.get(text)
    return f'<mi class="{colour}">{text}</mi>' if colour else f"<mi>{text}</mi>"


def _bracketed(opening: str, tokens: list[tuple[str, str]]) -> str:
    """Brackets and what they hold: as tall as a sum or a fraction inside, else as letters are."""
    closing, inside = ("operator", _CLOSING[opening]), ""
    while tokens and tokens[0] not in (closing, ("mark", "}")):
        inside += _scripted(tokens)
    if not tokens or tokens[0] != closing:
        return _symbol("operator", opening) + inside
    tokens.pop(0)
    tall = any(mark in inside for mark in ("<munder", "<mfrac"))
    how = "" if tall else ' stretchy="false"'
    return f"<mrow><mo{how}>{opening}</mo>{inside}<mo{how}>{closing[1]}</mo></mrow>"


def _group(tokens: list[tuple[str, str]]) -> str:
    """The inside of the braces that come next."""
    if not tokens or tokens.pop(0) != ("mark", "{"):
        raise ValueError("braces were to follow")
    inside = "".join(_row(tokens))
    if not tokens:
        raise ValueError("a brace is not closed")
    tokens.pop(0)
    return inside
