"""Page 4: every line and identity with the library's numbers, and deleted terms that turn it."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.lessons.derived import derive_again, derived
from logtrick.lessons.garden import Compass, garden

pytestmark = pytest.mark.browser
THETA = [0.5, -0.35]


def vector(page, name):
    text = page.tab.locator(f'[data-live="{name}"]').first.get_attribute("data-value")
    return np.array(text.split(), float)


class Truth:
    """What the page shows, from `logtrick.exact` alone."""

    def __init__(self, gamma):
        mdp, policy = garden(gamma=gamma), Compass(THETA)
        probabilities, scores = policy.on_pairs(mdp)
        pi, score = probabilities.reshape(11, 4), scores.reshape(11, 4, 2)
        found, long_run = exact.evaluate(mdp, pi), exact.evaluate(mdp, pi, "average")
        self.eta, self.d, self.V = found.visitation, long_run.visitation, found.values
        self.gain = long_run.objective

        def all_action(weights, psi):
            return np.einsum("s,sa,sa,sak->k", weights, pi, psi, score)

        self.J = exact.policy_gradient(mdp, policy).theta
        self.r = exact.policy_gradient(mdp, policy, "average").theta
        self.kept = all_action(self.d, found.action_values)
        self.inside = all_action(self.eta, found.action_values - mdp.dense_rewards())


def lines(reading, gamma):
    """D1 … D7: the identities I3 and I4 turn all of them into gradients of `logtrick.exact`."""
    of = Truth(gamma)
    if reading == "start":
        return [of.J] * 5 + [of.J / of.eta.sum(), of.J]
    if reading == "average":
        return [of.r] * 7
    pulled = of.kept / (1 - gamma)
    return [of.r / (1 - gamma), pulled, pulled, of.kept, of.kept, of.kept, pulled]


@pytest.mark.parametrize("reading", ["start", "stationary", "average"])
def test_seven_lines_and_five_identities(lesson, reading):
    page = lesson("derivation", f"up={THETA[0]}&right={THETA[1]}&answer=yes")
    page.choose("reading", reading)
    hidden = page.tab.locator("[data-reading]:not([hidden])")
    assert [e.get_attribute("data-reading") for e in hidden.all()] == [reading]
    for nines in (0.3, 1, 3):
        page.slide("nines", nines)
        assert_lines(page, reading, 1 - 10**-nines)
        assert_identities(page, 1 - 10**-nines)


def assert_lines(page, reading, gamma):
    of = Truth(gamma)
    truth = of.J if reading == "start" else of.r
    np.testing.assert_allclose(vector(page, "truth"), truth, rtol=1e-9, atol=1e-9)
    for number, expected in enumerate(lines(reading, gamma), 1):
        name = f"{reading}-D{number}"
        np.testing.assert_allclose(vector(page, name), expected, rtol=1e-9, atol=1e-9)
        cosine = truth @ expected / np.linalg.norm(truth) / np.linalg.norm(expected)
        off = np.degrees(np.arccos(min(1.0, cosine)))
        assert page.number(f"{name}-verdict") == pytest.approx(off, abs=1e-5)
        right = page.words(f"{name}-verdict") == "points true"
        assert right == (reading != "stationary" or number == 1)


def assert_identities(page, gamma):
    of = Truth(gamma)
    assert page.number("I1") < 1e-12
    assert page.number("gains") == pytest.approx(-page.number("losses"), abs=1e-12)
    changes = page.cells("flow")
    assert changes.sum() == pytest.approx(0, abs=1e-12)
    assert page.number("weighed") == pytest.approx(changes @ of.V, abs=1e-9)
    np.testing.assert_allclose(vector(page, "I2-left"), of.inside, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I2-right"), of.inside, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I3-right"), of.kept, rtol=0, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I4-left"), of.r, rtol=0, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I4-dropped"), of.r - of.kept, rtol=0, atol=1e-9)
    for name in ("I2", "I3", "I4"):
        assert page.number(name) < 1e-9
    share = np.linalg.norm(of.r - of.kept) / np.linalg.norm(of.r)
    assert page.number("share") == pytest.approx(share, abs=1e-9)
    apart = np.abs((1 - gamma) * of.V - of.gain).max()
    assert page.number("I5") == pytest.approx(apart, abs=1e-9)
    assert page.number("gain") == pytest.approx(of.gain, abs=1e-9)


@pytest.mark.parametrize("reading", ["start", "stationary", "average"])
def test_a_deleted_term_turns_its_line(lesson, reading):
    page = lesson("derivation", f"reading={reading}")
    for number in range(1, 8):
        name = f"{reading}-D{number}"
        buttons = page.tab.locator(f'[data-term^="{name}-"]').all()
        whole = vector(page, name)
        terms = [vector(page, f"{name}-{t}") for t in range(len(buttons))]
        np.testing.assert_allclose(sum(terms), whole, atol=1e-12)
        for button, term in zip(buttons, terms, strict=True):
            button.click()
            page.settle()
            assert button.get_attribute("aria-pressed") == "true"
            np.testing.assert_allclose(vector(page, name), whole - term, atol=1e-12)
            assert f"D{number}" in page.words("compare-words")
            button.click()
            page.settle()
    assert "deleted" not in page.state


def test_what_d2_drops_is_what_i4_names(lesson):
    page = lesson("derivation", "reading=stationary&line=D1&answer=no")
    before = page.drawing("compare")
    page.click('[data-term="stationary-D1-0"]')
    np.testing.assert_allclose(vector(page, "stationary-D1"), vector(page, "stationary-D2"))
    dropped = vector(page, "stationary-D1-0")
    np.testing.assert_allclose(vector(page, "I4-dropped"), 0.1 * dropped, atol=1e-12)
    assert page.drawing("compare") != before
    again = lesson("derivation", page.state)
    np.testing.assert_allclose(vector(again, "stationary-D1"), vector(page, "stationary-D1"))
    page.click('[data-do="restore"]')
    assert page.words("stationary-D1-verdict") == "points true"


def test_changes_in_visits_are_those_of_a_small_step(lesson):
    page = lesson("derivation", f"up={THETA[0]}&right={THETA[1]}&answer=no")
    uphill = Truth(0.9).r / np.linalg.norm(Truth(0.9).r)
    step = 1e-5

    def time(theta):
        probabilities, _ = Compass(theta).on_pairs(garden())
        return exact.stationary_distribution(garden(), probabilities.reshape(11, 4))

    moved = (time(THETA + step * uphill) - time(THETA - step * uphill)) / (2 * step)
    np.testing.assert_allclose(page.cells("flow"), moved, atol=1e-8)


def test_towards_1_the_values_level_out_and_nothing_is_dropped(lesson):
    page = lesson("derivation", "answer=level")
    gaps, shares = [], []
    for nines in (1, 2, 3, 4):
        page.slide("nines", nines)
        gaps.append(page.number("I5"))
        shares.append(page.number("share"))
    for numbers in (gaps, shares):
        rates = np.array(numbers[:-1]) / numbers[1:]
        np.testing.assert_allclose(rates[1:], 10, rtol=0.15)  # both vanish like 1 − γ


def test_the_answer_comes_after_the_question(lesson):
    page = lesson("derivation")
    after = page.tab.locator("[data-after-answer]")
    assert after.is_hidden()
    for choice, word in (("yes", "does not"), ("no", "lost"), ("level", "That is it")):
        page.choose("answer", choice)
        assert after.is_visible()
        assert word in page.words("answer-words")


def test_lines_are_drawn_when_they_are_named(lesson):
    page = lesson("derivation", "reading=stationary")
    drawn = {page.drawing("compare")}
    for number in (1, 3, 4):
        page.click(f'[data-line="stationary-D{number}"]')
        drawn.add(page.drawing("compare"))
        assert page.words("compare-words").startswith(f"D{number} ")
    assert len(drawn) == 4


@pytest.mark.parametrize("kept", derived(), ids=lambda kept: kept["setting"]["reading"])
def test_the_kept_numbers_are_those_of_derive(kept):
    again = derive_again(kept["setting"]["reading"])
    assert again["setting"] == kept["setting"]
    for name, numbers in kept["numbers"].items():
        np.testing.assert_allclose(again["numbers"][name], numbers, rtol=1e-10, atol=1e-13)
