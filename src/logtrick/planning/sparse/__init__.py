"""Sweeps over sparse storage in machine code, shared by a few threads, and linear systems on top.

`sweep_kernels` and `row_kernels` are the loops, `machine_code` says how numba compiles them,
`threads` splits a sweep into blocks of rows that any number of threads can share with the same
bits, `chains` is one policy's Markov chain in this storage, and `krylov` solves (I − γP) x = b.

The kernels know offsets and arrays only: neither what an MDP is nor what is being solved.
"""
