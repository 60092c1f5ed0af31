"""`logtrick audit`: an estimator against the exact gradient, or all of them."""

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from logtrick.auditing.survey import Cell
    from logtrick.mdp import FiniteMDP
    from logtrick.policies import SoftmaxTable


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Say what an estimator's expectation is, its variance, and whose gradient it is.

    Example: logtrick audit --estimator gae --mdp corridor --weighting undiscounted
    """

    estimator: str = "gae"
    """Its name: gae, reward_to_go, rloo, grpo … A wrong one gets the list."""
    mdp: str = "corridor"
    """A problem (corridor, garnet:5,3,2,ends=0.3 …), a Gymnasium id with a table, or a file."""
    policy: str = "uniform"
    """uniform (a softmax table with logits 0), or random:K (logits drawn with seed K)."""
    all: bool = False
    """Every registered estimator on ten MDPs, claimed against measured; exit status 1 if a claim
    does not hold."""
    gamma: float | None = None
    """The discount factor of the MDP and of the estimator; the problem's own where not given."""
    lambda_: Annotated[float, tyro.conf.arg(name="lambda")] = 0.95
    """λ of GAE and V-trace."""
    weighting: Literal["discounted", "undiscounted"] = "discounted"
    """Whether γ^t stands in front of step t."""
    horizon: int | None = None
    """Cut every trajectory after so many steps."""
    group_size: int | None = None
    """G of the group rules; 4 where not given."""
    batch_size: int = 64
    """B of the numbers about a batch."""
    method: Literal["auto", "closed form", "enumeration", "sampling"] = "auto"
    """How."""
    samples: int | None = None
    """Trajectories, when sampling."""
    key: int = 0
    """Of all samples."""
    json: bool = False
    """Print everything as JSON."""
    out: str | None = None
    """Write there: the report (.json) or its figure (.png, .svg); with --all the page (.md)."""


def run(options: Audit) -> None:
    """Measure, write and print."""
    from logtrick.errors import ConfigError

    suffixes = (".md",) if options.all else (".json", ".png", ".svg", ".pdf")
    if options.out is not None and not options.out.endswith(suffixes):
        raise ConfigError(f"--out {options.out}: it must end in {' or '.join(suffixes)}")
    if options.out is not None:  # resolved before an environment can change the working directory
        options = dataclasses.replace(options, out=os.path.abspath(options.out))
    if options.all:
        _all(options)
    else:
        _one(options)


def _one(options: Audit) -> None:
    from logtrick import problems
    from logtrick.auditing.entry import audit

    mdp = problems.make(options.mdp, gamma=options.gamma)
    report = audit(
        options.estimator,
        mdp,
        _policy(options.policy, mdp),
        lambda_=options.lambda_,
        weighting=options.weighting,
        horizon=options.horizon,
        group_size=options.group_size,
        batch_size=options.batch_size,
        method=options.method,
        samples=options.samples,
        key=options.key,
    )
    if options.out is not None:
        (report.save if options.out.endswith(".json") else report.plot)(options.out)
    print(report.to_json() if options.json else report)


def _all(options: Audit) -> None:
    from dataclasses import asdict

    from logtrick.auditing.survey import page, survey
    from logtrick.commands.output import print_json
    from logtrick.files import write_bytes_atomic

    cells = list(survey())
    text = page(cells)
    if options.out is not None:
        write_bytes_atomic(options.out, text.encode())
    if options.json:
        print_json([asdict(cell) | {"agrees": cell.agrees} for cell in cells])
    elif options.out is None:
        print(text)
    _say_what_differs(cells)


def _say_what_differs(cells: "list[Cell]") -> None:
    """One line on standard error for each claim that does not hold, and exit status 1."""
    import sys

    wrong = [cell for cell in cells if not cell.agrees]
    for cell in wrong:
        print(
            f"{cell.estimator} on {cell.mdp}: claimed {cell.claim}, so {' or '.join(cell.expected)}"
            f"; measured {cell.measured}",
            file=sys.stderr,
        )
    print(f"{len(cells) - len(wrong)} of {len(cells)} agree", file=sys.stderr)
    if wrong:
        sys.exit(1)


def _policy(name: str, mdp: "FiniteMDP") -> "SoftmaxTable":
    import numpy as np

    from logtrick.errors import ConfigError
    from logtrick.policies import SoftmaxTable

    table = SoftmaxTable(mdp)
    kind, _, seed = name.partition(":")
    if name == "uniform":
        return table
    if kind != "random" or not (seed.isascii() and seed.isdigit()):
        raise ConfigError(f"--policy {name}: it is uniform, or random:K with a seed K")
    rng = np.random.default_rng(int(seed))
    logits = rng.normal(size=table.logits.shape).astype(np.float32)
    return SoftmaxTable(mdp, logits=logits)
