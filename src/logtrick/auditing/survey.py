"""Every registered estimator on ten MDPs: what is claimed of its mean against what is measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from logtrick.auditing.paths import list_paths
from logtrick.auditing.policies import read_policy
from logtrick.auditing.report import ROUNDING
from logtrick.auditing.run_audit import audit
from logtrick.auditing.truth import truth
from logtrick.auditing.verdict import ONE_PARAMETER, ZERO, free_directions
from logtrick.auditing.verdict import ROUNDING as OF_A_SUM
from logtrick.errors import EstimatorError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from logtrick.policies import SoftmaxTable
from logtrick.psi.registry import ESTIMATORS, Claim, Estimator
from logtrick.support.markdown import markdown_table

MDPS = (
    "corridor",
    "random_walk(5)",
    "gamma_t_fixture",
    "garnet(4, 2, 2, ends=0.3, gamma=0.8)",
    "chain",
    "forest",
    "two_state_loop",
    "sequences(3)",
    "sequences(2, gamma=0.8)",
    "sequences(1, task='parity')",
)
GROUP_SIZE, STEPS = 4, 2
"""G of the group rules, and n of `n_step`."""
MOST_PATHS = 60
"""Group rules are measured where there are no more trajectories than this."""
INFINITE = "infinite variance"
NO_J = ("no function", "another function")


@dataclass(frozen=True)
class Problem:
    """An MDP with a policy that is not uniform and a critic that is wrong."""

    name: str
    mdp: FiniteMDP
    policy: SoftmaxTable
    critic: Float64[np.ndarray, " S"]
    ends: bool
    one_parameter: bool
    flat: bool
    """∇J is 0 here but for rounding."""
    longest: int | None
    """Steps of the longest trajectory; None where there are many trajectories."""

    @classmethod
    def of(cls, name: str) -> "Problem":
        """By its name, with fixed random logits and values."""
        mdp, rng = problems.make(name), np.random.default_rng(0)
        shape = SoftmaxTable(mdp).logits.shape
        policy = SoftmaxTable(mdp, logits=jnp.asarray(rng.normal(size=shape), jnp.float32))
        read = read_policy(mdp, policy)
        paths = list_paths(mdp, read.probabilities, None, MOST_PATHS)
        exact = truth(read)
        return cls(
            name=name,
            mdp=mdp,
            policy=policy,
            critic=rng.normal(size=mdp.num_states),
            ends=bool(mdp.terminated.any()),
            one_parameter=free_directions(read) < 2,
            flat=bool(np.linalg.norm(exact.vector) <= OF_A_SUM * exact.size),
            longest=None if paths is None else int(paths.lengths.max()),
        )


@dataclass(frozen=True)
class Cell:
    """One estimator on one MDP."""

    estimator: str
    claim: str
    mdp: str
    critic: str
    """"V_π", "wrong", or "" where ψ has none."""
    measured: str
    expected: tuple[str, ...]
    """What the claim comes to here; any of them."""
    residual: float
    """Of the mean, after the best scalar."""

    @property
    def agrees(self) -> bool:
        """Whether the claim holds here."""
        return self.measured in self.expected


def survey(mdps: Sequence[str] = MDPS) -> Iterator[Cell]:
    """Measure every registered estimator on these MDPs; group rules where groups can be listed.

    Example:
        >>> cells = list(survey(["gamma_t_fixture"]))
        >>> all(cell.agrees for cell in cells)
        True
    """
    for problem in map(Problem.of, mdps):
        for row in ESTIMATORS:
            if row.rule.of_sequences:
                if problem.longest is not None:
                    yield _of_group(row, problem)
                continue
            yield _of_trajectory(row, problem, wrong=False)
            if row.rule.needs_critic:
                yield _of_trajectory(row, problem, wrong=True)


def _of_trajectory(row: Estimator, problem: Problem, *, wrong: bool) -> Cell:
    critic = ("wrong" if wrong else "V_π") if row.rule.needs_critic else ""
    expected = _expected_of_trajectory(row, problem, wrong=wrong)
    settings: dict[str, Any] = {"values": problem.critic} if wrong else {}
    settings |= {"n": STEPS} if "n" in row.rule.settings else {}
    try:
        report = audit(row, problem.mdp, problem.policy, **settings)
    except EstimatorError:
        return _cell(row, problem, critic, INFINITE, float("nan"), expected)
    return _cell(row, problem, critic, report.gradient_of, report.residual, expected)


def _of_group(row: Estimator, problem: Problem) -> Cell:
    report, smaller = (
        audit(row, problem.mdp, problem.policy, group_size=size) for size in (GROUP_SIZE, 2)
    )
    expected = _expected_of_group(row, problem)
    # A residual of rounding, or none where ∇J is 0, says nothing of the limit.
    turned = report.residual >= max(smaller.residual, ROUNDING) and not problem.one_parameter
    if row.claim is Claim.LARGE_BATCH and turned:
        expected = ("nearer to ∇J as the batch grows",)
    return _cell(row, problem, "", report.gradient_of, report.residual, expected)


def _cell(
    row: Estimator,
    problem: Problem,
    critic: str,
    measured: str,
    residual: float,
    expected: tuple[str, ...],
) -> Cell:
    expected += (ZERO,) if problem.flat else ()  # what is 0 is ∇J, whatever is claimed elsewhere
    return Cell(row.name, str(row.claim), problem.name, critic, measured, expected, residual)


def _expected_of_trajectory(row: Estimator, problem: Problem, *, wrong: bool) -> tuple[str, ...]:
    drops, total = row.weighting == "undiscounted", row.rule.weighted is not None
    if not problem.ends and (drops or total):
        return (INFINITE,)  # weights that do not fade, over trajectories that never end
    ends_before = (
        "n" in row.rule.settings and problem.longest is not None and problem.longest <= STEPS
    )
    if wrong and row.rule.effect != Claim.UNBIASED and not ends_before:
        return (ONE_PARAMETER,) if problem.one_parameter else NO_J
    if drops and problem.mdp.gamma < 1:
        grows = (INFINITE,) if total else ()  # like γ^{−t}
        return (ONE_PARAMETER,) if problem.one_parameter else (*NO_J[:1], *grows)
    return ("J discounted",)


def _expected_of_group(row: Estimator, problem: Problem) -> tuple[str, ...]:
    if row.claim is Claim.UNBIASED:
        return ("J discounted",)
    if problem.one_parameter:
        return (ONE_PARAMETER,)
    if row.claim is Claim.GROUP_PER_LENGTH:
        scale = (GROUP_SIZE - 1) / GROUP_SIZE / (problem.longest or 1)
        return (f"{scale:.6g} × J discounted",)
    return NO_J if row.claim is Claim.LARGE_BATCH else NO_J[:1]


INTRODUCTION = """\
# What each estimator really estimates

Written by `logtrick audit --all --out docs/estimators.md`, which fails where a claim of
`logtrick.psi.registry` does not hold. Every number is exact (closed form, or every trajectory and
every group listed); policies are softmax tables with random logits.

A cell is the expected update: **J**, or a multiple of it, is the gradient of the discounted
objective J1, at this θ and around it. **none** is the gradient of no function (its Jacobian is not
symmetric), **other** that of another function; the percentage is the part of the mean that no
multiple of ∇J explains. **one**: the policy has one free parameter, so that every update is the
gradient of something. **∞**: one trajectory's estimate has no variance. A claim of no function is
about γ < 1 where γ^t is dropped: at γ = 1 nothing is dropped, and J it is. "V wrong" is a critic
drawn at random in the place of V_π.
"""


def page(cells: Sequence[Cell]) -> str:
    """The cells as a page of Markdown."""
    mdps = list(dict.fromkeys(cell.mdp for cell in cells))
    letters = dict(zip(mdps, "ABCDEFGHIJ", strict=False))
    listed = "\n".join(f"- **{letters[name]}** `{name}`" for name in mdps)
    alone = {row.name for row in ESTIMATORS if not row.rule.of_sequences}
    trajectories = [cell for cell in cells if cell.estimator in alone]
    groups = [cell for cell in cells if cell.estimator not in alone]
    sections = "\n\n".join(
        [
            INTRODUCTION.rstrip(),
            listed,
            "## ψ of single trajectories\n\n" + _table(trajectories, letters),
            f"## Group rules, G = {GROUP_SIZE}\n\n" + _table(groups, letters),
        ]
    )
    return sections + "\n"


def _table(cells: Sequence[Cell], letters: dict[str, str]) -> str:
    columns = [name for name in letters if any(cell.mdp == name for cell in cells)]
    rows: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.estimator, cell.critic, cell.claim), {})[cell.mdp] = cell
    titles = ["estimator", "claimed mean", *(letters[name] for name in columns), "holds"]
    lines = []
    for (name, critic, claim), of_mdps in rows.items():
        title = f"`{name}`" + (", V wrong" if critic == "wrong" else "")
        holds = "yes" if all(cell.agrees for cell in of_mdps.values()) else "**no**"
        texts = [_text(of_mdps[mdp]) for mdp in columns]
        lines.append([title, claim, *texts, holds])
    return markdown_table(titles, lines)


def _text(cell: Cell) -> str:
    """J, a multiple of it, or no J with the part of the mean that no multiple explains."""
    left = f" {100 * cell.residual:.2g} %" if cell.residual > ROUNDING else " 0 %"
    short = {
        "J discounted": "J",
        ZERO: "J = 0",
        INFINITE: "∞",
        ONE_PARAMETER: "one",
        "no function": "none" + left,
        "another function": "other" + left,
    }
    return short.get(cell.measured, cell.measured.replace("× J discounted", "J"))
