"""Figures show the data that they were given; a name in them is text, whatever it is."""

import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.image import imread

from logtrick.reports.plots import (
    COLORS,
    learning_curve,
    panel,
    save_png,
    short_number,
    to_png,
    to_svg,
)
from logtrick.reports.statistics import curve

NAN = np.nan
STEPS = np.array([100.0, 200.0, 300.0, 400.0])
RETURNS = np.array([[NAN, 1.0, 2.0], [3.0, 2.0, NAN], [4.0, NAN, 5.0], [6.0, 7.0, 8.0]])


def drawn(returns=RETURNS, steps=STEPS, title="CartPole-v1 · PPO", **more):
    return learning_curve(steps, returns, curve(returns), title=title, **more)


def lines(figure):
    return [(line.get_color(), *line.get_data()) for line in figure.axes[0].lines]


def test_each_seed_is_a_thin_line_and_the_middle_a_thick_one():
    figure = drawn()
    *seeds, (color, steps, middle) = lines(figure)
    assert (color, len(seeds)) == (COLORS["line"], 3)
    for found, expected in zip(seeds, RETURNS.T, strict=True):
        known = np.isfinite(expected)
        assert found[0] == COLORS["seed"]
        np.testing.assert_array_equal(found[1], STEPS[known])
        np.testing.assert_array_equal(found[2], expected[known])
    np.testing.assert_array_equal(steps, STEPS[1:])  # the first update has no value of one seed
    np.testing.assert_array_equal(middle, curve(RETURNS).middle[1:])
    widths = [line.get_linewidth() for line in figure.axes[0].lines]
    assert min(widths[-1:]) > 2 * max(widths[:-1])


def test_the_band_is_the_interval():
    (band,) = drawn().axes[0].collections
    corners = band.get_paths()[0].vertices
    found = curve(RETURNS)
    for step, low, high in zip(STEPS[1:], found.low[1:], found.high[1:], strict=True):
        at = corners[corners[:, 0] == step, 1]
        assert (at.min(), at.max()) == (low, high)


def test_one_seed_has_one_line_and_no_band():
    figure = drawn(RETURNS[:, :1])
    assert len(lines(figure)) == 1
    assert not figure.axes[0].collections


def test_a_threshold_is_a_labelled_line_within_view():
    figure = drawn(threshold=475.0)
    axes = figure.axes[0]
    assert axes.lines[-1].get_ydata() == [475.0, 475.0]
    assert "solved at 475" in [text.get_text() for text in axes.texts]
    assert axes.get_ylim()[1] > 475


@pytest.mark.parametrize(
    ("steps", "returns"),
    [
        (np.zeros(0), np.zeros((0, 2))),
        (STEPS, np.full((4, 2), NAN)),
        (np.array([5.0]), np.array([[1.0]])),
        (STEPS, np.full((4, 3), 500.0)),
        (STEPS, np.array([[1e30], [-1e30], [0.0], [NAN]])),
    ],
    ids=["no updates", "no episodes", "one point", "constant", "huge"],
)
def test_any_data_can_be_drawn(steps, returns):
    for figure in (drawn(returns, steps), panel(steps, returns, curve(returns))):
        assert to_png(figure).startswith(b"\x89PNG")
        ET.fromstring(to_svg(figure))
        words = [text.get_text() for text in figure.axes[0].texts]
        assert ("no values yet" in words) == (not np.isfinite(returns).any())


def test_a_lone_point_can_be_seen():
    """A line through one point draws nothing; it gets a marker."""
    one = np.array([[1.0]])
    assert panel(np.array([5.0]), one, curve(one)).axes[0].lines[-1].get_marker() == "o"


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$x^{$", "$a$ $b$", "]]>", '" onload="', "--><b>"]
)
def test_a_name_is_shown_as_it_is(name):
    svg = to_svg(drawn(title=name, subtitle=name))
    texts = [
        element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert texts.count(name) == 2
    tags = {"svg", "g", "defs", "path", "use", "text", "clipPath", "rect"}
    assert set(re.findall(r"<(\w+)", svg)) <= tags


def test_the_page_gives_the_svg_its_colours_and_font():
    svg = to_svg(drawn(title="#1c2330", threshold=3.0))
    styles = " ".join(re.findall(r'style="([^"]*)"', svg))
    assert re.findall(r"#[0-9a-fA-F]{6}", styles) == []
    assert set(re.findall(r"var\(--(\w+)\)", styles)) == set(COLORS) - {"paper"}
    assert set(re.findall(r"font-family: ([^;\"]*)", styles)) == {"inherit"}
    assert ">#1c2330<" in svg  # in a text it is a text
    assert "DejaVu" not in svg


def test_an_svg_loads_nothing_and_its_ids_are_its_own():
    one, two = to_svg(drawn()), to_svg(panel(STEPS, RETURNS, curve(RETURNS)))
    for svg in (one, two):
        addresses = re.findall(r"https?://[^\"]*", svg)
        assert set(addresses) <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
        assert all(address.startswith("#") for address in re.findall(r'href="([^"]*)"', svg))
        ids = re.findall(r' id="([^"]*)"', svg)
        assert len(ids) == len(set(ids))
        assert set(ids) == set(re.findall(r"#(\w+)", svg))
        assert "width=" not in svg[: svg.index(">")]
        assert "<style" not in svg
    # What both define under one id is one and the same thing.
    for shared in set(re.findall(r' id="([^"]*)"', one)) & set(re.findall(r' id="([^"]*)"', two)):
        pattern = rf'<\w+ id="{shared}".*?>'
        assert re.search(pattern, one, re.DOTALL)[0] == re.search(pattern, two, re.DOTALL)[0]


def test_equal_figures_are_equal_bytes():
    assert to_png(drawn()) == to_png(drawn())
    assert to_svg(drawn()) == to_svg(drawn())


def test_the_png_is_a_picture_of_the_asked_size_on_white_paper(tmp_path):
    save_png(drawn(size=(5.0, 3.0)), tmp_path / "curve.png")
    pixels = imread(io.BytesIO((tmp_path / "curve.png").read_bytes()))
    assert pixels.shape[:2] == (480, 800)
    np.testing.assert_array_equal(pixels[0, 0], [1, 1, 1, 1])
    line = np.array([int(COLORS["line"][i : i + 2], 16) / 255 for i in (1, 3, 5)])
    assert (np.abs(pixels[..., :3] - line).max(axis=2) < 0.02).sum() > 500


def luminance(color):
    """Relative luminance (WCAG 2.1)."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_line_can_be_read_on_paper_and_in_grey():
    for role in ("ink", "muted"):
        assert contrast(COLORS[role], COLORS["paper"]) >= 4.5
    assert contrast(COLORS["mark"], COLORS["paper"]) >= 4.5
    # The thick line stands out from seeds and band by lightness alone, as a grey printer shows it.
    assert contrast(COLORS["line"], COLORS["band"]) >= 3
    assert contrast(COLORS["line"], COLORS["seed"]) >= 3


def test_numbers_on_axes():
    assert [short_number(x) for x in (999, 1000, 999_999, 2e9)] == [
        "999",
        "1 k",
        "1000 k",
        "2000 M",
    ]
    assert [short_number(x) for x in (-1500.0, 1e-9, 0.30000000000000004)] == [
        "−1.5 k",
        "1e−09",
        "0.3",
    ]


def test_drawing_needs_neither_pyplot_nor_jax():
    """pyplot would look for a window system; jax would take its seconds to import."""
    program = (
        "import sys, numpy as np\n"
        "from logtrick.reports import html, plots, statistics\n"
        "assert 'matplotlib' not in sys.modules\n"
        "r = np.zeros((2, 3))\n"
        "plots.to_png(plots.learning_curve(r[:, 0], r, statistics.curve(r), title='t'))\n"
        "print([m for m in ('matplotlib.pyplot', 'tkinter', 'jax') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
