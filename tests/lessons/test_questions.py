"""The two questions, with the gates of the specification."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.auditing.closed_form import moments
from logtrick.lessons.garden import Compass, garden
from logtrick.lessons.references import pulled_out
from logtrick.mdp import problems

pytestmark = pytest.mark.browser
WORLDS = {"fixture": problems.gamma_t_fixture, "corridor": problems.corridor}


def assert_slopes(page, world, gamma, p):
    """By differences of `exact.objective`, and the update by its closed form."""
    mdp = WORLDS[world](gamma=gamma)
    step = 1e-5
    logit = np.log(p / (1 - p))

    def objective(logit, kind):
        right = 1 / (1 + np.exp(-logit))
        return exact.objective(mdp, np.tile([right, 1 - right], (mdp.num_states, 1)), kind)

    for name, kind in (("discounted", "discounted"), ("total", "total")):
        ends = (objective(logit + step, kind), objective(logit - step, kind))
        assert page.number(name) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)
    scores = np.tile([[1 - p], [-p]], (mdp.num_states, 1))
    chances = np.tile([p, 1 - p], mdp.num_states)
    for name, of, weighting in (
        ("discounted", gamma, "discounted"),
        ("total", 1.0, "discounted"),
        ("without", gamma, "undiscounted"),
    ):
        found = moments("reward_to_go", mdp, chances, scores, gamma=of, weighting=weighting)
        assert page.number(name) == pytest.approx(found.mean[0], abs=1e-9)


@pytest.mark.parametrize(("gamma", "p"), [(0.5, 0.5), (0.3, 0.8), (0.9, 0.12)])
@pytest.mark.parametrize("world", WORLDS)
def test_three_slopes(lesson, world, gamma, p):
    page = lesson("questions")
    page.choose("world", world)
    drawn = page.drawing("slopes")
    page.slide("gamma", gamma)
    page.slide("p", p)
    assert_slopes(page, world, gamma, p)
    assert (page.drawing("slopes") != drawn) or (gamma, p) == (0.5, 0.5)


def test_the_gates_of_g4(lesson):
    page = lesson("questions")
    unit = 0.25  # p (1 − p)
    found = [page.number(name) / unit for name in ("discounted", "total", "without")]
    np.testing.assert_allclose(found, [0.25, 6.5, -0.5], atol=1e-12)
    assert "both objectives say up" in page.words("gamma-words")
    page.slide("gamma", 1)
    assert page.number("discounted") == page.number("total") == page.number("without")
    page.choose("world", "corridor")
    assert page.number("total") == pytest.approx(2, abs=1e-9)  # Sutton and Barto, θ = 0


@pytest.mark.parametrize(("gamma", "p"), [(0.5, 0.5), (0.0, 0.3), (0.99, 0.9)])
def test_the_dropped_share_in_closed_form(lesson, gamma, p):
    page = lesson("questions")
    page.slide("gamma2", gamma)
    page.slide("p2", p)
    assert page.number("loop-share") == pytest.approx((1 - gamma) / (1 + gamma * p), abs=1e-9)
    slope = p * (1 - p) / (1 + p) ** 2  # r̄ = p/(1 + p)
    assert page.number("loop-truth") == pytest.approx(slope, abs=1e-9)
    assert page.number("loop-kept") == pytest.approx(pulled_out(gamma, p)["kept"], abs=1e-9)


def without(theta, gamma=0.9):
    """Σ d Σ Q ∇π at θ = (right, up)."""
    probabilities, scores = Compass(theta).on_pairs(garden())
    pi, score = probabilities.reshape(11, 4), scores.reshape(11, 4, 2)
    d = exact.stationary_distribution(garden(), pi)
    Q = exact.action_values(garden(gamma=gamma), pi)
    return np.einsum("s,sa,sa,sak->k", d, pi, Q, score)


def test_a_closed_walk_gains_height_without_gamma_t(lesson):
    """Green's theorem: the walk's gain is the curl over the square, by differences and Simpson."""
    page = lesson("questions")
    gain = page.number("walk-without")
    assert gain == pytest.approx(0.0366, abs=5e-5)  # clockwise in (right, up)
    assert page.number("walk-gradient") == pytest.approx(0, abs=1e-7)
    assert page.words("walk-gradient") == "0"
    grid, step = np.linspace(-0.5, 1.5, 9), 1e-4
    simpson = np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) * 0.25 / 3

    def curl(x, y):
        along_x = (without([x + step, y]) - without([x - step, y]))[1]
        along_y = (without([x, y + step]) - without([x, y - step]))[0]
        return (along_x - along_y) / (2 * step)

    table = np.array([[curl(x, y) for y in grid] for x in grid])
    assert -gain == pytest.approx(simpson @ table @ simpson, abs=3e-4)
