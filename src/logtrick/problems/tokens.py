"""Alias: `logtrick.problems.tokens` has moved to `logtrick.mdp.problems.tokens`."""

from logtrick.mdp.problems.tokens import *  # noqa: F403
