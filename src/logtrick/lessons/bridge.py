"""The notation bridge: the same quantity in these pages and in three sources."""

from typing import NamedTuple

from logtrick.lessons.mathml import mathml
from logtrick.report import Html, element


class Row(NamedTuple):
    """One quantity; an empty cell where a source has no symbol for it."""

    meaning: str
    here: str
    sutton_barto: str
    cs234: str
    gae: str
    number: str = ""
    """The live number that it has in the garden, if it has one."""


ROWS = (
    Row("state, action", "s_t, a_t", "S_t, A_t", "s_t, a_t", "s_t, a_t"),
    Row("reward after the action", "r_t", "R_{t+1}", "r_t", "r_t"),
    Row("discount factor", "γ", "γ", "γ", "γ", "gamma"),
    Row("start distribution", "ρ(s)", "", "", "ρ_0(s)"),
    Row("transitions", "P(s'|s,a)", "p(s',r|s,a)", "P(s'|s,a)", "P(s_{t+1}|s_t,a_t)"),
    Row("policy", "π_θ(a|s)", "π(a|s,θ)", "π_θ(s,a)", "π_θ(a_t|s_t)", "policy"),
    Row("return from t", "Σ_{k≥t} γ^{k−t} r_k", "G_t", "G_t", "Σ_l γ^l r_{t+l}"),
    Row("state value (home)", "V_π(s)", "v_π(s)", "V^π(s)", "V^{π,γ}(s_t)", "value"),
    Row("action value (home, up)", "Q_π(s,a)", "q_π(s,a)", "Q^π(s,a)", "Q^{π,γ}(s_t,a_t)", "q"),
    Row("advantage (home, up)", "A_π(s,a)", "", "A^π(s,a)", "A^{π,γ}(s_t,a_t)", "advantage"),
    Row("TD residual", "δ_t", "δ_t", "δ_t", "δ_t^V"),
    Row("discounted visits (home)", "η_γ(s)", "η(s)", "", "", "visits"),
    Row("share of time (home)", "d_π(s)", "μ(s)", "d^π(s)", "", "time"),
    Row("objective", "J(θ)", "J(θ)", "V(θ)", "", "objective"),
    Row("average reward", "r̄", "r(π)", "", "", "gain"),
    Row("how good was the action", "ψ_t", "G_t−b(S_t)", "Â_t", "Ψ_t"),
    Row(
        "score (up, by θ_up)",
        "∇log π_θ(a|s)",
        "∇ln π(a|s,θ)",
        "∇_θ log π_θ(s,a)",
        "∇_θ log π_θ(a_t|s_t)",
        "score",
    ),
    Row("trace parameter", "λ", "λ", "λ", "λ"),
)
SOURCES = ("these pages", "Sutton & Barto", "CS234 (2019)", "GAE paper")


def table() -> Html:
    """The bridge as a table; on a phone each row becomes a small block."""
    heads = [element("th", words, scope="col") for words in ("", *SOURCES, "here, now")]
    body = (_row(row) for row in ROWS)
    head = element("thead", element("tr", *heads, role="row"), role="rowgroup")
    return element(
        "table", head, element("tbody", *body, role="rowgroup"), class_="bridge", role="table"
    )


def _row(row: Row) -> Html:
    cells = [
        element("td", _formula(notation), data_label=source, role="cell")
        for source, notation in zip(SOURCES, row[1:5], strict=True)
    ]
    number = element("span", data_live=row.number) if row.number else "–"
    kind = "n" if row.number else "n empty"
    return element(
        "tr",
        element("th", _typeset(row.meaning), scope="row", role="rowheader"),
        *cells,
        element("td", number, class_=kind, data_label="here, now", role="cell"),
        role="row",
    )


def _typeset(words: str) -> Html:
    """Words in which θ_up is a formula."""
    before, symbol, after = words.partition("θ_up")
    return element("span", before, *([_formula(symbol)] if symbol else []), after)


def _formula(notation: str) -> Html:
    return Html(mathml(notation)) if notation else Html("–")
