"""Alias: `logtrick.distributions` has moved to `logtrick.policies.distributions`."""

from logtrick.policies.distributions import *  # noqa: F403
