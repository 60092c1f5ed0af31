"""JAX's compiled programs: kept by name, kept between starts, and mapped over seeds."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp


class Programs:
    """Functions compiled once each, ahead of time, so that the time it takes is known."""

    def __init__(self) -> None:
        self.compile_seconds = 0.0
        self._compiled: dict[str, Any] = {}

    def run(
        self, name: str, function: Callable[..., Any], *arguments: Any, donate: int | None = None
    ) -> Any:
        """Call the program of this name; the first call makes it of `function`.

        Args:
            name: of the program.
            function: what it does.
            *arguments: of the same shapes at every call.
            donate: the argument whose memory may be used for the result.
        """
        if name not in self._compiled:
            begin = time.perf_counter()
            jitted = jax.jit(function, donate_argnums=donate)
            self._compiled[name] = jitted.lower(*arguments).compile()
            self.compile_seconds += time.perf_counter() - begin
        return self._compiled[name](*arguments)

    def adopt(self, others: "Programs", *, but: str) -> None:
        """Take over all that `others` has compiled, but for one name."""
        self._compiled = {k: v for k, v in others._compiled.items() if k != but}


def over_seeds(
    function: Callable[..., Any], num_seeds: int, axes: tuple[int | None, ...] | None = None
) -> Callable[..., Any]:
    """`vmap` over the seeds, where there are several.

    A single one goes without: matrix products with a batch axis of length 1 are several times
    slower on a CPU than the same products without it.
    """
    if num_seeds > 1:
        return jax.vmap(function, 0 if axes is None else axes)

    def alone(*arguments: Any) -> Any:
        mapped = (0,) * len(arguments) if axes is None else axes
        inner = [
            x if axis is None else jax.tree.map(lambda leaf: leaf[0], x)
            for x, axis in zip(arguments, mapped, strict=True)
        ]
        return jax.tree.map(lambda leaf: jnp.expand_dims(leaf, 0), function(*inner))

    return alone


def cache_folder() -> Path:
    """Where compiled programs are kept: `$XDG_CACHE_HOME/logtrick/jax`, or in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "logtrick" / "jax"


def use_compilation_cache() -> None:
    """Turn JAX's persistent cache on, unless the user has set one or the folder is not writable."""
    config: Any = jax.config
    if config.jax_compilation_cache_dir is not None:
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    config.update("jax_compilation_cache_dir", str(folder))
    # The defaults keep only what took a second to compile; small programs add up, too.
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_persistent_cache_min_entry_size_bytes", -1)
