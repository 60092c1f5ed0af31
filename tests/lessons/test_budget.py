"""The path costs ten minutes, counted in the pages themselves; and says so."""

import re

import pytest

from logtrick import lessons
from logtrick.lessons import budget, lines
from logtrick.lessons.documents import body
from logtrick.lessons.pages import PATH, book

IN_PSI = (
    "∇J = ∇ Σ_s d V",
    "= Σ_s d ∇V",
    "= Σ_s d ∇ (Σ_a π ψ)",
    "= Σ_s d Σ_a ψ ∇π",
    "= Σ_s d Σ_a π ψ ∇log π",
    "= 𝔼[ ψ ∇log π ]",
    "= 𝔼[ Σ_t ψ_t ∇log π(a_t|s_t) ]",
)


def test_the_path_keeps_its_budget():
    cost = book().cost
    assert cost.words <= 1200
    assert cost.touches <= 12
    assert cost.minutes <= 10
    assert [page.step for page in PATH] == list(range(7))


def test_the_first_page_prints_the_cost():
    first = book().html(PATH[0])
    cost = book().cost
    assert f"10 minutes: {cost.words} words at 200 a minute, {cost.touches} touches" in first
    assert "{{" not in first.partition("<script")[0]


@pytest.mark.parametrize(
    ("markup", "words", "touches"),
    [
        ("<p>Three short words</p>", 3, 0),
        ("<p>0.9 and <b>more</b></p>", 3, 0),
        ('<p>value <span data-live="v">0.93</span></p>', 1, 0),
        ('<p><span data-live="v">two words</span></p>', 2, 0),
        ('<math alttext="V_π(s)"><mi>V</mi></math>', 1, 0),
        ('<p>so <math alttext="x = y"><mi>x</mi></math></p>', 16, 0),
        ('<div class="formula"><math alttext="x"></math> <math alttext="= y"></math></div>', 15, 0),
        ("<details><summary>Deeper: one</summary><p>not these words</p></details><p>on</p>", 3, 0),
        ('<button data-touch>Go</button><input type="range" data-touch><p hidden>no</p>', 1, 2),
        ('<svg><path d="M0 0"></path><text>0.5</text><text>up</text></svg>', 1, 0),
    ],
)  # fmt: skip
def test_words_are_counted_as_the_page_says(markup, words, touches):
    assert budget.cost([markup]) == budget.Cost(words, touches)


def test_an_unfolded_or_a_longer_page_costs_more():
    page = book().content(PATH[1])
    text = body(page)
    whole = budget.cost([text]).words
    assert (
        budget.cost([text.replace("<details", "<div").replace("</details", "</div")]).words
        > whole + 50
    )
    assert budget.cost([text + "<p>one more</p>"]).words == whole + 2


def test_the_seven_lines_stand_in_psi_each_with_its_reason():
    assert tuple(line.formula for line in lines.PRINTED) == IN_PSI
    assert all(line.reason for line in lines.PRINTED)
    assert all(len(notes) == 7 and all(notes) for notes in lines.AUDIT.values())
    for page, count in (("start", 1), ("derivation", 1)):
        shown = body(book().content(next(p for p in lessons.PAGES if p.name == page)))
        spoken = " ".join(re.findall(r'alttext="([^"]*)"', shown))
        assert spoken.count("= 𝔼[ Σ_t ψ_t ∇log π(a_t|s_t) ]") == count
