"""The seven lines: as introductions print them, in ψ, and what each is under three readings."""

from collections.abc import Sequence
from typing import NamedTuple

from logtrick.lessons.mathml import displayed, mathml
from logtrick.reports.html import Html, element


class Printed(NamedTuple):
    """One of D1 … D7 as it is printed, and the reason that is given for it."""

    formula: str
    reason: str


#: The reasons are the usual ones; line 7 gets the one that introductions leave out.
PRINTED = (
    Printed("∇J = ∇ Σ_s d V", "Start from the objective."),
    Printed("= Σ_s d ∇V", "d can be pulled out."),
    Printed("= Σ_s d ∇ (Σ_a π ψ)", "Approximate V with a function ψ."),
    Printed("= Σ_s d Σ_a ψ ∇π", "ψ is independent of θ."),
    Printed("= Σ_s d Σ_a π ψ ∇log π", "The log trick; d π is the joint probability."),
    Printed("= 𝔼[ ψ ∇log π ]", "Sums become samples."),
    Printed("= 𝔼[ Σ_t ψ_t ∇log π(a_t|s_t) ]", "One walk passes many states: sum."),
)

#: What is exact and what is loose about each line, under each reading.
AUDIT: dict[str, Sequence[str]] = {
    "start": (
        "The weight is ρ, the start.",
        "Exact: ρ has no θ.",
        "Exact with ψ = Q, which still moves.",
        "Exact: unrolling ∇ψ turns ρ into visits η.",
        "Exact.",
        "Exact, per visit: divided by Σ η.",
        "Exact, with γᵗ.",
    ),
    "stationary": (
        "True: both move.",
        "Loose: Σ V ∇d was dropped.",
        "Same: ψ still moves.",
        "Frozen: shrinks by 1−γ.",
        "Exact.",
        "Exact.",
        "Times 1/(1−γ).",
    ),
    "average": (
        "A constant, r̄, stands for V.",
        "Exact: a constant times Σ ∇d is 0.",
        "Exact, written out.",
        "Exact: a step leaves d as it is.",
        "Exact.",
        "Exact.",
        "Exact, per step.",
    ),
}


class SplitLine(NamedTuple):
    """One of D1 … D7 under a reading: a sum of terms, some of which can be deleted, and why."""

    before: str
    """What stands in front of the terms, such as "𝔼"."""
    terms: Sequence[str]
    why: str


READINGS: dict[str, Sequence[SplitLine]] = {
    "start": (
        SplitLine("∇ Σ_s ρ V =", ("Σ_s V ∇ρ", "Σ_s ρ ∇V"), "The product rule. ρ has no θ in it."),
        SplitLine("", ("Σ_s ρ ∇V",), "So its term is 0, and the weight may be pulled out."),
        SplitLine(
            "Σ_s ρ ∇ Σ_a π Q =",
            ("Σ_s ρ Σ_a Q ∇π", "Σ_s ρ Σ_a π ∇Q"),
            "V = Σ π Q, and the product rule again.",
        ),
        SplitLine(
            "Σ_s η Σ_a Q ∇π =",
            ("Σ_s ρ Σ_a Q ∇π", "Σ_s (η−ρ) Σ_a Q ∇π"),
            "∇Q contains the next ∇V, that one the next: unrolled, ρ turns into the visits η.",
        ),
        SplitLine(
            "Σ_s η Σ_a π Q ∇log π =",
            ("Σ_s η Σ_a π R ∇log π", "γ Σ_s η Σ_a π P V ∇log π"),
            "The log trick, ∇π = π ∇log π. Q is the reward now and the value later.",
        ),
        SplitLine(
            "𝔼_{s∼η/Ση}[Q ∇log π] =",
            ("𝔼[A ∇log π]", "𝔼[V ∇log π]"),
            "Sums become samples, per visit. V is a baseline: its term is 0.",
        ),
        SplitLine(
            "𝔼[Σ_t γ^t Q ∇log π] =",
            ('𝔼[Q ∇log π] " at " t=0', "𝔼[Σ_{t≥1} γ^t Q ∇log π]"),
            "Along a walk. The discount that was inside η is now γᵗ.",
        ),
    ),
    "stationary": (
        SplitLine(
            "∇ Σ_s d V =",
            ("Σ_s V ∇d", "Σ_s d ∇V"),
            "The product rule. d does depend on θ.",
        ),
        SplitLine("", ("Σ_s d ∇V",), "“The weight can be pulled out”: the first term was dropped."),
        SplitLine(
            "Σ_s d ∇ Σ_a π Q =",
            ("Σ_s d Σ_a Q ∇π", "Σ_s d Σ_a π ∇Q"),
            "V = Σ π Q, and the product rule again.",
        ),
        SplitLine(
            "Σ_s d Σ_a Q ∇π =",
            ("Σ_s d Σ_a R ∇π", "γ Σ_s d Σ_a P V ∇π"),
            "Q is frozen. What goes is γ times line D3: that rescales, and does not turn (I3).",
        ),
        SplitLine(
            "Σ_s d Σ_a π Q ∇log π =",
            ("Σ_s d Σ_a π R ∇log π", "γ Σ_s d Σ_a π P V ∇log π"),
            "The log trick, ∇π = π ∇log π.",
        ),
        SplitLine(
            "𝔼_{s∼d}[Q ∇log π] =",
            ("𝔼[A ∇log π]", "𝔼[V ∇log π]"),
            "Sums become samples. V is a baseline: its term is 0.",
        ),
        SplitLine(
            "𝔼[Σ_t γ^t Q ∇log π] =",
            ('𝔼[Q ∇log π] " at " t=0', "𝔼[Σ_{t≥1} γ^t Q ∇log π]"),
            "Along a walk from d. Every step looks like the first, so it is 1/(1−γ) times D6.",
        ),
    ),
    "average": (
        SplitLine(
            "∇ Σ_s d u =",
            ("Σ_s u ∇d", "Σ_s d ∇u"),
            "Here u = r + P h − h stands for V. It is r̄ in every state, a constant.",
        ),
        SplitLine(
            "", ("Σ_s d ∇u",), "A constant times Σ ∇d is 0, so conservation is all it takes."
        ),
        SplitLine(
            "Σ_s d ∇ (Σ_a π (R+P h) − h) =",
            ("Σ_s d Σ_a (R+P h) ∇π", "Σ_s d (P ∇h − ∇h)"),
            "Written out. The second term is 0 because a step leaves d as it is.",
        ),
        SplitLine(
            "Σ_s d Σ_a Q̃ ∇π =",
            ("Σ_s d Σ_a R ∇π", "Σ_s d Σ_a P h ∇π"),
            "Q̃ = R − r̄ + P h. Taking off r̄ changes nothing: Σ ∇π = 0.",
        ),
        SplitLine(
            "Σ_s d Σ_a π Q̃ ∇log π =",
            ("Σ_s d Σ_a π R ∇log π", "Σ_s d Σ_a π P h ∇log π"),
            "The log trick, ∇π = π ∇log π.",
        ),
        SplitLine(
            "𝔼_{s∼d}[Q̃ ∇log π] =",
            ("𝔼[(Q̃−h) ∇log π]", "𝔼[h ∇log π]"),
            "Sums become samples. h is a baseline: its term is 0.",
        ),
        SplitLine("𝔼[Q̃ ∇log π] =", ("𝔼[Q̃ ∇log π]",), "Along a walk, per step."),
    ),
}


def seven() -> Html:
    """The seven lines without reasons and numbers."""
    return element(
        "ol", *(element("li", Html(displayed(line.formula))) for line in PRINTED), class_="seven"
    )


def table() -> Html:
    """The seven lines with their reasons; beside each what the chosen reading makes of it."""
    items = (_printed(number, line) for number, line in enumerate(PRINTED, 1))
    return element("ol", *items, class_="printed")


def _printed(number: int, line: Printed) -> Html:
    name = f"D{number}"
    notes = (
        element("p", notes[number - 1], class_="note", data_reading=reading, **hidden)
        for reading, notes in AUDIT.items()
        for hidden in ([{}] if reading == "stationary" else [{"hidden": ""}])
    )
    numbers = element(
        "p",
        element("span", data_live=name, class_="vector"),
        element("span", data_live=f"{name}-verdict", class_="verdict"),
        class_="sum",
    )
    return element(
        "li",
        element("button", name, type="button", data_line=name, class_="pick"),
        element(
            "div",
            Html(displayed(line.formula)),
            element("p", line.reason, class_="why"),
            class_="says",
        ),
        element("div", numbers, *notes, class_="audit", data_after_answer=""),
    )


def terms() -> Html:
    """The lines of all readings, term by term; the page shows one reading."""
    return Html("".join(_reading(name, lines) for name, lines in READINGS.items()))


def _reading(name: str, lines: Sequence[SplitLine]) -> Html:
    items = (_line(f"{name}-D{i}", line) for i, line in enumerate(lines, 1))
    hidden = {} if name == "stationary" else {"hidden": ""}
    return element("ol", *items, class_="lines", data_reading=name, **hidden)


def _line(name: str, line: SplitLine) -> Html:
    parts: list[Html] = [_formula(line.before)] if line.before else []
    for i, term in enumerate(line.terms):
        if i:
            parts.append(element("span", "+", class_="plus"))
        parts.append(
            element(
                "button",
                element("span", "delete ", class_="unseen"),
                _formula(term),
                element("span", data_live=f"{name}-{i}"),
                type="button",
                data_term=f"{name}-{i}",
                aria_pressed="false",
            )
        )
    head = element("b", name.partition("-")[2])
    left = element(
        "p", "left: ", element("span", data_live=f"{name}-left", class_="vector"), class_="sum"
    )
    return element(
        "li",
        head,
        element("div", *parts, class_="terms"),
        left,
        element("p", line.why, class_="why"),
    )


def _formula(notation: str) -> Html:
    return Html(mathml(notation))
