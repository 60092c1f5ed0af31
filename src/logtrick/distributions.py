"""Action distributions: sample, log_prob, entropy, kl, and the mode.

A policy returns one of these. Leading axes are batch axes, as the arrays that define the
distribution have them; the last axis belongs to the action.
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


class Distribution(eqx.Module):
    """What π(·|s) is. The parameters are arrays, so a distribution is a pytree."""

    def draw_noise(self, key: PRNGKeyArray) -> Array:
        """The randomness of one sample; it may look at shapes only, not at the parameters.

        A rollout draws the noise of all its steps at once, which is much cheaper than a little
        in every step.
        """
        return key

    @abc.abstractmethod
    def from_noise(self, noise: Array) -> Array:
        """The action that this noise leads to."""

    def sample(self, key: PRNGKeyArray) -> Array:
        """Draw an action."""
        return self.from_noise(self.draw_noise(key))

    @abc.abstractmethod
    def log_prob(self, action: Array) -> Float[Array, "..."]:
        """Log π(a|s); the density's logarithm where actions are continuous."""

    @abc.abstractmethod
    def entropy(self) -> Float[Array, "..."]:
        """−E[log π], in nats; differential entropy where actions are continuous."""

    @abc.abstractmethod
    def kl(self, other: Any) -> Float[Array, "..."]:
        """KL(self ‖ other) = E_self[log self − log other], in nats."""

    @property
    @abc.abstractmethod
    def mode(self) -> Array:
        """The most probable action, taken when a policy acts greedily."""


class Categorical(Distribution):
    """A distribution over the actions 0 … A−1, by its logits: π = softmax(logits).

    A logit of −inf is an action that cannot be taken; its probability and its share of the entropy
    and of the divergence are exactly 0.

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
        """Gumbel noise."""
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


class Normal(Distribution):
    """Independent normal distributions, one for each coordinate of the action.

    Args:
        mean: [..., D].
        log_std: [..., D], the logarithm of the standard deviation.

    Example:
        >>> import jax.numpy as jnp
        >>> standard = Normal(jnp.zeros(1), jnp.zeros(1))
        >>> round(float(standard.log_prob(jnp.zeros(1))), 4)     # −½ log 2π
        -0.9189
    """

    mean: Float[Array, "*batch D"]
    log_std: Float[Array, "*batch D"]

    @property
    def mode(self) -> Float[Array, "*batch D"]:
        """The mean."""
        return self.mean

    def draw_noise(self, key: PRNGKeyArray) -> Float[Array, "*batch D"]:
        """ε, standard normal."""
        return jax.random.normal(key, self.mean.shape, self.mean.dtype)

    def from_noise(self, noise: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """Mean + std · ε."""
        return self.mean + jnp.exp(self.log_std) * noise

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Σ_d −½ z² − log std − ½ log 2π, z = (a − mean)/std."""
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        """Σ_d log std + ½ log 2πe."""
        return jnp.sum(self.log_std + 0.5 * math.log(2 * math.pi * math.e), axis=-1)

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """Σ_d log(std′/std) + (std² + (mean − mean′)²)/(2 std′²) − ½."""
        ratio = jnp.exp(2 * (self.log_std - other.log_std))
        distance = jnp.square((self.mean - other.mean) * jnp.exp(-other.log_std))
        return jnp.sum(0.5 * (ratio + distance - 1) + other.log_std - self.log_std, axis=-1)


def _finite(log_probs: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Replace −inf by 0: what is multiplied by it has probability 0, and 0 · −inf is NaN."""
    return jnp.where(jnp.isneginf(log_probs), 0.0, log_probs)
