"""The exercises are graded by exact numbers; cards come back; symbols have their numbers."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.lessons.garden import garden

pytestmark = pytest.mark.browser


def solved(page):
    classes = page.tab.evaluate(
        "[...document.querySelectorAll('[data-exercise]')].map((e) => [e.dataset.exercise, "
        "e.classList.contains('solved')])"
    )
    assert page.number("solved") == sum(right for _, right in classes)
    return {int(number) for number, right in classes if right}


@pytest.mark.parametrize(
    ("number", "slider", "wrong", "right"),
    [
        (1, "x1", (0.8, 0.9), 0.5 ** (1 / 5)),
        (4, "x4", (0.4, 0.8), 2 / 3),
        (7, "x7", (0.5, 0.65), (1.5 / 8) ** (1 / 3)),
        (8, "x8", (0.92, 0.94, 0.99), 0.93),
    ],
)
def test_sliders_are_graded(lesson, number, slider, wrong, right):
    page = lesson("practice")
    assert solved(page) == set()
    for value in wrong:
        page.slide(slider, value)
        assert solved(page) == set()
        assert not page.words(f"grade{number}").startswith("Right")
    page.slide(slider, right)
    assert solved(page) == {number}
    assert page.words(f"grade{number}").startswith("Right")


def test_a_number_is_graded(lesson):
    page = lesson("practice")
    box = page.tab.locator('input[name="x2"]')
    for text, words in (("0.7", "too much"), ("0.5", "too little"), ("0.667", "Right")):
        box.fill(text)
        page.settle()
        assert words in page.words("grade2")
    assert solved(page) == {2}


def test_j_is_raised_by_mending_one_cell(lesson):
    page = lesson("practice")
    low = page.number("x3")
    assert low < page.number("x3-best") * 0.8
    page.click('[data-picture="mend"] [data-cell="5"]')
    page.click('[data-exercise="3"] [aria-label="down"]')
    assert 3 not in solved(page)
    page.click('[data-exercise="3"] [aria-label="up"]')
    assert solved(page) == {3}
    weights = dict(part.split("=") for part in page.state.split("&"))["x3"]
    table = np.array(weights.split(","), float).reshape(11, 4)
    table /= table.sum(axis=1, keepdims=True)
    assert page.number("x3") == pytest.approx(exact.objective(garden(), table), abs=1e-9)


def test_which_psi_are_unbiased(lesson):
    page = lesson("practice")
    for name in "abcd":
        assert solved(page) == set()
        page.tab.locator(f'input[name="x5{name}"]').check()
        page.settle()
    assert solved(page) == {5}
    page.tab.locator('input[name="x5e"]').check()
    page.settle()
    assert solved(page) == set()


def test_the_smallest_cloud(lesson):
    page = lesson("practice")
    names = ("reward_to_go", "baselined_return", "q_value", "td_residual", "gae", "advantage")
    for name in names:
        page.choose("x6", name)
        assert (solved(page) == {6}) == (name == "advantage")


def test_cards_come_back_until_they_are_known(lesson):
    page = lesson("value")
    reveal, knew, again = (f'[data-card="{name}"]' for name in ("reveal", "knew", "again"))
    face = page.tab.locator("[data-face]")
    left = page.number("cards-left")
    missed = face.inner_html()
    assert page.tab.locator("[data-answer]").is_hidden()
    page.click(reveal)
    assert page.tab.locator("[data-answer]").inner_text().startswith("State: a set of numbers")
    page.click(again)
    assert page.number("cards-left") == left
    assert "again=state" in page.tab.locator("a.forward").get_attribute("href")
    for _ in range(2):
        assert face.inner_html() != missed
        page.click(reveal)
        page.click(knew)
    assert face.inner_html() == missed  # after two others
    while page.tab.locator(reveal).is_visible():
        page.click(reveal)
        page.click(knew)
    assert page.number("cards-left") == 0
    assert "again" not in page.tab.locator("a.forward").get_attribute("href")


def test_a_missed_card_travels_to_the_next_page(lesson):
    plain, missed = lesson("policy"), lesson("policy", "again=action")
    assert missed.number("cards-left") == plain.number("cards-left") + 1


def test_a_formula_card_names_its_parts(lesson):
    page = lesson("value")
    for _ in range(5):
        page.click('[data-card="reveal"]')
        page.click('[data-card="knew"]')
    assert "each part" in page.words("card-question")
    page.click('[data-card="reveal"]')
    assert page.tab.locator("[data-answer] dt").count() == 5


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
