"""What an estimator must not look at, tried on sampled batches before it is measured."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.moment_methods import Foreign, sampled_groups
from logtrick.auditing.paths import Paths
from logtrick.auditing.repeatable import check_repeatable
from logtrick.auditing.scored import Runner, ScoredPolicy
from logtrick.errors import EstimatorError
from logtrick.rollouts.device import Trajectory
from logtrick.support.row_masks import over_axes

BATCHES = 4
"""On which each check is made."""
TRACED = 64
"""Steps of the batch that is traced, loops of JAX step by step."""


class Nature(NamedTuple):
    """What the checks found out."""

    is_mean: bool
    """The estimate of a batch is the mean of those of its trajectories alone."""
    sees_length: bool
    """It depends on T, the number of rows with padding."""


def examine(
    estimator: Callable[..., Any],
    foreign: Foreign,
    policy: ScoredPolicy,
    horizon: int | None,
) -> Nature:
    """Call the estimator on a few batches and compare.

    Raises:
        EstimatorError: another structure, numbers that are not finite, two calls that differ, or
            something that is seen and must not be: rows that are not valid, or the order of the
            trajectories.
    """
    actor = foreign.actor or policy
    rng = np.random.Generator(np.random.Philox(key=[0, 1]))
    paths = sampled_groups(actor, foreign, BATCHES, rng, horizon)
    batches = paths.trajectory(actor.probabilities)
    runner = foreign.runner
    _check_code(estimator, foreign, policy, batches, horizon)
    first = runner(policy, batches)
    _check_finite(policy, first)
    # What a compiled function draws while it runs, in a callback, is in no trace.
    check_repeatable(estimator, lambda: [runner(policy, batches)], runner.resolution)
    longer = _longer(paths).trajectory(actor.probabilities)
    padded = runner(policy, longer)
    same = partial(_same, runner, _terms(policy, batches))
    if not same(padded, runner(policy, _with_noise_in_padding(longer, rng))):
        raise EstimatorError(
            "the estimate changes with what stands in rows that are not valid: mask them with "
            "`trajectories.valid` (a product with 0 is not enough where the row holds infinity)"
        )
    order = rng.permutation(foreign.group_size)
    order = np.roll(order, 1) if (order == np.arange(foreign.group_size)).all() else order
    shuffled = Trajectory(*(x[:, order] for x in batches))
    if not same(first, runner(policy, shuffled)):
        raise EstimatorError(
            "the estimate depends on the order of the trajectories in the batch: something of one "
            "trajectory, often the value or the reward after its end, is taken from another. Cut "
            "at `terminated`, `truncated` and `valid`"
        )
    is_mean = _is_mean(policy.runner(estimator), same, policy, batches, first)
    return Nature(is_mean, sees_length=not same(first, padded))


def _check_code(
    estimator: Callable[..., Any],
    foreign: Foreign,
    policy: ScoredPolicy,
    batches: Trajectory,
    horizon: int | None,
) -> None:
    """Run the Python code itself twice, before anything is compiled, on a batch that is short."""
    runner, batch = foreign.runner, Trajectory(*(x[0] for x in batches))
    if horizon is None and batches.reward.shape[-1] > TRACED:
        actor = foreign.actor or policy
        rng = np.random.Generator(np.random.Philox(key=[0, 2]))
        paths = sampled_groups(actor, foreign, 1, rng, TRACED)
        batch = Trajectory(*(x[0] for x in paths.trajectory(actor.probabilities)))
    each = [Trajectory(*(x[u] for x in batches)) for u in range(BATCHES)]
    check_repeatable(
        estimator,
        lambda: runner.once(policy, batch),
        runner.resolution,
        lambda: [x for batch in each for x in runner.numbers(policy, batch)],
    )


def _check_finite(policy: ScoredPolicy, estimates: Float64[np.ndarray, "U N"]) -> None:
    bad = ~np.isfinite(estimates)
    if bad.any():
        batch, parameter = (int(i) for i in np.argwhere(bad)[0])
        raise EstimatorError(
            f"the estimate of batch {batch} is {estimates[batch, parameter]} in parameter "
            f"{parameter} of {policy.theta.size}: look for 0/0 where all returns agree, and for "
            "log 0"
        )


Same = Callable[[Float64[np.ndarray, "U N"], Float64[np.ndarray, "U N"]], bool]


def _terms(policy: ScoredPolicy, batches: Trajectory) -> float:
    """The size of R ∇log π, what an estimate is summed from even if the sum is 0."""
    returns = np.abs(np.where(batches.valid, batches.reward, 0.0)).sum(axis=-1)
    return float(returns.max(initial=0.0)) * float(np.abs(policy.scores).max(initial=0.0))


def _same(runner: Runner, terms: float, one: np.ndarray, other: np.ndarray) -> bool:
    """Equal but for rounding, sums in another order included."""
    size = max(float(np.abs(one).max()), 1e-300)
    rounding = runner.resolution * (1e4 * size + 100 * terms)
    return bool(np.all(np.abs(one - other) <= rounding))


def _with_noise_in_padding(batches: Trajectory, rng: np.random.Generator) -> Trajectory:
    """Other transitions, and other flags, in the rows that are not valid."""
    shape = batches.valid.shape
    count = int(np.prod(shape))
    source = rng.integers(count, size=count)

    def mixed(array: np.ndarray) -> np.ndarray:
        flat = array.reshape(count, *array.shape[3:])
        keep = over_axes(batches.valid.reshape(count), flat)
        return np.where(keep, flat, flat[source]).reshape(array.shape)

    noisy = Trajectory(*map(mixed, batches))
    coin = rng.random(shape) < 0.5
    return noisy._replace(
        valid=batches.valid,
        reward=np.where(batches.valid, noisy.reward, 10 * rng.normal(size=shape)),
        terminated=np.where(batches.valid, noisy.terminated, coin),
        truncated=np.where(batches.valid, noisy.truncated, ~coin),
    )


def _longer(paths: Paths) -> Paths:
    """The same trajectories with one more row of padding."""
    width = [(0, 0), (0, 0), (0, 1)]
    arrays = (paths.pairs, paths.outcomes, paths.valid)
    return Paths(paths.mdp, *(np.pad(array, width) for array in arrays))


def _is_mean(
    alone: Runner,
    same: Same,
    policy: ScoredPolicy,
    batches: Trajectory,
    together: Float64[np.ndarray, "U N"],
) -> bool:
    """Whether the estimate of a batch is the mean over its trajectories, each called alone."""
    units, size = batches.reward.shape[:2]
    singles = Trajectory(*(x.reshape(units * size, 1, *x.shape[2:]) for x in batches))
    try:
        each = alone(policy, singles)
    except EstimatorError:  # it needs company, as a leave-one-out baseline does
        return False
    mean = each.reshape(units, size, -1).mean(axis=1)
    return bool(np.isfinite(mean).all()) and same(together, mean)
