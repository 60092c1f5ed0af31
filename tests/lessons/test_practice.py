"""The exercises: commit first, then see; cards come back; symbols have their numbers."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.lessons.exercises import exercises
from logtrick.lessons.garden import garden

pytestmark = pytest.mark.browser


def solved(page):
    classes = page.tab.evaluate(
        "[...document.querySelectorAll('[data-exercise]')].map((e) => [e.dataset.exercise, "
        "e.classList.contains('solved')])"
    )
    assert page.number("solved") == sum(right for _, right in classes)
    return {int(number) for number, right in classes if right}


def commit(page, number):
    page.click(f'[data-check="{number}"]')
    return page.words(f"grade{number}")


TYPED = [
    (1, ("0.8", "0.9"), ("0.87", "0,871")),
    (2, ("0.7", "0.5", "a third"), ("2/3", "0,667", ".667", "0.667")),
    (4, ("0.4", "-1"), ("2/3", "66.7 %")),
    (7, ("0.5", "0.562", "0.58"), ("0.572", "0,5724")),
    (8, ("0.92", "0.94", "0.99"), ("0.93", "93 %")),
]


def test_typed_answers_are_graded_when_they_are_committed_to(lesson):
    page = lesson("practice")
    for number, wrong, right in TYPED:
        box = page.tab.locator(f'[name="a{number}"]')
        worked = page.tab.locator(f'[data-solution="{number}"]')
        assert worked.is_hidden()
        for text in (*wrong, *right):
            box.fill(text)
            page.settle()
            assert page.words(f"grade{number}") == ""  # nothing is said while one tries
            assert number not in solved(page)
            said = commit(page, number)
            assert said.startswith("✓" if text in right else "✗"), (number, text, said)
        assert worked.is_visible()
    assert solved(page) == {1, 2, 4, 7, 8}


def test_an_empty_answer_is_none(lesson):
    page = lesson("practice")
    assert commit(page, 1) == "Answer first."
    assert page.tab.locator('[data-solution="1"]').is_hidden()


def test_j_is_raised_by_mending_one_cell(lesson):
    page = lesson("practice")
    page.click('[data-picture="mend"] [data-cell="5"]')
    page.click('[data-exercise="3"] [aria-label="down"]')
    assert "%" in commit(page, 3)
    page.click('[data-exercise="3"] [aria-label="up"]')
    assert commit(page, 3).startswith("✓")
    weights = dict(part.split("=") for part in page.state.split("&"))["x3"]
    table = np.array(weights.split(","), float).reshape(11, 4)
    table /= table.sum(axis=1, keepdims=True)
    values = exact.state_values(garden(), table)
    np.testing.assert_allclose(page.cells("mend"), values, atol=1e-9)


def test_marks_choices_and_order(lesson):
    page = lesson("practice")
    for name in ("reward_to_go", "baselined_return", "q_value"):
        page.tab.locator(f'[name="m_{name}"]').check()
    assert commit(page, 5) == "✗ 1 of 6 is not right."
    page.tab.locator('[name="m_advantage"]').check()
    assert commit(page, 5).startswith("✓")
    for number, wrong, right in ((6, "gae", "advantage"), (10, "D4", "D5"), (11, "eta", "d")):
        page.choose(f"a{number}", wrong)
        assert commit(page, number).startswith("✗")
        page.choose(f"a{number}", right)
        assert commit(page, number).startswith("✓")
    assert commit(page, 9).startswith("✗")
    for line in range(7):  # each to its place, from the top
        while page.tab.locator(".ordering li").nth(line).get_attribute("data-line-of") != str(line):
            page.click(f'[data-up="{line}"]')
            assert page.tab.evaluate("document.activeElement.closest('li').dataset.lineOf") == str(
                line
            )
    assert commit(page, 9).startswith("✓")
    assert solved(page) == {5, 6, 9, 10, 11}


def test_every_exercise_has_a_worked_solution():
    found = exercises()
    assert len(found) == 11
    assert all(len(one.solution) > 60 for one in found)


def show_and(page, verdict):
    page.click('[data-card="reveal"]')
    page.click(f'[data-card="{verdict}"]')


def test_a_missed_card_comes_back_on_every_page_until_it_is_known(lesson):
    page = lesson("value")
    page.unfold()
    missed = page.tab.locator("[data-face]").inner_html()
    left = page.number("cards-left")
    show_and(page, "again")
    assert page.number("cards-left") == left
    for _ in range(2):
        assert page.tab.locator("[data-face]").inner_html() != missed
        show_and(page, "knew")
    assert page.tab.locator("[data-face]").inner_html() == missed  # after two others
    page.slide("gamma", 0.5)  # a slider forgets nothing
    for name in ("policy", "scales", "derivation"):
        later = lesson(name, context=page.context)
        later.unfold()
        assert later.tab.locator("[data-face]").inner_html() == missed
    show_and(later, "knew")
    known = lesson("policy", context=page.context)
    assert missed not in known.tab.locator("[data-face]").inner_html()


def test_without_a_memory_the_address_carries_what_was_missed(lesson):
    page = lesson("policy", "again=state-back")
    page.unfold()
    assert "set of numbers" in page.tab.locator("[data-face]").inner_text()


def test_cards_go_both_ways_and_are_all_answered(lesson):
    page = lesson("practice")
    page.unfold()
    questions = set()
    while page.tab.locator('[data-card="reveal"]').is_visible():
        questions.add(page.words("card-question"))
        page.tab.evaluate("document.querySelector('[data-card=reveal]').click()")
        assert page.tab.locator("[data-answer]").text_content().strip()
        page.tab.evaluate("document.querySelector('[data-card=knew]').click()")
    assert len(questions) == 3
    assert page.number("cards-left") == 0


@pytest.mark.parametrize("gamma", [0.2, 0.95])
def test_every_symbol_has_its_number(lesson, gamma):
    page = lesson("notation")
    page.slide("gamma", gamma)
    uniform = np.full((11, 4), 0.25)
    found = exact.evaluate(garden(gamma=gamma), uniform)
    for name, truth in {
        "value": found.values[7],
        "q": found.action_values[7, 0],
        "advantage": found.advantages[7, 0],
        "visits": found.visitation[7],
        "objective": found.objective,
        "time": exact.stationary_distribution(garden(), uniform)[7],
        "gain": exact.objective(garden(), uniform, "average"),
        "gamma": gamma,
    }.items():
        assert page.number(name) == pytest.approx(truth, abs=1e-9), name
