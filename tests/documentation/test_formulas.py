"""Formulas are found in prose, and nothing else is taken for one."""

import re
from html.parser import HTMLParser

import pytest

import docs
from docs_formulas import formulas, typeset

FOUND = {
    "The residual, δ_t = r_t + γ (1 − terminated_t) V(s'_t) − V(s_t).": [
        "δ_t = r_t + γ (1 − terminated_t) V(s'_t) − V(s_t)"
    ],
    "∇J(θ) = E[Σ_t ψ_t ∇log π_θ(a_t|s_t)], in three ways": ["∇J(θ) = E[Σ_t ψ_t ∇log π_θ(a_t|s_t)]"],
    "is F⁻¹g, whose KL is δ to second order.": ["F⁻¹g", "δ"],
    "(1 − γ)V levels out": ["(1 − γ)V"],
    "a bound (γ = 1) holds": ["γ = 1"],
    "an ε of 1e-4 (G4)": ["ε"],
    "‖M − Mᵀ‖/‖M + Mᵀ‖ measures it": ["‖M − Mᵀ‖/‖M + Mᵀ‖"],
    "weights ψ, λ and ρ̄": ["ψ", "λ", "ρ̄"],
}
PROSE = (
    "V-trace, Q-learning and a batch_size of 3",
    "(G2) and (V2, V3), I5",
    "i.e. a state s and an action a",
    "60 seconds, 1.4 times as long, 10 %",
    "from https://example.org/a_b",
)


@pytest.mark.parametrize("text", FOUND)
def test_a_formula_is_found(text):
    assert [text[i:j] for i, j in formulas(text)] == FOUND[text]


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_left_alone(text):
    assert formulas(text) == []
    assert typeset(f"<p>{text}</p>") == f"<p>{text}</p>"


class Words(HTMLParser):
    """The text of a page without its formulas."""

    def __init__(self):
        super().__init__()
        self.inside, self.text = 0, ""

    def handle_starttag(self, tag, attrs):
        self.inside += tag == "math"

    def handle_endtag(self, tag):
        self.inside -= tag == "math"

    def handle_data(self, data):
        self.text += "" if self.inside else data


def test_every_formula_of_the_equations_is_typeset():
    for equation in docs.public_equations():
        page = Words()
        prose = re.sub(r"`[^`]*`", "", equation.formula).replace("<", "&lt;")
        page.feed(typeset(f"<p>{prose}</p>"))
        assert not re.search(r"[∇Σψδγ]|[A-Za-z]_\w", page.text), equation


def test_code_links_and_formulas_stay_as_they_are():
    page = '<p><code>γ^t</code> <math alttext="γ"><mi>γ</mi></math> <a href="#γ">see</a></p>'
    assert typeset(page) == page


def test_what_is_typeset_reads_as_it_was_written():
    text = "b ≤ V(s) = Σ_a π(a|s) Q(s,a) < 10⁻⁸"
    page = typeset(f"<p>{text.replace('<', '&lt;')}</p>")
    spoken = " ".join(re.findall(r'alttext="([^"]*)"', page)).replace("&lt;", "<")
    assert spoken == text
    assert page.count("<math") == page.count("</math>") >= 1
