"""When a sampled bias is more than sampling error, and how large a bias would have been seen."""

import numpy as np
from jaxtyping import Float64
from scipy import stats

FALSE_ALARM = 1e-6
"""The chance that a sampled mean without any bias is called biased, all parameters together."""
POWER = 0.95
"""The chance of seeing a bias of the size `Report.detectable_bias`."""


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
    return bool(np.any(np.abs(difference) > z_limit(len(errors)) * errors + rounding))


def z_limit(parameters: int) -> float:
    """The z-score that none of N parameters without bias exceeds, but with chance `FALSE_ALARM`."""
    return float(stats.norm.isf(FALSE_ALARM / (2 * parameters)))


def z_detectable(parameters: int) -> float:
    """How many standard errors a bias must have to be found with probability `POWER`."""
    return z_limit(parameters) + float(stats.norm.ppf(POWER))
