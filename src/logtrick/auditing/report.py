"""What an audit found, as numbers, as text and as JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float64
from scipy import stats

from logtrick.errors import ConfigError
from logtrick.support.files import write_bytes_atomic

FALSE_ALARM = 1e-6
"""The chance that a sampled mean without any bias is called biased, all parameters together."""
POWER = 0.95
"""The chance of seeing a bias of the size `Report.detectable_bias`."""
CANCELLED = 1e-12
"""The part of a sampled second moment that is rounding once the square of the mean is taken off."""
DRAWS = 4096
"""Of a batch's estimate, for its cosine."""


@dataclass(frozen=True)
class Flat:
    """The same things as vectors over all parameters."""

    mean: Float64[np.ndarray, " N"]
    gradient: Float64[np.ndarray, " N"]
    covariance: Float64[np.ndarray, "N N"]
    rounding: float = 0.0
    """Of the mean: a shorter one is 0."""
    gradient_rounding: float = 0.0
    """The same of ∇J."""

    @property
    def is_zero(self) -> bool:
        """Whether the mean is 0 but for rounding."""
        return bool(np.linalg.norm(self.mean) <= self.rounding)

    @property
    def gradient_is_zero(self) -> bool:
        """Whether ∇J is 0 but for rounding."""
        return bool(np.linalg.norm(self.gradient) <= self.gradient_rounding)

    @property
    def bias(self) -> Float64[np.ndarray, " N"]:
        """The mean less ∇J."""
        return self.mean - self.gradient


@dataclass(frozen=True, repr=False)
class Report:
    """An estimator measured against ∇J (J1, the γ of the MDP).

    `covariance` is that of one trajectory: the estimate from a batch of B has `covariance`/B. (A
    group of G counts as G trajectories, whatever its members share.)
    """

    estimator: str
    """Its registered name, or that of the function."""
    claim: str
    """What the registry claims of its mean; empty for somebody else's estimator."""
    method: str
    """"closed form", "enumeration" or "sampling"."""
    settings: dict[str, Any]
    """Everything that the estimator was told, and the MDP and the policy in words."""
    mean: Any
    """The expected update, shaped like the policy's parameters."""
    bias: Any
    """`mean` − `gradient`, likewise."""
    gradient: Any
    """∇J, likewise."""
    gradient_of: str
    """Whose gradient the expected update is: "J discounted", "0.75 × J discounted", "J total", "J
    average", "another function", "no function", "J discounted (the zero gradient)" where both are
    0, "undecidable (one parameter)", "undecidable (rounding)", or "undecided (sampled; …)"."""
    curl: float
    """‖M − Mᵀ‖/‖M + Mᵀ‖, M the Jacobian of the expected update; NaN where it is not known, as for
    an update of 0."""
    batch_size: int
    """B of the numbers about a batch."""
    samples: int | None
    """Trajectories that were sampled; None where the numbers are exact."""
    flat: Flat = field(repr=False)
    draw: Callable[..., Float64[np.ndarray, "U N"]] = field(repr=False)
    """Estimates of sampled batches: `draw(batches=200, batch_size=64)`, one a row."""

    @property
    def covariance(self) -> Float64[np.ndarray, "N N"]:
        """Of one trajectory's estimate; rows in the order of the flattened parameters."""
        return self.flat.covariance

    @property
    def variance(self) -> float:
        """The trace of the covariance; rounding does not make it negative."""
        return max(0.0, float(np.trace(self.covariance)))

    @cached_property
    def spectrum(self) -> Float64[np.ndarray, " N"]:
        """Eigenvalues of the covariance, the largest first."""
        return np.maximum(np.linalg.eigvalsh(self.covariance)[::-1], 0.0)

    @property
    def standard_error(self) -> float:
        """√(E‖error of the mean‖²): 0 where it is exact (up to rounding)."""
        return 0.0 if self.samples is None else float(np.sqrt(self.variance / self.samples))

    @property
    def cosine(self) -> float:
        """Of the angle between the mean and ∇J; NaN where one of them is 0 but for rounding."""
        if self.flat.is_zero or self.flat.gradient_is_zero:
            return np.nan
        return _cosine(self.flat.mean, self.flat.gradient)

    @property
    def bias_norm(self) -> float:
        """‖mean − ∇J‖."""
        return float(np.linalg.norm(self.flat.bias))

    @property
    def scale(self) -> float:
        """The c that brings c ∇J nearest to the mean; NaN where ∇J is 0 but for rounding."""
        squared = float(self.flat.gradient @ self.flat.gradient)
        if self.flat.gradient_is_zero or squared == 0:
            return np.nan
        return float(self.flat.mean @ self.flat.gradient) / squared

    @property
    def residual(self) -> float:
        """‖mean − c ∇J‖/‖mean‖, the relative bias that is left after the best scalar c.

        NaN where one of them is 0 but for rounding.
        """
        if self.flat.is_zero:
            return np.nan
        left = float(np.linalg.norm(self.flat.mean - self.scale * self.flat.gradient))
        return left / float(np.linalg.norm(self.flat.mean))

    @property
    def bias_is_significant(self) -> bool | None:
        """Whether sampling error cannot explain the bias; None where nothing was sampled.

        Each parameter's z-score against the quantile that makes `FALSE_ALARM` the chance of any
        false alarm (Bonferroni), by the central limit theorem.
        """
        if self.samples is None:
            return None
        return exceeds_sampling_error(
            self.flat.bias, self.covariance / self.samples, self.flat.rounding
        )

    @property
    def detectable_bias(self) -> float | None:
        """The smallest ‖bias‖ that would have been called significant with 95 % probability.

        (z + 1.64) standard errors, z the quantile of `bias_is_significant`, in the direction that
        hides a bias best: spread over the parameters as their errors are. So a bias that is not
        significant may well be as large as this. None where nothing was sampled; NaN where all
        samples gave the same estimate, which says nothing of rarer ones.
        """
        if self.samples is None:
            return None
        if self.variance <= CANCELLED * (self.variance + self.flat.mean @ self.flat.mean):
            return np.nan
        return (_limit(len(self.flat.mean)) + stats.norm.ppf(POWER)) * self.standard_error

    @property
    def detectable_relative_bias(self) -> float | None:
        """The same over ‖∇J‖; NaN where ∇J is 0."""
        if self.detectable_bias is None:
            return None
        if self.flat.gradient_is_zero:
            return np.nan
        return self.detectable_bias / float(np.linalg.norm(self.flat.gradient))

    def mse(self, batch_size: int | None = None) -> float:
        """E‖estimate − ∇J‖² of a batch of B: ‖bias‖² + tr Σ/B."""
        return self.bias_norm**2 + self.variance / self._batch(batch_size)

    def signal_to_noise(self, batch_size: int | None = None) -> float:
        """‖mean‖²/(tr Σ/B) of a batch of B."""
        noise = self.variance / self._batch(batch_size)
        if noise > 0:
            return float(self.flat.mean @ self.flat.mean) / noise
        return np.nan if self.flat.is_zero else np.inf

    def batch_cosine(self, batch_size: int | None = None) -> tuple[float, float, float]:
        """(mean, 5 % and 95 % quantile) of the cosine between a batch's estimate and ∇J.

        By the normal distribution with this mean and covariance, which a batch's estimate has
        only as B grows.
        """
        values, vectors = np.linalg.eigh(self.covariance / self._batch(batch_size))
        noise = np.random.default_rng(0).normal(size=(DRAWS, len(values)))
        drawn = self.flat.mean + (noise * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        sizes = np.linalg.norm(drawn, axis=1) * np.linalg.norm(self.flat.gradient)
        if self.flat.gradient_is_zero or not np.all(sizes > 0):
            return (np.nan,) * 3
        cosines = drawn @ self.flat.gradient / sizes
        low, high = np.quantile(cosines, [0.05, 0.95])
        return float(cosines.mean()), float(low), float(high)

    def _batch(self, batch_size: int | None) -> int:
        size = self.batch_size if batch_size is None else batch_size
        if size < 1:
            raise ConfigError(f"batch_size = {size}; it must be at least 1")
        return size

    def numbers(self) -> dict[str, Any]:
        """Everything as plain data: what `to_json` writes."""
        cosine, low, high = self.batch_cosine()
        named = ("estimator", "claim", "method", "settings", "gradient_of", "samples")
        scalars = ("bias_norm", "scale", "residual", "cosine", "curl", "variance", "standard_error")
        return {
            **{name: getattr(self, name) for name in named},
            **{name: float(getattr(self, name)) for name in scalars},
            "bias_is_significant": self.bias_is_significant,
            "false_alarm": None if self.samples is None else FALSE_ALARM,
            "detectable_bias": self.detectable_bias,
            "detectable_relative_bias": self.detectable_relative_bias,
            "power": None if self.samples is None else POWER,
            "batch": {
                "size": self.batch_size,
                "cosine": cosine,
                "cosine_5_percent": low,
                "cosine_95_percent": high,
                "signal_to_noise": self.signal_to_noise(),
                "mse": self.mse(),
            },
            "spectrum": self.spectrum.tolist(),
            **{name: _named(getattr(self, name)) for name in ("mean", "bias", "gradient")},
            "covariance": self.covariance.tolist(),
        }

    def to_json(self) -> str:
        """The report as JSON; what is not a number is null."""
        return json.dumps(_finite(self.numbers()), indent=2, allow_nan=False)

    def save(self, path: str | PathLike[str]) -> None:
        """Write `to_json` to a file."""
        write_bytes_atomic(path, (self.to_json() + "\n").encode())

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw sampled batches around ∇J, in the plane of the largest variance (PNG, SVG, PDF)."""
        from logtrick.auditing.figure import cloud

        cloud(self, path)

    def __str__(self) -> str:
        from logtrick.auditing.text import table

        return table(self)

    __repr__ = __str__


def exceeds_sampling_error(
    difference: Float64[np.ndarray, " N"],
    covariance: Float64[np.ndarray, "N N"],
    rounding: float = 0.0,
) -> bool:
    """Whether a difference of means is larger than chance allows, at `FALSE_ALARM` altogether.

    Args:
        difference: of the means.
        covariance: of the difference.
        rounding: what rounding alone may bring to a parameter's.
    """
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return bool(np.any(np.abs(difference) > _limit(len(errors)) * errors + rounding))


def _limit(parameters: int) -> float:
    """The z-score that is passed by none of so many parameters but with chance `FALSE_ALARM`."""
    return float(stats.norm.isf(FALSE_ALARM / (2 * parameters)))


def _cosine(one: Float64[np.ndarray, " N"], other: Float64[np.ndarray, " N"]) -> float:
    sizes = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.clip(one @ other / sizes, -1.0, 1.0)) if sizes > 0 else np.nan


def _named(tree: Any) -> dict[str, Any]:
    """The arrays of a pytree by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_inexact_array))
    return {
        jax.tree_util.keystr(path).lstrip(".") or "array": np.asarray(leaf).tolist()
        for path, leaf in leaves
    }


def _finite(value: Any) -> Any:
    """NaN and infinity as null, which JSON knows."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
