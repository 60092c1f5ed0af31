"""The pages, and what each carries: its MDPs, the library's numbers for them, its cards."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from logtrick import __version__, exact, planning
from logtrick.lessons.cards import deck
from logtrick.lessons.documents import document
from logtrick.lessons.garden import garden, grassy_garden, plain
from logtrick.mdp import FiniteMDP

Data = dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A page of the lessons."""

    name: str
    title: str
    short: str
    """In the navigation."""
    data: Callable[[], Data]

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.name}.html"


def html(page: Page) -> str:
    """A page as one HTML document."""
    data = {"version": __version__, **page.data()}
    following = PAGES[PAGES.index(page) + 1 :]
    onward = _onward(following[0]) if following else ""
    return document(page.name, page.title, data, navigation=_navigation(page), onward=onward)


def _onward(page: Page) -> str:
    return f'<a class="forward" href="{page.file}">Next: {escape(page.title)} →</a>'


def _navigation(current: Page) -> str:
    items = "".join(
        f'<li{" class=home" if page is PAGES[0] else ""}><a href="{page.file}"'
        f"{' aria-current=page' if page is current else ''}>{escape(page.short)}</a></li>"
        for page in PAGES
    )
    return f'<nav aria-label="Pages"><ol>{items}</ol></nav>'


def _value() -> Data:
    uniform = [[0.25] * 4] * 11
    references = [
        {
            "setting": {"gamma": gamma},
            "numbers": {
                "values": exact.state_values(garden(gamma=gamma), uniform).tolist(),
                "gain": exact.objective(garden(), uniform, "average"),
                "best": planning.solve(garden(gamma=gamma), tol=1e-10).values.tolist(),
                "bestWithGrass": planning.solve(
                    grassy_garden(gamma=gamma), tol=1e-10
                ).values.tolist(),
            },
        }
        for gamma in (0.3, 0.8, 0.9, 0.99)
    ]
    mdps = {"plain": plain(garden()), "grass": plain(grassy_garden())}
    return {"mdps": mdps, "references": references, "cards": deck(1)}


def _policy() -> Data:
    chosen = np.random.default_rng(0).dirichlet(np.ones(4), 11)
    best = planning.solve(garden(), tol=1e-10).policy
    references = [
        {
            "setting": {"gamma": gamma, "pi": table.tolist()},
            "numbers": _of_policy(garden(gamma=gamma), table),
        }
        for table in (np.full((11, 4), 0.25), chosen, np.eye(4)[best])
        for gamma in (0.5, 0.9, 0.98)
    ]
    return {"mdps": {"plain": plain(garden())}, "references": references, "cards": deck(2)}


def _of_policy(mdp: FiniteMDP, table: np.ndarray) -> dict[str, Any]:
    found, long_run = exact.evaluate(mdp, table), exact.evaluate(mdp, table, "average")
    return {
        "values": found.values.tolist(),
        "visits": found.visitation.tolist(),
        "time": long_run.visitation.tolist(),
        "objective": found.objective,
        "gain": long_run.objective,
        "weighted": float(long_run.visitation @ found.values),
    }


PAGES = (
    Page("value", "What is a state worth?", "1 Value", _value),
    Page("policy", "What is a policy worth?", "2 Policy", _policy),
)
