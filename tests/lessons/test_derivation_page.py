"""Page 5: every line and identity with the library's numbers, and deleted terms that turn it."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.exact.derivation import derive
from logtrick.lessons import references
from logtrick.lessons.garden import Compass, garden
from logtrick.lessons.worlds import world

pytestmark = pytest.mark.browser
THETA = [-0.35, 0.5]  # right, up


def vector(page, name):
    return page.vector(name)


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
def test_seven_lines_and_the_identities(lesson, reading):
    page = lesson("derivation", f"right={THETA[0]}&up={THETA[1]}&answer=D2")
    page.choose("reading", reading)
    shown = {
        e.get_attribute("data-reading")
        for e in page.tab.locator("[data-reading]:not([hidden])").all()
    }
    assert shown == {reading}
    for nines in (0.3, 1, 3):
        page.slide("nines", nines)
        assert_lines(page, reading, 1 - 10**-nines)
        assert_identities(page, 1 - 10**-nines)


def assert_lines(page, reading, gamma):
    of = Truth(gamma)
    truth = of.J if reading == "start" else of.r
    np.testing.assert_allclose(vector(page, "truth"), truth, rtol=1e-9, atol=1e-9)
    for number, expected in enumerate(lines(reading, gamma), 1):
        name = f"D{number}"
        np.testing.assert_allclose(vector(page, name), expected, rtol=1e-9, atol=1e-9)
        cosine = truth @ expected / np.linalg.norm(truth) / np.linalg.norm(expected)
        off = np.degrees(np.arccos(min(1.0, cosine)))
        assert page.number(f"{name}-verdict") == pytest.approx(off, abs=1e-5)
        right = page.words(f"{name}-verdict") == "✓ true"
        assert right == (reading != "stationary" or number == 1)


def assert_identities(page, gamma):
    of = Truth(gamma)
    np.testing.assert_allclose(vector(page, "I2-left"), of.inside, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I2-right"), of.inside, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I3-right"), of.kept, rtol=0, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I4-left"), of.r, rtol=0, atol=1e-9)
    np.testing.assert_allclose(vector(page, "I4-dropped"), of.r - of.kept, rtol=0, atol=1e-9)
    for name in ("I2", "I3", "I4"):
        assert page.number(name) < 1e-9
    share = np.linalg.norm(of.r - of.kept) / np.linalg.norm(of.r)
    assert page.number("share") == pytest.approx(share, abs=1e-9)
    normaliser = {"start": of.eta.sum(), "stationary": 1 / (1 - gamma), "average": 1}
    chosen = page.tab.locator('[name="reading"]:checked').get_attribute("value")
    assert page.number("normaliser") == pytest.approx(normaliser[chosen], abs=1e-6)


@pytest.mark.parametrize("reading", ["start", "stationary", "average"])
def test_a_deleted_term_turns_its_line(lesson, reading):
    page = lesson("derivation", f"reading={reading}&answer=D2")
    page.unfold()
    for number in range(1, 8):
        name = f"{reading}-D{number}"
        buttons = page.tab.locator(f'[data-term^="{name}-"]').all()
        whole = page.vector(f"D{number}")
        terms = [page.vector(f"{name}-{t}") for t in range(len(buttons))]
        np.testing.assert_allclose(sum(terms), whole, atol=1e-12)
        for button, term in zip(buttons, terms, strict=True):
            button.click()
            page.settle()
            assert button.get_attribute("aria-pressed") == "true"
            np.testing.assert_allclose(page.vector(f"D{number}"), whole - term, atol=1e-12)
            np.testing.assert_allclose(page.vector(f"{name}-left"), whole - term, atol=1e-12)
            assert f"D{number}" in page.words("compare-words")
            button.click()
            page.settle()
    assert "deleted" not in page.state


def test_what_d2_drops_is_what_i4_names(lesson):
    page = lesson("derivation", "reading=stationary&line=D1&answer=none")
    page.unfold()
    before = page.drawing("compare")
    page.click('[data-term="stationary-D1-0"]')
    np.testing.assert_allclose(page.vector("D1"), page.vector("D2"))
    dropped = page.vector("stationary-D1-0")
    np.testing.assert_allclose(page.vector("I4-dropped"), 0.1 * dropped, atol=1e-12)
    assert page.drawing("compare") != before
    again = lesson("derivation", page.state)
    np.testing.assert_allclose(again.vector("D1"), page.vector("D1"))
    page.click('[data-do="restore"]')
    assert page.words("D1-verdict") == "✓ true"


def test_a_term_that_is_pointed_at_lights_its_arrow(lesson):
    page = lesson("derivation", "reading=stationary&answer=D2")
    page.unfold()
    page.tab.locator('[data-term="stationary-D1-1"]').hover()
    page.settle()
    assert page.tab.locator('[data-picture="compare"] .hot').count() == 1
    page.tab.locator('[data-term="stationary-D4-0"]').focus()
    page.settle()
    assert page.words("compare-words").startswith("D4")


def test_towards_1_nothing_is_dropped(lesson):
    page = lesson("derivation", "answer=D2")
    shares = []
    for nines in (1, 2, 3, 4):
        page.slide("nines", nines)
        shares.append(page.number("share"))
    np.testing.assert_allclose(np.array(shares[1:-1]) / shares[2:], 10, rtol=0.15)


def test_the_numbers_come_after_the_prediction(lesson):
    page = lesson("derivation")
    after = page.tab.locator(".printed .audit").first
    assert after.is_hidden()
    assert page.tab.locator(".printed .why").first.is_visible()
    for choice, word in (("none", "It is D2"), ("D2", "Yes, D2"), ("D7", "It is D2")):
        page.choose("answer", choice)
        assert after.is_visible()
        assert word in page.words("answer-words")
    page.choose("reading", "average")
    assert "no step is loose" in page.words("answer-words")


def test_lines_are_drawn_when_they_are_named(lesson):
    page = lesson("derivation", "reading=stationary&answer=D2")
    drawn = {page.drawing("compare")}
    for number in (1, 3, 4):
        page.click(f'[data-line="D{number}"]')
        drawn.add(page.drawing("compare"))
        assert page.words("compare-words").startswith(f"D{number} ")
    assert len(drawn) == 4


def test_vectors_are_printed_in_the_order_of_the_plane(lesson):
    page = lesson("derivation", "answer=D2")
    right, up = page.vector("truth")
    assert page.words("truth") == f"({right:.3f}, {up:.3f})"
    exactly = exact.policy_gradient(garden(), Compass([0.2, 0.8]), "average").theta
    np.testing.assert_allclose([right, up], exactly, atol=1e-9)
    assert abs(up) > 5 * abs(right)  # so the arrow points up, as it is drawn
    tip = page.tab.locator('[data-picture="compare"] .gradient .head').get_attribute("d")
    x, y = map(float, tip[1:].partition("L")[0].split())
    assert abs(x - 248) < 0.3 * abs(y - 200)


@pytest.mark.parametrize("reading", ["start", "stationary", "average"])
def test_the_reference_numbers_are_those_of_derive(reading):
    found = derive(garden(), Compass(references.THETA), reading)
    numbers = references.of_line(world(), reading, references.THETA, 0.9)
    np.testing.assert_allclose(numbers["truth"], found.truth, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        numbers["lines"], [line.vector for line in found.lines], rtol=1e-9, atol=1e-12
    )
    assert numbers["dropped"] == pytest.approx(found.dropped, rel=1e-9, abs=1e-12)
