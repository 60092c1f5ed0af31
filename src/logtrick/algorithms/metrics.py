"""What an update measures: the episodes that ended in it, and whether every number is finite."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from logtrick.rollouts.device import Trajectory
from logtrick.support.row_masks import over_axes


def episodes(trajectory: Trajectory) -> dict[str, Array]:
    """Number, mean return and mean length of the episodes that ended in this batch."""
    t = trajectory
    ended = (t.terminated | t.truncated) & t.valid
    count = jnp.sum(ended)

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(ended, x, 0)) / count  # NaN where none ended

    return {
        "episodes": count,
        "episode_return": mean(t.episode_return),
        "episode_length": mean(t.step + 1),
    }


def array_names(params: Any) -> list[str]:
    """What the finite check looks at, in the order in which a bad number would spread."""
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    leaves = [jax.tree_util.keystr(path, simple=True, separator="/") for path in paths]
    data = ["observations", "rewards", "next observations", "actions", "log-probabilities"]
    return [*data, "values", "psi", "loss", "gradient", *leaves]


def finite(
    trajectory: Trajectory, batch: Any, parts: dict[str, Array], params: Any
) -> Bool[Array, " arrays"]:
    """Whether each array of `array_names` is finite, where the rows are transitions."""
    t = trajectory

    def valid(x: Array) -> Array:
        mask = over_axes(t.valid, x)
        return jnp.all(jnp.isfinite(x) | ~mask)

    def all_valid(tree: Any) -> Array:
        return functools.reduce(jnp.logical_and, map(valid, jax.tree.leaves(tree)))

    data = [all_valid(x) for x in (t.obs, t.reward, t.next_obs, t.action, t.log_prob)]
    rest = [batch.value, batch.psi * batch.valid, parts["loss"], parts["grad_norm"]]
    leaves = [*rest, *jax.tree.leaves(params)]
    return jnp.stack([*data, *(jnp.all(jnp.isfinite(x)) for x in leaves)])
