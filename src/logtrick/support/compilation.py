"""JAX's compiled programs, kept in the user's cache folder: the second start compiles nothing."""

import os
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Where compiled programs are kept: `$XDG_CACHE_HOME/logtrick/jax`, or in `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "logtrick" / "jax"


def use_compilation_cache() -> None:
    """Turn JAX's persistent cache on, unless the user has set one or the folder is not writable."""
    import jax

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
