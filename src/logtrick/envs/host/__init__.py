"""Environments on the host: rows of Gymnasium environments, in this process or in workers.

`rows` steps N environments as one `HostEnvs` and keeps the observation that was really reached,
whichever autoreset mode a vector environment has; `vector` builds Gymnasium's vector environments
and words their failures; `worker` is what runs in a worker process, and loads no JAX; `alarm`
ends a call that hangs; `masks` finds action masks that allow nothing.
"""
