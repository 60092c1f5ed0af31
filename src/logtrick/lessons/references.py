"""The library's numbers for the pages, which compute them again and say how far they are off."""

from typing import Any

import numpy as np
from jaxtyping import Float

from logtrick import exact, planning
from logtrick.auditing.closed_form import moments
from logtrick.lessons.garden import Compass, garden, grassy_garden
from logtrick.lessons.worlds import World, world
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP

References = list[dict[str, Any]]

#: Where pages 5 and 6 open, (right, up).
THETA = [0.2, 0.8]
#: What heads and tails of page 3 are worth.
COIN = [2.0, -1.0]
#: The ψ of page 4 whose covariance is finite in a garden that never closes.
ESTIMATORS = (
    "reward_to_go",
    "baselined_return",
    "q_value",
    "advantage",
    "td_residual",
    "gae",
)
_WITH_CRITIC = ("baselined_return", "td_residual", "gae")
_HOME, _UP = 7, 0
#: A vector shorter than this is what rounding leaves of 0.
_NO_LENGTH = 1e-12


def of_symbols() -> References:
    """The wandering snail's number for each symbol of page 0."""
    found = exact.evaluate(garden(), _wandering())
    lines = of_line(world(), "stationary", [0.0, 0.0], 0.9)
    time = exact.stationary_distribution(garden(), _wandering())
    numbers = {
        "policy": 0.25,
        "value": float(found.values[_HOME]),
        "q": float(found.action_values[_HOME, _UP]),
        "time": float(time[_HOME]),
        "objective": float(time @ found.values),
        "slope": lines["lines"][0],
        "logarithm": float(np.log(0.25)),
    }
    return [{"setting": {"gamma": 0.9}, "numbers": numbers}]


def _wandering() -> Float[np.ndarray, "S A"]:
    return np.full((11, 4), 0.25)


def of_values(where: World) -> References:
    """V of the policy that chooses evenly, and V_*, for some γ."""
    found = []
    for gamma in sorted({0.3, 0.8, 0.99, where.mdp.gamma}):
        mdp = where.mdp.replace(gamma=gamma)
        numbers: dict[str, Any] = {
            "values": exact.state_values(mdp, where.uniform).tolist(),
            "best": _best(mdp).values.tolist(),
        }
        if not where.restarts:
            numbers["gain"] = exact.objective(mdp, where.uniform, "average")
        if where.is_garden:
            numbers["bestWithGrass"] = _best(grassy_garden(gamma=gamma)).values.tolist()
        found.append({"setting": {"gamma": gamma}, "numbers": numbers})
    return found


def _best(mdp: FiniteMDP) -> planning.Solution:
    largest = max(1.0, float(np.abs(mdp.rewards).max())) / (1 - mdp.gamma)
    return planning.solve(mdp, tol=1e-10 * max(1.0, largest))


def of_policies(where: World) -> References:
    """What page 2 shows of three policies."""
    random = np.random.default_rng(0)
    chosen = where.allowed * random.dirichlet(np.ones(where.allowed.shape[1]), len(where.allowed))
    chosen /= chosen.sum(axis=1, keepdims=True)
    tables = [where.uniform, chosen]
    if where.is_garden:
        tables.append(np.eye(4)[_best(where.mdp).policy])
    return [
        {
            "setting": {"gamma": gamma, "pi": table.tolist()},
            "numbers": of_policy(where, table, gamma),
        }
        for table in tables
        for gamma in (0.5, 0.9, 0.98)
    ]


def of_policy(where: World, table: Float[np.ndarray, "S A"], gamma: float) -> dict[str, Any]:
    """Values, visits, time and objectives of one policy.

    Time and average reward are those of the MDP that restarts where an episode ends.
    """
    mdp, continuing = where.mdp.replace(gamma=gamma), where.continuing.replace(gamma=gamma)
    found, long_run = exact.evaluate(mdp, table), exact.evaluate(continuing, table, "average")
    continuing_values = exact.state_values(continuing, table)
    return {
        "values": found.values.tolist(),
        "visits": found.visitation.tolist(),
        "time": long_run.visitation.tolist(),
        "objective": found.objective,
        "gain": long_run.objective,
        "weighted": float(long_run.visitation @ continuing_values),
    }


def of_coin() -> References:
    """A coin that is an MDP with one step: heads 2, tails −1."""
    coin = FiniteMDP.from_outcomes(
        [[[(1.0, 0, COIN[0], True)], [(1.0, 0, COIN[1], True)]]], gamma=0.9, start=0
    )
    found = []
    for theta in (-2.0, -0.5, 1.3):
        heads = 1 / (1 + np.exp(-theta))
        table = np.array([[heads, 1 - heads]])
        scores = np.array([[1 - heads], [-heads]])
        mean = moments("reward_to_go", coin, table[0], scores, gamma=0.9).mean
        numbers = {
            "pi": table[0].tolist(),
            "score": scores[:, 0].tolist(),
            "average": exact.objective(coin, table),
            "gradient": float(mean[0]),
        }
        found.append({"setting": {"theta": theta}, "numbers": numbers})
    return found


def of_estimators_at_settings() -> References:
    """Mean and covariance of each ψ at three settings of page 4."""
    settings = [
        {"theta": [0.0, 0.0], "gamma": 0.9, "skill": 1.0, "lambda": 0.95},
        {"theta": [0.4, 1.3], "gamma": 0.8, "skill": 0.5, "lambda": 0.6},
        {"theta": [2.1, -0.7], "gamma": 0.95, "skill": 0.0, "lambda": 1.0},
    ]
    return [{"setting": s, "numbers": of_estimators(s)} for s in settings]


def of_estimators(setting: dict[str, Any]) -> dict[str, Any]:
    """J, its gradient, and each ψ's mean and covariance of one walk."""
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
            values=critic if name in _WITH_CRITIC else None,
            lambda_=setting["lambda"],
        )
        numbers[f"{name} mean"] = found.mean.tolist()
        numbers[f"{name} covariance"] = found.covariance.tolist()
    return numbers


def of_lines(where: World) -> References:
    """D1 … D7 under the three readings."""
    return [
        {
            "setting": {"reading": reading, "theta": THETA, "gamma": gamma},
            "numbers": of_line(where, reading, THETA, gamma),
        }
        for reading in ("start", "stationary", "average")
        for gamma in sorted({0.21, where.mdp.gamma})
    ]


def of_line(where: World, reading: str, theta: list[float], gamma: float) -> dict[str, Any]:
    """The truth and D1 … D7 of one reading, from values, visits and time alone.

    I3 and I4 turn every line into one of three vectors: ∇J, ∇r̄, and Σ d Σ Q ∇π.
    """
    mdp = where.continuing.replace(gamma=gamma)
    table, scores = where.policy(theta)
    found, long_run = exact.evaluate(mdp, table), exact.evaluate(mdp, table, "average")

    def all_action(weights: np.ndarray, psi: np.ndarray) -> np.ndarray:
        psi = np.where(where.allowed, psi, 0.0)  # an action that is not there has Q = −∞
        return np.einsum("s,sa,sa,sak->k", weights, table, psi, scores)

    start = all_action(found.visitation, found.action_values)
    steepest = all_action(long_run.visitation, long_run.action_values)
    kept = all_action(long_run.visitation, found.action_values)
    pulled = kept / (1 - gamma)
    lines = {
        "start": [start] * 5 + [start / found.visitation.sum(), start],
        "stationary": [steepest / (1 - gamma), pulled, pulled, kept, kept, kept, pulled],
        "average": [steepest] * 7,
    }[reading]
    size = float(np.linalg.norm(steepest))
    lost = float(np.linalg.norm(steepest - kept))
    return {
        "truth": (start if reading == "start" else steepest).tolist(),
        "lines": [line.tolist() for line in lines],
        "dropped": lost / size if reading == "stationary" and size > _NO_LENGTH else 0.0,
    }


def of_scales(where: World) -> References:
    """The weight of each cell on the scales of page 6."""
    return [
        {"setting": {"gamma": gamma}, "numbers": weights(where, gamma)}
        for gamma in (0.21, 0.9, 0.99)
    ]


def weights(where: World, gamma: float) -> dict[str, Any]:
    """(1−γ) V(s) ∂_u d(s) of each state, u = ∇r̄/‖∇r̄‖ (I1, I4).

    ∂d = d ∂P (I − P + 1dᵀ)⁻¹, in NumPy; the pages of the garden are held to differences of d.
    """
    mdp = where.continuing.replace(gamma=gamma)
    table, scores = where.policy(THETA)
    lines = of_line(where, "stationary", THETA, gamma)
    truth, kept = np.array(lines["truth"]), np.array(lines["lines"][3])
    size = float(np.linalg.norm(truth))
    uphill = truth / size if size > _NO_LENGTH else np.zeros_like(truth)
    d = exact.stationary_distribution(mdp, table)
    moved_policy = table * (scores @ uphill)
    dense = _dense_transitions(mdp)
    chain = np.einsum("sa,sat->st", table, dense)
    inverse = np.linalg.inv(np.eye(len(d)) - chain + d)
    moved = d @ np.einsum("sa,sat->st", moved_policy, dense) @ inverse
    weighed = (1 - gamma) * exact.state_values(mdp, table) * moved
    numbers: dict[str, Any] = {
        "moved": moved.tolist(),
        "weights": weighed.tolist(),
        "net": float(weighed.sum()),
        "steep": size,
    }
    if min(size, float(np.linalg.norm(kept))) > _NO_LENGTH:
        numbers["angle"] = _angle(kept, truth)
    return numbers


def _dense_transitions(mdp: FiniteMDP) -> Float[np.ndarray, "S A T"]:
    found = np.zeros((mdp.num_states, mdp.num_actions, mdp.num_states))
    pairs = mdp.outcome_pairs
    goes_on = np.where(mdp.terminated, 0.0, mdp.probabilities)
    np.add.at(found, (mdp.pair_states[pairs], mdp.pair_actions[pairs], mdp.successors), goes_on)
    return found


def _angle(x: np.ndarray, y: np.ndarray) -> float:
    u, v = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return float(np.degrees(2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))))


def small_worlds() -> dict[str, FiniteMDP]:
    """The small MDPs of the page with questions, by name."""
    return {
        "fixture": problems.gamma_t_fixture(),
        "corridor": problems.corridor(),
        "loop": problems.two_state_loop(),
    }


def of_questions() -> References:
    """Slopes with and without γ^t, what is dropped in the loop, and the walk around the square."""
    points = [(0.5, 0.5), (0.8, 0.3), (0.95, 0.7)]
    small = small_worlds()
    found: References = [
        {"setting": {"world": name, "gamma": g, "p": p}, "numbers": slopes(small[name], g, p)}
        for name in ("fixture", "corridor")
        for g, p in points
    ]
    found += [
        {"setting": {"world": "loop", "gamma": g, "p": p}, "numbers": pulled_out(g, p)}
        for g, p in points
    ]
    return [*found, *({"setting": s, "numbers": circulation(s)} for s in WALKS)]


#: Closed walks around a square in the garden's θ: middle, half a side, γ.
WALKS = ({"walk": [0.5, 0.5], "half": 1.0, "gamma": 0.9},)


def circulation(setting: dict[str, Any]) -> dict[str, float]:
    """What a closed walk gains, clockwise as the plane is drawn: without γ^t, and along ∇r̄.

    A gradient gains nothing on a closed walk. Twelve Gauss points a side.
    """
    garden_ = world()
    nodes, shares = np.polynomial.legendre.leggauss(12)
    middle, half = np.array(setting["walk"]), setting["half"]

    def fields(theta: np.ndarray) -> np.ndarray:
        lines = of_line(garden_, "stationary", theta.tolist(), setting["gamma"])
        return np.array([lines["lines"][3], lines["truth"]])

    totals = np.zeros(2)
    for outward, along in (
        ([0, 1], [1, 0]),
        ([1, 0], [0, -1]),
        ([0, -1], [-1, 0]),
        ([-1, 0], [0, 1]),
    ):
        side, way = half * np.array(outward), np.array(along)
        for node, share in zip(nodes, shares, strict=True):
            totals += half * share * (fields(middle + side + half * node * way) @ way)
    return {"without": float(totals[0]), "gradient": float(totals[1])}


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


def of_practice() -> References:
    """What the exercises are graded by."""
    loop = problems.two_state_loop(gamma=0.5)
    start = {"theta": [0.0, 0.0], "gamma": 0.9, "lambda": 0.9}
    half, right = (of_estimators({**start, "skill": skill}) for skill in (0.5, 1.0))
    numbers = {
        "loopValue": float(exact.state_values(loop, np.array([0, 0]))[0]),
        "best": float(planning.solve(garden(), tol=1e-10).values[_HOME]),
        "loopTime": float(exact.stationary_distribution(loop, [[0.3, 0.7]] * 2)[1]),
        "biases": [_distance(half[f"{name} mean"], half["gradient"]) for name in ESTIMATORS],
        "spreads": [float(np.trace(right[f"{name} covariance"]) ** 0.5) for name in ESTIMATORS],
        "without": slopes(problems.gamma_t_fixture(), 0.7, 0.5)["without"],
        "dropped": pulled_out(0.8, 0.5)["share"],
    }
    return [{"setting": {}, "numbers": numbers}]


def _distance(x: list[float], y: list[float]) -> float:
    return float(np.linalg.norm(np.subtract(x, y)))


def of_notation() -> References:
    """The number of each symbol of the bridge, for the wandering snail."""
    return [
        {"setting": {"gamma": gamma}, "numbers": of_wandering(gamma)} for gamma in (0.5, 0.9, 0.97)
    ]


def of_wandering(gamma: float) -> dict[str, float]:
    """The numbers of the wandering policy at home, for the action up."""
    found = exact.evaluate(garden(gamma=gamma), _wandering())
    long_run = exact.evaluate(garden(gamma=gamma), _wandering(), "average")
    numbers = {
        "policy": 0.25,
        "value": found.values[_HOME],
        "q": found.action_values[_HOME, _UP],
        "advantage": found.advantages[_HOME, _UP],
        "visits": found.visitation[_HOME],
        "time": long_run.visitation[_HOME],
        "objective": found.objective,
        "gain": long_run.objective,
        "score": Compass([0.0, 0.0]).on_pairs(garden())[1][_UP, 1],
    }
    return {name: float(number) for name, number in numbers.items()}


def of_compass() -> References:
    """V of a turned compass, and its mean over the long run."""
    setting = {"gamma": 0.9, "theta": THETA}
    table, _ = world().policy(THETA)
    values = exact.state_values(garden(), table)
    time = exact.stationary_distribution(garden(), table)
    return [
        {
            "setting": setting,
            "numbers": {"values": values.tolist(), "weighted": float(time @ values)},
        }
    ]
