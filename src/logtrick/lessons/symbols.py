"""The symbols of the seven lines: what each means, and the page where it is played with."""

from typing import NamedTuple

from logtrick.lessons.mathml import mathml
from logtrick.reports.html import Html, element


class Symbol(NamedTuple):
    """A symbol of the seven lines: its meaning, and the page that explains it."""

    sign: str
    """The symbol as it stands in a formula."""
    name: str
    meaning: str
    page: str
    number: str
    """What its number is, in the garden where the snail wanders; filled by the script."""


SYMBOLS = (
    Symbol("s", "state", "A set of numbers that describes the environment.", "value", "home"),
    Symbol("a", "action", "What is chosen in a state.", "value", "up"),
    Symbol("r", "reward", "What comes in after an action.", "value", "on the salad"),
    Symbol("γ", "discount", "A reward t steps away counts γ to the power t.", "value", ""),
    Symbol(
        "Σ", "sum", "Add up over what stands below: steps, states or actions.", "value", "states"
    ),
    Symbol(
        "𝔼", "average", "The average over walks, which are sampled.", "value", "walks, for example"
    ),
    Symbol("V", "value", "The average return from a state.", "value", "home"),
    Symbol("π", "policy", "The probability of each action in each state.", "policy", "up"),
    Symbol(
        "d", "time", "The share of its time that the policy spends in a state.", "policy", "home"
    ),
    Symbol("θ", "parameters", "The knobs that set the policy: right, up.", "policy", ""),
    Symbol("J", "objective", "What the whole policy is worth.", "policy", "time-weighted"),
    Symbol(
        "∇",
        "gradient",
        "The direction of steepest ascent, one number for each knob.",
        "policy",
        "of J",
    ),
    Symbol("log", "logarithm", "Its slope divides by what it is taken of.", "trick", "of π(up)"),
    Symbol("ψ", "how good", "Whatever stands in for how good an action was.", "ascent", "home, up"),
)


def chips() -> Html:
    """A button for each symbol."""
    return Html(
        "".join(
            element(
                "button",
                Html(mathml(symbol.sign)),
                element("span", symbol.name, class_="unseen"),
                type="button",
                role="radio",
                data_symbol=symbol.sign,
                aria_checked="false",
                tabindex="-1",
            )
            for symbol in SYMBOLS
        )
    )
