"""Action distributions: sample, log_prob, entropy, kl, and the mode.

A policy returns one of these. Leading axes are batch axes, as the arrays that define the
distribution have them; the last axis belongs to the action, or the last few in `Reshaped`.
"""

from logtrick.policies.distributions._base import Distribution
from logtrick.policies.distributions._continuous import Beta, Normal, TanhNormal
from logtrick.policies.distributions._discrete import Categorical, MultiCategorical, masked
from logtrick.policies.distributions._product import Product
from logtrick.policies.distributions._reshaped import Reshaped

__all__ = [
    "Beta",
    "Categorical",
    "Distribution",
    "MultiCategorical",
    "Normal",
    "Product",
    "Reshaped",
    "TanhNormal",
    "masked",
]
