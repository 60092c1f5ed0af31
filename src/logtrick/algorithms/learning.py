"""What an update does with its batch: the settings as they stand now, and the algorithm's steps."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import NPG, PPO
from logtrick.algorithms.estimation import Batch, forward
from logtrick.algorithms.natural_gradient import mean_kl
from logtrick.algorithms.trust_region import policy_step
from logtrick.algorithms.update import critic_loss, descend

KL_TOLERANCE = 1.5
"""How far the KL may be from `target_kl`, as a factor, before β is doubled or halved."""
KL_COEF_RANGE = 1e-9, 1e9
"""β stays in here: beyond it one of the loss's two terms is lost in float32's rounding, and in the
end β itself would be 0 or infinite, from where no doubling or halving leads back."""


def scheduled(algorithm: Algorithm, done: Array) -> Algorithm:
    """The settings with their schedules applied; `done` is the share of the run that is over."""
    left = jnp.maximum(1 - done, 0.0)
    share = {"linear": left, "cosine": 0.5 * (1 - jnp.cos(jnp.pi * left))}

    def at(value: Any, schedule: str) -> Array:
        now = jnp.asarray(value)
        return now if schedule == "constant" else now * share[schedule]

    values = {"learning_rate": at(algorithm.learning_rate, algorithm.schedule)}
    if isinstance(algorithm, PPO):
        values["clip_eps"] = at(algorithm.clip_eps, algorithm.clip_schedule)
    return algorithm.with_values(values)


def is_penalised(algorithm: Algorithm) -> bool:
    """Whether the loss has a KL penalty whose weight β adapts."""
    return isinstance(algorithm, PPO) and algorithm.surrogate == "kl_penalty"


def learn(
    algorithm: Algorithm, model: Any, opt_state: Any, batch: Batch, key: PRNGKeyArray
) -> tuple[Any, Any, dict[str, Array]]:
    """All steps of one update: (the model, the optimiser's state, metrics)."""
    rate = jnp.asarray(algorithm.learning_rate)
    if isinstance(algorithm, NPG):
        model, acted = policy_step(algorithm, model, batch)
        model, opt_state, judged = descend(
            algorithm, model, opt_state, batch, rate, key, critic_loss
        )
        return model, opt_state, judged | acted
    if not is_penalised(algorithm):
        return descend(algorithm, model, opt_state, batch, rate, key)
    old = jax.lax.stop_gradient(forward(model, batch)[0])
    batch = batch._replace(old=old)
    model, opt_state, parts = descend(algorithm, model, opt_state, batch, rate, key)
    parts["kl"] = mean_kl(old, forward(model, batch)[0], batch.valid)
    return model, opt_state, parts


def adapted(algorithm: PPO, kl_coef: Float[Array, ""], kl: Float[Array, ""]) -> Float[Array, ""]:
    """β for the next update: halved where the last one moved too little, doubled where too far.

    Within `KL_COEF_RANGE`, which the paper leaves to the reader.

    Source: Schulman et al. (2017), "Proximal policy optimization algorithms", section 4.
    """
    target = algorithm.target_kl
    assert target is not None, "the configuration was checked"
    lower = jnp.where(kl < target / KL_TOLERANCE, kl_coef / 2, kl_coef)
    moved = jnp.where(kl > target * KL_TOLERANCE, kl_coef * 2, lower)
    return jnp.clip(moved, *KL_COEF_RANGE)
