"""`logtrick envs`: what can be trained here."""

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class EnvsCommand:
    """List the environments that can be trained here.

    Example: logtrick envs cartpole
    """

    filter: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = ""
    """Show only ids that contain this, in upper or lower case."""
    json: bool = False
    """Print the rows as JSON."""


def run(options: EnvsCommand) -> None:
    """Print the environments."""
    from logtrick.commands.output import envs_table, print_json
    from logtrick.envs import list_envs

    rows = [row for row in list_envs() if options.filter.lower() in row.id.lower()]
    if options.json:
        print_json([asdict(row) for row in rows])
    else:
        envs_table(rows, options.filter)
