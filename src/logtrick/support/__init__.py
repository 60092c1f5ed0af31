"""What every other room uses and what knows nothing of reinforcement learning.

`files` writes and reads files so that a crash leaves the old or the new one, and `safe_paths` never
follows a link out of a run folder. `numbers` checks that an argument is a whole number, a tolerance
or an array of numbers; `rounding` has the constants of float64 and a bound on rounded sums. `names`
says which name was probably meant, `extras` which line installs an optional package. `terminal`
prints, `markdown` writes tables. `programs` compiles JAX's programs and keeps them in the user's
cache folder; `dispatch` lets them run in the thread that calls them. `spaces` describes Gymnasium's
spaces.

Nothing here may import another room but `errors`.
"""
