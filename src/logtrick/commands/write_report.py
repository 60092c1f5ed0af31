"""`logtrick report RUN`: write the report and print the summary."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from logtrick.commands.env_flags import Imports


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write a run's learning_curve.png and report.html, and print its summary.

    Example: logtrick report runs/CartPole-v1-ppo-20260101-120000
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    imports: Imports = ()
    video: bool = False
    """Play an episode with the first seed's policy, and put its GIF into the report."""
    max_steps: int | None = None
    """Most steps of that episode; needed if the environment has no known time limit."""
    json: bool = False
    """Print the summary as JSON."""


def run(options: ReportCommand) -> None:
    """Write the report and print the summary."""
    from logtrick.commands.output import print_json, run_table
    from logtrick.runs.run import load
    from logtrick.runs.summaries import run_summary

    result = load(options.run)
    result.report(video=options.video, max_steps=options.max_steps)
    if options.json:
        print_json(run_summary(result.record))
    else:
        run_table(result)
