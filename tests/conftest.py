"""The test session is stricter than a user's: see pyproject.toml for the warnings."""

import jax
from jaxtyping import install_import_hook

# Shapes in annotations are checked in tests only; users pay nothing for them.
install_import_hook("logtrick", "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")
