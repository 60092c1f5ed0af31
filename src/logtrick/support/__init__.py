"""What every other room uses and what knows nothing of reinforcement learning.

`files` writes and reads files so that a crash leaves the old or the new one; `numbers` checks that
an argument is a whole number or an array of numbers; `names` says which name was probably meant;
`extras` names the line that installs an optional package; `terminal` prints; `dispatch` and
`compilation` say where and how JAX's programs are compiled; `spaces` describes Gymnasium's spaces.

Nothing here may import another room but `errors`.
"""
