"""`solve`: what a user calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int32

from logtrick.errors import ConfigError, MDPError, MultichainError, ShapeError
from logtrick.mdp import FiniteMDP
from logtrick.planning import components, spanning, total
from logtrick.planning import horizon as finite
from logtrick.planning.methods import METHODS, Method
from logtrick.planning.operators import Operator
from logtrick.planning.spanning import Found
from logtrick.planning.threads import Team
from logtrick.validation import as_numbers

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
        values: V_* [S]; with a horizon H, V_t [H + 1, S] where values[0] is with H steps to go;
            for the average, the bias h with h(0) = 0, which with `gain` solves
            h + r̄ = max_a R + P h to within `error_bound` in each state.
        policy: the action in each state [S]; with a horizon [H, S].
        error_bound: proved, rounding included: |values − V_*| and V_* − V_π are at most this in
            every state; for the average, |gain − r̄_*| and r̄_* − r̄_π.
        iterations: backups of all states and actions.
        method: what was run.
        kind: "discounted", "total" or "average".
        gain: r̄_*, for the average; None otherwise.
    """

    values: Float64[np.ndarray, "... S"]
    policy: Int32[np.ndarray, "... S"]
    error_bound: float
    iterations: int
    method: str
    kind: str
    gain: float | None = None


def solve(
    mdp: FiniteMDP,
    kind: str = "discounted",
    horizon: int | None = None,
    method: str = "auto",
    tol: float = 1e-8,
    *,
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
        tol: for `error_bound`, absolute, in units of reward.
        guess: values to start from; 0 by default. The answer does not depend on it.
        device: "accelerator" makes the first sweeps with JAX on its default device; the rest and
            the proof follow on the CPU.
        threads: how many; all usable cores by default. It changes the time, not one bit.
        progress: called about twice a second, within a policy's evaluation and the proof, too;
            a factorisation is silent.

    Returns:
        A `Solution`; its `error_bound` is at most `tol`, proved by V5 at γ < 1, by V6 at γ = 1 and
        by V7 for averages.

    Raises:
        ConvergenceError: `tol` is below the rounding floor, which is named. Nothing unconverged
            is ever returned.
        ImproperPolicyError: γ = 1, and from some states no policy ends.
        MDPError: γ = 1, and a cycle has positive reward; or an average over episodes that end.
        MultichainError: the average depends on where one starts.
        ConfigError: arguments that do not go together.

    Example:
        >>> from logtrick import planning, problems
        >>> solution = planning.solve(problems.forest(gamma=0.9))
        >>> solution.values.round(3), solution.policy.tolist()
        (array([26.244, 29.484, 33.484]), [0, 0, 0])
        >>> solution.error_bound < 1e-8
        True

    References:
        Puterman 1994, chapters 6 to 8; Bertsekas and Tsitsiklis 1991 for γ = 1.
    """
    kind = _checked(mdp, kind, horizon, method, tol, device)
    gamma = mdp.gamma if kind == "discounted" else 1.0
    reporter = _Reporter(progress)
    report = reporter.backed_up
    with Team(threads, reporter.tick) as team:
        operator = Operator.from_mdp(mdp, gamma, team)
        if horizon is not None:
            plan = finite.backward_induction(operator, horizon, tol, report)
            policy = _actions(mdp, operator, plan.choices)
            bound = plan.error_bound
            return Solution(plan.values, policy, bound, horizon, "backward_induction", kind)
        name = method if method != "auto" else _automatic(mdp.num_states)
        values = _first_values(mdp, guess)
        if device == "accelerator":
            from logtrick.planning import accelerator

            values = accelerator.approximate(operator, CRITERIA[kind], tol, values, report)
        found = _search(mdp, kind, operator, METHODS[name](), tol, values, report)
    policy = _actions(mdp, operator, found.choice)
    return Solution(
        found.values, policy, found.error_bound, found.iterations, name, kind, found.gain
    )


def _automatic(num_states: int) -> str:
    return "policy_iteration" if num_states <= FACTORISED_STATES else "inexact_policy_iteration"


def _search(
    mdp: FiniteMDP,
    kind: str,
    operator: Operator,
    method: Method,
    tol: float,
    values: Float64[np.ndarray, " S"],
    report: spanning.Report,
) -> Found:
    """Dispatch on what is optimised."""
    if kind == "total":
        pays, ends = _pays_and_ends(mdp)
        return total.search(operator, pays, ends, method, tol, values, report, _describing(mdp))

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


def _checked(mdp: Any, kind: Any, horizon: Any, method: Any, tol: Any, device: Any) -> str:
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
    if not (isinstance(tol, int | float | np.number) and tol > 0):
        raise ConfigError(f"tol={tol!r}; a bound is a positive number")
    if kind == "discounted" and mdp.gamma == 1:
        kind = "total"
    if horizon is not None:
        if not isinstance(horizon, int | np.integer) or horizon < 0:
            raise ConfigError(f"horizon={horizon!r}; it is a number of steps, 0 or more")
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
