"""Pages for paper: the sheet of symbols and lines, and the answers. They have no scripts."""

from html import escape

from logtrick.lessons import bridge, exercises
from logtrick.lessons.documents import printed
from logtrick.lessons.lines import PRINTED
from logtrick.lessons.mathml import displayed, mathml
from logtrick.lessons.symbols import SYMBOLS


def sheet() -> str:
    """The symbols, the seven lines with their reasons, and the bridge, to print."""
    symbols = "".join(
        f"<div><dt>{mathml(one.sign)}</dt>"
        f"<dd><b>{escape(one.name)}</b> {escape(one.meaning)}</dd></div>"
        for one in SYMBOLS
    )
    lines = "".join(
        f"<li>{displayed(line.formula)}<p>{escape(line.reason)}</p></li>" for line in PRINTED
    )
    body = (
        "<h1>The policy gradient on one sheet</h1>"
        f'<h2>Symbols</h2><dl class="sheet-symbols">{symbols}</dl>'
        f'<h2>Seven lines</h2><ol class="sheet-lines">{lines}</ol>'
        "<p>Exact with start weights ρ, ψ = Q and γᵗ in the last line; exact for the average "
        "reward with ψ = Q̃. With time weights and a discounted V line 2 drops Σ V ∇d, which "
        "fades as γ goes to 1.</p>"
        f"<h2>The same in other books</h2>{bridge.table(live=False)}"
    )
    return printed("The policy gradient on one sheet", body)


def answers() -> str:
    """Every exercise with its worked solution, to print."""
    return printed(
        "Exercises with answers", f"<h1>Exercises with answers</h1>{exercises.answers()}"
    )
