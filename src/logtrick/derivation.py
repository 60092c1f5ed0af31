"""Alias: `logtrick.derivation` has moved to `logtrick.exact.derivation`."""

from logtrick.exact.derivation import *  # noqa: F403
