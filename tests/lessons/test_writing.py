"""Formulas, bundles, cards and the command, without a browser."""

import pytest

from logtrick import lessons
from logtrick.cli import main
from logtrick.errors import RunError
from logtrick.lessons.cards import CARDS, deck
from logtrick.lessons.mathml import mathml


def inside(notation):
    return mathml(notation).partition(">")[2].removesuffix("</math>")


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        ("x_i^2", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"),
        ("x^{a+b}", "<msup><mi>x</mi><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></msup>"),
        ("log x", "<mi>log</mi><mi>x</mi>"),
        ("frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        ("a<b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        ("x y", "<mi>x</mi><mi>y</mi>"),
    ],
)
def test_notation_becomes_mathml(notation, expected):
    assert inside(notation) == expected


def test_a_sum_takes_its_index_below():
    assert inside("Σ_s x").startswith('<munder><mo largeop="true" movablelimits="true">∑</mo>')


def test_a_symbol_has_its_colour_everywhere():
    assert inside("γ") == '<mi class="gamma">γ</mi>'


@pytest.mark.parametrize("notation", ["x_", "{x", "x}", "^2", "frac{1}"])
def test_a_formula_that_is_none_is_refused(notation):
    with pytest.raises(ValueError, match=r"stands on nothing|follow|closed|closing"):
        mathml(notation)


def test_every_card_can_be_read_and_comes_back_later():
    assert len({card.name for card in CARDS}) == len(CARDS)
    for card in CARDS:
        assert bool(card.meaning) != bool(card.parts)
        mathml(card.front)
    due = {page: {card["name"] for card in deck(page) if card["due"]} for page in range(5)}
    assert due[0] == {card.name for card in CARDS}
    for card in CARDS:
        seen = [page for page in (1, 2, 3, 4) if card.name in due[page]]
        assert seen[0] == card.page
        assert len(seen) <= 2  # again after one to three pages, or on the page of all cards
    assert all(4 <= len(names) <= 10 for page, names in due.items() if page)


def test_the_command_writes_the_pages(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["learn", "--out", str(tmp_path / "there")])
    assert not caught.value.code
    written = {path.name for path in (tmp_path / "there").iterdir()}
    assert written == {page.file for page in lessons.PAGES}
    assert "value.html" in capsys.readouterr().out


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        lessons.write(tmp_path / "file")


def test_the_command_opens_the_first_page(tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or False)
    with pytest.raises(SystemExit):
        main(["learn"])
    assert [uri.endswith(lessons.PAGES[0].file) for uri in opened] == [True]
    assert "No browser" in capsys.readouterr().out
