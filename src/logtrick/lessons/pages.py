"""The pages, and what each carries: its MDPs, the library's numbers for them, its cards."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from logtrick import __version__, exact, planning, problems
from logtrick.auditing.closed_form import moments
from logtrick.lessons.cards import deck
from logtrick.lessons.derived import derived
from logtrick.lessons.documents import document
from logtrick.lessons.garden import FEATURES, Compass, garden, grassy_garden, plain
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
        f'<li><a href="{page.file}"'
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


def _ascent() -> Data:
    settings = [
        {"theta": [0.0, 0.0], "gamma": 0.9, "skill": 1.0, "lambda": 0.95},
        {"theta": [1.3, 0.4], "gamma": 0.8, "skill": 0.5, "lambda": 0.6},
        {"theta": [-0.7, 2.1], "gamma": 0.95, "skill": 0.0, "lambda": 1.0},
    ]
    return {
        "mdps": {"plain": plain(garden())},
        "features": FEATURES,
        "estimators": ESTIMATORS,
        "references": [{"setting": s, "numbers": _of_estimators(s)} for s in settings],
        "cards": deck(3),
    }


#: The ψ of page 3 whose covariance is finite in a garden that never closes.
ESTIMATORS = (
    "reward_to_go",
    "baselined_return",
    "q_value",
    "advantage",
    "td_residual",
    "gae",
)


def _of_estimators(setting: dict[str, Any]) -> dict[str, Any]:
    mdp, policy = garden(gamma=setting["gamma"]), Compass(setting["theta"])
    critic = setting["skill"] * np.asarray(exact.state_values(mdp, policy))
    numbers: dict[str, Any] = {
        "objective": exact.objective(mdp, policy),
        "gradient": exact.policy_gradient(mdp, policy).theta.tolist(),
    }
    for name in ESTIMATORS:
        found = moments(
            name,
            mdp,
            *policy.on_pairs(mdp),
            values=critic if name in WITH_CRITIC else None,
            lambda_=setting["lambda"],
        )
        numbers[f"{name} mean"] = found.mean.tolist()
        numbers[f"{name} covariance"] = found.covariance.tolist()
    return numbers


#: The others are made of the true Q and V.
WITH_CRITIC = ("baselined_return", "td_residual", "gae")


def _derivation() -> Data:
    return {
        "mdps": {"plain": plain(garden())},
        "features": FEATURES,
        "references": derived(),
        "cards": deck(4),
    }


def _questions() -> Data:
    worlds = {
        "fixture": problems.gamma_t_fixture(),
        "corridor": problems.corridor(),
        "loop": problems.two_state_loop(),
    }
    points = [(0.5, 0.5), (0.8, 0.3), (0.95, 0.7)]
    references = [
        {"setting": {"world": world, "gamma": g, "p": p}, "numbers": slopes(worlds[world], g, p)}
        for world in ("fixture", "corridor")
        for g, p in points
    ]
    references += [
        {"setting": {"world": "loop", "gamma": g, "p": p}, "numbers": pulled_out(g, p)}
        for g, p in points
    ]
    mdps = {name: plain(mdp) for name, mdp in worlds.items()}
    return {"mdps": mdps, "references": references, "cards": []}


def slopes(mdp: FiniteMDP, gamma: float, p: float) -> dict[str, float]:
    """∇J_γ, ∇J at γ = 1 and the update without γ^t, by the logit of the first action's p."""
    scores = np.tile([[1 - p], [-p]], (mdp.num_states, 1))
    chances = np.tile([p, 1 - p], mdp.num_states)

    def mean(gamma: float, weighting: str = "discounted") -> float:
        return float(
            moments("q_value", mdp, chances, scores, gamma=gamma, weighting=weighting).mean[0]
        )

    return {
        "discounted": mean(gamma),
        "total": mean(1.0),
        "without": mean(gamma, "undiscounted"),
    }


def pulled_out(gamma: float, p: float) -> dict[str, float]:
    """∇r̄ of the two-state loop, and what is left of it when d_π is pulled out."""
    loop = problems.two_state_loop(gamma=gamma)
    table = np.array([[p, 1 - p]] * 2)
    long_run, found = exact.evaluate(loop, table, "average"), exact.evaluate(loop, table)
    scores = p * (1 - p) * np.array([1.0, -1.0])
    truth = float(long_run.visitation @ (long_run.action_values @ scores))
    kept = float(long_run.visitation @ (found.action_values @ scores))
    return {"truth": truth, "kept": kept, "share": (truth - kept) / truth}


def _practice() -> Data:
    loop = problems.two_state_loop(gamma=0.5)
    start = {"theta": [0.0, 0.0], "gamma": 0.9, "lambda": 0.9}
    half, right = (_of_estimators({**start, "skill": skill}) for skill in (0.5, 1.0))
    numbers = {
        "loopValue": float(exact.state_values(loop, np.array([0, 0]))[0]),
        "best": float(planning.solve(garden(), tol=1e-10).values[7]),
        "loopTime": float(exact.stationary_distribution(loop, [[0.3, 0.7]] * 2)[1]),
        "biases": [_distance(half[f"{name} mean"], half["gradient"]) for name in ESTIMATORS],
        "spreads": [float(np.trace(right[f"{name} covariance"]) ** 0.5) for name in ESTIMATORS],
        "without": slopes(problems.gamma_t_fixture(), 0.7, 0.5)["without"],
        "dropped": pulled_out(0.8, 0.5)["share"],
    }
    worlds = {"plain": garden(), "loop": loop, "fixture": problems.gamma_t_fixture()}
    return {
        "mdps": {name: plain(mdp) for name, mdp in worlds.items()},
        "features": FEATURES,
        "estimators": ESTIMATORS,
        "references": [{"setting": {}, "numbers": numbers}],
        "cards": deck(0),
    }


def _distance(x: list[float], y: list[float]) -> float:
    return float(np.linalg.norm(np.subtract(x, y)))


def _notation() -> Data:
    references = [
        {"setting": {"gamma": gamma}, "numbers": _of_wandering(gamma)} for gamma in (0.5, 0.9, 0.97)
    ]
    mdps = {"plain": plain(garden())}
    return {"mdps": mdps, "features": FEATURES, "references": references, "cards": []}


def _of_wandering(gamma: float) -> dict[str, float]:
    uniform, home, up = np.full((11, 4), 0.25), 7, 0
    found = exact.evaluate(garden(gamma=gamma), uniform)
    long_run = exact.evaluate(garden(gamma=gamma), uniform, "average")
    numbers = {
        "policy": uniform[home, up],
        "value": found.values[home],
        "q": found.action_values[home, up],
        "advantage": found.advantages[home, up],
        "visits": found.visitation[home],
        "time": long_run.visitation[home],
        "objective": found.objective,
        "gain": long_run.objective,
        "score": Compass([0.0, 0.0]).on_pairs(garden())[1][up, 0],
    }
    return {name: float(number) for name, number in numbers.items()}


PAGES = (
    Page("value", "What is a state worth?", "1 Value", _value),
    Page("policy", "What is a policy worth?", "2 Policy", _policy),
    Page("ascent", "Which way is up?", "3 Ascent", _ascent),
    Page("derivation", "The derivation, with its numbers on", "4 Derivation", _derivation),
    Page("questions", "What everybody asks", "Questions", _questions),
    Page("practice", "Eight exercises, and all the cards", "Practice", _practice),
    Page("notation", "One symbol, four ways to write it", "Notation", _notation),
)
