"""The command line: one module for each command, and what only commands need.

A command is a frozen dataclass, whose fields are its flags and whose docstrings are its help, and a
function `run(options)` that does the work. The dataclasses import no JAX, so that `--help` answers
at once; `run` imports what it needs. `cli` reads the command line, calls the command, and turns a
`LogtrickError` into one line and exit status 2.

`output` and `solved_output` print tables and JSON. `inputs` and `policy_files` find the MDP and the
policy that the flags name. `solving` computes all numbers of `logtrick solve`; `solution_report`,
`grid_figures` and `terminal_grid` write and draw them.
"""
