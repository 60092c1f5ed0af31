"""The exercises: what each asks, what one answers with, and its worked solution.

The practice page grades; `logtrick learn --answers` prints questions and solutions for teachers.
Texts are as in the templates: `<f>γ</f>` is a formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from logtrick.lessons.lines import PRINTED
from logtrick.report import Html


@dataclass(frozen=True)
class Exercise:
    """One exercise."""

    title: str
    question: str
    control: str
    """What the answer is given with, as HTML."""
    solution: str


def _typed(number: int, words: str) -> str:
    return (
        f'<label class="check"><span>{words}</span> <input type="text" name="a{number}" '
        'inputmode="text" autocomplete="off" size="10"></label>'
    )


def _choices(number: int, legend: str, options: Sequence[tuple[str, str]]) -> str:
    labels = "".join(
        f'<label><input type="radio" name="a{number}" value="{value}"><span>{words}</span></label>'
        for value, words in options
    )
    return (
        f'<fieldset class="choice"><legend class="unseen">{legend}</legend>'
        f'<div class="options">{labels}</div></fieldset>'
    )


def _marks(options: Sequence[tuple[str, str]]) -> str:
    labels = "".join(
        f'<label class="check"><input type="checkbox" name="m_{value}"> <span>{words}</span></label>'
        for value, words in options
    )
    return f'<div class="marks">{labels}</div>'


_PAD = """<div class="split-inner"><svg class="garden" data-picture="mend"></svg>
<div class="panel"><div class="pad" role="group" aria-label="Send the chosen cell">
<button data-do="send" data-move="0" aria-label="up">↑</button><button data-do="send" data-move="3" aria-label="left">←</button>
<button data-do="send" data-move="2" aria-label="down">↓</button><button data-do="send" data-move="1" aria-label="right">→</button>
</div></div></div>"""

#: The derivation of exercise 10: line 5 lost its π.
_SPOILED = (*(line.formula for line in PRINTED[:4]), "= Σ_s d Σ_a ψ ∇log π", *(line.formula for line in PRINTED[5:]))

_ORDER = "".join(
    f'<li data-line-of="{i}"><formula>{line.formula.removeprefix("= ")}</formula><span class="buttons">'
    f'<button data-up="{i}" aria-label="earlier">↑</button>'
    f'<button data-down="{i}" aria-label="later">↓</button></span></li>'
    for i, line in enumerate(PRINTED)
)
_SPOILED_LIST = "".join(f"<li><formula>{line}</formula></li>" for line in _SPOILED)

EXERCISES = (
    Exercise(
        "Half a salad",
        "A salad five steps away is worth half of one here. What is <f>γ</f>, to two decimals?",
        _typed(1, "<f>γ</f> is about"),
        "Five steps away a reward counts <f>γ^5</f>. That is to be ½, so <f>γ</f> is the fifth root of "
        "½, which is 0.871.",
    ),
    Exercise(
        "Two values by hand",
        "<f>s_0</f> leads to <f>s_1</f> for nothing, <f>s_1</f> pays 1 and leads back to <f>s_0</f>, "
        "for ever. With <f>γ</f> = 0.5, what is <f>V(s_0)</f>? A fraction will do.",
        _typed(2, "<f>V(s_0)</f> is"),
        "<formula>V(s_0) = γ V(s_1)</formula><formula>V(s_1) = 1 + γ V(s_0)</formula>Put the first into "
        "the second: <f>V(s_1)</f> is 1 and a quarter of itself, so 4/3, and <f>V(s_0)</f> is half of "
        "that, 2/3.",
    ),
    Exercise(
        "Raise J",
        "This policy is the best one for <f>γ</f> = 0.9, but for one cell. Find it, and drag its arrow "
        "(or press a direction) until <f>J</f> is within 1 % of the best.",
        _PAD,
        "The cell left of the poison sends the snail straight into it. Send it up instead, as its "
        "neighbours’ values say: <f>J</f> returns to 0.917.",
    ),
    Exercise(
        "Where the time goes",
        "From <f>s_0</f> the policy goes to <f>s_1</f> with probability <f>p</f>, else it stays; from "
        "<f>s_1</f> it always comes back. Which <f>p</f> makes it spend 40 % of its time in <f>s_1</f>?",
        _typed(4, "<f>p</f> is"),
        "In the long run as many go as come back: <f>d(s_0) p = d(s_1)</f>, and the two sum to 1. So "
        "<f>d(s_1) = frac{p}{1+p}</f>, which is 0.4 where <f>p</f> is 2/3.",
    ),
    Exercise(
        "Which <f>ψ</f> is unbiased here?",
        "The critic is wrong: it says half of the true <f>V</f>. <f>Q</f> and <f>A</f> are the true "
        "ones. Mark every <f>ψ</f> whose mean is still <f>∇J</f> (the garden, both knobs at 0, "
        "<f>γ</f> = 0.9).",
        _marks(
            (
                ("reward_to_go", "reward to go"),
                ("baselined_return", "reward to go − critic"),
                ("q_value", "true <f>Q</f>"),
                ("advantage", "true <f>A</f>"),
                ("td_residual", "<f>δ</f> with the critic"),
                ("gae", "GAE, <f>λ</f> = 0.9, with the critic"),
            )
        ),
        "The first four. What is subtracted may be anything that does not depend on the action, for "
        "Σ <f>∇π</f> over the actions is 0. The last two trust the critic for the future, and what it "
        "says there depends on where the action led.",
    ),
    Exercise(
        "Which cloud is the smallest?",
        "Now the critic is exact, so all of these are unbiased. Which has the smallest spread at these "
        "settings?",
        _choices(
            6,
            "The smallest spread",
            (
                ("reward_to_go", "reward to go"),
                ("baselined_return", "… minus <f>V</f>"),
                ("q_value", "action value <f>Q</f>"),
                ("td_residual", "TD residual <f>δ</f>"),
                ("advantage", "advantage <f>A</f>"),
                ("gae", "GAE, <f>λ</f> = 0.9"),
            ),
        ),
        "The advantage. <f>Q</f> carries what would have happened anyway; <f>δ</f> is the advantage and, "
        "on top of it, the noise of where the step led; the others add the noise of all later steps. "
        "Here the advantage is the calmest; that is no theorem: the baseline with the smallest variance is "
        "another one than <f>V</f>.",
    ),
    Exercise(
        "Without <f>γ^t</f>",
        'The five-state world of <a href="questions.html">the first question</a>, <f>p</f> = 0.5. '
        "<f>∇J</f> points up for every <f>γ</f>. At which <f>γ</f> does the update without <f>γ^t</f> "
        "change its sign? Three decimals.",
        _typed(7, "<f>γ</f> is about"),
        "The first state’s <f>Q</f> differs by 1 − 2.5/2 + … : worked out, the update is "
        "<f>p(1−p)</f> times <f>8 γ^3 − 1.5</f>. It is 0 where <f>γ^3</f> is 0.1875, at 0.572. Below, it "
        "points down.",
    ),
    Exercise(
        "How near to 1?",
        "In the world of exercise 4 with <f>p</f> = 0.5, pulling <f>d_π</f> out of the gradient drops the "
        "share <f>frac{1−γ}{1+γp}</f>. What is the smallest <f>γ</f>, to two decimals, that drops no more "
        "than 5 %?",
        _typed(8, "<f>γ</f> is"),
        "1 − <f>γ</f> is to be at most 0.05 + 0.025 <f>γ</f>, so <f>γ</f> is at least 0.95/1.025, which is "
        "0.9268. To two decimals: 0.93.",
    ),
    Exercise(
        "Seven lines in order",
        "Put the derivation in order, the first line on top.",
        f'<ol class="ordering">{_ORDER}</ol>',
        "Objective; pull out the weight; write <f>V</f> with <f>ψ</f>; freeze <f>ψ</f>; the log trick; sums "
        "become samples; one walk visits many states.",
    ),
    Exercise(
        "A planted error",
        f'One of these lines lost something. Which?</p><ol class="aloud">{_SPOILED_LIST}</ol><p>',
        _choices(10, "The line with the error", [(f"D{i}", f"line {i}") for i in range(1, 8)]),
        "Line 5. <f>∇π</f> is <f>π</f> times <f>∇log π</f>; without that <f>π</f> the sum is no average "
        "over what the policy does, and line 6 does not follow.",
    ),
    Exercise(
        "Name the symbol",
        "The share of its time that a policy spends in a state, in the long run: how is it written?",
        _choices(
            11,
            "The symbol",
            (
                ("eta", "<f>η_γ(s)</f>"),
                ("rho", "<f>ρ(s)</f>"),
                ("d", "<f>d_π(s)</f>"),
                ("V", "<f>V_π(s)</f>"),
                ("P", "<f>P(s'|s,a)</f>"),
            ),
        ),
        "<f>d_π(s)</f>. <f>η_γ(s)</f> counts visits from the start with discount, <f>ρ(s)</f> is where one "
        "starts, and <f>P</f> is where one step leads.",
    ),
)


def folds() -> Html:
    """All exercises for the practice page: the solution unfolds when an answer was given."""
    return Html("".join(_fold(number, one) for number, one in enumerate(EXERCISES, 1)))


def _fold(number: int, one: Exercise) -> str:
    return (
        f'<section aria-labelledby="h-x{number}"><h2 id="h-x{number}">{number}. {one.title}</h2>'
        f'<p>{one.question}</p><div class="lab exercise" data-exercise="{number}">{one.control}'
        f'<div class="buttons"><button class="main" data-check="{number}">Check</button></div>'
        f'<p class="grade" aria-live="polite" data-live="grade{number}"></p>'
        f'<details class="worked" data-solution="{number}" hidden><summary>Worked solution</summary>'
        f"<div>{one.solution}</div></details></div></section>"
    )


def answers() -> Html:
    """Questions and solutions, as a template."""
    parts = (
        f"<section><h2>{number}. {one.title}</h2><p>{one.question}</p>"
        f'<div class="lab worked">{one.solution}</div></section>'
        for number, one in enumerate(EXERCISES, 1)
    )
    return Html("".join(parts))


