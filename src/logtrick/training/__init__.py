"""Alias: `logtrick.training` has moved to `logtrick.runs.training`."""
