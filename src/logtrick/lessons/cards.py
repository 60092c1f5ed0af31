"""The cards: a symbol and its meaning, a formula and the names of its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from logtrick.lessons.mathml import displayed, mathml


@dataclass(frozen=True)
class Card:
    """What is on the two sides."""

    name: str
    page: int
    """The page that introduces it, 1 … 4."""
    front: str
    """In the notation of `mathml`."""
    meaning: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Of a formula: notation -> what it is called."""


CARDS = (
    Card("state", 1, "s", "State: a set of numbers that describes the environment."),
    Card("action", 1, "a", "Action: what is chosen in a state."),
    Card("reward", 1, "r_t", "Reward: what comes in after the action at step t."),
    Card("gamma", 1, "γ", "Discount factor: a reward t steps away counts γ to the power t."),
    Card("value", 1, "V_π(s)", "Value: the average return from s when π chooses."),
    Card(
        "value-formula",
        1,
        "V_π(s) = 𝔼[ Σ_{t=0}^∞ γ^t r_t | s_0 = s ]",
        parts={
            "V_π(s)": "the value of s under π",
            "𝔼": "the average over all walks",
            "γ^t": "how much step t counts",
            "r_t": "the reward at step t",
            "s_0 = s": "all walks start in s",
        },
    ),
    Card("policy", 2, "π(a|s)", "Policy: the probability of action a in state s."),
    Card("stationary", 2, "d_π(s)", "The share of its time that π spends in s, in the long run."),
    Card(
        "visits",
        2,
        "η_γ(s)",
        "Discounted visits: how often s is seen from the start, step t counting γ to the power t.",
    ),
    Card(
        "objective", 2, "J(θ)", "Objective: what the policy with parameters θ is worth, one number."
    ),
    Card(
        "objective-formula",
        2,
        "J = Σ_s ρ(s) V_π(s) = Σ_s η_γ(s) r_π(s)",
        parts={
            "ρ(s)": "the chance to start in s",
            "V_π(s)": "what s is worth",
            "η_γ(s)": "discounted visits to s",
            "r_π(s)": "the expected reward in s",
        },
    ),
    Card(
        "theta",
        3,
        "θ",
        "Parameters: the numbers that can be turned; the policy is what they make it.",
    ),
    Card(
        "score",
        3,
        "∇log π_θ(a|s)",
        "Score: the direction in θ that makes action a in s more probable.",
    ),
    Card("psi", 3, "ψ_t", "Whatever stands in for how good the action at step t was."),
    Card(
        "advantage",
        3,
        "A(s,a)",
        "Advantage Q − V: how much better a is than the average action.",
    ),
    Card(
        "gradient-formula",
        3,
        "∇J(θ) = 𝔼[ Σ_t γ^t ψ_t ∇log π_θ(a_t|s_t) ]",
        parts={
            "∇J(θ)": "the direction in which J grows fastest",
            "𝔼": "the average over walks of this policy",
            "γ^t": "how much step t counts",
            "ψ_t": "how good the action was",
            "∇log π_θ(a_t|s_t)": "what makes that action more probable",
        },
    ),
    Card("gain", 4, "r̄", "Gain: reward per step in the long run."),
    Card(
        "log-trick",
        4,
        "∇π = π ∇log π",
        "The log trick: it turns a sum over actions into an average over sampled ones.",
    ),
    Card(
        "conservation",
        4,
        "Σ_s ∇d(s) = 0",
        "Conservation: what one state gains in visits the others lose.",
    ),
    Card(
        "levelling",
        4,
        "(1−γ) V_γ(s) → r̄",
        "Levelling: as γ goes to 1, all states become worth the same.",
    ),
)


def deck(page: int) -> list[dict[str, Any]]:
    """The cards that a page carries: its own, and some of each earlier page, one to three later.

    The rest are carried too, and come only if they were missed.

    Args:
        page: 1 … 4, or 0 for all of them.
    """
    known = [(i, card) for i, card in enumerate(CARDS) if page == 0 or card.page <= page]
    return [
        {
            "name": card.name,
            "due": page in (0, card.page, card.page + 1 + i % 3),
            "face": displayed(card.front),
            "answer": _answer(card),
            "parts": bool(card.parts),
        }
        for i, card in sorted(known, key=lambda one: -one[1].page)
    ]


def _answer(card: Card) -> str:
    if not card.parts:
        return f"<p>{escape(card.meaning)}</p>"
    rows = (
        f"<div><dt>{mathml(notation)}</dt><dd>{escape(meaning)}</dd></div>"
        for notation, meaning in card.parts.items()
    )
    return f'<dl class="parts">{"".join(rows)}</dl>'
