"""Alias: `logtrick.problems.token_tasks` has moved to `logtrick.mdp.problems.token_tasks`."""

from logtrick.mdp.problems.token_tasks import *  # noqa: F403
