"""How the kernels are compiled: machine code without Python, the global lock released.

Kernels work on a range of blocks of rows, and a few threads call them on disjoint ranges. numba's
own `prange` would do as well on speed, but its OpenMP layer ends a process that forks, and its
other layer ends one that solves from two threads at once.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on first use and keep the machine code on disk where a folder is writable."""
    plain = inspect.unwrap(function)  # a type checker's wrapper cannot be compiled
    try:
        return njit(nogil=True, cache=True)(plain)
    except RuntimeError:  # numba found no folder to write to
        return njit(nogil=True)(plain)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile into every kernel that calls it; an ordinary call would cost more than the work."""
    return njit(nogil=True, forceinline=True)(inspect.unwrap(function))


def _prefetch(locality: int) -> Any:
    """`fetch(array, index)`: ask for a cache line ahead of time; any index is harmless.

    Args:
        locality: 3 keeps the line in every cache level. 0 marks it as read once, so that a stream
            of transitions does not push the values, which are gathered again and again, out of
            the shared cache. That halves the time of a sweep over uniform successors.
    """

    def fetch(context: Any, array: Any, index: Any) -> Any:
        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = target.make_array(signature.args[0])(target, builder, arguments[0]).data
            address = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
            number = ir.IntType(32)
            shape = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
            call = cgutils.get_or_insert_function(builder.module, shape, "llvm.prefetch.p0i8")
            read, data_cache = ir.Constant(number, 0), ir.Constant(number, 1)
            builder.call(call, [address, read, ir.Constant(number, locality), data_cache])
            return target.get_dummy_value()

        return types.void(array, index), generate

    return intrinsic(inspect.unwrap(fetch))


fetch_gathered = _prefetch(3)
fetch_streamed = _prefetch(0)

#: Outcomes ahead of the current one at which a gathered value, a streamed probability and a
#: streamed successor are asked for. Flat optima, measured on 10⁶ and 4·10⁶ states × 4 × 4.
GATHER_AHEAD = np.uint64(128)
STREAM_AHEAD = np.uint64(512)
