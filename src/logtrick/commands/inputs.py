"""The MDP that a command is asked about."""

from logtrick.errors import MDPError
from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP


def read_mdp(
    name: str,
    gamma: float | None,
    *,
    restarting: bool,
    needs_average: bool,
    terminal: str | None = None,
    reward: str | None = None,
) -> FiniteMDP:
    """Find the MDP that the options of a command describe.

    Args:
        name: as `problems.make` takes it.
        gamma: another γ, or None.
        restarting: send every end back to a start.
        needs_average: refuse an MDP that ends, before anything else does in Python's words.
        terminal: as `problems.make` takes it.
        reward: as `problems.make` takes it.
    """
    mdp = problems.make(name, gamma=gamma, terminal=terminal, reward=reward)
    mdp = mdp.restarting() if restarting else mdp
    if needs_average and mdp.pair_ends.any():
        raise MDPError(
            f"the episodes of {name} end, so there is no average per step; --restarting sends "
            "every end back to a start"
        )
    return mdp
