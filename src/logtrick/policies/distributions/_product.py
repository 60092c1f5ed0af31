"""Several actions at once: hybrid and dict actions."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from logtrick.policies.distributions._base import Distribution
from logtrick.policies.protocols import Action


class Product(Distribution):
    """Independent distributions side by side; the action has the structure of `parts`.

    Args:
        parts: a dict or tuple of distributions.

    Example:
        >>> import jax.numpy as jnp
        >>> from logtrick.distributions import Categorical, Normal
        >>> by = Normal(jnp.zeros(1), jnp.zeros(1))
        >>> both = Product({"go": Categorical(jnp.zeros(2)), "by": by})
        >>> sorted(both.mode)
        ['by', 'go']
    """

    parts: Any

    @property
    def mode(self) -> Any:
        """The modes of the parts."""
        return _each(lambda part: part.mode, self.parts)

    def draw_noise(self, key: PRNGKeyArray) -> Any:
        """The noise of each part, from keys of their own."""
        parts, structure = _flat(self.parts)
        keys = jax.random.split(key, len(parts))
        noise = [part.draw_noise(k) for part, k in zip(parts, keys, strict=True)]
        return jax.tree.unflatten(structure, noise)

    def from_noise(self, noise: Any) -> Any:
        """The action of each part."""
        return _each(lambda part, drawn: part.from_noise(drawn), self.parts, noise)

    def log_prob(self, action: Action) -> Float[Array, "*batch"]:
        """Σ over the parts."""
        return _total(lambda part, taken: part.log_prob(taken), self.parts, action)

    def entropy(self) -> Float[Array, "*batch"]:
        """Σ over the parts."""
        return _total(lambda part: part.entropy(), self.parts)

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """Σ over the parts."""
        return _total(lambda part, another: part.kl(another), self.parts, other.parts)


def _is_part(node: Any) -> bool:
    return isinstance(node, Distribution)


def _flat(parts: Any) -> tuple[list[Any], Any]:
    return jax.tree.flatten(parts, is_leaf=_is_part)


def _each(function: Any, parts: Any, *others: Any) -> Any:
    return jax.tree.map(function, parts, *others, is_leaf=_is_part)


def _total(function: Any, parts: Any, *others: Any) -> Array:
    terms = jax.tree.leaves(_each(function, parts, *others))
    total: Array = terms[0]
    for term in terms[1:]:
        total = jnp.add(total, term)
    return total
