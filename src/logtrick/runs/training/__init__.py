"""Training that fills run folders: one run, a sweep of settings, or a search among them.

`start` begins and resumes one run; `sweeping` trains every combination of some settings, and
`searching` lets Optuna choose them. `options` holds the options that these three share, and
`points` what sweep and search share. A `session` does the work of one process: it lets the
compiled loop make some updates, then writes metrics, plays evaluations, calls callbacks, shows
progress and saves checkpoints, and repeats this until the run is over. `recording` writes the
files of one run, `restoring` puts the saved state together again, `side_by_side` trains several
points in one program, and `journal` keeps the history of a search.
"""
