"""The page "What each estimator really estimates" is true and up to date."""

from pathlib import Path

import pytest

from logtrick.auditing import survey
from logtrick.psi.registry import ESTIMATORS

PAGE = Path(__file__).parents[2] / "docs" / "estimators.md"


def committed():
    """{(table, estimator, MDP): text} of the committed page."""
    letters, found, columns, table = {}, {}, [], ""
    for line in PAGE.read_text().splitlines():
        cells = [text.strip() for text in line.strip("|").split("|")]
        if line.startswith("- **"):
            letters[line[4]] = line.split("`")[1]
        elif line.startswith("## "):
            table = line
        elif line.startswith("| estimator"):
            columns = [letters.get(title, title) for title in cells]
        elif line.startswith("| `"):
            for title, text in zip(columns[2:], cells[2:], strict=True):
                found[table, cells[0], title] = text
    return found


def check(mdps):
    cells = list(survey.survey(mdps))
    assert all(cell.agrees for cell in cells)
    page = committed()
    names = {key[1].split("`")[1] for key in page}
    assert names == {row.name for row in ESTIMATORS}
    for cell in cells:
        name = f"`{cell.estimator}`" + (", V wrong" if cell.critic == "wrong" else "")
        (text,) = [v for k, v in page.items() if k[1:] == (name, cell.mdp)]
        assert text == survey._text(cell), (name, cell.mdp)


def test_every_claim_on_the_page_holds():
    holds = [text for (_, _, title), text in committed().items() if title == "holds"]
    assert len(holds) == 41
    assert set(holds) == {"yes"}


@pytest.mark.parametrize("mdp", ["gamma_t_fixture", "two_state_loop"])
def test_the_page_is_up_to_date(mdp):
    check([mdp])


@pytest.mark.slow
def test_the_whole_page_is_up_to_date():
    check(survey.MDPS)
    assert survey.page(list(survey.survey())) == PAGE.read_text()


def test_a_false_claim_is_seen():
    (cell,) = [c for c in survey.survey(["two_state_loop"]) if c.estimator == "q_value"]
    assert cell.agrees
    lie = survey.Cell(**{**cell.__dict__, "measured": "no function"})
    assert not lie.agrees
    assert "| **no** |" in survey.page([lie])
    assert "| yes |" in survey.page([cell])
