"""Where JAX's programs run on the CPU."""

import jax


def run_where_called() -> None:
    """Let programs on the CPU run in the thread that calls them.

    By default JAX hands them to a thread of its own. Where Python works between two calls, as a
    host environment does, that thread has fallen asleep: to wake it takes several times as long as
    a small policy's program, and what Python does next finds its caches cold. The numbers are the
    same.

    JAX reads this when it begins, and never again: so it is said before anything of ours begins it,
    and a user who wants the default begins JAX first.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
