"""The cards: a symbol and its meaning, a formula and the names of its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from logtrick.lessons.mathml import displayed, mathml


@dataclass(frozen=True)
class Card:
    """A card to learn with: a formula in front, its meaning on the back."""

    name: str
    page: int
    """The page that introduces it, 1 … 6."""
    front: str
    """The formula, in the notation of `mathml`."""
    meaning: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    """The parts of the formula: notation -> name."""


CARDS = (
    Card("state", 1, "s", "State: a set of numbers that describes the environment."),
    Card("action", 1, "a", "Action: what is chosen in a state."),
    Card("reward", 1, "r_t", "Reward: what comes in after the action at step t."),
    Card("gamma", 1, "γ", "Discount factor: a reward t steps away counts it to the power t."),
    Card(
        "expectation",
        1,
        "𝔼",
        "The average over everything that may happen; in practice over samples.",
    ),
    Card("value", 1, "V_π(s)", "Value: the average return from a state when the policy chooses."),
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
    Card("policy", 2, "π(a|s)", "Policy: the probability of each action in each state."),
    Card(
        "stationary",
        2,
        "d_π(s)",
        "The share of its time that the policy spends in a state, in the long run.",
    ),
    Card(
        "visits",
        2,
        "η_γ(s)",
        "Discounted visits: how often a state is seen from the start, later steps counting less.",
    ),
    Card(
        "objective",
        2,
        "J(θ)",
        "Objective: what the policy with these parameters is worth, one number.",
    ),
    Card(
        "theta",
        2,
        "θ",
        "Parameters: the knobs that can be turned; the policy is what they make it.",
    ),
    Card(
        "nabla",
        2,
        "∇J",
        "Gradient: how fast the objective climbs with each knob; the steepest way up.",
    ),
    Card(
        "score",
        3,
        "∇log π_θ(a|s)",
        "Score: the direction of the knobs that makes an action more probable.",
    ),
    Card(
        "log-trick",
        3,
        "∇π = π ∇log π",
        "The log trick: it turns a sum over actions into an average over sampled ones.",
    ),
    Card("psi", 4, "ψ_t", "Whatever stands in for how good the action at step t was."),
    Card("advantage", 4, "A(s,a)", "Advantage: how much better an action is than the average one."),
    Card(
        "residual", 4, "δ_t", "TD residual: what came in, and where it led, less what was expected."
    ),
    Card("lambda", 4, "λ", "How far GAE looks ahead before it trusts the critic."),
    Card(
        "gradient-formula",
        4,
        "∇J(θ) = 𝔼[ Σ_t γ^t ψ_t ∇log π_θ(a_t|s_t) ]",
        parts={
            "∇J(θ)": "the direction in which J grows fastest",
            "𝔼": "the average over walks of this policy",
            "γ^t": "how much step t counts",
            "ψ_t": "how good the action was",
            "∇log π_θ(a_t|s_t)": "what makes that action more probable",
        },
    ),
    Card("gain", 5, "r̄", "Average reward: what comes in per step, in the long run."),
    Card(
        "objective-formula",
        5,
        "J = Σ_s ρ(s) V_π(s) = Σ_s η_γ(s) r_π(s)",
        parts={
            "ρ(s)": "the chance to start in s",
            "V_π(s)": "what s is worth",
            "η_γ(s)": "discounted visits to s",
            "r_π(s)": "the expected reward in s",
        },
    ),
    Card(
        "conservation",
        6,
        "Σ_s ∇d(s) = 0",
        "Conservation: what one state gains in visits the others lose.",
    ),
    Card(
        "levelling",
        6,
        "(1−γ) V_γ(s) → r̄",
        "Levelling: as the discount factor goes to 1, all states become worth the same.",
    ),
)


def deck(page: int) -> list[dict[str, Any]]:
    """The cards that a page carries: its own, from the symbol; earlier ones, from the meaning.

    The rest are carried too, and come only if they were missed.

    Args:
        page: 1 … 6, or 0 for all of them.
    """
    known = [(i, card) for i, card in enumerate(CARDS) if page == 0 or card.page <= page]
    found = []
    for i, card in sorted(known, key=lambda one: -one[1].page):
        found.append(_side(card, due=page in (0, card.page)))
        if not card.parts:
            found.append(_back(card, due=page in (0, card.page + 1 + i % 3)))
    return found


def _side(card: Card, *, due: bool) -> dict[str, Any]:
    """From the symbol, or the formula, to what it means."""
    question = "Name each part, aloud or in your head." if card.parts else "What does it stand for?"
    return {
        "name": card.name,
        "due": due,
        "question": question,
        "face": displayed(card.front),
        "answer": _answer(card),
    }


def _back(card: Card, *, due: bool) -> dict[str, Any]:
    """From the meaning to the symbol."""
    head, colon, tail = card.meaning.partition(": ")
    meaning = tail if colon and len(tail) > 12 else head
    return {
        "name": f"{card.name}-back",
        "due": due,
        "question": "How is it written?",
        "face": f"<p>{escape(meaning[0].upper() + meaning[1:])}</p>",
        "answer": displayed(card.front),
    }


def _answer(card: Card) -> str:
    if not card.parts:
        return f"<p>{escape(card.meaning)}</p>"
    rows = (
        f"<div><dt>{mathml(notation)}</dt><dd>{escape(meaning)}</dd></div>"
        for notation, meaning in card.parts.items()
    )
    return f'<dl class="parts">{"".join(rows)}</dl>'
