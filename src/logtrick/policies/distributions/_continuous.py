"""Distributions over real vectors: unbounded, squashed into bounds, and on an interval."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betaln, digamma
from jaxtyping import Array, Float, PRNGKeyArray

from logtrick.policies.distributions._base import Distribution

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_WEIGHTS = _WEIGHTS / np.sqrt(2 * np.pi)


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
        """The mean [..., D], where the density is largest."""
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


class TanhNormal(Distribution):
    """Independent normal distributions squashed into bounds: a = low + (high − low)(1 + tanh u)/2.

    The density is exact: that of u, less log |da/du|, both computed at the u of the action as it
    was stored. An action that rounds to a bound counts as the last number before it.

    Args:
        mean: [..., D], of u.
        log_std: [..., D], of u.
        low: the lower bounds, D numbers.
        high: the upper bounds, D numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> policy = TanhNormal(jnp.zeros(2), jnp.zeros(2), (-2.0, -2.0), (2.0, 2.0))
        >>> policy.from_noise(jnp.array([0.0, 50.0])).tolist()
        [0.0, 2.0]

    Source: Haarnoja et al. (2018), "Soft actor-critic", appendix C.
    """

    mean: Float[Array, "*batch D"]
    log_std: Float[Array, "*batch D"]
    low: tuple[float, ...] = eqx.field(static=True)
    high: tuple[float, ...] = eqx.field(static=True)

    @property
    def unsquashed(self) -> Normal:
        """The distribution of u."""
        return Normal(self.mean, self.log_std)

    @property
    def mode(self) -> Float[Array, "*batch D"]:
        """The image of the mean of u, which is the median of each coordinate.

        Where std > 1/√2 the density may be largest near the bounds instead.
        """
        return self._squash(self.mean)

    def draw_noise(self, key: PRNGKeyArray) -> Float[Array, "*batch D"]:
        """ε, standard normal."""
        return jax.random.normal(key, self.mean.shape, self.mean.dtype)

    def from_noise(self, noise: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """The image of mean + std · ε."""
        return self._squash(self.unsquashed.from_noise(noise))

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log N(u) − Σ_d log |da/du|, u = artanh of the action brought to (−1, 1)."""
        low, width = _interval(self, action)
        edge = 1 - jnp.finfo(action.dtype).epsneg
        u = jnp.arctanh(jnp.clip(2 * (action - low) / width - 1, -edge, edge))
        return self.unsquashed.log_prob(u) - jnp.sum(self._log_slope(u), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        """Entropy of u + Σ_d E[log |da/du|], by Gauss-Hermite quadrature.

        There is no closed form. For std ≤ 2 the quadrature is good to about 1e-3 and better.
        """
        nodes, weights = (jnp.asarray(x, self.mean.dtype) for x in (_NODES, _WEIGHTS))
        shape = (1,) * self.mean.ndim + (-1,)
        u = self.mean[..., None] + jnp.exp(self.log_std)[..., None] * nodes.reshape(shape)
        slopes = self._log_slope(u.swapaxes(-1, -2))
        expected = jnp.sum(slopes * weights.reshape((1,) * (u.ndim - 2) + (-1, 1)), axis=-2)
        return self.unsquashed.entropy() + jnp.sum(expected, axis=-1)

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """That of the distributions of u: a divergence does not change under a bijection."""
        return self.unsquashed.kl(other.unsquashed)

    def _squash(self, u: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        low, width = _interval(self, u)
        return low + width * (1 + jnp.tanh(u)) / 2

    def _log_slope(self, u: Float[Array, "*more D"]) -> Float[Array, "*more D"]:
        """Log of (high − low)/2 · (1 − tanh² u), without cancellation."""
        _, width = _interval(self, u)
        return jnp.log(width / 2) + 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))


class Beta(Distribution):
    """Independent Beta distributions on an interval: (a − low)/(high − low) ~ Beta(α, β).

    Args:
        alpha: [..., D], positive; above 1 the density is 0 at the lower bound.
        beta: [..., D], positive; above 1 it is 0 at the upper bound.
        low: the lower bounds, D numbers.
        high: the upper bounds, D numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> uniform = Beta(jnp.ones(1), jnp.ones(1), (0.0,), (4.0,))
        >>> round(float(jnp.exp(uniform.log_prob(jnp.array([3.0])))), 3)
        0.25

    Source: Chou, Maturana and Scherer (2017), "Improving stochastic policy gradients in continuous
    control ... using the Beta distribution".
    """

    alpha: Float[Array, "*batch D"]
    beta: Float[Array, "*batch D"]
    low: tuple[float, ...] = eqx.field(static=True)
    high: tuple[float, ...] = eqx.field(static=True)

    @property
    def mode(self) -> Float[Array, "*batch D"]:
        """(α − 1)/(α + β − 2) of the way where both exceed 1, else the mean α/(α + β)."""
        low, width = _interval(self, self.alpha)
        inside = (self.alpha > 1) & (self.beta > 1)
        top = jnp.where(inside, self.alpha - 1, self.alpha)
        bottom = jnp.where(inside, self.alpha + self.beta - 2, self.alpha + self.beta)
        return low + width * top / bottom

    def from_noise(self, noise: PRNGKeyArray) -> Float[Array, "*batch D"]:
        """A sample; the noise is a key, for no fixed noise serves every α and β."""
        low, width = _interval(self, self.alpha)
        return low + width * jax.random.beta(noise, self.alpha, self.beta)

    def log_prob(self, action: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Σ_d (α − 1) log x + (β − 1) log(1 − x) − log B(α, β) − log(high − low).

        An action that rounds to a bound counts as the nearest number inside.
        """
        low, width = _interval(self, action)
        edge = jnp.finfo(action.dtype).epsneg
        x = jnp.clip((action - low) / width, edge, 1 - edge)
        inside = (self.alpha - 1) * jnp.log(x) + (self.beta - 1) * jnp.log1p(-x)
        return jnp.sum(inside - betaln(self.alpha, self.beta) - jnp.log(width), axis=-1)

    def entropy(self) -> Float[Array, "*batch"]:
        """Σ_d log B + log(high − low) − (α−1)ϝ(α) − (β−1)ϝ(β) + (α+β−2)ϝ(α+β), ϝ the digamma."""
        a, b = self.alpha, self.beta
        _, width = _interval(self, a)
        inside = (a - 1) * digamma(a) + (b - 1) * digamma(b) - (a + b - 2) * digamma(a + b)
        return jnp.sum(betaln(a, b) + jnp.log(width) - inside, axis=-1)

    def kl(self, other: Any) -> Float[Array, "*batch"]:
        """Σ_d log B′/B + (α−α′)ϝ(α) + (β−β′)ϝ(β) + (α′−α+β′−β)ϝ(α+β), on the same bounds."""
        a, b = self.alpha, self.beta
        gap_a, gap_b = a - other.alpha, b - other.beta
        ratio = betaln(other.alpha, other.beta) - betaln(a, b)
        moved = gap_a * digamma(a) + gap_b * digamma(b) - (gap_a + gap_b) * digamma(a + b)
        return jnp.sum(ratio + moved, axis=-1)


def _interval(bounded: TanhNormal | Beta, like: Array) -> tuple[Array, Array]:
    """(low, high − low), with the axes and the dtype of an array that they will meet."""
    axes = (1,) * (like.ndim - 1) + (-1,)
    low, high = (np.reshape(np.asarray(x, np.float64), axes) for x in (bounded.low, bounded.high))
    return jnp.asarray(low, like.dtype), jnp.asarray(high - low, like.dtype)
