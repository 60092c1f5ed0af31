"""Value iteration on JAX's default device: a first approximation, which the CPU then proves.

The sweep is a gather and two reductions. Where all states have as many pairs and all pairs as many
outcomes, the reductions are over an axis; otherwise over sorted segments.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from logtrick.planning.certificates import Rounding
from logtrick.planning.operators import Backup, Operator
from logtrick.planning.spanning import Criterion, Report

#: Sweeps between two looks at the residual.
CHUNK = 64


def approximate(
    operator: Operator,
    criterion: Criterion,
    tol: float,
    values: Float64[np.ndarray, " S"],
    report: Report,
) -> Float64[np.ndarray, " S"]:
    """Sweep until V5 or V7 says `tol`, or until the residual stops falling.

    Args:
        operator: T.
        criterion: how the residual is read, and the damping.
        tol: the width that is wanted, as a share of max(1, size of what it bounds).
        values: the first v.
        report: called after each chunk of 64 sweeps, with a bound that is not yet proved.

    Returns:
        The last v, in float64.
    """
    rounding = Rounding.of(operator)
    with jax.enable_x64(True):
        chunk = jax.jit(partial(_chunk, _sweep(operator), criterion.damping))
        v, bound, sweeps = jnp.asarray(values), np.inf, 0
        while True:
            v, low, high, size = chunk(v)
            sweeps += CHUNK
            backup = Backup(float(low), float(high), float(size), 0)
            interval = criterion.interval(backup, rounding)
            last, bound = bound, interval.width
            report(sweeps, bound)
            if bound <= criterion.goal(backup, interval, tol) or not bound < last:
                return np.array(v)


def _chunk(
    sweep: Callable[[Any], Any], damping: float, values: Float[Array, " S"]
) -> tuple[Float[Array, " S"], Array, Array, Array]:
    """CHUNK times v + τ (T v − v), and the extremes of the last T v − v."""

    def step(_: Any, carry: Any) -> Any:
        v, *_ = carry
        backed_up = sweep(v)
        difference = backed_up - v
        size = jnp.abs(backed_up).max()
        return v + damping * difference, difference.min(), difference.max(), size

    nothing = jnp.zeros((), values.dtype)
    return jax.lax.fori_loop(0, CHUNK, step, (values, nothing, nothing, nothing))


def _sweep(operator: Operator) -> Callable[[Float[Array, " S"]], Float[Array, " S"]]:
    """T as a JAX function; the arrays are moved to the device once."""
    rewards = jnp.asarray(operator.rewards)
    probabilities = jnp.asarray(operator.probabilities)
    successors = jnp.asarray(operator.successors.view(np.int32))
    pairs, outcomes = np.diff(operator.pair_offsets), np.diff(operator.outcome_offsets)
    if (pairs == pairs[0]).all() and (outcomes == outcomes[0]).all():
        shape = (operator.num_states, int(pairs[0]), int(outcomes[0]))

        def regular(v: Float[Array, " S"]) -> Float[Array, " S"]:
            products = (probabilities * v[successors]).reshape(shape)
            q = rewards.reshape(shape[:2]) + operator.gamma * products.sum(-1)
            return q.max(-1)

        return regular
    counts = outcomes.astype(np.int64)
    owners = jnp.asarray(np.repeat(np.arange(len(counts), dtype=np.int32), counts))
    states = jnp.asarray(operator.pair_states.view(np.int32))

    def ragged(v: Float[Array, " S"]) -> Float[Array, " S"]:
        expected = jax.ops.segment_sum(
            probabilities * v[successors], owners, len(counts), indices_are_sorted=True
        )
        q = rewards + operator.gamma * expected
        return jax.ops.segment_max(q, states, operator.num_states, indices_are_sorted=True)

    return ragged
