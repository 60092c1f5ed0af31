"""The notation bridge: the same quantity here, in the library, and in four sources.

It stands on the notation page, on the printed sheet, and in `docs/notation.md`, which a test holds
to `markdown`.
"""

from typing import NamedTuple

from logtrick.lessons.mathml import mathml
from logtrick.reports.html import Html, element
from logtrick.support.markdown import markdown_table


class Notation(NamedTuple):
    """How each source writes one quantity; empty where a source has no symbol for it."""

    meaning: str
    code: str
    here: str
    sutton_barto: str
    cs234: str
    gae: str
    spinning_up: str
    number: str = ""
    """The live number that it has in the garden, if it has one."""


ROWS = (
    Notation(
        "state, action", "state, action", "s_t, a_t", "S_t, A_t", "s_t, a_t", "s_t, a_t",
        "s_t, a_t",
    ),
    Notation("reward after the action", "reward", "r_t", "R_{t+1}", "r_t", "r_t", "r_t"),
    Notation("discount factor", "gamma", "γ", "γ", "γ", "γ", "γ", "gamma"),
    Notation("start distribution", "start", "ρ(s)", "h(s)", "", "ρ_0(s)", "ρ_0(s)"),
    Notation(
        "transitions", "transitions", "P(s'|s,a)", "p(s',r|s,a)", "P(s'|s,a)", "P(s_{t+1}|s_t,a_t)",
        "P(s_{t+1}|s_t,a_t)",
    ),
    Notation(
        "policy (home, up)", "policy", "π_θ(a|s)", "π(a|s,θ)", "π_θ(s,a)", "π_θ(a_t|s_t)",
        "π_θ(a_t|s_t)", "policy",
    ),
    Notation(
        "return from t", "reward_to_go", "Σ_{k≥t} γ^{k−t} r_k", "G_t", "G_t", "Σ_l γ^l r_{t+l}",
        "R(τ)",
    ),
    Notation(
        "state value (home)", "state_values", "V_π(s)", "v_π(s)", "V^π(s)", "V^{π,γ}(s_t)",
        "V^π(s)", "value",
    ),
    Notation(
        "action value (home, up)", "action_values", "Q_π(s,a)", "q_π(s,a)", "Q^π(s,a)",
        "Q^{π,γ}(s_t,a_t)", "Q^π(s,a)", "q",
    ),
    Notation(
        "advantage (home, up)", "advantages", "A_π(s,a)", "", "A^π(s,a)", "A^{π,γ}(s_t,a_t)",
        "A^π(s,a)", "advantage",
    ),
    Notation("TD residual", "td_error", "δ_t", "δ_t", "δ_t", "δ_t^V", "δ_t^V"),
    Notation("discounted visits (home)", "visitation", "η_γ(s)", "η(s)", "", "", "", "visits"),
    Notation(
        "share of time (home)", "stationary_distribution", "d_π(s)", "μ(s)", "d^π(s)", "", "",
        "time",
    ),
    Notation("objective", "objective", "J(θ)", "J(θ)", "V(θ)", "", "J(π_θ)", "objective"),
    Notation("average reward", 'objective(kind="average")', "r̄", "r(π)", "", "", "", "gain"),
    Notation("how good the action was", "psi", "ψ_t", "G_t−b(S_t)", "Â_t", "Ψ_t", "Φ_t"),
    Notation(
        "score (up, by θ_up)", "score_function", "∇log π_θ(a|s)", "∇ln π(a|s,θ)",
        "∇_θ log π_θ(s,a)", "∇_θ log π_θ(a_t|s_t)", "∇_θ log π_θ(a_t|s_t)", "score",
    ),
    Notation("trace parameter", "lambda_", "λ", "λ", "λ", "λ", "λ"),
)  # fmt: skip
SOURCES = ("these pages", "Sutton & Barto", "CS234 (2019)", "GAE paper", "Spinning Up")


def _cells(row: Notation) -> tuple[str, ...]:
    return row[2:7]


def table(*, live: bool = True) -> Html:
    """The bridge as a table; on a phone each row becomes a small block.

    Args:
        live: with the column of numbers, which a script fills.
    """
    titles = ("quantity", *SOURCES, *(["here, now"] if live else []))
    heads = [element("th", words, scope="col") for words in titles]
    body = (_row(row, live) for row in ROWS)
    head = element("thead", element("tr", *heads, role="row"), role="rowgroup")
    return element(
        "table", head, element("tbody", *body, role="rowgroup"), class_="bridge", role="table"
    )


def _row(row: Notation, live: bool) -> Html:
    cells = [
        element("td", _formula(notation), data_label=source, role="cell", **_empty(notation))
        for source, notation in zip(SOURCES, _cells(row), strict=True)
    ]
    number = element("span", data_live=row.number) if row.number else "–"
    kind = "n" if row.number else "n empty"
    if live:
        cells.append(element("td", number, class_=kind, data_label="here, now", role="cell"))
    head = element("th", _typeset(row.meaning), scope="row", role="rowheader")
    return element("tr", head, *cells, role="row")


def _empty(notation: str) -> dict[str, str]:
    return {} if notation else {"class_": "empty"}


def markdown() -> str:
    """The bridge as a table in Markdown, with the names in the code.

    Example:
        >>> print(markdown().splitlines()[2])
        | state, action | `state, action` | s_t, a_t | S_t, A_t | s_t, a_t | s_t, a_t | s_t, a_t |
    """
    titles = ("quantity", "in code", "here", *SOURCES[1:])
    rows = []
    for row in ROWS:
        meaning = row.meaning.partition(" (")[0]
        rows.append((meaning, f"`{row.code}`", *(cell or "—" for cell in _cells(row))))
    return markdown_table(titles, rows)


def _typeset(words: str) -> Html:
    """Words in which θ_up is a formula."""
    before, symbol, after = words.partition("θ_up")
    return element("span", before, *([_formula(symbol)] if symbol else []), after)


def _formula(notation: str) -> Html:
    return Html(mathml(notation)) if notation else Html("–")
