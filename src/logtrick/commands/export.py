"""`logtrick export RUN --out DIR`: the policy for programs without logtrick."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write a run's policy as a function that JAX alone loads.

    Example: logtrick export runs/CartPole-v1-ppo-20260101-120000 --out exported
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    out: str
    """The folder in which policy.jaxexport, policy.json and README.md are written."""
    policy: Literal["latest", "best"] = "latest"
    """The first seed's latest policy, or the policy of its best evaluation during training."""


def run(options: ExportCommand) -> None:
    """Write the policy, and print where it is."""
    from logtrick.runs.folder import shown
    from logtrick.runs.run import load
    from logtrick.support.terminal import console, say

    path = load(options.run).export(options.out, policy=options.policy)
    say(console(), f"{shown(path)}/README.md says how to load it")
