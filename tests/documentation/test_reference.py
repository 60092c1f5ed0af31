"""The API reference holds every public name, with its fields, its source and its tests."""

import dataclasses
import inspect
import re

import pytest

import docs_api
import docs_source
import docs_uses
import logtrick as lt
from docs_docstrings import prose, read


@pytest.fixture(scope="module")
def pages():
    return dict(docs_api.pages())


def test_every_public_name_is_on_one_page(pages):
    on = dict.fromkeys(lt.__all__, 0)
    for page in docs_api.PAGES.values():
        for name in page.names:
            on[name] += 1
    reexported = {name for name in on if any(f"lt.{name}" in e.aliases for e in docs_api.entries())}
    named = {entry.name.removeprefix("lt.") for entry in docs_api.entries()}
    assert {name for name, count in on.items() if count == 0} <= named | reexported
    assert max(on.values()) == 1
    anchors = re.findall(r"\{ #([\w.]+) \.api-name \}", "".join(pages.values()))
    assert len(anchors) == len(set(anchors))
    assert {entry.name for entry in docs_api.entries()} <= set(anchors)


@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "REINFORCE", "NPG", "TRPO", "IMPALA", "GRPO"])
def test_every_field_of_an_algorithm_is_there_with_its_default(pages, algorithm):
    page = pages["algorithms.md"]
    for field in dataclasses.fields(getattr(lt, algorithm)):
        heading = rf"### lt\.PPO\.{field.name} {{.*\n\n(.*)\n(.+)"
        if algorithm == "PPO":  # its fields have headings
            ((shown, meaning),) = re.findall(heading, page)
            default = re.search(r"by default `(.*)`", shown)
        else:
            ((line, meaning),) = re.findall(
                rf'<dt id="lt\.{algorithm}\.{field.name}">(.*)<dd>(.*)</dd>', page
            )
            default = re.search(r'api-default">= (.*?)</span>', line)
        assert meaning not in ("", "–"), field.name
        if field.default is not dataclasses.MISSING:
            given = default[1].replace("&quot;", '"').replace("&#x27;", "'")
            assert eval(given) == field.default, field.name


def test_arguments_have_types_shapes_and_defaults(pages):
    gae = pages["psi.md"].partition("## lt.psi.gae {")[2].partition("\n## ")[0]
    assert "rewards: float[*batch, T]" in gae
    assert ") -> float[*batch, T]" in gae
    assert '<dt id="lt.psi.gae.lambda_">' in gae
    assert "ShapeError" in gae
    assert ">>> gae(" in gae
    train = pages["training.md"].partition("## lt.train {")[2].partition("\n## ")[0]
    assert 'workers: "sync" | "async" = "sync"' in train


def test_what_public_functions_return_is_documented_too(pages):
    assert {"Scores", "Film", "Sweep", "Report", "Visit"} <= {
        name for name, _ in docs_api.returned().values()
    }
    assert "#### Visit.stop {" in pages["training.md"]


def test_a_signature_is_that_of_the_function():
    for entry in docs_api.entries():
        if inspect.isfunction(entry.thing):
            shown = [a.name.lstrip("*") for a in docs_source.signature(entry.thing).arguments]
            real = inspect.signature(entry.thing).parameters
            assert [name for name in shown if name] == [*real], entry.name


def test_the_source_is_linked_to_its_line():
    path, line = docs_source.place(lt.psi.gae)
    assert "def gae" in (docs_source.ROOT / path).read_text().splitlines()[line - 1]
    path, line = docs_source.place(lt.PPO)
    assert "class PPO" in (docs_source.ROOT / path).read_text().splitlines()[line - 1]


def test_the_tests_of_a_name_use_it():
    uses = docs_uses.tests_of(lt.exact.policy_gradient)
    assert sum(use.count for use in uses) > 10
    for use in uses:
        lines = (docs_uses.ROOT / use.path).read_text()
        assert "policy_gradient" in lines
        assert "def test" in lines.splitlines()[use.line - 1]


def test_prose_shows_no_markup_that_was_not_meant():
    assert prose("`a*b` in [0, 1] * x < y") == "`a*b` in &#91;0, 1] &#42; x &lt; y"
    doc = read("One.\n\nRaises:\n    AError, BError: it is\n        wrong.\n\nMore.")
    assert [item.name for item in doc.raises] == ["AError", "BError"]
    assert {item.text for item in doc.raises} == {"it is wrong."}
    assert doc.text == "One.\n\nMore."
