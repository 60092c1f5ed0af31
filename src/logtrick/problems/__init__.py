"""Alias: `logtrick.problems` has moved to `logtrick.mdp.problems`."""

from logtrick.mdp.problems import *  # noqa: F403
