"""`solve`: what a user calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int32

from logtrick.errors import ConfigError, MDPError, MultichainError, ShapeError
from logtrick.mdp.arrays import frozen
from logtrick.mdp.checks import terminal_values as checked_values
from logtrick.mdp.model import FiniteMDP
from logtrick.planning import components, spanning, total
from logtrick.planning import horizon as finite
from logtrick.planning.methods import METHODS
from logtrick.planning.operators import Operator
from logtrick.planning.spanning import Found
from logtrick.planning.sparse.threads import Team
from logtrick.support.numbers import as_numbers, checked_tolerance, checked_whole

KINDS = ("discounted", "total", "average")
DEVICES = ("cpu", "accelerator")
CRITERIA = {"discounted": spanning.DISCOUNTED, "average": spanning.AVERAGE}

#: Seconds between two reports of progress.
INTERVAL = 0.5
#: Up to so many states a policy's system is factorised rather than iterated on.
FACTORISED_STATES = 500


class Progress(NamedTuple):
    """What a long search reports."""

    iteration: int
    """Backups so far."""
    error_bound: float
    """Proved so far; infinite until a first proof."""
    seconds: float
    """Since the search began."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Optimal values, a policy that attains them, and how exact both are.

    Attributes:
        values: V_* [S]; with a horizon H, V_t [H + 1, S] where values[0] is with H steps to go and
            values[H] are the terminal values; for the average, the bias h with h(0) = 0, which with
            `gain` solves h + r̄ = max_a R + P h to within `error_bound` in each state.
        policy: the action in each state [S]; with a horizon [H, S].
        error_bound: proved, rounding included, and absolute, in units of reward: |values − V_*| and
            V_* − V_π are at most this in every state; for the average, |gain − r̄_*| and r̄_* − r̄_π.
        iterations: backups of all states and actions.
        method: what was run.
        kind: "discounted", "total" or "average".
        gain: r̄_*, for the average; None otherwise.
        minimised: True where the least values were asked for; V_* is then the least, and
            V_π − V_* what the policy loses.
    """

    values: Float64[np.ndarray, "... S"]
    policy: Int32[np.ndarray, "... S"]
    error_bound: float
    iterations: int
    method: str
    kind: str
    gain: float | None = None
    minimised: bool = False


def solve(
    mdp: FiniteMDP,
    kind: str = "discounted",
    horizon: int | None = None,
    method: str = "auto",
    tol: float = 1e-8,
    *,
    minimise: bool = False,
    terminal_values: Any = None,
    guess: Float64[np.ndarray, " S"] | None = None,
    device: str = "cpu",
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Solution:
    """Optimal values and a policy that attains them: V_* = max_a R + γ P V_*.

    Args:
        mdp: the problem.
        kind: "discounted" with the MDP's γ, which at γ = 1 means "total"; "total", whatever γ is;
            "average" for the gain r̄_*.
        horizon: H, to stop after so many steps; None for ever.
        method: "value_iteration", "gauss_seidel", "modified_policy_iteration",
            "policy_iteration" (factorised) or "inexact_policy_iteration" (Krylov). "auto" takes
            policy iteration up to 500 states and inexact policy iteration above. A horizon
            has one method, backward induction.
        tol: `error_bound` is at most tol · max(1, size of the values): the largest |V|, over all
            steps of a horizon; |r̄| for the average. Below 1 it is absolute: with V = 0, or with
            rewards of 10⁻⁹, the default proves no more than 10⁻⁸, and a smaller `tol` is needed.
        minimise: look for the least values instead of the greatest; rewards are then costs.
        terminal_values: V_H [S], what a state is worth when the horizon ends; 0 by default, and in
            terminal states, where nothing follows.
        guess: values to start from; 0 by default. The answer does not depend on it. A horizon
            starts from its terminal values and takes none.
        device: "accelerator" makes the first sweeps with JAX on its default device; the rest and
            the proof follow on the CPU.
        threads: how many; all usable cores by default. It changes the time, not one bit.
        progress: called about twice a second, within a policy's evaluation and the proof, too;
            a factorisation is silent.

    Returns:
        A `Solution`; its `error_bound` is proved by V5 at γ < 1, by V6 at γ = 1 and by V7 for
        averages.

    Raises:
        ConvergenceError: `tol` is below the rounding floor, which is named. Nothing unconverged
            is ever returned.
        ImproperPolicyError: γ = 1, and from some states no policy ends.
        MDPError: γ = 1, and a cycle has positive reward (negative, to minimise); or an average over
            episodes that end; or terminal values that are none.
        MultichainError: the average depends on where one starts.
        ConfigError: arguments that do not go together.

    Example:
        >>> from logtrick import planning, problems
        >>> solution = planning.solve(problems.forest(gamma=0.9))
        >>> solution.values.round(3), solution.policy.tolist()
        (array([26.244, 29.484, 33.484]), [0, 0, 0])
        >>> solution.error_bound < 1e-8
        True
        >>> planning.solve(problems.forest(gamma=0.9), horizon=1, terminal_values=[9, 9, 9]).values
        array([[ 8.1,  9.1, 12.1],
               [ 9. ,  9. ,  9. ]])

    References:
        Puterman 1994, chapters 6 to 8; Bertsekas and Tsitsiklis 1991 for γ = 1.
    """
    kind = _checked(mdp, kind, horizon, method, tol, device, guess, minimise)
    last = checked_values(terminal_values, horizon, mdp.num_states, mdp.terminal)
    gamma = mdp.gamma if kind == "discounted" else 1.0
    reporter = _Reporter(progress)
    with Team(threads, reporter.tick) as team, np.errstate(over="ignore", invalid="ignore"):
        operator, sign = Operator.from_mdp(mdp, gamma, team), -1.0 if minimise else 1.0
        if minimise:
            operator = replace(operator, rewards=frozen(-operator.rewards))
        if horizon is not None:
            found, name = _planned(operator, horizon, sign * last, tol, reporter.backed_up)
        else:
            name = method if method != "auto" else _automatic(mdp.num_states)
            values, report = sign * _first_values(mdp, guess), reporter.backed_up
            if device == "accelerator":
                from logtrick.planning import accelerator

                values = accelerator.approximate(operator, CRITERIA[kind], tol, values, report)
            found = _search(mdp, kind, operator, name, tol, values, report, minimise)
    gain = None if found.gain is None else sign * found.gain
    values = sign * found.values + 0.0  # −0 is no number to show
    return Solution(
        values=values,
        policy=_actions(mdp, operator, found.choice),
        error_bound=found.error_bound,
        iterations=found.iterations,
        method=name,
        kind=kind,
        gain=gain,
        minimised=minimise,
    )


def _planned(
    operator: Operator,
    horizon: int,
    last: Float64[np.ndarray, " S"],
    tol: float,
    report: spanning.Report,
) -> tuple[Found, str]:
    plan = finite.backward_induction(operator, horizon, last, tol, report)
    return Found(plan.values, plan.choices, plan.error_bound, horizon), "backward_induction"


def _automatic(num_states: int) -> str:
    return "policy_iteration" if num_states <= FACTORISED_STATES else "inexact_policy_iteration"


def _search(
    mdp: FiniteMDP,
    kind: str,
    operator: Operator,
    name: str,
    tol: float,
    values: Float64[np.ndarray, " S"],
    report: spanning.Report,
    minimise: bool,
) -> Found:
    """The search that belongs to what is optimised: totals, or discounted and average rewards."""
    method = METHODS[name]()
    if kind == "total":
        pays, ends = _pays_and_ends(mdp)
        wording = total.Wording(_describing(mdp), minimise)
        return total.search(operator, pays, ends, method, tol, values, report, wording)

    def stuck() -> None:
        if kind == "average":
            _refuse_multichain(mdp, operator)

    return spanning.search(operator, CRITERIA[kind], method, tol, values, report, stuck)


def _first_values(
    mdp: FiniteMDP, guess: Float64[np.ndarray, " S"] | None
) -> Float64[np.ndarray, " S"]:
    if guess is None:
        return np.zeros(mdp.num_states)
    values = as_numbers("guess", guess, np.float64)
    if values.shape != (mdp.num_states,) or not np.isfinite(values).all():
        raise ShapeError(f"guess needs {mdp.num_states} finite values, one for each state")
    return values.copy()


def _checked(
    mdp: Any,
    kind: Any,
    horizon: Any,
    method: Any,
    tol: Any,
    device: Any,
    guess: Any,
    minimise: Any,
) -> str:
    """The kind that is meant, if the arguments go together."""
    if not isinstance(mdp, FiniteMDP):
        raise ConfigError(f"{type(mdp).__name__} is no MDP; see logtrick.FiniteMDP")
    for name, value, known in (
        ("kind", kind, KINDS),
        ("method", method, ("auto", *METHODS)),
        ("device", device, DEVICES),
    ):
        if value not in known:
            raise ConfigError(f"{name}={value!r}; choose one of {', '.join(known)}")
    checked_tolerance(tol)
    if not isinstance(minimise, bool | np.bool_):
        raise ConfigError(f"minimise={minimise!r}; it is True or False")
    if kind == "discounted" and mdp.gamma == 1:
        kind = "total"
    if horizon is not None:
        checked_whole("horizon", horizon, 0)
        if guess is not None:
            raise ConfigError(
                "a horizon is solved backward from its end, so that a guess has no effect; what "
                "states are worth at the end is terminal_values="
            )
        if kind == "average" or method != "auto":
            raise ConfigError(
                "a horizon is solved by backward induction, for discounted or total rewards: "
                "leave kind='average' and `method` out"
            )
    if kind == "average":
        if method == "gauss_seidel":
            raise ConfigError("Gauss–Seidel does not apply to averages; use 'value_iteration'")
        if horizon is None and mdp.terminated.any():
            _refuse_endings(mdp)
    if device == "accelerator" and (kind == "total" or horizon is not None):
        raise ConfigError("device='accelerator' serves discounted and average rewards for ever")
    return str(kind)


def _refuse_endings(mdp: FiniteMDP) -> None:
    """J3: an episode that ends has no average reward."""
    ends = mdp.terminated & (mdp.probabilities > 0)
    if ends.any():
        outcome = int(np.argmax(ends))
        pair = int(np.searchsorted(mdp.outcome_offsets, outcome, side="right")) - 1
        raise MDPError(
            f"{mdp.describe_state(int(mdp.pair_states[pair]))}, action {mdp.pair_actions[pair]} "
            "may end the episode (as does a state that is never left and pays nothing), so there "
            "is no average reward; mdp.restarting() sends ends back to the start"
        )


def _pays_and_ends(mdp: FiniteMDP) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with a reward that is not zero, and pairs that may end."""
    real = mdp.probabilities > 0
    first = mdp.outcome_offsets[:-1]
    pays = np.logical_or.reduceat(real & (mdp.rewards != 0), first)
    return pays, np.logical_or.reduceat(real & mdp.terminated, first)


def _refuse_multichain(mdp: FiniteMDP, operator: Operator) -> None:
    """Two places to stay for ever, of which one cannot be reached from the other."""
    every = np.ones(mdp.num_pairs, np.bool_)
    stays = components.end_components(operator, every)
    holding = np.unique(stays.labels[operator.pair_states[stays.internal]])
    first = np.flatnonzero(stays.labels == holding[0])
    for label in holding[1:]:
        other = np.flatnonzero(stays.labels == label)
        if not _reach_each_other(operator, first, other):
            describe = _describing(mdp)
            raise MultichainError(
                f"the average reward depends on the start: one can stay for ever in "
                f"{describe(first)} or in {describe(other)}, and not always go from one to the "
                "other; solve each part by itself"
            )


def _reach_each_other(operator: Operator, one: np.ndarray, other: np.ndarray) -> bool:
    nowhere = np.zeros(len(operator.rewards), np.bool_)
    for start, finish in ((one, other), (other, one)):
        goal = np.zeros(operator.num_states, np.bool_)
        goal[finish] = True
        found = components.paths(operator.transitions, operator.pair_states, nowhere, goal)
        if not found.reached[start].all():
            return False
    return True


def _actions(mdp: FiniteMDP, operator: Operator, choice: np.ndarray) -> np.ndarray:
    return mdp.pair_actions[operator.pairs(choice)]


def _describing(mdp: FiniteMDP) -> Callable[[np.ndarray], str]:
    """Words for states: the first few by name, then how many."""

    def describe(states: np.ndarray) -> str:
        some = ", ".join(mdp.describe_state(int(s)) for s in states[:5])
        return some if len(states) <= 5 else f"{some} and {len(states) - 5} more"

    return describe


class _Reporter:
    """Passes on what is due: the first backup, then about twice a second whatever is running."""

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self._progress, self._latest = progress, (0, np.inf)
        self._began = self._last = time.perf_counter()

    def backed_up(self, iteration: int, bound: float) -> None:
        """A backup was made."""
        self._latest = iteration, bound
        if iteration == 1:
            self._last = -np.inf
        self.tick()

    def tick(self) -> None:
        """A sweep of any kind was made."""
        now = time.perf_counter()
        if self._progress is not None and now - self._last > INTERVAL:
            self._last = now
            self._progress(Progress(*self._latest, now - self._began))
