"""Distributions over finitely many actions, with actions that cannot be taken."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from logtrick.policies.distributions._base import Distribution


class Categorical(Distribution):
    """A distribution over the actions 0 … A−1, by its logits: π = softmax(logits).

    A logit of −inf is an action that cannot be taken: its probability, its share of the entropy and
    of the divergence, and every gradient through it are exactly 0. `masked` makes them.

    Args:
        logits: [..., A], any real numbers; they are normalised here.

    Example:
        >>> import jax.numpy as jnp
        >>> fair = Categorical(jnp.zeros(2))
        >>> [round(float(p), 3) for p in fair.probs], round(float(fair.entropy()), 4)
        ([0.5, 0.5], 0.6931)
    """

    logits: Float[Array, "*batch A"]

    @property
    def log_probs(self) -> Float[Array, "*batch A"]:
        """Log π of every action."""
        return jax.nn.log_softmax(self.logits)

    @property
    def probs(self) -> Float[Array, "*batch A"]:
        """π of every action."""
        return jax.nn.softmax(self.logits)

    @property
    def mode(self) -> Int[Array, "*batch"]:
        """The first of the most probable actions."""
        return jnp.argmax(self.logits, axis=-1)

    def draw_noise(self, key: PRNGKeyArray) -> Float[Array, "*batch A"]:
        """Gumbel noise of the logits' shape."""
        return jax.random.gumbel(key, self.logits.shape, self.logits.dtype)

    def from_noise(self, noise: Float[Array, "*batch A"]) -> Int[Array, "*batch"]:
        """argmax(logits + noise), the Gumbel-max trick."""
        return jnp.argmax(self.logits + noise, axis=-1)

    def log_prob(self, action: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log π(a|s), −inf for an action that cannot be taken."""
        return jnp.take_along_axis(self.log_probs, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> Float[Array, "*batch"]:
        """−Σ_a π log π, with 0 log 0 = 0."""
        return -jnp.sum(self.probs * _finite(self.log_probs), axis=-1)

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """Σ_a π (log π − log π′); +inf where π′ excludes an action that π takes."""
        gap = _finite(self.log_probs) - jnp.where(self.probs > 0, other.log_probs, 0.0)
        return jnp.sum(self.probs * gap, axis=-1)


class MultiCategorical(Distribution):
    """Independent categorical distributions, one for each coordinate of the action.

    Args:
        logits: [..., D, A]; a coordinate with fewer than A choices has −inf beyond its own.

    Example:
        >>> import jax.numpy as jnp
        >>> pair = MultiCategorical(jnp.array([[0.0, 0.0, -jnp.inf], [0.0, 0.0, 0.0]]))
        >>> round(float(jnp.exp(pair.log_prob(jnp.array([1, 2])))), 4)     # 1/2 · 1/3
        0.1667
    """

    logits: Float[Array, "*batch D A"]

    @property
    def coordinates(self) -> Categorical:
        """The distributions of the single coordinates; the last batch axis counts them."""
        return Categorical(self.logits)

    @property
    def mode(self) -> Int[Array, "*batch D"]:
        """The first of the most probable choices, in each coordinate."""
        return self.coordinates.mode

    def draw_noise(self, key: PRNGKeyArray) -> Float[Array, "*batch D A"]:
        """Gumbel noise of the logits' shape."""
        return jax.random.gumbel(key, self.logits.shape, self.logits.dtype)

    def from_noise(self, noise: Float[Array, "*batch D A"]) -> Int[Array, "*batch D"]:
        """argmax(logits + noise) in each coordinate."""
        return self.coordinates.from_noise(noise)

    def log_prob(self, action: Int[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Σ_d log π_d(a_d|s)."""
        return jnp.sum(self.coordinates.log_prob(action), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        """Σ_d of the coordinates' entropies."""
        return jnp.sum(self.coordinates.entropy(), axis=-1)

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """Σ_d of the coordinates' divergences."""
        return jnp.sum(self.coordinates.kl(other.coordinates), axis=-1)


def masked(
    logits: Float[Array, "*batch A"], mask: Shaped[Array, "*batch A"]
) -> Float[Array, "*batch A"]:
    """−inf where the mask is 0. A mask that allows nothing, as after an episode's end, is ignored.

    Example:
        >>> import jax.numpy as jnp
        >>> masked(jnp.zeros(3), jnp.array([1, 0, 1])).tolist()
        [0.0, -inf, 0.0]
    """
    allowed = mask.astype(bool)
    allowed = allowed | ~jnp.any(allowed, axis=-1, keepdims=True)
    return jnp.where(allowed, logits, -jnp.inf)


def _finite(log_probs: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Replace −inf by 0: what is multiplied by it has probability 0, and 0 · −inf is NaN."""
    return jnp.where(jnp.isneginf(log_probs), 0.0, log_probs)
