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

from logtrick.auditing import figure
from logtrick.auditing.significance import (
    FALSE_ALARM,
    POWER,
    exceeds_sampling_error,
    z_detectable,
)
from logtrick.errors import ConfigError
from logtrick.support.files import without_nan, write_bytes_atomic

CANCELLED = 1e-12
"""The part of a sampled second moment that is rounding once the square of the mean is taken off."""
DRAWS = 4096
"""Of a batch's estimate, for its cosine."""
SHOWN = 5
"""Eigenvalues that are printed."""

ROUNDING = 1e-9
"""Of one number to another that are the same in exact arithmetic."""
NO_DIRECTION = "none: ∇J is 0"


@dataclass(frozen=True)
class FlatMoments:
    """Mean, ∇J and covariance as vectors and a matrix over all N parameters, flat."""

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
        """The mean less ∇J, [N]."""
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
    """Every setting of the estimator, and the MDP and the policy in words."""
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
    flat: FlatMoments = field(repr=False)
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
        """‖mean − ∇J‖, the size of the bias in Euclid's norm over all parameters."""
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
        return z_detectable(len(self.flat.mean)) * self.standard_error

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
        return json.dumps(without_nan(self.numbers()), indent=2, allow_nan=False)

    def save(self, path: str | PathLike[str]) -> None:
        """Write `to_json` to a file."""
        write_bytes_atomic(path, (self.to_json() + "\n").encode())

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw sampled batches around ∇J, in the plane of the largest variance (PNG, SVG, PDF).

        The plane is that of the two largest principal axes of the covariance. Points are the
        estimates of sampled batches, arrows ∇J and the expected update, all projected on it.

        Args:
            path: ends in .png, .svg or .pdf.

        Raises:
            ConfigError: another ending.
            RunError: the file cannot be written.
            EstimatorError: trajectories that never end cannot be sampled; give a horizon.
        """
        figure.kind_of(path)
        plane = np.linalg.eigh(self.covariance)[1][:, ::-1][:, :2]
        points = self.draw(batches=figure.BATCHES, batch_size=self.batch_size) @ plane
        arrows = {"expected update": self.flat.mean @ plane, "∇J": self.flat.gradient @ plane}
        title = f"{self.estimator}: gradient of {self.gradient_of}"
        figure.cloud(path, points, arrows, title, f"batches of {self.batch_size}")

    def __str__(self) -> str:
        return _text(self)

    __repr__ = __str__


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


def _text(report: Report) -> str:
    """Two columns: what, and the number with what it means."""
    size = float(np.linalg.norm(report.flat.gradient))
    flat = report.flat.gradient_is_zero
    relative = "" if flat else f" ({report.bias_norm / size:.3g} of ‖∇J‖)"
    spectrum = ", ".join(f"{value:.4g}" for value in report.spectrum[:SHOWN])
    more = ", …" if len(report.spectrum) > SHOWN else ""
    rows = [
        ("estimator", report.estimator + (f", claimed {report.claim}" if report.claim else "")),
        ("with", _settings(report)),
        ("method", _method(report)),
        ("gradient of", report.gradient_of),
        ("‖∇J‖", f"{size:.6g}, J discounted"),
        ("‖bias‖", f"{report.bias_norm:.4g}{relative}{_significance(report)}"),
        *([] if report.samples is None else [("power", _power(report))]),
        ("nearest c ∇J", _nearest(report)),
        ("cosine", _cosine_text(report)),
        ("curl", "not known" if np.isnan(report.curl) else f"{report.curl:.4g}"),
        ("variance", f"{report.variance:.6g} of one trajectory; eigenvalues {spectrum}{more}"),
        (f"batch of {report.batch_size}", _batch_direction(report)),
        ("", f"signal to noise {report.signal_to_noise():.4g}, mean squared error "
             f"{report.mse():.4g}"),
    ]  # fmt: skip
    return "\n".join(f"{name:14}{text}" for name, text in rows)


def _nearest(report: Report) -> str:
    if report.flat.gradient_is_zero:
        return NO_DIRECTION
    left = "the mean is 0" if report.flat.is_zero else f"{report.residual:.3g} of the mean is left"
    return f"c = {report.scale:.6g}, {left}"


def _cosine_text(report: Report) -> str:
    if report.flat.gradient_is_zero:
        return NO_DIRECTION
    if report.flat.is_zero:
        return "none: the mean is 0"
    return f"{report.cosine:.6g}, of the mean and ∇J"


def _batch_direction(report: Report) -> str:
    """Where all estimates lie on the line of ∇J, every cosine is 1 or −1: only the side varies."""
    if report.flat.gradient_is_zero:
        return NO_DIRECTION
    cosine, low, high = report.batch_cosine()
    if np.isnan(cosine):
        return "no direction: the estimate is 0"
    gradient = report.flat.gradient
    across = report.variance * (gradient @ gradient) - gradient @ report.covariance @ gradient
    if report.residual < ROUNDING and across <= ROUNDING * report.variance * (gradient @ gradient):
        return f"on the line of ∇J, {50 * (1 + cosine):.0f} % of batches point its way"
    return f"cosine {cosine:.3f} on average, from {low:.3f} to {high:.3f} in nine batches of ten"


def _settings(report: Report) -> str:
    used = {k: v for k, v in report.settings.items() if v is not None}
    return ", ".join(f"{name} {_short(value)}" for name, value in used.items())


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _method(report: Report) -> str:
    if report.samples is None:
        return f"{report.method}: exact but for rounding"
    return (
        f"sampling, {report.samples:,} trajectories: standard error of the mean "
        f"{report.standard_error:.3g}"
    )


def _significance(report: Report) -> str:
    if report.bias_is_significant is None:
        return ""
    word = "more than" if report.bias_is_significant else "no more than"
    return f", {word} sampling error (false alarms: {FALSE_ALARM:g})"


def _power(report: Report) -> str:
    """What a bias that is not significant may still be."""
    bias, relative = report.detectable_bias, report.detectable_relative_bias
    assert bias is not None
    assert relative is not None
    if np.isnan(bias):
        return "not known: all samples gave the same estimate, which says nothing of rarer ones"
    share = "" if np.isnan(relative) else f" ({100 * relative:.3g} % of ‖∇J‖)"
    return (
        f"a bias of {bias:.3g}{share} or more would have been seen with {100 * POWER:g} % "
        f"probability, a smaller one may be there (false alarms: {FALSE_ALARM:g})"
    )
