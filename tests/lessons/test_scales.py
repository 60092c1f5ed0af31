"""Page 6: the scales of poison and salad, with the numbers of I1, I4 and I5."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.lessons.garden import Compass, garden

pytestmark = pytest.mark.browser
THETA = np.array([0.2, 0.8])


def table_at(theta):
    return Compass(theta).on_pairs(garden())[0].reshape(11, 4)


def uphill():
    """∇r̄ by differences of r̄."""
    step = 1e-5

    def gain(theta):
        return exact.objective(garden(), table_at(theta), "average")

    return np.array([gain(THETA + e) - gain(THETA - e) for e in step * np.eye(2)]) / (2 * step)


def weights(gamma):
    """(1−γ)V(s) times the change of d(s) for a step of length 1 along ∇r̄, by differences of d."""
    step = 1e-5 * uphill() / np.linalg.norm(uphill())
    ends = [exact.stationary_distribution(garden(), table_at(THETA + s * step)) for s in (1, -1)]
    moved = (ends[0] - ends[1]) / 2e-5
    return moved, (1 - gamma) * exact.state_values(garden(gamma=gamma), table_at(THETA)) * moved


def test_visits_alone_balance_and_values_tip_the_scales(lesson):
    page = lesson("scales")
    moved, weighed = weights(0.21)
    np.testing.assert_allclose(page.cells("weights"), moved, atol=1e-8)
    assert page.words("net") == "0"
    assert float(page.tab.locator('[data-picture="scales"]').get_attribute("data-tilt")) == (
        pytest.approx(0, abs=1e-12)
    )
    page.choose("weigh", "values")
    np.testing.assert_allclose(page.cells("weights"), weighed, atol=1e-8)
    assert page.words("net") == "0.0295"
    assert page.words("angle") == "102°"
    assert "into the poison" in page.words("scales-words")
    assert float(page.tab.locator('[data-picture="scales"]').get_attribute("data-tilt")) > 0.1
    blocks = page.tab.evaluate(
        """[...document.querySelectorAll('[data-picture="scales"] rect[data-value]')]
           .map((block) => [Number(block.dataset.cell), Number(block.dataset.value)])"""
    )
    drawn = dict(blocks)
    assert {s: weighed[s] for s in drawn} == pytest.approx(drawn, abs=1e-8)
    left_out = np.delete(weighed, list(drawn))  # what is lighter than a pixel
    assert np.abs(left_out).max(initial=0) < np.abs(weighed).sum() / 5000


@pytest.mark.parametrize(("gamma", "net", "angle"), [(0.9, 0.0133, 34), (0.99, 0.0018, 3.7)])
def test_the_stated_numbers(lesson, gamma, net, angle):
    page = lesson("scales", f"weigh=values&nines={-np.log10(1 - gamma)}")
    assert page.number("net") == pytest.approx(weights(gamma)[1].sum(), abs=1e-8)
    assert page.number("net") == pytest.approx(net, abs=5e-5)
    assert page.number("angle") == pytest.approx(angle, abs=0.5)


def test_towards_1_the_values_level_out_and_the_scales_rest(lesson):
    page = lesson("scales", "weigh=values")
    nets, gaps = [], []
    for nines in (1, 2, 3, 4):
        page.slide("nines", nines)
        nets.append(page.number("net"))
        gaps.append(page.number("I5"))
    for numbers in (nets, gaps):
        rates = np.array(numbers[:-1]) / numbers[1:]
        np.testing.assert_allclose(rates[1:], 10, rtol=0.15)  # both vanish like 1 − γ
    gain = exact.objective(garden(), table_at(THETA), "average")
    assert page.number("gain") == pytest.approx(gain, abs=1e-9)
    assert page.number("gains") == pytest.approx(-page.number("losses"), abs=1e-12)
    assert page.number("I1") < 1e-12
