"""The test session is stricter than a user's: see pyproject.toml for the warnings."""

import jax
from jaxtyping import install_import_hook

# Imported before the hook: it checks its own types, and the tests want to see its messages.
import logtrick.algorithms.configs  # noqa: F401

# Shapes in annotations are checked in tests only; users pay nothing for them.
install_import_hook("logtrick", "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")
