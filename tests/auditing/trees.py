"""Small random MDPs that end within three steps, all of one shape: every trajectory can be listed.

Two start states, two actions, two outcomes of each, the second of which always ends; 44
trajectories. The last two states look the same, so that parameters are shared.
"""

import jax.numpy as jnp
import numpy as np

from logtrick.mdp.model import FiniteMDP
from logtrick.policies import SoftmaxTable

LAYERS = ((0, 1), (2, 3), (4,))
TRAJECTORIES = 44


def random_tree(seed, gamma=0.7):
    rng = np.random.default_rng(seed)
    table = []
    for layer, following in zip(LAYERS, (*LAYERS[1:], (0,)), strict=True):
        last = layer == LAYERS[-1]
        for _ in layer:
            choices = []
            for _ in range(2):
                p = rng.uniform(0.2, 0.8)
                goes_on = (p, int(rng.choice(following)), float(rng.normal()), last)
                ends = (1 - p, 0, float(rng.normal()), True)
                choices.append([goes_on, ends])
            table.append(choices)
    start = [*rng.dirichlet([2, 2]), 0, 0, 0]
    observations = np.array([0, 1, 2, 3, 3])
    return FiniteMDP.from_outcomes(table, gamma=gamma, start=start, observations=observations)


def random_softmax(mdp, seed):
    table = SoftmaxTable(mdp)
    logits = np.random.default_rng(seed).normal(size=table.logits.shape)
    return SoftmaxTable(mdp, logits=jnp.asarray(logits, jnp.float32))
