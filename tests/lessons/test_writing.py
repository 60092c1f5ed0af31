"""Formulas, bundles, cards and the command, without a browser."""

import re
from pathlib import Path

import numpy as np
import pytest

from logtrick import lessons
from logtrick.commands.cli import main
from logtrick.errors import RunError
from logtrick.lessons import bridge, documents
from logtrick.lessons.cards import CARDS, deck
from logtrick.lessons.conventions import NAMES, translate
from logtrick.lessons.exercises import exercises
from logtrick.lessons.lines import PRINTED
from logtrick.lessons.mathml import displayed, mathml


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


def test_brackets_grow_with_what_they_hold_and_only_then():
    assert inside("V(s)").count('stretchy="false"') == 2
    assert "stretchy" not in inside("𝔼[Σ_t x]")
    assert inside("(γλ)^k").startswith("<msup><mrow>")


def test_a_displayed_formula_breaks_before_its_relations():
    assert displayed("a = b = c").count("<math ") == 3
    assert displayed("∇(a = b)").count("<math ") == 1
    assert displayed('x " in words " y').count("<math ") == 2


def test_every_card_can_be_read_both_ways_and_comes_back_later():
    assert len({card.name for card in CARDS}) == len(CARDS)
    assert {"∇J", "𝔼", "δ_t", "λ"} <= {card.front for card in CARDS}
    for card in CARDS:
        assert bool(card.meaning) != bool(card.parts)
        mathml(card.front)
    due = {page: {card["name"] for card in deck(page) if card["due"]} for page in range(7)}
    carried = {card["name"] for card in deck(0)}
    assert carried == due[0]
    for card in CARDS:
        assert (f"{card.name}-back" in carried) == (not card.parts)
        assert [page for page in range(1, 7) if card.name in due[page]] == [card.page]
        assert sum(f"{card.name}-back" in due[page] for page in range(1, 7)) <= 1
    assert all(2 <= len(names) <= 14 for page, names in due.items() if page)


@pytest.mark.parametrize("key", NAMES)
def test_a_translation_is_a_formula_and_is_not_translated_twice(key):
    for card in CARDS:
        there = translate(card.front, key)
        mathml(there)
    assert translate('"V of s" V', "sutton") == '"V of s" v'
    assert translate("δ_t", "cs234") == "δ_t"


def test_sutton_and_barto_write_h_for_the_start():
    (row,) = (row for row in bridge.ROWS if row.here == "ρ(s)")
    assert (row.sutton_barto, row.gae, row.spinning_up) == ("h(s)", "ρ_0(s)", "ρ_0(s)")
    assert translate("ρ(s)", "sutton") == "h(s)"


def test_the_documentation_has_the_same_bridge():
    text = (Path(__file__).parents[2] / "docs" / "notation.md").read_text()
    assert bridge.markdown() in text


def test_no_two_meanings_share_a_colour():
    style = (Path(documents.__file__).parent / "assets" / "style.css").read_text()
    for scheme in style.split("prefers-color-scheme: dark"):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", scheme.partition("* {")[0]))
        names = ("value", "policy", "visits", "objective", "gamma", "psi", "right", "wrong")
        chosen = [np.array([int(colours[n][i : i + 2], 16) for i in (1, 3, 5)]) for n in names]
        for i, one in enumerate(chosen):
            for j, other in enumerate(chosen[:i]):
                assert np.linalg.norm(one - other) > 40, (names[i], names[j])


def test_the_font_is_small_and_has_its_licence():
    assets = Path(documents.__file__).parent / "assets"
    assert (assets / "math.woff2").stat().st_size <= 60_000
    licence = (assets / "math.LICENSE.txt").read_text()
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "STI Pub Companies" in licence


def ran(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["learn", *arguments])
    return caught.value.code


def test_the_command_writes_the_pages(tmp_path, capsys):
    assert not ran("--out", str(tmp_path / "there"))
    written = {path.name for path in (tmp_path / "there").iterdir()}
    assert written == {page.file for page in lessons.PAGES}
    assert "start.html" in capsys.readouterr().out


def test_the_command_writes_a_figure_a_sheet_and_the_answers(tmp_path, capsys):
    assert not ran("--figure", "scales", "--sheet", "--answers", "--out", str(tmp_path))
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written.keys() == {"scales.html", "sheet.html", "answers.html"}
    said = capsys.readouterr().out
    assert re.search(r'<iframe src="scales.html" width="100%" height="\d{3}"', said)
    assert written["answers.html"].count("<section>") == len(exercises())
    assert "4/3" in written["answers.html"]
    for line in PRINTED:
        assert displayed(line.formula) in written["sheet.html"]
    assert all("<script" not in written[name] for name in ("sheet.html", "answers.html"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--figure", "scale"], "Did you mean scales"),
        (["--figure", "landscape", "--mdp", "forest"], "its own small world"),
        (["--gamma", "0.9"], "--gamma has no effect without --mdp"),
        (["--sheet", "--mdp", "forest"], "no particular MDP"),
        (["--mdp", "corridor"], "--gamma 0.9"),
        (["--mdp", "taxi", "--gamma", "0.9"], "too many to draw"),
        (["--mdp", "nowhere"], "No problem is called"),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path, capsys, arguments, said):
    assert ran(*arguments, "--out", str(tmp_path / "out"))
    error = capsys.readouterr().err
    assert said in " ".join(error.split())
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is a file; the lessons need a folder"):
        lessons.write_sheet(tmp_path / "file")
    assert ran("--sheet", "--out", str(tmp_path / "file"))
    assert "is a file" in " ".join(capsys.readouterr().err.split())


def test_the_command_opens_the_first_page(tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", lambda uri: opened.append(uri) or False)
    assert not ran()
    assert [uri.endswith(lessons.PAGES[0].file) for uri in opened] == [True]
    assert "No browser" in capsys.readouterr().out
