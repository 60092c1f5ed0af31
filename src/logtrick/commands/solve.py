"""`logtrick solve MDP`: exact values, visits, objective and gradient, each with its error."""

import os
import shlex
from dataclasses import dataclass, fields
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class SolveCommand:
    """Solve a finite MDP, or evaluate a policy on it; every number has a bound on its error.

    Example: logtrick solve frozen_lake --out lake.html
    """

    mdp: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MDP")]
    """A problem (corridor, garnet:1000,4,seed=3 …), a Gymnasium id with a transition table
    (FrozenLake-v1), or a file (.tra, .umb, .npz)."""
    gamma: float | None = None
    """The discount factor; the problem's own if not given."""
    policy: str = "optimal"
    """optimal, uniform, a run folder, or a file (.npy, .npz, .json) of probabilities [S, A] or
    actions [S]."""
    kind: Literal["discounted", "total", "average"] = "discounted"
    """The return that is maximised: discounted by γ, total (γ = 1), or the average per step."""
    horizon: int | None = None
    """The steps H after which an episode stops; the policy may then change with the step."""
    minimise: bool = False
    """Find the policy with the smallest values: rewards are costs."""
    tol: float | None = None
    """The largest error of a value, relative to the largest value (or to 1 if all are smaller);
    1e-8 if not given."""
    terminal: str | None = None
    """For a .tra or .umb file: the label of the states that end the episode."""
    reward: str | None = None
    """For a .umb file, the name of the rewards; for a .tra file, the file with the rewards."""
    restarting: bool = False
    """Start again wherever an episode ends, so that an average exists."""
    out: str | None = None
    """Write everything to this file: .npz or .json (arrays), .png (a grid), .html (a report)."""
    json: bool = False
    """Print everything as JSON."""


def run(options: SolveCommand) -> None:
    """Solve the MDP, then write and print the result."""
    from logtrick.commands import solving
    from logtrick.commands.inputs import read_mdp
    from logtrick.commands.output import print_json
    from logtrick.commands.solution_report import check_output, write
    from logtrick.commands.solved_output import print_solved
    from logtrick.errors import ConfigError
    from logtrick.exact.values import TOLERANCE
    from logtrick.runs.training.progress import BoundBar

    out = None
    if options.out is not None:
        check_output(options.out)
        out = os.path.abspath(options.out)  # before an environment changes the working directory
    if options.gamma is not None and options.gamma != 1 and options.kind != "discounted":
        raise ConfigError(
            f"--gamma {options.gamma} has no effect with --kind {options.kind}, which does not "
            "discount; leave one of them out"
        )
    mdp = read_mdp(
        options.mdp,
        options.gamma,
        restarting=options.restarting,
        needs_average=options.kind == "average",
        terminal=options.terminal,
        reward=options.reward,
    )
    with BoundBar(TOLERANCE if options.tol is None else options.tol) as bar:
        solved = solving.solve(
            options.mdp,
            mdp,
            options.policy,
            options.kind,
            horizon=options.horizon,
            minimise=options.minimise,
            tol=options.tol,
            progress=bar.show,
        )
    if out is not None:
        write(solved, out, command=_command(options))
    if options.json:
        print_json(solved.numbers())
    else:
        print_solved(solved, options.out)


def _command(options: SolveCommand) -> str:
    """The command line that says the same, without what only concerns the output."""
    words = ["logtrick", "solve", options.mdp]
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name not in ("mdp", "out", "json") and value != field.default:
            words += [f"--{field.name}"] + ([] if value is True else [str(value)])
    return shlex.join(words)
