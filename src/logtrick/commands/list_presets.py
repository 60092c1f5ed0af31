"""`logtrick presets`: the settings that work, by environment, and what they reached."""

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class PresetsCommand:
    """List the presets with the scores that were reached with them.

    Example: logtrick presets hopper
    """

    filter: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NAME]")] = ""
    """Show only environments whose id or short name contains this, in upper or lower case."""
    json: bool = False
    """Print the rows as JSON, with every setting."""


def run(options: PresetsCommand) -> None:
    """Print the presets."""
    from logtrick.algorithms.presets import listed, reached, short_names
    from logtrick.commands.output import presets_table, print_json

    rows = []
    for env, chosen in listed():
        if any(options.filter.lower() in name.lower() for name in (env, *short_names(env))):
            score = reached(env, chosen)
            rows.append(
                {
                    "name": short_names(env)[0],
                    "environment": env,
                    "algorithm": chosen.algorithm.to_dict(),
                    "steps": chosen.steps,
                    "reached": None if score is None else score._asdict(),
                }
            )
    if options.json:
        print_json(rows)
    else:
        presets_table(rows, options.filter)
