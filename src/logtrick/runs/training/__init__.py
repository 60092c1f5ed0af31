"""What writes runs: `entry` trains and resumes, `sweeping` and `searching` train many.

A `session` advances one compiled loop and visits the host between its stretches: it records,
evaluates, calls back, saves, and restores.
"""
