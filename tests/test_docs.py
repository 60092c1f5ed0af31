"""Every Python block of the README and the guides runs, and prints what stands below it.

So does every `logtrick` command below which its output stands, on a terminal of 80 columns.

The blocks of a page follow one another in one session, in an empty folder. Where a block of
`text` follows, it is what the block before it printed; `...` stands for what differs.
"""

import contextlib
import doctest
import io
import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import docs
from logtrick import lessons
from logtrick.commands.cli import _COMMANDS, main

ROOT = Path(__file__).parents[1]
README, GUIDES = ROOT / "README.md", sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, *GUIDES]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def run(page, names):
    """Run a page's blocks in the present folder; `names` is the session."""
    fences = [(m.group(1), m.group(2)) for m in FENCE.finditer(page.read_text())]
    for number, ((language, code), (after, shown)) in enumerate(pairwise([*fences, ("", "")])):
        is_command = language == "bash" and after == "text" and code.startswith("logtrick ")
        if language != "python" and not is_command:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if is_command:
                with contextlib.suppress(SystemExit):
                    main(shlex.split(code)[1:])
            else:
                exec(compile(code, f"{page.name}, block {number}", "exec"), names)
        if after == "text":
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            same = doctest.OutputChecker().check_output(shown, printed.getvalue(), flags)
            assert same, f"{page.name}, block {number} printed:\n{printed.getvalue()}"


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_the_guides_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    run(page, {})


def test_the_readme_runs_and_its_comments_are_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {name: np.ones(3) for name in ("rewards", "values", "next_values")}  # the reader's own
    names |= {name: np.zeros(3) for name in ("terminated", "truncated")}
    run(README, names)
    lt, mdp, policy = names["lt"], names["mdp"], names["policy"]
    assert lt.exact.objective(mdp, policy) == pytest.approx(-12.0)
    np.testing.assert_allclose(lt.exact.policy_gradient(mdp, policy).logits, [[2.0, -2.0]])
    assert names["solution"].values[0] == pytest.approx(0.54202593, abs=1e-8)
    assert 0 < names["solution"].error_bound < 1e-6
    assert names["run"].final_returns.shape == (4,)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        folder, _, lesson = link.rpartition("/")
        if folder == "learn":  # written into the site
            assert lesson in {page.file for page in lessons.PAGES}
        else:
            assert (page.parent / link).exists(), link


def test_the_pictures_of_the_readme_are_light():
    shown = set(re.findall(r"\((docs/pictures/[^)]+)\)", README.read_text()))
    assert {ROOT / picture for picture in shown} == set((ROOT / "docs" / "pictures").iterdir())
    assert len(shown) == 3
    assert all((ROOT / picture).stat().st_size < 100_000 for picture in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_exist(page):
    shell = [code for language, code in FENCE.findall(page.read_text()) if language == "bash"]
    commands = set(re.findall(r"^logtrick (\w+)", "\n".join(shell), flags=re.MULTILINE))
    assert commands <= _COMMANDS.keys()


def test_the_site_has_every_guide():
    site = tomllib.loads((ROOT / "zensical.toml").read_text())
    listed = re.findall(r"'([\w.]+\.md)'", repr(site["project"]["nav"]))
    assert sorted(listed) == sorted(page.name for page in GUIDES)


@pytest.mark.parametrize("name", docs.GENERATED)
def test_the_generated_pages_are_up_to_date(name):
    assert (ROOT / "docs" / name).read_text() == docs.GENERATED[name]()


@pytest.mark.parametrize("id", docs.IDS)
def test_each_equation_has_a_function_and_a_test(id):
    assert any(id in equation.ids for equation in docs.public_equations())
    assert docs.tests_naming(id)
