"""Every Python block of the README and the guides runs, and prints what stands below it.

So does every `logtrick` command below which its output stands, on a terminal of 80 columns; on the
task pages and in the migration tables every command runs, whatever stands below it. There
`runs/NAME-…` is the newest run folder of that name. What is shown but not run is a `console` block.

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
import docs_api
from logtrick import lessons
from logtrick.commands.cli import _COMMANDS, main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README, GUIDES = ROOT / "README.md", sorted(DOCS.rglob("*.md"))
PAGES = [README, *GUIDES]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def is_task(page):
    return page.parent != DOCS and page != README


def name_of(page):
    return page.relative_to(ROOT).as_posix().removeprefix("docs/")


def run(page, names):
    """Run a page's blocks in the present folder; `names` is the session."""
    fences = [(m.group(1), m.group(2)) for m in FENCE.finditer(page.read_text())]
    for number, ((language, code), (after, shown)) in enumerate(pairwise([*fences, ("", "")])):
        has_output = language == "bash" and after == "text" and code.startswith("logtrick ")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if language == "python":
                exec(compile(code, f"{page.name}, block {number}", "exec"), names)
            elif has_output or (language == "bash" and is_task(page)):
                for line in code.splitlines():
                    command(line)
            else:
                continue
        if after == "text":
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            same = doctest.OutputChecker().check_output(shown, printed.getvalue(), flags)
            assert same, f"{page.name}, block {number} printed:\n{printed.getvalue()}"


def command(line):
    """Run a line of a shell: logtrick's commands here; what it installs or starts must exist."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["pip", "install"]:
        extras = re.findall(r"logtrick\[([^]]*)\]", line)
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert extras, line
        assert {*extras} <= {*known["optional-dependencies"]}, line
    elif words[:1] == ["python"]:
        assert (ROOT / words[1]).is_file(), line  # test_examples.py runs it
    elif words:
        assert words[0] == "logtrick", line
        with contextlib.suppress(SystemExit):
            status = main([newest(word) for word in words[1:]])
            assert not status, line


def newest(word):
    """`runs/CartPole-v1-…` is the run folder that was made last."""
    if not word.endswith("-…"):
        return word
    return str(max(Path().glob(word.removesuffix("…") + "*"), key=lambda run: run.stat().st_mtime))


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        folder, _, file = link.rpartition("/")
        if folder == "learn":  # written into the site
            assert file in {page.file for page in lessons.PAGES}
        elif folder.rpartition("/")[2] == "api":
            assert file.removesuffix(".md") in {*docs_api.PAGES, "index"}
        else:
            assert (page.parent / link).exists(), link


def test_the_pictures_of_the_readme_are_light():
    shown = set(re.findall(r"\((docs/pictures/[^)]+)\)", README.read_text()))
    assert {ROOT / picture for picture in shown} == set((ROOT / "docs" / "pictures").iterdir())
    assert len(shown) == 3
    assert all((ROOT / picture).stat().st_size < 100_000 for picture in shown)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_exist(page):
    shell = [code for language, code in FENCE.findall(page.read_text()) if language == "bash"]
    commands = set(re.findall(r"^logtrick (\w+)", "\n".join(shell), flags=re.MULTILINE))
    assert commands <= _COMMANDS.keys()


def test_the_site_has_every_guide():
    site = tomllib.loads((ROOT / "zensical.toml").read_text())
    listed = re.findall(r"'([\w./]+\.md)'", repr(site["project"]["nav"]))
    reference = [f"api/{slug}.md" for slug in ("index", *docs_api.PAGES)]
    assert sorted(listed) == sorted([*map(name_of, GUIDES), *reference])


@pytest.mark.parametrize("name", docs.GENERATED)
def test_the_generated_pages_are_up_to_date(name):
    assert (ROOT / "docs" / name).read_text() == docs.GENERATED[name]()


@pytest.mark.parametrize("id", docs.IDS)
def test_each_equation_has_a_function_and_a_test(id):
    assert any(id in equation.ids for equation in docs.public_equations())
    assert docs.tests_naming(id)


def test_the_map_of_the_house_names_files_that_are_there():
    text = (DOCS / "architecture.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", text))
    sources = ROOT / "src" / "logtrick"
    missing = [n for n in named if not (ROOT / n).exists() and not any(sources.rglob(n))]
    assert len(named) > 50
    assert missing == []
