"""Page 2: probabilities under the hand, d_π as a second layer, and J as one number that moves."""

import numpy as np
import pytest

from logtrick import exact, planning
from logtrick.lessons.garden import Compass, garden

pytestmark = pytest.mark.browser
HOME = 7


def table_of(page):
    """π as the page has it in its address."""
    text = dict(part.split("=") for part in page.state.split("&"))["weights"]
    weights = np.array(text.split(","), float).reshape(11, 4)
    return weights / weights.sum(axis=1, keepdims=True)


def assert_exact(page, table, gamma=0.9):
    found = exact.evaluate(garden(gamma=gamma), table)
    long_run = exact.evaluate(garden(gamma=gamma), table, "average")
    eta, d = found.visitation, long_run.visitation
    for name, truth in {
        "objective": found.objective,
        "by-values": found.values[HOME],
        "by-visits": found.objective,
        "gain": long_run.objective,
        "weighted": d @ found.values,
        "gain-scaled": long_run.objective / (1 - gamma),
        "nobody": eta @ found.values,
        "eta-sum": 1 / (1 - gamma),
    }.items():
        assert page.number(name) == pytest.approx(truth, abs=1e-9), name
    layers = {"value": found.values, "time": d, "visits": eta}
    for layer, truth in layers.items():
        page.choose("layer", layer)
        np.testing.assert_allclose(page.cells("policy"), truth, rtol=0, atol=1e-9)


def test_a_drag_moves_pi_and_j(lesson):
    page = lesson("policy")
    before = page.number("objective")
    box = page.tab.locator(f'[data-picture="policy"] [data-cell="{HOME}"] .cell').bounding_box()
    x, y, size = box["x"] + 0.5 * box["width"], box["y"] + 0.38 * box["height"], box["height"]
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x, y - 0.2 * size)
    page.tab.mouse.move(x, y - 0.26 * size)
    page.tab.mouse.up()
    page.settle()
    table = table_of(page)
    assert table[HOME, 0] == pytest.approx((26 - 8) / 24, abs=0.08)  # a stroke wide
    np.testing.assert_allclose(table[HOME, 1:], (1 - table[HOME, 0]) / 3, atol=1e-3)
    assert page.number("objective") > before  # up is the way to the salad
    page.tab.mouse.move(x, y + 0.3 * size)  # the button is up: nothing is held any more
    page.settle()
    np.testing.assert_array_equal(table_of(page), table)
    assert_exact(page, table)


@pytest.mark.parametrize("action", range(4))
def test_each_slider_sets_its_probability(lesson, action):
    page = lesson("policy", "cell=2")
    slider = page.tab.locator(f'[data-action="{action}"]')
    slider.fill("0.7")
    page.settle()
    table = table_of(page)
    assert table[2, action] == pytest.approx(0.7)
    assert page.number(f"p{action}") == pytest.approx(0.7)
    np.testing.assert_allclose(np.delete(table, 2, axis=0), 0.25)
    assert_exact(page, table)
    slider.press("ArrowRight")
    page.settle()
    assert table_of(page)[2, action] == pytest.approx(0.71, abs=1e-3)
    page.click('[data-do="undo"]')
    assert table_of(page)[2, action] == pytest.approx(0.7)


def test_the_other_arrows_keep_their_proportions(lesson):
    page = lesson("policy", "cell=9")
    for action, value in ((0, "0.7"), (1, "0.4")):
        page.tab.locator(f'[data-action="{action}"]').fill(value)
        page.settle()
    expected = [0.7 * 0.6 / 0.9, 0.4, 0.1 * 0.6 / 0.9, 0.1 * 0.6 / 0.9]
    np.testing.assert_allclose(table_of(page)[9], expected, atol=1e-3)


def test_an_arrow_that_takes_all_can_give_back(lesson):
    page = lesson("policy", "cell=9")
    for value in ("1", "0.4"):
        page.tab.locator('[data-action="3"]').fill(value)
        page.settle()
    np.testing.assert_allclose(table_of(page)[9], [0.2, 0.2, 0.2, 0.4], atol=1e-3)


@pytest.mark.parametrize("gamma", [0.0, 0.6, 0.97])
def test_the_discount_moves_j_and_the_ends_of_its_scale(lesson, gamma):
    page = lesson("policy")
    page.slide("gamma", gamma)
    assert_exact(page, np.full((11, 4), 0.25), gamma)
    best = planning.solve(garden(gamma=gamma)).values[HOME]
    assert f"best {best:.2f}" in page.tab.locator('[data-picture="meter"]').text_content()


def test_the_best_policy_is_the_best(lesson):
    page = lesson("policy")
    page.click('[data-do="best"]')
    solution = planning.solve(garden(), tol=1e-11)
    assert page.number("objective") == pytest.approx(solution.values[HOME], abs=1e-9)
    page.click('[data-do="uniform"]')
    assert page.number("objective") == pytest.approx(
        exact.objective(garden(), np.full((11, 4), 0.25)), abs=1e-9
    )


def test_what_one_state_gains_the_others_lose(lesson):
    page = lesson("policy", "layer=time")
    before = page.cells("policy")
    page.tab.locator('[data-action="0"]').fill("0.9")
    page.settle()
    moved = page.cells("policy") - before
    assert np.abs(moved).max() > 0.01
    assert moved.sum() == pytest.approx(0, abs=1e-12)


def test_a_finger_scrolls_until_the_cell_is_chosen(lesson):
    page = lesson("policy")
    touch = page.tab.evaluate(
        """[...document.querySelectorAll('[data-picture="policy"] [data-cell]')]
           .map((cell) => getComputedStyle(cell).touchAction)"""
    )
    assert [s for s, action in enumerate(touch) if action == "none"] == [HOME]


def test_a_thousand_snails_settle_into_d(lesson):
    page = lesson("policy")
    page.click('[data-do="drop"]')
    d = exact.stationary_distribution(garden(), np.full((11, 4), 0.25))
    bars = page.tab.locator('[data-picture="histogram"] .crowd[data-count]').all()
    shares = np.array([float(bar.get_attribute("data-count")) for bar in bars])
    assert shares.sum() == pytest.approx(1)
    assert np.abs(shares - d).max() < 5 * np.sqrt(d.max() / 1000)  # about 3.7 standard errors
    told = float(page.words("drop-words").split(" %")[0].split()[-1]) / 100
    assert told == pytest.approx(
        np.abs(shares - d).sum() / 2, abs=5e-4
    )  # a digit of the percentage


def test_two_knobs_and_their_gradient(lesson):
    page = lesson("policy")
    page.slide("right", 0.7)
    page.slide("up", -0.4)
    truth = exact.policy_gradient(garden(), Compass([0.7, -0.4])).theta
    np.testing.assert_allclose(page.vector("knob-gradient"), truth, atol=1e-9)
    assert page.number("knob-objective") == pytest.approx(
        exact.objective(garden(), Compass([0.7, -0.4])), abs=1e-9
    )


def test_a_policy_that_never_leaves_has_its_time_where_it_is(lesson):
    page = lesson("policy", "layer=time")
    stay = [0, 0, 0, 100] * 11  # always left: the first column is never left again, whatever slips
    page.open("layer=time&weights=" + ",".join(map(str, stay)))
    assert page.cells("policy").sum() == pytest.approx(1, abs=1e-9)
