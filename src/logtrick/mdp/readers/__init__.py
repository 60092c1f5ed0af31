"""Readers: one module for each way in which a finite MDP is written down.

A reader returns the fields of an MDP, and the constructor of `FiniteMDP` or of a subclass makes the
MDP of them. `matrices` reads arrays and sparse matrices, `outcomes` tables as Gymnasium has them,
`prism` and `prism_rewards` the text files of PRISM and Storm, `umb` the binary format, and
`numpy_files` `.npz`. What the file formats share is in `flat` and `text_lines`.
"""
