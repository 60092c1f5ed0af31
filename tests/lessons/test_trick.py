"""Page 3: a sample has no slope, ∇π = π ∇log π, and weighted scores that average to the slope."""

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def slope(theta):
    """d/dθ of 2 σ(θ) − (1 − σ(θ)), in closed form: a table's logits would be single precision."""
    heads = 1 / (1 + np.exp(-theta))
    return 3 * heads * (1 - heads)


@pytest.mark.parametrize("theta", [-2.5, 0.0, 1.7])
def test_the_knob_moves_the_average_and_its_slope(lesson, theta):
    page = lesson("trick")
    page.slide("theta", theta)
    heads = 1 / (1 + np.exp(-theta))
    assert page.number("pi") == pytest.approx(heads, abs=1e-9)
    assert page.number("slope") == pytest.approx(slope(theta), abs=1e-9)
    assert page.number("quotient") == pytest.approx(slope(theta), abs=1e-7)
    for side, p in (("heads", heads), ("tails", 1 - heads)):
        page.choose("side", side)
        values = page.tab.locator('[data-picture="stretch"]').get_attribute("data-values")
        pi, score, moved = map(float, values.split())
        assert pi == pytest.approx(p, abs=1e-9)
        assert moved == pytest.approx(pi * score, abs=1e-15)
        assert moved == pytest.approx(
            (1 if side == "heads" else -1) * heads * (1 - heads), abs=1e-9
        )


def test_one_flip_jumps_once_or_never(lesson):
    page = lesson("trick")
    for _ in range(3):
        flips = []
        for theta in np.linspace(-3, 3, 13):
            page.slide("theta", theta)
            flips.append(page.words("flip"))
        assert sorted(flips, reverse=True) == flips  # tails, then heads: at most one jump
        page.click('[data-do="again"]')


def test_weighted_scores_average_to_the_slope(lesson):
    page = lesson("trick", "theta=-0.5&flips=20000")
    heads = 1 / (1 + np.exp(0.5))
    values = np.array([2 * (1 - heads), heads])  # ψ ∇log π of heads and of tails
    spread = np.sqrt([heads, 1 - heads] @ values**2 - slope(-0.5) ** 2)
    assert abs(page.number("sampled") - slope(-0.5)) < 4.5 * spread / np.sqrt(20000)
    page.click('[data-do="none"]')
    assert page.words("sampled") == "–"
    page.click('[data-do="more"]')
    assert page.words("flips") == "1000"


def test_rare_sides_have_long_scores(lesson):
    page = lesson("trick", "theta=-3")
    lengths = []
    for side in ("heads", "tails"):
        page.choose("side", side)
        values = page.tab.locator('[data-picture="stretch"]').get_attribute("data-values")
        lengths.append(abs(float(values.split()[1])))
    assert lengths[0] > 10 * lengths[1]  # heads is rare here
