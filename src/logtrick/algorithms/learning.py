"""How each kind of algorithm learns: its estimate from trajectories, its loss, and its steps.

A configuration names its `Learner` (`Algorithm.learner`), so that it needs no JAX itself. Unbatched
in seeds: `vmap` is outside. The settings in `algorithm` may be traced numbers.
"""

from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from logtrick import psi
from logtrick.algorithms import base, grouped
from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import NPG, PPO
from logtrick.algorithms.estimation import Batch, estimate, forward, whitened
from logtrick.algorithms.group_base import GroupAlgorithm
from logtrick.algorithms.natural_gradient import mean_kl
from logtrick.algorithms.trust_region import policy_step
from logtrick.algorithms.update import descend
from logtrick.psi import objectives
from logtrick.rollouts.device import Trajectory

KL_TOLERANCE = 1.5
"""How far the KL may be from `target_kl`, as a factor, before β is doubled or halved, or before
the rest of an update is left out."""
KL_COEF_RANGE = 1e-9, 1e9
"""β stays in here: beyond it one of the loss's two terms is lost in float32's rounding, and in the
end β itself would be 0 or infinite, from where no doubling or halving leads back."""

A = TypeVar("A", bound=Algorithm)
Metrics = dict[str, Array]


class Learner(Generic[A]):
    """The score-function update, as REINFORCE, A2C and IMPALA make it.

    The loss is policy + value_coef · value − entropy_coef · entropy, each a mean over the
    transitions. The other learners replace what is different about them.
    """

    def estimate(
        self, algorithm: A, model: Any, reference: Any, trajectory: Trajectory, carry: Any
    ) -> tuple[Batch, Array]:
        """ψ, weights and value targets of trajectories [N, T]: (the Batch, explained variance).

        Args:
            algorithm: the configuration.
            model: policy and value function.
            reference: the model before training; None where the algorithm compares with none.
            trajectory: [N, T] transitions.
            carry: [N, …] the model's memory before the first of them; None where it has none.
        """
        return estimate(algorithm, model, trajectory, carry)

    def learn(
        self, algorithm: A, model: Any, opt_state: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Any, Any, Metrics]:
        """All steps of one update: (the model, the optimiser's state, metrics)."""
        return descend(algorithm, model, opt_state, batch, key, self.loss)

    def loss(self, algorithm: A, model: Any, batch: Batch) -> tuple[Array, Metrics]:
        """What is to fall, and its parts."""
        distribution, values = forward(model, batch)
        log_prob = distribution.log_prob(batch.action)
        estimates = batch.psi
        if algorithm.normalise == "minibatch":
            estimates = whitened(estimates, batch.valid > 0)
        parts = {"entropy": _mean(distribution.entropy(), batch.valid, batch)}
        policy = self.policy_loss(algorithm, distribution, log_prob, estimates, batch, parts)
        parts["policy_loss"] = _mean(policy, batch.weight, batch)
        total = parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"]
        if algorithm.has_critic:
            parts["value_loss"] = _mean(
                self.value_loss(algorithm, values, batch), batch.valid, batch
            )
            total = total + algorithm.value_coef * parts["value_loss"]
        return total, parts

    def policy_loss(
        self,
        algorithm: A,
        distribution: Any,
        log_prob: Array,
        estimates: Array,
        batch: Batch,
        parts: Metrics,
    ) -> Array:
        """The policy's loss [B] of each row; what else is measured goes into `parts`."""
        return objectives.score_function(log_prob, estimates)

    def value_loss(self, algorithm: A, values: Array, batch: Batch) -> Array:
        """The critic's loss [B] of each row."""
        return objectives.value_loss(values, batch.target)

    def first_kl_coef(self, algorithm: A) -> Float[Array, ""] | None:
        """β of the first update; None where the loss has no KL penalty whose weight adapts."""
        return None

    def next_kl_coef(
        self, algorithm: A, kl_coef: Float[Array, ""] | None, parts: Metrics
    ) -> Float[Array, ""] | None:
        """β of the next update, by the metrics of the last one."""
        return None


class Proximal(Learner[PPO]):
    """PPO's update: several passes over the batch, on a clipped surrogate or with a KL penalty."""

    def learn(
        self, algorithm: PPO, model: Any, opt_state: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Any, Any, Metrics]:
        """All steps of one update; with the KL penalty, the KL of the whole update is measured."""
        if algorithm.surrogate == "clip":
            target = algorithm.target_kl
            limit = None if target is None else KL_TOLERANCE * target
            return descend(algorithm, model, opt_state, batch, key, self.loss, limit)
        old = jax.lax.stop_gradient(forward(model, batch)[0])
        batch = batch._replace(old=old)
        model, opt_state, parts = super().learn(algorithm, model, opt_state, batch, key)
        parts["kl"] = mean_kl(old, forward(model, batch)[0], batch.valid)
        return model, opt_state, parts

    def policy_loss(
        self,
        algorithm: PPO,
        distribution: Any,
        log_prob: Array,
        estimates: Array,
        batch: Batch,
        parts: Metrics,
    ) -> Array:
        """The clipped surrogate, or −r ψ + β KL(π_old ‖ π), negative where the policy gains."""
        parts["approx_kl"] = _mean(psi.k3(batch.log_prob, log_prob), batch.valid, batch)
        if algorithm.surrogate == "kl_penalty":
            divergence = batch.old.kl(distribution)
            parts["kl"] = _mean(divergence, batch.valid, batch)
            return objectives.kl_penalty(
                log_prob, batch.log_prob, estimates, divergence, algorithm.kl_coef
            )
        eps = algorithm.clip_eps
        outside = psi.clipped(log_prob, batch.log_prob, epsilon_low=eps, epsilon_high=eps)
        parts["clip_fraction"] = _mean(outside, batch.valid, batch)
        return objectives.ppo_clip(log_prob, batch.log_prob, estimates, eps)

    def value_loss(self, algorithm: PPO, values: Array, batch: Batch) -> Array:
        """The critic's loss, limited in how far an update may move a value."""
        if (eps := algorithm.value_clip_eps) is None:
            return super().value_loss(algorithm, values, batch)
        return objectives.clipped_value_loss(values, batch.value, batch.target, eps)

    def first_kl_coef(self, algorithm: PPO) -> Float[Array, ""] | None:
        """β of the first update; None with the clipped surrogate."""
        return None if algorithm.surrogate == "clip" else jnp.asarray(algorithm.kl_coef)

    def next_kl_coef(
        self, algorithm: PPO, kl_coef: Float[Array, ""] | None, parts: Metrics
    ) -> Float[Array, ""] | None:
        """β of the next update: see `adapted`."""
        return None if kl_coef is None else adapted(algorithm, kl_coef, parts["kl"])


class Natural(Learner[NPG]):
    """NPG's and TRPO's update: one natural step of the policy, then the critic's steps."""

    def learn(
        self, algorithm: NPG, model: Any, opt_state: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Any, Any, Metrics]:
        """The policy's step and then the critic's; the optimiser's state is the critic's."""
        model, acted = policy_step(algorithm, model, batch)
        model, opt_state, judged = descend(
            algorithm, model, opt_state, batch, key, self.critic_loss
        )
        return model, opt_state, judged | acted

    def critic_loss(self, algorithm: NPG, model: Any, batch: Batch) -> tuple[Array, Metrics]:
        """The value loss alone, a mean over the transitions."""
        values = forward(model, batch)[1]
        total = _mean(self.value_loss(algorithm, values, batch), batch.valid, batch)
        return total, {"value_loss": total}


class Grouped(Learner[GroupAlgorithm]):
    """Group rules: ψ and weights come from the episodes of a group, and no critic is learned."""

    def estimate(
        self,
        algorithm: GroupAlgorithm,
        model: Any,
        reference: Any,
        trajectory: Trajectory,
        carry: Any,
    ) -> tuple[Batch, Array]:
        """ψ and weights of N episodes: (the Batch [M, G, T], 0, since no critic explains any)."""
        return grouped.estimate(algorithm, reference, trajectory, carry), jnp.zeros(())

    def loss(self, algorithm: GroupAlgorithm, model: Any, batch: Batch) -> tuple[Array, Metrics]:
        """−(mean of the groups' surrogates) − entropy_coef · entropy."""
        return grouped.loss(algorithm, model, batch)


LEARNERS: dict[base.Learner, Learner[Any]] = {
    "score_function": Learner(),
    "proximal": Proximal(),
    "natural": Natural(),
    "grouped": Grouped(),
}


def learner_of(algorithm: Algorithm) -> Learner[Any]:
    """The learner that a configuration names."""
    return LEARNERS[algorithm.learner]


def scheduled(algorithm: Algorithm, done: Array) -> Algorithm:
    """The settings with their schedules applied; `done` is the share of the run that is over."""
    left = jnp.maximum(1 - done, 0.0)
    share = {"linear": left, "cosine": 0.5 * (1 - jnp.cos(jnp.pi * left))}

    def at(name: str, schedule: str) -> Array:
        now = jnp.asarray(getattr(algorithm, name))
        return now if schedule == "constant" else now * share[schedule]

    return algorithm.with_values({n: at(n, how) for n, how in algorithm.schedules.items()})


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


def _mean(x: Array, weight: Array, batch: Batch) -> Array:
    """Σ weight · x over the rows that are transitions, divided by their number."""
    count = jnp.maximum(jnp.sum(batch.valid), 1.0)
    return jnp.sum(jnp.where(batch.valid > 0, weight * x, 0.0)) / count
