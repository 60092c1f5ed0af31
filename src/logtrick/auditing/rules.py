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
from logtrick.auditing.closed_form import ESTIMATORS as OF_TRAJECTORIES
from logtrick.auditing.critic import Critic
from logtrick.auditing.flow import Flow
from logtrick.auditing.paths import Paths
from logtrick.auditing.policies import ScoredPolicy, read_actor
from logtrick.auditing.settings import Settings
from logtrick.errors import ConfigError, EstimatorError
from logtrick.psi.group_surrogate import group_psi, group_surrogate, group_weights
from logtrick.psi.registry import Estimator

ALONE = frozenset({"remax"})
"""Group rules that can do with a group of one."""
BOOTSTRAPPED = frozenset({"baselined_return", "td_residual", "n_step", "gae", "vtrace"})
"""The ψ that look at a critic's V."""


@dataclass(frozen=True)
class Rule:
    """A row of the registry with its settings."""

    row: Estimator
    settings: Settings
    symmetric = True
    """The order of the trajectories of a group does not matter."""
    same_start = True

    def __post_init__(self) -> None:
        if self.is_group_rule and self.group_size < 2 and self.row.psi not in ALONE:
            raise ConfigError(
                f"{self.row.name} compares the trajectories of a group: group_size = 1 leaves "
                "nothing to compare. Give at least 2"
            )

    @property
    def is_group_rule(self) -> bool:
        """Whether ψ belongs to a whole trajectory in a group."""
        return self.row.psi not in OF_TRAJECTORIES

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
        return _log(self.policy.probabilities)

    @cached_property
    def old_log_probs(self) -> Float64[np.ndarray, " P"]:
        """Log π of the policy that acts."""
        behaviour = self.rule.settings.behaviour
        if behaviour is None:
            return self.log_probs
        return _log(read_actor(self.policy.mdp, behaviour).probabilities)

    @cached_property
    def reference_log_probs(self) -> Float64[np.ndarray, " P"] | None:
        reference = self.rule.settings.reference
        if reference is None or self.rule.row.kl == "none":
            return None
        return _log(read_actor(self.policy.mdp, reference).probabilities)

    def estimates(self, paths: Paths) -> Float64[np.ndarray, "U N"]:
        self._check_support(paths)
        by_group = self._of_groups if self.rule.is_group_rule else self._of_trajectories
        coefficients = np.where(paths.valid, by_group(paths), 0.0)
        scores = self.policy.scores
        if self.rule.row.psi == "all_action_sum":
            scores = self.critic.expected_terms
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
        settings, row = self.rule.settings, self.rule.row
        gamma, weighting = settings.gamma, settings.weighting
        if row.psi == "total_return" and weighting == "discounted":
            # γ^t ψ_t in one, which cannot overflow
            return psi.episode_return(paths.rewards, paths.terminated, paths.truncated, gamma=gamma)
        steps = np.arange(paths.valid.shape[-1])
        return settings.step_weight**steps * self._psi(paths)

    def _psi(self, paths: Paths) -> Float64[np.ndarray, "U G T"]:
        settings, critic = self.rule.settings, self.critic
        gamma, lambda_ = settings.gamma, settings.lambda_
        cuts = (paths.terminated, paths.truncated)
        now, after = critic.values[paths.states], critic.values[paths.successors]
        traces = (paths.rewards, now, after)
        ratios = np.exp(_taken(self.log_probs, paths) - _taken(self.old_log_probs, paths))
        functions: dict[str, Callable[[], Any]] = {
            "total_return": lambda: psi.total_return(paths.rewards, *cuts, gamma=gamma),
            "reward_to_go": lambda: psi.reward_to_go(paths.rewards, *cuts, gamma=gamma),
            "baselined_return": lambda: psi.baselined_return(
                paths.rewards, now, *cuts, next_values=after, gamma=gamma
            ),
            "td_residual": lambda: psi.td_residual(*traces, *cuts, gamma=gamma),
            "n_step": lambda: psi.n_step(*traces, *cuts, gamma=gamma, n=settings.n),
            "gae": lambda: psi.gae(*traces, *cuts, gamma=gamma, lambda_=lambda_),
            "vtrace": lambda: psi.vtrace(*traces, ratios, *cuts, gamma=gamma, lambda_=lambda_),
            "q_value": lambda: critic.action_values[paths.pairs],
            "advantage": lambda: critic.advantages[paths.pairs],
            "optimal_baseline": lambda: critic.above_optimal_baseline[paths.pairs],
            "all_action_sum": lambda: np.ones(paths.pairs.shape),
        }
        return functions[self.rule.row.psi]()

    def _of_groups(self, paths: Paths) -> Float64[np.ndarray, "U G T"]:
        """∂L/∂log π at π, trajectories drawn from π_old; L is what training ascends."""
        settings, row = self.rule.settings, self.rule.row
        reference = self.reference_log_probs
        log_probs, old = _taken(self.log_probs, paths), _taken(self.old_log_probs, paths)
        before = None if reference is None else _taken(reference, paths)
        rewards, greedy = paths.rewards, None
        if row.kl == "k1_in_reward" and before is not None:
            penalised = psi.penalised_rewards(rewards, log_probs, before, beta=settings.beta)
            rewards = np.where(paths.valid, penalised, 0.0)
        if row.psi == "remax":
            greedy = self.greedy_values[paths.states[..., 0]]
        scalars = {
            name: getattr(settings, name) for name in ("epsilon_low", "epsilon_high", "beta")
        }
        with jax.enable_x64(True):
            psi_ = group_psi(
                row.psi,
                jnp.asarray(rewards),
                *map(jnp.asarray, (paths.terminated, paths.truncated, paths.valid)),
                gamma=settings.gamma,
                ddof=settings.ddof,
                epsilon=settings.epsilon,
                greedy_returns=None if greedy is None else jnp.asarray(greedy),
            )
            valid = jnp.asarray(paths.valid)
            longest = settings.max_length
            weights = group_weights(row.normaliser, valid, psi_, max_length=longest)
            arrays = (log_probs, old, before, psi_, weights, valid)
            return np.asarray(_coefficients(row, *jax.tree.map(jnp.asarray, arrays), scalars))


@partial(jax.jit, static_argnums=0)
def _coefficients(row: Estimator, log_probs: Any, *rest: Any) -> Any:
    """∂L/∂log π, of all groups at once: each is in its own term of the sum."""
    *arrays, scalars = rest
    return jax.grad(lambda x: jnp.sum(group_surrogate(row.ratio, row.kl, x, *arrays, **scalars)))(
        log_probs
    )


def _log(probabilities: Float64[np.ndarray, " P"]) -> Float64[np.ndarray, " P"]:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def _taken(logs: Float64[np.ndarray, " P"], paths: Paths) -> Float64[np.ndarray, "U G T"]:
    """Of the actions that were taken; 0 where there is no step, for log 0 is not finite."""
    return np.where(paths.valid, logs[paths.pairs], 0.0)
