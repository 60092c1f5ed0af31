"""Other MDPs in the garden's place, and figures alone."""

import numpy as np
import pytest

import logtrick as lt
from logtrick.errors import ConfigError, MDPError
from logtrick.lessons.worlds import world

SET_ELSEWHERE = ("value", "policy", "derivation", "scales")


def two_closed_classes():
    stay = [[(1.0, 0, 1.0, False)], [(1.0, 0, 0.0, False)]]
    stay_too = [[(1.0, 1, 0.0, False)], [(1.0, 1, 2.0, False)]]
    return lt.FiniteMDP.from_outcomes([stay, stay_too], gamma=0.9, start=[0.5, 0.5])


def ragged():
    """Three states; the last has one action only."""
    rows = [
        [[(0.5, 1, 0.0, False), (0.5, 2, 1.0, False)], [(1.0, 0, 0.2, False)]],
        [[(1.0, 2, 0.5, False)], [(1.0, 0, -1.0, False)]],
        [[(1.0, 0, 0.0, False)]],
    ]
    return lt.FiniteMDP.from_outcomes(rows, gamma=0.8, start=0)


@pytest.mark.parametrize(
    ("mdp", "said"),
    [
        (lt.problems.corridor(), "γ = 1"),
        (lt.problems.random_walk(99, gamma=0.9), "too many to draw"),
        (two_closed_classes(), "closed class|closed classes"),
        (lt.FiniteMDP.from_outcomes([[[(1.0, 0, 1.0, False)]]], gamma=0.9), "one action only"),
    ],
    ids=["gamma 1", "too large", "multichain", "no choice"],
)
def test_a_world_that_cannot_be_shown_is_refused(tmp_path, mdp, said):
    with pytest.raises(MDPError, match=said):
        lt.lessons.write(tmp_path / "out", mdp=mdp)
    assert not (tmp_path / "out").exists()


def test_the_advice_works():
    assert world(lt.problems.corridor().replace(gamma=0.9)).restarts


def test_a_figure_is_named_nearly(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean landscape"):
        lt.lessons.figure("landscap")
    with pytest.raises(ConfigError, match="leave the MDP out, or take one of walk"):
        lt.lessons.figure("coin", mdp=lt.problems.forest())


def test_a_turned_policy_is_a_policy_whatever_the_actions():
    for mdp in (ragged(), lt.problems.forest(), lt.problems.garnet(6, 5, 2, gamma=0.9)):
        of = world(mdp)
        table, scores = of.policy([0.7, -0.4])
        np.testing.assert_allclose(table.sum(axis=1), 1)
        assert np.all(table[~of.allowed] == 0)
        np.testing.assert_allclose(np.einsum("sa,sak->sk", table, scores), 0, atol=1e-14)
        step = 1e-6
        for k, way in enumerate(np.eye(2)):
            ahead, back = (of.policy(np.array([0.7, -0.4]) + s * step * way)[0] for s in (1, -1))
            moved = (ahead - back) / (2 * step)
            np.testing.assert_allclose(moved, table * scores[:, :, k], atol=1e-9)


@pytest.mark.browser
@pytest.mark.parametrize(
    "mdp",
    [lt.problems.frozen_lake(gamma=0.95), ragged(), lt.problems.corridor(gamma=0.9)],
    ids=["frozen lake", "ragged", "corridor"],
)
def test_another_mdp_takes_the_garden_s_place(lesson, tmp_path, mdp):
    files = {path.stem: path for path in lt.lessons.write(tmp_path, mdp=mdp)}
    ends = bool(mdp.pair_ends.any())
    page = None
    for name in SET_ELSEWHERE:
        state = "answer=D2" if name == "derivation" else ""
        context = page.context if page else None
        page = lesson(name, state, path=files[name], context=context)
        page.unfold()
        assert page.number("difference") < 1e-9
        assert page.number("checked") >= 10
        text = page.tab.locator("main").inner_text()
        assert not any(word in text for word in ("snail", "salad", "poison", "garden", "NaN"))
        assert files[name].stat().st_size <= 400_000
        if name != "value":
            assert ("leads back to a start" in text) == ends
    of = world(mdp)
    page = lesson("policy", path=files["policy"], context=page.context)
    values = lt.exact.state_values(mdp, of.uniform)
    np.testing.assert_allclose(page.cells("policy"), values, atol=1e-9)
    if mdp.num_states == 3 and ends:  # the corridor pays −1 a step, whatever one does
        page = lesson("scales", "weigh=values", path=files["scales"], context=page.context)
        assert "nothing to weigh" in page.words("scales-words")


@pytest.mark.browser
def test_every_figure_stands_alone(browser):
    tab = browser.new_page(viewport={"width": 744, "height": 900})
    complaints = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: complaints.append(said.text))
    for name in lt.lessons.figure_names():
        found = lt.lessons.figure(name)
        assert len(found.html) <= 400_000
        tab.goto("about:blank")  # else the policy against foreign scripts of the one before holds
        tab.set_content(found.html)
        tab.wait_for_selector("html[data-ready]", state="attached")
        figure = tab.locator(f'[data-figure="{name}"]')
        assert figure.is_visible()
        assert tab.locator("[data-figure]:visible").count() == 1
        tall = figure.bounding_box()["height"]
        assert found.height - 120 < tall <= found.height, name
        assert complaints == [], name
    tab.close()


@pytest.mark.browser
def test_a_figure_shows_itself_in_a_notebook(browser):
    tab = browser.new_page()
    shown = lt.lessons.figure("scales", mdp=lt.problems.river_swim(gamma=0.9))
    tab.set_content(f"<h1>A notebook</h1>{shown._repr_html_()}")
    frame = tab.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached")
    frame.get_by_label("visits × value").check()
    frame.get_by_text("turns the printed line").wait_for()
    tab.close()
