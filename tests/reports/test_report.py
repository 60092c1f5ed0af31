"""Reports: one file that loads nothing, in which every text is text."""

import html.parser
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logtrick.errors import RunError
from logtrick.reports import html as report
from logtrick.reports.html import Html, Section, element

# The last of these are what a browser would turn into markup, or into nothing.
NASTY = [
    "<script>alert(1)</script>",
    "</style><script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='x",
    "&lt;b&gt; &amp; &#60;",
    "<!--",
    "-->",
    "]]>",
    "{title} {0} %s",
    "javascript:alert(1)",
    "url(https://example.org)",
    "\u202egnp.exe",
    "run 🏃 π γ^t",
    "a\nb",
]
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(NASTY)


class Page(html.parser.HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.rest = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.rest.append(data)

    def handle_decl(self, data):
        self.rest.append(data)


def written(folder, title, text):
    path = folder / "report.html"
    svg = '<svg viewBox="0 0 1 1"><path d="M 0 0"/></svg>'
    drawing = report.figure(svg, text, label=text, narrow=svg)
    content = [
        report.tiles([(text, text, text)]),
        report.paragraph(text),
        report.facts({text: text, "list": [text, 2]}),
        report.code(text),
        report.gallery([drawing]),
    ]
    report.write_report(path, title, [Section(text, content)], subtitle=text)
    return path.read_text(encoding="utf-8")


@given(TEXT, TEXT)
def test_whatever_a_text_is_the_page_has_the_same_elements(tmp_path_factory, title, text):
    folder = tmp_path_factory.getbasetemp()
    found = Page(written(folder, title, text))
    plain = Page(written(folder, "t", "t"))
    if not text:
        plain.tags.remove("h2")  # a section without a heading
    assert found.tags == plain.tags
    assert [name for name, _ in found.attributes] == [name for name, _ in plain.attributes]
    assert found.rest == plain.rest == ["doctype html"]
    assert found.texts.count(title) >= 2 or not title
    shown = [value for value in found.texts if value == text]
    assert len(shown) >= 8 or not text or text == title or "\n" in text


@pytest.mark.parametrize("text", NASTY)
def test_a_page_loads_nothing_and_runs_nothing(tmp_path, text):
    source = written(tmp_path, text, text)
    page = Page(source)
    loading = {"src", "href", "action", "data", "srcset", "poster", "background", "style"}
    assert not loading & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not {"script", "link", "iframe", "object", "base", "img", "form"} & set(page.tags)
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    policies = [value for _, value in page.attributes if value and "default-src" in value]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_the_page_serves_light_dark_print_and_phone(tmp_path):
    source = written(tmp_path, "t", "t")
    for words in ("prefers-color-scheme: dark", "@media print", "max-width: 34rem"):
        assert words in source
    assert '<html lang="en">' in source
    assert 'content="width=device-width, initial-scale=1"' in source


def test_both_colour_schemes_define_every_colour_of_the_figures(tmp_path):
    from logtrick.reports.plots import COLORS

    source = written(tmp_path, "t", "t")
    light, dark = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    names = {name: re.findall(r"--(\w+):", scheme) for name, scheme in (("l", light), ("d", dark))}
    assert names["l"] == names["d"]
    assert set(COLORS) <= set(names["l"])
    for role, color in COLORS.items():
        assert f"--{role}: {color}" in light


def test_elements_escape_everything_but_html():
    assert element("a", "<", Html("<b>"), title='"', class_="x") == (
        '<a title="&quot;" class="x">&lt;<b></a>'
    )
    assert report.figure("<svg >", "c", label='" onload="x').count("onload=&quot;x") == 1


def test_values_are_written_for_people():
    page = report.facts(
        {"steps": 500000, "none": None, "hidden": (64, 64), "flag": True, "x": 1e-5}
    )
    values = re.findall(r"<dd>(.*?)</dd>", page)
    assert values == ["500,000", "none", "64 × 64", "True", "1e-05"]


def test_a_folder_name_that_is_no_text_does_not_stop_the_report(tmp_path):
    assert "run ?" in written(tmp_path, "run \udcff", "t")


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.html"
    path.mkdir()
    with pytest.raises(RunError, match=r"Could not write .*report\.html: Is a directory"):
        report.write_report(path, "t", [])
    assert os.listdir(tmp_path) == ["report.html"]
