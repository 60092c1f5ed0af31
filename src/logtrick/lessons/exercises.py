"""The exercises: what each asks, what one answers with, and its worked solution.

They are written down in `templates/exercises.html`. The practice page grades them;
`logtrick learn --answers` prints questions and solutions for teachers.
"""

import re
from importlib.resources import files
from typing import NamedTuple

from logtrick.reports.html import Html

_EXERCISE = re.compile(
    r"<exercise>\s*<h2>(.*?)</h2>\s*(.*?)\s*<answer>\s*(.*?)\s*</answer>"
    r"\s*<solution>\s*(.*?)\s*</solution>\s*</exercise>",
    re.DOTALL,
)


class Exercise(NamedTuple):
    """One exercise, as HTML in which `<f>γ</f>` is a formula."""

    title: str
    question: str
    control: str
    """The HTML control with which the reader answers."""
    solution: str


def exercises() -> list[Exercise]:
    """All exercises, in the order in which they are shown."""
    text = (files("logtrick.lessons") / "templates/exercises.html").read_text(encoding="utf-8")
    return [Exercise(*found) for found in _EXERCISE.findall(text)]


def folds() -> Html:
    """All exercises for the practice page: the solution unfolds when an answer was given."""
    return Html("".join(_fold(number, one) for number, one in enumerate(exercises(), 1)))


def _fold(number: int, one: Exercise) -> str:
    return f"""
<section aria-labelledby="h-x{number}"><h2 id="h-x{number}">{number}. {one.title}</h2>
{one.question}
<div class="lab exercise" data-exercise="{number}">{one.control}
<div class="buttons"><button class="main" data-check="{number}">Check</button></div>
<p class="grade" aria-live="polite" data-live="grade{number}"></p>
<details class="worked" data-solution="{number}" hidden><summary>Worked solution</summary>
<div>{one.solution}</div></details></div></section>"""


def answers() -> Html:
    """Questions and solutions, as a template."""
    parts = (
        f"<section><h2>{number}. {one.title}</h2>{one.question}"
        f'<div class="lab worked"><div>{one.solution}</div></div></section>'
        for number, one in enumerate(exercises(), 1)
    )
    return Html("".join(parts))
