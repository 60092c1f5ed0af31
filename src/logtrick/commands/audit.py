"""`logtrick audit`: an estimator against the exact gradient, or all of them."""

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from logtrick.auditing.survey import Cell
    from logtrick.mdp.model import FiniteMDP
    from logtrick.policies import SoftmaxTable


FIGURES = (".png", ".svg", ".pdf")
ARGUMENTS = (
    "lambda_", "weighting", "horizon", "group_size", "batch_size", "method", "samples", "key",
)  # fmt: skip
"""The options that are arguments of `logtrick.audit`."""


@dataclass(frozen=True, kw_only=True)
class AuditCommand:
    """Measure an estimator's expectation and variance, and say whose gradient it estimates.

    Example: logtrick audit --estimator gae --mdp corridor --weighting undiscounted
    """

    estimator: str | None = None
    """The estimator: gae (if not given), reward_to_go, rloo, grpo … An unknown one prints all."""
    mdp: str | None = None
    """A problem (corridor if not given, garnet:5,3,2,ends=0.3 …), a Gymnasium id with a transition
    table, or a file."""
    policy: str | None = None
    """uniform (a softmax table with all logits 0; the default), or random:K (logits drawn with seed
    K)."""
    all: bool = False
    """Compare the claim of every registered estimator with what is measured on ten MDPs; the exit
    status is 1 if a claim does not hold. Only --json and --out can be given with it."""
    gamma: float | None = None
    """The discount factor of the MDP and of the estimator; the problem's own if not given."""
    lambda_: Annotated[float | None, tyro.conf.arg(name="lambda")] = None
    """λ of GAE and V-trace; 0.95 if not given."""
    weighting: Literal["discounted", "undiscounted"] | None = None
    """Whether step t is weighted by γ^t; if not given, as the name says, or else discounted."""
    horizon: int | None = None
    """The number of steps after which every trajectory is cut."""
    group_size: int | None = None
    """The group size G of the group rules; 4 if not given."""
    batch_size: int | None = None
    """The batch size B of the numbers about a batch; 64 if not given."""
    method: Literal["auto", "closed form", "enumeration", "sampling"] | None = None
    """How the estimator is measured; auto if not given."""
    samples: int | None = None
    """The number of trajectories, if they are sampled."""
    key: int | None = None
    """The random key of all samples; 0 if not given."""
    json: bool = False
    """Print everything as JSON."""
    out: str | None = None
    """Write the report (.json), its figure (.png, .svg, .pdf) or, with --all, a page (.md)."""


def run(options: AuditCommand) -> None:
    """Run the audit, then write and print the result."""
    from logtrick.errors import ConfigError

    suffixes = (".md",) if options.all else (".json", *FIGURES)
    if options.out is not None and not options.out.endswith(suffixes):
        raise ConfigError(f"--out {options.out}: it must end in {' or '.join(suffixes)}")
    if options.out is not None:  # resolved before an environment can change the working directory
        options = dataclasses.replace(options, out=os.path.abspath(options.out))
    if options.all:
        _all(options)
    else:
        _one(options)


def _one(options: AuditCommand) -> None:
    from logtrick.auditing.run_audit import audit
    from logtrick.errors import ConfigError
    from logtrick.mdp import problems

    mdp = problems.make(options.mdp or "corridor", gamma=options.gamma)
    given = {name: getattr(options, name) for name in ARGUMENTS}
    report = audit(
        options.estimator or "gae",
        mdp,
        _policy(options.policy or "uniform", mdp),
        **{name: value for name, value in given.items() if value is not None},
    )
    drawn = report.samples is not None or (options.out or "").endswith(FIGURES)
    if options.key is not None and not drawn:
        raise ConfigError(
            f"--key {options.key} has no effect: {report.method} is exact and no figure is drawn. "
            "Leave --key out, or give --method sampling"
        )
    if options.out is not None:
        (report.save if options.out.endswith(".json") else report.plot)(options.out)
    print(report.to_json() if options.json else report)


def _all(options: AuditCommand) -> None:
    from dataclasses import asdict, fields

    from logtrick.auditing.survey import page, survey
    from logtrick.commands.output import print_json
    from logtrick.errors import ConfigError
    from logtrick.support.files import write_bytes_atomic

    for field in fields(options):
        if field.name not in ("all", "json", "out") and getattr(options, field.name) is not None:
            flag = field.name.rstrip("_").replace("_", "-")
            raise ConfigError(
                f"--{flag} has no effect with --all, which measures every estimator on its own "
                f"ten MDPs. Leave --{flag} out, or --all"
            )
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
