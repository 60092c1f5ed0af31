"""Alias: `logtrick.training.callbacks` has moved to `logtrick.runs.training.callbacks`."""

from logtrick.runs.training.callbacks import *  # noqa: F403
