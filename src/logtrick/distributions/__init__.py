"""Action distributions: sample, log_prob, entropy, kl, and the mode.

A policy returns one of these. Leading axes are batch axes, as the arrays that define the
distribution have them; the last axis belongs to the action.
"""

from logtrick.distributions._base import Distribution
from logtrick.distributions._continuous import Beta, Normal, TanhNormal
from logtrick.distributions._discrete import Categorical, MultiCategorical, masked
from logtrick.distributions._product import Product

__all__ = [
    "Beta",
    "Categorical",
    "Distribution",
    "MultiCategorical",
    "Normal",
    "Product",
    "TanhNormal",
    "masked",
]
