"""Alias: `logtrick.objectives` has moved to `logtrick.psi.objectives`."""

from logtrick.psi.objectives import *  # noqa: F403
