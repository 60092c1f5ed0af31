"""Observations and rewards brought to a common scale by their running moments.

The moments move only between updates: while a policy acts, and while an update learns from what it
did, they stand still, so that the ratio π/π_old is 1 where an update begins. They are part of the
model, so they are saved, resumed and exported with it, and stand still in an evaluation.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Num

from logtrick.policies.encoders import ACTION_MASK, check_one, is_image
from logtrick.policies.memory import initial_carry
from logtrick.psi.deviations import deviations
from logtrick.rollouts.device import Trajectory
from logtrick.support.row_masks import over_axes

LIMIT = 10.0
"""Standard deviations (of observations) and scaled rewards beyond this are cut off."""
EPS = 1e-8


class RunningMoments(eqx.Module):
    """Mean and variance of everything seen so far, coordinate by coordinate.

    Example:
        >>> x = jnp.array([[1.0], [3.0]])
        >>> moments = RunningMoments((1,)).merge(x, jnp.ones(2, bool))
        >>> float(moments.mean[0]), float(moments.variance[0])
        (2.0, 1.0)
    """

    mean: Float[Array, "*shape"]
    variance: Float[Array, "*shape"]
    count: Float[Array, ""]

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.mean, self.variance = jnp.zeros(shape), jnp.ones(shape)
        self.count = jnp.zeros(())

    def merge(self, x: Num[Array, "B *shape"], valid: Bool[Array, " B"]) -> "RunningMoments":
        """The moments of what was seen before and the valid rows of x together.

        Source: Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
        """
        rows = over_axes(valid, x)
        added = jnp.sum(valid).astype(self.count.dtype)
        found = deviations(x.astype(self.mean.dtype), rows, axis=0)
        share = added / jnp.maximum(self.count + added, 1)
        gap = found.mean[0] - self.mean
        squares = found.variance(axis=0)[0] * jnp.square(found.scale[0])
        within = (1 - share) * self.variance + share * squares
        merged = self.mean + share * gap, within + share * (1 - share) * gap**2, self.count + added
        return eqx.tree_at(lambda m: (m.mean, m.variance, m.count), self, merged)

    def standardise(self, x: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
        """(x − mean)/std, cut off at ±`LIMIT`; x itself (cut off) before anything was seen."""
        return jnp.clip((x - self.mean) / jnp.sqrt(self.variance + EPS), -LIMIT, LIMIT)


class Normalised(eqx.Module):
    """A model, or a policy, that sees standardised observations.

    Boxes are standardised, one-hot encoded parts, action masks and images that convolutions see
    are not.

    Args:
        module: what sees the standardised observation.
        observations: the observation space.
        images: "auto" or "flat", as for the module's encoder.
    """

    module: Any
    moments: Any
    """`RunningMoments`, or None for what stays as it is; dicts and tuples of them for Dict and
    Tuple spaces."""

    def __init__(
        self, module: Any, observations: spaces.Space[Any], *, images: str = "auto"
    ) -> None:
        self.module, self.moments = module, _moments_for(observations, images)

    def __call__(self, obs: Any, *carry: Any) -> Any:
        """What the module says of the standardised observation."""
        return self.module(_standardised(self.moments, obs), *carry)

    def initial_carry(self) -> Any:
        """The memory of the module at the start of an episode; None where it has none."""
        return initial_carry(self.module)

    def state_value(self, obs: Any, *carry: Any) -> Float[Array, ""]:
        """V(s) of one observation, without the distribution."""
        return self.module.state_value(_standardised(self.moments, obs), *carry)

    @property
    def policy(self) -> "Normalised":
        """The policy alone, which goes on seeing what it was trained on."""
        return eqx.tree_at(lambda own: own.module, self, self.module.policy)

    def observe(self, obs: Any, valid: Bool[Array, "N T"]) -> "Normalised":
        """The same with the moments of observations [N, T, ...] merged in."""
        merged = _merged(self.moments, obs, valid.reshape(-1))
        return eqx.tree_at(lambda own: own.moments, self, merged, is_leaf=lambda x: x is None)


class RewardScale(eqx.Module):
    """Rewards divided by the standard deviation of the discounted return so far.

    The return G_t = r_t + γ G_{t−1} of each environment starts anew with each episode, and goes on
    from one batch to the next. Nothing is subtracted, so which policy is best does not change.

    Source: Engstrom et al. (2020), "Implementation matters in deep policy gradients", section 2.
    """

    returns: Float[Array, " N"]
    """G of each environment, where the last batch left off."""
    moments: RunningMoments

    def __init__(self, num_envs: int) -> None:
        self.returns, self.moments = jnp.zeros(num_envs), RunningMoments()

    def observe(
        self, trajectory: Trajectory, gamma: Float[Array, ""] | float
    ) -> tuple["RewardScale", Float[Array, "N T"]]:
        """Learn from one more batch [N, T]: (the scale that knows it, its rewards scaled by that).

        Scaled rewards beyond ±`LIMIT` are cut off.
        """

        def follow(g: Array, row: tuple[Array, ...]) -> tuple[Array, Array]:
            reward, step, valid = row
            following = reward + gamma * jnp.where(step == 0, 0.0, g)
            g = jnp.where(valid, following, g)
            return g, g

        t = trajectory
        columns = tuple(x.swapaxes(0, 1) for x in (t.reward, t.step, t.valid))
        last, returns = jax.lax.scan(follow, self.returns, columns)
        moments = self.moments.merge(returns.ravel(), columns[2].ravel())
        scaled = jnp.clip(t.reward / jnp.sqrt(moments.variance + EPS), -LIMIT, LIMIT)
        return eqx.tree_at(lambda s: (s.returns, s.moments), self, (last, moments)), scaled


def trainable(model: Any) -> tuple[Any, Any]:
    """(what gradient steps move, the rest): floating-point arrays that are no running moments."""

    def moved(leaf: Any) -> bool:
        return not isinstance(leaf, RunningMoments) and eqx.is_inexact_array(leaf)

    chosen = jax.tree.map(moved, model, is_leaf=lambda x: isinstance(x, RunningMoments))
    return eqx.partition(model, chosen)


def _moments_for(space: spaces.Space[Any], images: str) -> Any:
    match space:
        case spaces.Dict():
            seen = {k: s for k, s in space.items() if k != ACTION_MASK}
            return dict.fromkeys(space) | {k: _moments_for(s, images) for k, s in seen.items()}
        case spaces.Tuple():
            return tuple(_moments_for(part, images) for part in space)
        case spaces.Box(shape=shape) if not is_image(space, images):
            return RunningMoments(shape)
    return None


def _standardised(moments: Any, obs: Any) -> Any:
    match moments:
        case None:
            return obs
        case dict():
            return {key: _standardised(part, obs[key]) for key, part in moments.items()}
        case tuple():
            return tuple(map(_standardised, moments, obs))
    check_one(obs, moments.mean.shape)
    return moments.standardise(jnp.asarray(obs))


def _merged(moments: Any, obs: Any, valid: Bool[Array, " B"]) -> Any:
    match moments:
        case None:
            return None
        case dict():
            return {key: _merged(part, obs[key], valid) for key, part in moments.items()}
        case tuple():
            return tuple(_merged(*parts, valid) for parts in zip(moments, obs, strict=True))
    return moments.merge(obs.reshape(-1, *obs.shape[2:]), valid)
