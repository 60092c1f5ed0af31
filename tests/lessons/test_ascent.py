"""Page 4: scores, the landscape and its gradient, and clouds whose size and middle are exact."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.auditing.closed_form import moments
from logtrick.lessons.garden import Compass, garden

pytestmark = pytest.mark.browser
WITH_CRITIC = ("baselined_return", "td_residual", "gae")


def gradient(theta, gamma=0.9):
    return exact.policy_gradient(garden(gamma=gamma), Compass(theta)).theta


def shown_gradient(page):
    return page.vector("gradient")


def assert_exact(page, theta, gamma=0.9):
    mdp, policy = garden(gamma=gamma), Compass(theta)
    assert page.number("objective") == pytest.approx(exact.objective(mdp, policy), abs=1e-9)
    np.testing.assert_allclose(shown_gradient(page), gradient(theta, gamma), rtol=0, atol=1e-9)


def here(page):
    return np.array([page.number("right"), page.number("up")])


def test_knobs_turn_the_policy_and_its_scores(lesson):
    page = lesson("ascent")
    drawn = page.drawing("scores")
    page.slide("up", 1.35)
    page.slide("right", -0.6)
    probabilities, scores = Compass([-0.6, 1.35]).on_pairs(garden())
    for a in range(4):
        assert page.number(f"pi{a}") == pytest.approx(probabilities[a], abs=1e-9)
        assert page.number(f"score{a}") == pytest.approx(np.linalg.norm(scores[a]), abs=1e-9)
    np.testing.assert_allclose(probabilities[:4] @ scores[:4], 0, atol=1e-15)
    assert page.drawing("scores") != drawn
    assert_exact(page, [-0.6, 1.35])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.97])
def test_the_discount_changes_the_landscape(lesson, gamma):
    page = lesson("ascent", "up=0.5&right=-1")
    drawn = page.drawing("landscape")
    page.slide("gamma", gamma)
    assert page.drawing("landscape") != drawn
    assert_exact(page, [-1, 0.5], gamma)


def test_a_step_goes_along_the_gradient(lesson):
    page = lesson("ascent", "up=0.3&right=0.2&alpha=3")
    page.click('[data-do="step"]')
    np.testing.assert_allclose(here(page), [0.2, 0.3] + 3 * gradient([0.2, 0.3]), atol=1e-9)
    assert_exact(page, here(page))


def test_steps_climb(lesson):
    page = lesson("ascent")
    heights = [page.number("objective")]
    for _ in range(4):
        page.click('[data-do="ten"]')
        heights.append(page.number("objective"))
    assert np.all(np.diff(heights) > 0)
    assert heights[-1] > 0.1
    assert "risen" in page.words("climb-words")
    page.slide("alpha", 0.2)
    low = here(page)
    page.click('[data-do="step"]')
    np.testing.assert_allclose(here(page), low + 0.2 * gradient(low), atol=1e-9)
    page.click('[data-do="back"]')
    np.testing.assert_array_equal(here(page), 0)


def test_a_sampled_step_strays_but_climbs_on_the_whole(lesson):
    page = lesson("ascent", "psi=advantage&power=4&alpha=4")
    start = page.number("objective")
    directions = []
    for _ in range(10):
        before = here(page)
        page.click('[data-do="sampled"]')
        directions.append((here(page) - before) / 4 - gradient(before))
    assert np.abs(directions).max() > 1e-3  # not the exact gradient
    assert page.number("objective") > start + 0.05


def test_the_point_is_dragged(lesson):
    page = lesson("ascent")
    land = page.tab.locator('[data-picture="landscape"]')
    land.scroll_into_view_if_needed()
    box = land.bounding_box()
    scale = box["width"] / 448
    page.tab.mouse.move(box["x"] + (48 + 200) * scale, box["y"] + 200 * scale)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + (48 + 300) * scale, box["y"] + 100 * scale)
    page.tab.mouse.up()
    page.settle()
    np.testing.assert_allclose(here(page), [1.5, 1.5], atol=0.03)
    assert_exact(page, here(page))


@pytest.mark.parametrize("skill", [1, 0.35])
@pytest.mark.parametrize(
    "psi", ["reward_to_go", "baselined_return", "q_value", "advantage", "td_residual", "gae"]
)
def test_the_cloud_has_the_library_s_mean_and_spread(lesson, psi, skill):
    theta, gamma = [0.1, 0.6], 0.8
    page = lesson("ascent", f"up=0.6&right=0.1&gamma={gamma}&skill={skill}&lambda=0.5&power=0")
    page.choose("psi", psi)
    mdp, policy = garden(gamma=gamma), Compass(theta)
    critic = skill * np.asarray(exact.state_values(mdp, policy))
    values = critic if psi in WITH_CRITIC else None
    found = moments(psi, mdp, *policy.on_pairs(mdp), values=values, lambda_=0.5)
    bias = np.linalg.norm(found.mean - gradient(theta, gamma))
    spread = np.sqrt(np.trace(found.covariance))
    assert page.number("spread") == pytest.approx(spread, abs=1e-9)
    assert page.number("bias") == pytest.approx(bias, abs=1e-9)
    assert (bias > 1e-3) == (psi in ("td_residual", "gae") and skill < 1)
    page.slide("power", 4)
    assert page.number("spread") == pytest.approx(spread / 4, abs=1e-9)


@pytest.mark.parametrize("psi", ["total_return", "reward_to_go", "advantage", "gae"])
def test_the_dots_average_to_the_mean(lesson, psi):
    gamma, batch = 0.7, 64
    page = lesson("ascent", f"psi={psi}&power=6&gamma={gamma}&up=0.4")
    dots = page.tab.evaluate(
        """[...document.querySelectorAll('[data-picture="cloud"] circle.sample')]
           .map((dot) => [Number(dot.getAttribute("cy")), Number(dot.getAttribute("cx"))])"""
    )
    reach = page.tab.evaluate(
        """Number(document.querySelector('[data-picture="cloud"]').dataset.reach)"""
    )
    dots = np.array(dots)
    sampled = np.column_stack([dots[:, 1] - 248, 200 - dots[:, 0]]) / 200 * reach
    error = sampled.std(axis=0, ddof=1) / np.sqrt(len(sampled))
    assert np.all(np.abs(sampled.mean(axis=0) - gradient([0, 0.4], gamma)) < 4.5 * error)
    if psi != "total_return":
        policy = Compass([0, 0.4])
        mdp = garden(gamma=gamma)
        covariance = moments(psi, mdp, *policy.on_pairs(mdp), lambda_=0.9).covariance
        truth = np.sqrt(np.diag(covariance) / batch)
        np.testing.assert_allclose(sampled.std(axis=0, ddof=1), truth, rtol=0.3)


def test_lambda_and_the_critic_matter_where_they_should(lesson):
    page = lesson("ascent", "psi=gae&skill=0.5")
    before = page.number("bias")
    page.slide("lambda", 1)
    assert page.number("bias") < 1e-9 < before  # the baselined return is unbiased
    page.choose("psi", "reward_to_go")
    spread = page.number("spread")
    page.slide("skill", 0)
    assert page.number("spread") == spread


def test_the_total_return_has_no_finite_spread(lesson):
    page = lesson("ascent", "psi=total_return")
    assert page.number("spread") == np.inf


def test_seven_psi_race_from_the_same_start(lesson):
    page = lesson("ascent", "skill=0.9")
    assert page.tab.locator('[data-picture="race"]').is_hidden()
    page.click('[data-do="race"]')
    ends = {
        e.text_content(): float(e.get_attribute("data-end"))
        for e in page.tab.locator('[data-picture="race"] [data-end]').all()
    }
    assert len(ends) == 7
    assert ends["advantage"] > max(0.1, ends["reward to go"], ends["total return"])
    drawn = page.drawing("race")
    page.slide("gamma", 0.8)
    assert page.drawing("race") != drawn


def test_calm_is_said_of_these_settings_only(lesson):
    page = lesson("ascent", "psi=advantage")
    assert "at these settings" in page.words("psi-words")
