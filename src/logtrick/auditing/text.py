"""A report for a terminal."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from logtrick.auditing.report import Report

SHOWN = 5
"""Eigenvalues that are printed."""

ROUNDING = 1e-9
"""Of one number to another that are the same in exact arithmetic."""
NO_DIRECTION = "none: ∇J is 0"


def table(report: "Report") -> str:
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
        ("cosine", _cosine(report)),
        ("curl", "not known" if np.isnan(report.curl) else f"{report.curl:.4g}"),
        ("variance", f"{report.variance:.6g} of one trajectory; eigenvalues {spectrum}{more}"),
        (f"batch of {report.batch_size}", _batch_direction(report)),
        ("", f"signal to noise {report.signal_to_noise():.4g}, mean squared error "
             f"{report.mse():.4g}"),
    ]  # fmt: skip
    return "\n".join(f"{name:14}{text}" for name, text in rows)


def _nearest(report: "Report") -> str:
    if report.flat.gradient_is_zero:
        return NO_DIRECTION
    left = "the mean is 0" if report.flat.is_zero else f"{report.residual:.3g} of the mean is left"
    return f"c = {report.scale:.6g}, {left}"


def _cosine(report: "Report") -> str:
    if report.flat.gradient_is_zero:
        return NO_DIRECTION
    if report.flat.is_zero:
        return "none: the mean is 0"
    return f"{report.cosine:.6g}, of the mean and ∇J"


def _batch_direction(report: "Report") -> str:
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


def _settings(report: "Report") -> str:
    told = {k: v for k, v in report.settings.items() if v is not None}
    return ", ".join(f"{name} {_short(value)}" for name, value in told.items())


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _method(report: "Report") -> str:
    if report.samples is None:
        return f"{report.method}: exact but for rounding"
    return (
        f"sampling, {report.samples:,} trajectories: standard error of the mean "
        f"{report.standard_error:.3g}"
    )


def _significance(report: "Report") -> str:
    from logtrick.auditing.report import FALSE_ALARM

    if report.bias_is_significant is None:
        return ""
    word = "more than" if report.bias_is_significant else "no more than"
    return f", {word} sampling error (false alarms: {FALSE_ALARM:g})"


def _power(report: "Report") -> str:
    """What a bias that is not significant may still be."""
    from logtrick.auditing.report import FALSE_ALARM, POWER

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
