"""Why the recursion under ψ is a plain scan: it against an associative scan, compiled and run.

    python benchmarks/psi_recursion.py

Prints one line a shape and a method: compile time, and the median of 200 runs.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from logtrick.psi.returns import recursion

SHAPES = ((64, 128), (8192,), (64, 8, 128))
GAMMA_LAMBDA = 0.9405


def associative(increments, decay, cut):
    """The same recursion as a parallel prefix sum of affine maps."""

    def then(later, earlier):
        (a, b), (a0, b0) = later, earlier
        return a0 + b0 * a, b0 * b

    factors = jnp.where(cut, 0.0, decay)
    axis = increments.ndim - 1
    return lax.associative_scan(then, (increments, factors), reverse=True, axis=axis)[0]


def seconds(function, *args):
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start


def main():
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        increments = jnp.asarray(rng.normal(size=shape), jnp.float32)
        cut = jnp.asarray(rng.random(shape) < 0.01)
        results = []
        for name, method in (("scan", recursion), ("associative scan", associative)):
            lowered = jax.jit(lambda a, c, f=method: f(a, GAMMA_LAMBDA, c)).lower(increments, cut)
            start = time.perf_counter()
            compiled = lowered.compile()
            compile_time = time.perf_counter() - start
            results.append(compiled(increments, cut))
            run = statistics.median(seconds(compiled, increments, cut) for _ in range(200))
            times = f"compile {compile_time * 1e3:5.0f} ms, run {run * 1e6:5.0f} µs"
            print(f"{shape!s:14} {name:17} {times}")
        np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    main()
