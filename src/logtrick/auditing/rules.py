"""The registered estimators on trajectories: Σ_i Σ_t c_{it} ∇log π(a_{it}|s_{it}).

An estimate is linear in the scores, and its coefficients are c = ∂L/∂log π, L the surrogate that
is ascended: ψ, weights, ratio rule and KL as the registry names them, out of `logtrick.psi`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64
from scipy import sparse

from logtrick import psi
from logtrick.auditing.critic import Critic
from logtrick.auditing.flow import Flow
from logtrick.auditing.paths import Paths, logarithms
from logtrick.auditing.policies import read_actor
from logtrick.auditing.scored import ScoredPolicy
from logtrick.auditing.settings import Settings
from logtrick.errors import ConfigError, EstimatorError, NonFiniteError
from logtrick.psi.group_surrogate import group_psi, group_surrogate, group_weights
from logtrick.psi.registry import Estimator, Scope, named
from logtrick.psi.returns import discounts

AXES = ("psi", "normaliser", "ratio", "kl")
"""The choices of a group rule, each with settings of its own."""


@dataclass(frozen=True)
class Rule:
    """A row of the registry with its settings."""

    row: Estimator
    settings: Settings
    symmetric = True
    """The order of the trajectories of a group does not matter."""

    def __post_init__(self) -> None:
        if self.is_group_rule and self.group_size < self.row.rule.fewest:
            raise ConfigError(
                f"{self.row.name} compares the trajectories of a group: group_size = 1 leaves "
                "nothing to compare. Give at least 2"
            )

    @property
    def same_start(self) -> bool:
        """Whether the trajectories of a group start in one state.

        Where a ψ compares all sequences of a batch, each of them has a start of its own.
        """
        return self.row.rule.scope is not Scope.BATCH

    @property
    def is_group_rule(self) -> bool:
        """Whether ψ belongs to a whole trajectory in a group."""
        return self.row.rule.of_sequences

    def setting(self, name: str) -> Any:
        """A number of this rule: as the user gave it, or else the row's own; None if neither."""
        return self.row.setting(name, getattr(self.settings, name, None))

    @property
    def group_size(self) -> int:
        """Trajectories that one estimate is made of."""
        return self.settings.group_size if self.is_group_rule else 1

    def at(self, policy: ScoredPolicy) -> Callable[[Paths], Float64[np.ndarray, "U N"]]:
        """The estimates of groups of trajectories [U, G, T], the policy at its parameters."""
        return _Bound(self, policy).estimates


@dataclass(frozen=True)
class _Bound:
    """A rule and a policy."""

    rule: Rule
    policy: ScoredPolicy

    @cached_property
    def critic(self) -> Critic:
        policy, settings = self.policy, self.rule.settings
        flow = Flow.of(policy.mdp, policy.probabilities, policy.scores)
        return Critic(policy.mdp, flow, settings.gamma, settings.values)

    @cached_property
    def greedy_values(self) -> Float64[np.ndarray, " S"]:
        """V of the policy that always takes the most likely action."""
        mdp, pi = self.policy.mdp, self.policy.probabilities
        best = np.maximum.reduceat(pi, mdp.pair_offsets[:-1])[mdp.pair_states]
        # The first of the most likely, as `argmax` takes it.
        pairs = np.flatnonzero(pi == best)
        _, first = np.unique(mdp.pair_states[pairs], return_index=True)
        greedy = np.zeros(mdp.num_pairs)
        greedy[pairs[first]] = 1.0
        flow = Flow.of(mdp, greedy, self.policy.scores)
        return Critic(mdp, flow, self.rule.settings.gamma).exact_values

    @cached_property
    def log_probs(self) -> Float64[np.ndarray, " P"]:
        """Log π of the audited policy, of each pair."""
        return logarithms(self.policy.probabilities)

    @cached_property
    def old_log_probs(self) -> Float64[np.ndarray, " P"]:
        """Log π of the policy that acts."""
        behaviour = self.rule.settings.behaviour
        if behaviour is None:
            return self.log_probs
        return logarithms(read_actor(self.policy.mdp, behaviour).probabilities)

    @cached_property
    def reference_log_probs(self) -> Float64[np.ndarray, " P"] | None:
        reference = self.rule.settings.reference
        if reference is None or self.rule.row.kl == "none":
            return None
        return logarithms(read_actor(self.policy.mdp, reference).probabilities)

    def estimates(self, paths: Paths) -> Float64[np.ndarray, "U N"]:
        self._check_support(paths)
        by_group = self._of_groups if self.rule.is_group_rule else self._of_trajectories
        coefficients = np.where(paths.valid, by_group(paths), 0.0)
        if not np.isfinite(coefficients).all():
            raise NonFiniteError(
                f"{self.rule.row.name} gives a coefficient that is no finite number: the rewards "
                "or the ratios are too large for float64. Scale the rewards down"
            )
        scores = self.policy.scores
        if self.rule.row.rule.every_action:
            scores = self.critic.expected_terms(self.rule.row.rule)
        units, each = len(coefficients), int(np.prod(coefficients.shape[1:]))
        rows = np.arange(units + 1) * each
        matrix = sparse.csr_array(
            (coefficients.ravel(), paths.pairs.ravel(), rows), (units, len(scores))
        )
        return matrix @ scores

    def _check_support(self, paths: Paths) -> None:
        self._check_chosen(self.log_probs, paths, "the policy", "it has no score ∇log π")
        if (reference := self.reference_log_probs) is not None:
            self._check_chosen(reference, paths, "the reference", "the KL to it is infinite")

    def _check_chosen(
        self, logs: Float64[np.ndarray, " P"], paths: Paths, who: str, so: str
    ) -> None:
        never = paths.valid & np.isneginf(logs)[paths.pairs]
        if never.any():
            pair = int(paths.pairs[never][0])
            mdp = self.policy.mdp
            raise EstimatorError(
                f"{mdp.describe_state(int(mdp.pair_states[pair]))}, action "
                f"{mdp.pair_actions[pair]} was sampled, but {who} gives it probability 0: {so}"
            )

    def _of_trajectories(self, paths: Paths) -> Float64[np.ndarray, "U G T"]:
        """w_t ψ_t."""
        row, settings = self.rule.row.rule, self.rule.settings
        discounted = settings.weighting == "discounted"
        if discounted and row.weighted is not None:
            return self._psi(paths, row.weighted)
        steps = np.arange(paths.valid.shape[-1])
        with jax.enable_x64(True):
            weights = np.asarray(discounts(settings.step_weight, jnp.asarray(steps), np.float64))
        return weights * self._psi(paths)

    def _psi(self, paths: Paths, function: str | None = None) -> Float64[np.ndarray, "U G T"]:
        row = self.rule.row.rule
        if row.every_action:
            return np.ones(paths.pairs.shape)  # the rest is in the place of the scores
        if row.scope is Scope.ACTIONS:
            return self.critic.of_pairs(row)[paths.pairs]
        numbers = {name: self.rule.setting(name) for name in row.settings}
        arrays = {name: self._array(name, paths) for name in row.takes}
        return row.evaluate(arrays | numbers, function=function)

    def _array(self, name: str, paths: Paths) -> np.ndarray:
        """What a ψ of trajectories takes, by the name of its parameter."""
        match name:
            case "values":
                return self.critic.values[paths.states]
            case "next_values":
                return self.critic.values[paths.successors]
            case "ratios":
                return psi.ratio(paths.taken(self.log_probs), paths.taken(self.old_log_probs))
        return getattr(paths, name)

    def _of_groups(self, paths: Paths) -> Float64[np.ndarray, "U G T"]:
        """∂L/∂log π at π, trajectories drawn from π_old; L is what training ascends."""
        rule, row = self.rule, self.rule.row
        reference = self.reference_log_probs
        log_probs, old = paths.taken(self.log_probs), paths.taken(self.old_log_probs)
        before = None if reference is None else paths.taken(reference)
        greedy = None
        if "greedy_returns" in row.rule.takes:
            greedy = self.greedy_values[paths.states[..., 0]]
        arrays = (
            paths.rewards,
            paths.terminated,
            paths.truncated,
            paths.valid,
            log_probs,
            old,
            before,
            greedy,
        )
        names = {name for axis in AXES for name in named(axis, getattr(row, axis)).settings}
        numbers = {name: rule.setting(name) for name in names | {"gamma"}}
        whole = {name: numbers.pop(name) for name in ("ddof", "max_length") if name in numbers}
        with jax.enable_x64(True):
            arrays = jax.tree.map(jnp.asarray, arrays)
            return np.asarray(_coefficients(row, tuple(whole.items()), arrays, numbers))


@partial(jax.jit, static_argnums=(0, 1))
def _coefficients(
    row: Estimator, fixed: tuple[tuple[str, Any], ...], arrays: Any, numbers: dict[str, Any]
) -> Any:
    """∂L/∂log π, of all groups at once: each is in its own term of the sum."""
    rewards, terminated, truncated, valid, log_probs, old, before, greedy = arrays
    whole = dict(fixed)
    if row.in_reward and before is not None:
        # The reward is made while π_old acts, as in training, so its KL is that of π_old.
        penalised = psi.penalised_rewards(rewards, old, before, beta=numbers["beta"])
        rewards = jnp.where(valid, penalised, 0.0)
    ends = terminated, truncated
    settings = whole | numbers
    psi_ = group_psi(row.psi, rewards, *ends, valid, greedy_returns=greedy, **settings)
    weights = group_weights(row.normaliser, valid, psi_, max_length=whole.get("max_length"))
    rest = (old, before, psi_, weights, valid)
    numbers = {"beta": 0.0} | numbers

    def surrogate(x: Any) -> Any:
        return jnp.sum(group_surrogate(row.ratio, row.kl, x, *rest, **numbers))

    return jax.grad(surrogate)(log_probs)
