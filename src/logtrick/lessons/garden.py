"""The garden of the lessons, and its two-parameter policy."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from logtrick.mdp import problems
from logtrick.mdp.model import FiniteMDP
from logtrick.policies.distributions import Categorical

#: What a bite of grass pays, and the cell beside the door where it grows.
BITE, GRASS = 0.1, 8


def garden(*, gamma: float = 0.9) -> FiniteMDP:
    """Salad and poison, as in `logtrick.problems`."""
    return problems.salad_and_poison(gamma=gamma)


def grassy_garden(*, gamma: float = 0.9) -> FiniteMDP:
    """The same with grass beside the door: 0.1 for every step taken there.

    Example:
        >>> round(float(grassy_garden().dense_rewards()[8].max()), 9)
        0.1
    """
    mdp = garden(gamma=gamma)
    names = list(mdp.state_names or ())
    names[GRASS] = "grass"
    rewards = np.where(mdp.pair_states[mdp.outcome_pairs] == GRASS, BITE, mdp.rewards)
    return mdp.replace(rewards=rewards, state_names=names)


class Compass(eqx.Module):
    """One compass for all cells: logits θ_up, θ_right, −θ_up, −θ_right for up, right, down, left.

    Two parameters θ = (θ_right, θ_up), in the order of a plane's axes, so that a gradient is an
    arrow in that plane and J a landscape over it.

    Example:
        >>> [round(float(p), 3) for p in Compass([0.0, 1.0])(0).probs]
        [0.534, 0.197, 0.072, 0.197]
    """

    theta: Float[Array, "2"] | Float[np.ndarray, "2"]

    def __init__(self, theta: Any) -> None:
        self.theta = np.asarray(theta, np.float64)  # JAX would round it to float32

    def __call__(self, _: Any) -> Categorical:
        """π(·|s), the same in every state."""
        return Categorical(jnp.asarray(FEATURES) @ jnp.asarray(self.theta))

    def on_pairs(self, mdp: FiniteMDP) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, "P 2"]]:
        """π(a|s) and ∇log π(a|s) on the pairs (s, a) of an MDP."""
        features = np.asarray(FEATURES, np.float64)
        weights = np.exp(features @ self.theta)
        probabilities = weights / weights.sum()
        scores = features - probabilities @ features
        return probabilities[mdp.pair_actions], scores[mdp.pair_actions]


#: The same as a matrix: logits = FEATURES @ θ.
FEATURES = [[0, 1], [1, 0], [0, -1], [-1, 0]]
