"""The pages, and what each carries: its world, the library's numbers for it, its cards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from html import escape
from typing import Any

from logtrick import __version__
from logtrick.lessons import bridge, budget, exercises, lines, references, symbols
from logtrick.lessons.cards import deck
from logtrick.lessons.conventions import NAMES
from logtrick.lessons.documents import Content, body, document
from logtrick.lessons.garden import grassy_garden
from logtrick.lessons.stills import stills
from logtrick.lessons.worlds import World, plain, world
from logtrick.mdp.model import FiniteMDP
from logtrick.reports.html import Html, element

Data = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A page of the lessons."""

    name: str
    title: str
    short: str
    """The title in the navigation."""
    data: Callable[[World], Data]
    fragments: Callable[[World], dict[str, Html]] = field(default=lambda _: {})
    step: int | None = None
    """Its place on the path, 0 … 6; None after it."""
    any_world: bool = False
    """Whether another MDP may take the garden's place."""
    elsewhere: str = ""
    """Its title there, if it has another."""

    @property
    def file(self) -> str:
        """The name of the file in which the page is written."""
        return f"{self.name}.html"


@dataclass(frozen=True)
class Book:
    """All pages of the lessons, set in one world: the garden or another MDP."""

    world: World
    _contents: dict[str, Content] = field(default_factory=dict, repr=False, compare=False)

    def html(self, page: Page) -> str:
        """A page as one HTML document."""
        following = PAGES[PAGES.index(page) + 1 :]
        onward = _onward(following[0], self.title(following[0])) if following else ""
        text = document(self.content(page), navigation=_navigation(page), onward=onward)
        return self.cost.printed(text) if page.step == 0 else text

    def title(self, page: Page) -> str:
        """What a page is called in this world."""
        return page.title if self.world.is_garden else page.elsewhere or page.title

    def content(self, page: Page) -> Content:
        """The data and texts with which a page is filled."""
        if page.name not in self._contents:
            self._contents[page.name] = self._content(page)
        return self._contents[page.name]

    def _content(self, page: Page) -> Content:
        where = self.world if page.any_world else world()
        return Content(
            page.name,
            self.title(page),
            {"version": __version__, **page.data(where)},
            flags={"garden": where.is_garden, "restarts": where.restarts},
            fragments=page.fragments(where),
            stills=stills(page.name) if where.is_garden else {},
        )

    @cached_property
    def cost(self) -> budget.Cost:
        """How many words and touches the path has."""
        texts = [body(self.content(page)) for page in PAGES if page.step is not None]
        return budget.cost(texts)


def _onward(page: Page, title: str) -> str:
    return f'<a class="forward" href="{page.file}">Next: {escape(title)} →</a>'


def _navigation(current: Page) -> str:
    items = "".join(
        f'<li><a href="{page.file}"'
        f"{' aria-current=page' if page is current else ''}>{escape(page.short)}</a></li>"
        for page in PAGES
    )
    options = "".join(
        f'<option value="{key}">{escape(name)}</option>' for key, name in NAMES.items()
    )
    menu = (
        '<select class="notation" data-notation aria-label="Notation">'
        f'<option value="">our notation</option>{options}</select>'
    )
    return f'<nav aria-label="Pages"><ol>{items}</ol>{menu}</nav>'


def _start(where: World) -> Data:
    return {
        "mdps": {"plain": where.plain()},
        "symbols": [
            {"name": s.name, "meaning": s.meaning, "page": s.page, "number": s.number}
            for s in symbols.SYMBOLS
        ],
        "references": references.of_symbols(),
        "cards": [],
    }


def _value(where: World) -> Data:
    grass = {"grass": plain(grassy_garden())} if where.is_garden else {}
    return {
        "world": where.plain(),
        **grass,
        "from": 5 if where.is_garden else min(1, where.mdp.num_states - 1),
        "references": references.of_values(where),
        "cards": deck(1),
    }


def _policy(where: World) -> Data:
    continuing = {"continuing": where.plain(continuing=True)} if where.restarts else {}
    return {
        "world": where.plain(),
        **continuing,
        **_knobs(where),
        "references": references.of_policies(where),
        "cards": deck(2),
    }


def _knobs(where: World) -> Data:
    return {} if where.is_garden else {"knobs": ["knob 1", "knob 2"]}


def _trick(_: World) -> Data:
    return {"psi": references.COIN, "references": references.of_coin(), "cards": deck(3)}


def _ascent(where: World) -> Data:
    return {
        "mdps": {"plain": where.plain()},
        "estimators": references.ESTIMATORS,
        "references": references.of_estimators_at_settings(),
        "cards": deck(4),
    }


def _derivation(where: World) -> Data:
    return {
        "world": where.plain(continuing=True),
        "theta": references.THETA,
        **_knobs(where),
        "references": references.of_lines(where),
        "cards": deck(5),
    }


def _scales(where: World) -> Data:
    return {
        "world": where.plain(continuing=True),
        "theta": references.THETA,
        "opens": 0.21,
        "references": references.of_scales(where),
        "cards": deck(6),
    }


def _questions(where: World) -> Data:
    mdps = {name: plain(mdp) for name, mdp in references.small_worlds().items()}
    return {
        "mdps": {**mdps, "garden": where.plain()},
        "references": references.of_questions(),
        "cards": [],
    }


def _practice(where: World) -> Data:
    small = references.small_worlds()
    return {
        "mdps": {"plain": where.plain(), **{k: plain(small[k]) for k in ("loop", "fixture")}},
        "estimators": references.ESTIMATORS,
        "references": references.of_practice(),
        "cards": deck(0),
    }


def _notation(where: World) -> Data:
    return {"mdps": {"plain": where.plain()}, "references": references.of_notation(), "cards": []}


def _onward_page(where: World) -> Data:
    return {
        "mdps": {"plain": where.plain()},
        "references": references.of_compass(),
        "cards": [],
    }


def _pad(where: World) -> dict[str, Html]:
    moves = where.plain()["moves"]
    ways = where.plain()["ways"]
    signs = "↑→↓←"
    labels = [(signs[ways[a]] if ways else name) for a, name in enumerate(moves)]
    order = [ways.index(way) for way in (0, 3, 2, 1)] if ways else range(len(moves))
    buttons = (
        element(
            "button", labels[a], data_do="walk", data_move=str(a), aria_label=moves[a], **_touch(a)
        )
        for a in order
    )
    kind = "pad" if ways else "buttons"
    return {
        "pad": element("div", *buttons, class_=kind, role="group", aria_label="Move"),
    }


def _touch(action: int) -> dict[str, str]:
    """One move is asked for; the others are for whoever likes to walk."""
    return {"data_touch": ""} if action == 0 else {}


def _sliders(where: World) -> dict[str, Html]:
    sliders = (
        f'<label class="slider"><span>{escape(name)}</span>'
        f'<output data-live="p{a}" data-digits="2"></output>'
        f'<input type="range" data-action="{a}" min="0" max="1" step="0.01"></label>'
        for a, name in enumerate(where.plain()["moves"])
    )
    return {"sliders": Html("".join(sliders))}


PAGES = (
    Page(
        "start",
        "The whole thing first",
        "0 Start",
        _start,
        lambda _: {"seven": lines.seven(), "symbols": symbols.chips()},
        step=0,
    ),
    Page("value", "What is a state worth?", "1 Value", _value, _pad, step=1, any_world=True),
    Page(
        "policy", "What is a policy worth?", "2 Policy", _policy, _sliders, step=2, any_world=True
    ),
    Page("trick", "The log trick", "3 Log trick", _trick, step=3),
    Page("ascent", "Which way is up?", "4 Ascent", _ascent, step=4),
    Page(
        "derivation",
        "The derivation, audited",
        "5 Derivation",
        _derivation,
        lambda _: {"lines": lines.table(), "terms": lines.terms()},
        step=5,
        any_world=True,
    ),
    Page(
        "scales",
        "Poison and salad",
        "6 Scales",
        _scales,
        step=6,
        any_world=True,
        elsewhere="Gains and losses on a pair of scales",
    ),
    Page("questions", "What everybody asks", "Questions", _questions),
    Page(
        "practice",
        "Exercises, and all the cards",
        "Practice",
        _practice,
        lambda _: {"exercises": exercises.folds()},
    ),
    Page(
        "notation",
        "One symbol, five ways to write it",
        "Notation",
        _notation,
        lambda _: {"bridge": bridge.table()},
    ),
    Page("onward", "Five formulas to read aloud", "Onward", _onward_page),
)
#: The pages of the path are those that somebody can finish in ten minutes.
PATH = tuple(page for page in PAGES if page.step is not None)


def book(mdp: FiniteMDP | None = None) -> Book:
    """All pages, set in the garden or in another MDP."""
    return _in_the_garden() if mdp is None else Book(world(mdp))


@cache
def _in_the_garden() -> Book:
    return Book(world())
