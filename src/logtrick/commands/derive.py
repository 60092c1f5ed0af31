"""`logtrick derive MDP`: the seven lines of the derivation and its identities, as numbers."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class DeriveCommand:
    """Evaluate the derivation of the policy gradient line by line, and say which steps are inexact.

    Example: logtrick derive two_state_loop --reading stationary
    """

    mdp: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MDP")]
    """A problem (corridor, two_state_loop …), a Gymnasium id with a transition table, or a file
    (.tra, .umb, .npz)."""
    reading: Literal["start", "stationary", "average"] = "start"
    """How states are weighted: by their visits from the start (discounted J), or by the stationary
    distribution, with V (stationary, as it is usually printed) or with the average reward."""
    gamma: float | None = None
    """The discount factor; the problem's own if not given."""
    policy: str = "uniform"
    """uniform, a run folder, or a file (.npy, .npz, .json) of positive probabilities [S, A]."""
    restarting: bool = False
    """Start again wherever an episode ends, so that a stationary distribution exists."""
    json: bool = False
    """Print everything as JSON."""


def run(options: DeriveCommand) -> None:
    """Evaluate the derivation and print it."""
    from dataclasses import asdict

    from logtrick.commands.inputs import read_mdp
    from logtrick.commands.output import derivation_tables, print_json
    from logtrick.commands.policy_files import read_parametrised
    from logtrick.exact.derivation import derive

    mdp = read_mdp(
        options.mdp,
        options.gamma,
        restarting=options.restarting,
        needs_average=options.reading != "start",
    )
    policy, source = read_parametrised(mdp, options.policy)
    found = derive(mdp, policy, options.reading)
    if options.json:
        print_json({"mdp": options.mdp, "policy_source": source, **asdict(found)})
    else:
        derivation_tables(options.mdp, source, found)
