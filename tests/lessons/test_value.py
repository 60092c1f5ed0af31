"""Page 1: what moves, and that the numbers are the library's."""

import re

import numpy as np
import pytest

from logtrick import exact, planning
from logtrick.lessons.garden import GRASS, garden, grassy_garden

pytestmark = pytest.mark.browser
UNIFORM = np.full((11, 4), 0.25)


@pytest.mark.parametrize("gamma", [0.0, 0.37, 0.99])
def test_the_discount_moves_every_value(lesson, gamma):
    page = lesson("value", "returns=10")
    before = {name: page.drawing(name) for name in ("bars", "values", "means", "best")}
    page.slide("gamma", gamma)
    assert all(page.drawing(name) != drawn for name, drawn in before.items())
    values = exact.state_values(garden(gamma=gamma), UNIFORM)
    np.testing.assert_allclose(page.cells("values"), values, rtol=0, atol=1e-9)
    best = planning.solve(garden(gamma=gamma), tol=1e-11).values
    np.testing.assert_allclose(page.cells("best"), best, rtol=0, atol=1e-9)
    assert f"gamma={gamma:g}" in page.state


def test_at_gamma_1_the_sum_has_no_end(lesson):
    page = lesson("value", "gamma=1&returns=20")
    assert page.number("value") == -np.inf  # this walk loses in the long run
    assert exact.objective(garden(), UNIFORM, "average") < 0
    assert np.isfinite(page.number("mean"))
    assert "finite only because each walk was stopped" in page.words("value-words")
    assert page.words("best-home") == "–"


def test_returns_average_into_the_value(lesson):
    page = lesson("value", "from=2&guess=0.5")
    assert page.words("value") == "?"  # guess first
    means = []
    for button in ("1", "100", "100", "100", "100"):
        page.click(f'[data-do="returns"][data-more="{button}"]')
        means.append(page.number("mean"))
    assert len(set(means)) == len(means)
    truth = exact.state_values(garden(), UNIFORM)[2]
    assert page.number("value") == pytest.approx(truth, abs=1e-9)
    assert abs(means[-1] - truth) < 4 * 0.7 / np.sqrt(400)  # a return lies within ±1.4 or so
    assert "returns=401" in page.state
    assert f"{0.5 - truth:.2f} too high" in page.words("value-words")


def test_a_cell_is_chosen_by_hand_and_by_key(lesson):
    page = lesson("value")
    cell = '[data-picture="values"] [data-cell="{}"]'
    page.click(cell.format(2))
    page.click('[data-do="returns"]')
    values = exact.state_values(garden(), UNIFORM)
    assert page.number("value") == pytest.approx(values[2], abs=1e-9)
    page.tab.locator(cell.format(2)).press("ArrowRight")
    page.settle()
    assert page.words("value") == "?"  # another cell, another guess
    page.click('[data-do="returns"]')
    assert page.number("value") == pytest.approx(values[3], abs=1e-9)
    assert page.tab.locator(cell.format(3)).get_attribute("aria-checked") == "true"


def test_learning_approaches_the_value(lesson):
    page = lesson("value", "gamma=0.8&alpha=0.05")
    page.unfold()
    start = page.number("error")
    values = exact.state_values(garden(gamma=0.8), UNIFORM)
    assert start == pytest.approx(np.sqrt(np.mean(values**2)), abs=1e-9)
    page.click('[data-do="learn"][data-more="100"]')
    assert page.number("learned") == 100
    page.open("gamma=0.8&alpha=0.05&learned=20000")
    late = page.number("error")
    assert late < start / 4
    learned = page.cells("learned")
    assert np.sqrt(np.mean((learned - values) ** 2)) == pytest.approx(late, abs=1e-9)
    page.slide("alpha", 1)
    assert page.number("error") > late  # a large step never settles
    page.click('[data-do="forget"]')
    assert page.number("learned") == 0


def test_one_step_of_learning_is_the_formula(lesson):
    page = lesson("value", "alpha=0.5&learned=120")
    before = page.cells("learned")
    page.click('[data-do="learn"][data-more="1"]')
    after = page.cells("learned")
    words = page.words("td-words").replace("\u2212", "-")
    superscripts = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    delta = float(words.split("=")[-1].replace(" × 10", "e").translate(superscripts))
    moved = np.flatnonzero(before != after)
    assert len(moved) <= 1
    np.testing.assert_allclose((after - before).sum(), 0.5 * delta, atol=0.5 * 5.1e-4)


def test_playing_goes_on_until_it_is_paused(lesson):
    page = lesson("value")
    page.unfold()
    page.click('[data-do="play"]')
    page.tab.wait_for_timeout(500)
    page.click('[data-do="play"]')
    stopped = page.number("learned")
    assert stopped > 1
    page.tab.wait_for_timeout(150)
    assert page.number("learned") == stopped


@pytest.mark.parametrize("gamma", [0.5, 0.8, 0.9, 0.95])
def test_grass_keeps_the_short_sighted(lesson, gamma):
    page = lesson("value", f"gamma={gamma}&grass=true")
    mdp = grassy_garden(gamma=gamma)
    best = planning.solve(mdp, tol=1e-11)
    np.testing.assert_allclose(page.cells("best"), best.values, rtol=0, atol=1e-9)
    time = exact.stationary_distribution(mdp, best.policy)[GRASS]
    assert page.number("grazing") == pytest.approx(time, abs=1e-9)
    assert ("Short-sighted" in page.words("sight-words")) == (gamma < 0.85)


def test_the_snail_walks_where_it_is_sent(lesson):
    page = lesson("value")
    for move in ("up", "up", "right", "right", "right"):
        page.click(f'.pad [aria-label="{move}"]')
    assert re.search(r"walk=\d{5}(&|$)", page.state)
    assert page.words("walk-state") != "(3, 1)"
    again = lesson("value", page.state)
    assert again.words("walk-state") == page.words("walk-state")
    page.click('[data-do="walk-again"]')
    assert page.words("walk-state") == "(3, 1)"


def test_another_walk_is_another(lesson):
    page = lesson("value")
    before = page.drawing("bars")
    page.click('[data-do="another"]')
    assert page.drawing("bars") != before


def test_a_shared_page_stands_as_it_was(lesson):
    page = lesson("value", "gamma=0.8&from=9&returns=50&learned=300&alpha=0.3&grass=true")
    again = lesson("value", page.state)
    for picture in ("bars", "values", "means", "learned", "errors", "best"):
        assert again.drawing(picture) == page.drawing(picture)
