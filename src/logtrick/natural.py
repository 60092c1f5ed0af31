"""Alias: `logtrick.natural` has moved to `logtrick.algorithms.natural_gradient`."""

from logtrick.algorithms.natural_gradient import *  # noqa: F403
