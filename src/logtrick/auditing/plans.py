"""Which of the three ways an estimator is measured, and who judges its mean."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from logtrick.auditing.arguments import (
    check_row,
    in_words,
    refuse,
    without_effect,
    without_effect_on_a_function,
)
from logtrick.auditing.closed_form import ESTIMATORS as CLOSED_FORMS
from logtrick.auditing.enumeration import OnPaths, enumerate_groups
from logtrick.auditing.flow import Flow
from logtrick.auditing.function_checks import Nature, examine
from logtrick.auditing.moment_methods import (
    ClosedForm,
    Enumerated,
    Foreign,
    MomentMethod,
    Padded,
    Streamed,
)
from logtrick.auditing.paths import list_paths
from logtrick.auditing.policies import read_actor
from logtrick.auditing.rules import Rule
from logtrick.auditing.scored import Actor, ScoredPolicy
from logtrick.auditing.settings import Settings
from logtrick.auditing.verdict import MOST_DIRECTIONS, Judge
from logtrick.errors import ConfigError, EstimatorError
from logtrick.mdp.model import FiniteMDP
from logtrick.psi.registry import Estimator

METHODS = ("auto", "closed form", "enumeration", "sampling")
GROUPS = 200_000
"""Most groups that are enumerated when the estimator can take many at once,"""
SEQUENCES = 8 * GROUPS
"""most sequences in all of them together,"""
GROUPS_ONE_BY_ONE = 2_000
"""and most groups when it is called on one after the other."""
CALLS = 20_000_000
"""Most estimates that the Jacobian of an enumerated mean may take; beyond it fewer directions."""
STREAMED, PADDED = 10_000_000, 1 << 17
"""Trajectories that are sampled where `samples` is not given: in machine code, and in padded
batches."""


class Plan(NamedTuple):
    """The choice of a method, of a judge and of the settings that an audit carries out."""

    name: str
    claim: str
    settings: dict[str, Any]
    """The settings that matter to it."""
    estimator: OnPaths
    method: MomentMethod
    judge: Judge | None
    """None where there are samples only."""
    resolution: float = float(np.finfo(np.float64).eps)
    """The rounding of one estimate, relative."""


@dataclass(frozen=True)
class Case:
    """An MDP, a policy and settings, for which a plan is made."""

    mdp: FiniteMDP
    policy: ScoredPolicy
    settings: Settings
    key: int
    samples: int | None
    method: str
    given: frozenset[str] = frozenset()
    """The arguments that the user named."""

    @cached_property
    def behaviour(self) -> Actor | None:
        """The policy that draws the trajectories, where it is not the audited one."""
        given = self.settings.behaviour
        return None if given is None else read_actor(self.mdp, given)

    @property
    def actor(self) -> Actor:
        """The policy that draws the trajectories: the behaviour, else the audited policy."""
        return self.behaviour or self.policy

    def of_row(self, row: Estimator) -> Plan:
        """The plan for a registered estimator."""
        settings = replace(self.settings, weighting=row.weighting)
        check_row(row, settings)
        unused = without_effect(row, settings)
        refuse(self.given, unused, row.name)
        if row.normaliser == "constant_length" and settings.max_length is None:
            settings = replace(settings, max_length=self._longest(row))
        rule = Rule(row, settings)
        if rule.is_group_rule:
            self._check_complete(row)
        method, judge = self._method_of(rule)
        words = self._listed(rule.setting, settings, unused, method)
        if row.kl != "none" and settings.reference is None:
            words["kl"] = "left out (no reference)"
        return Plan(row.name, str(row.claim), words, rule, method, judge)

    def _listed(
        self,
        number: Callable[[str], Any],
        settings: Settings,
        unused: dict[str, str],
        method: MomentMethod,
    ) -> dict[str, Any]:
        """What the report lists; with exact numbers a number of samples is refused."""
        words = in_words(settings, unused, number)
        if method.name == "sampling":
            return words | {"key": self.key}
        why = f"{method.name} is exact, and nothing is sampled; method='sampling' does sample"
        refuse(self.given & {"samples"}, {"samples": why}, "this audit")
        return words

    def _method_of(self, rule: Rule) -> tuple[MomentMethod, Judge | None]:
        row, settings = rule.row, rule.settings
        closed = not rule.is_group_rule and settings.behaviour is None
        if closed and self.method in ("auto", "closed form"):
            exact = ClosedForm(self.mdp, row.psi, settings)
            return exact, Judge(exact.mean)
        self._refuse_closed_form(row.name)
        most = min(GROUPS, SEQUENCES // rule.group_size)
        if (found := self._enumerated(rule, most)) is not None:
            return found, Judge(found.mean, directions=_affordable(found))
        if closed:
            count = self.samples or STREAMED
            return Streamed(self.mdp, row.psi, settings, count, self.key), None
        return self._padded(rule), None

    def of_function(self, estimator: Callable[..., Any], batch_size: int) -> Plan:
        """Somebody else's estimator, after the checks."""
        name = getattr(estimator, "__name__", type(estimator).__name__)
        unused = without_effect_on_a_function()
        refuse(self.given, unused, f"the function {name}")
        self._refuse_closed_form("a function")
        runner = self.policy.runner(estimator)
        shared = "group_size" in self.given
        size = self.settings.group_size if shared else batch_size
        foreign = Foreign(runner, size, shared, self.behaviour)
        nature = examine(estimator, foreign, self.policy, self.settings.horizon)
        if nature.is_mean and not shared:
            foreign = replace(foreign, group_size=1)
        found = self._enumerated(foreign, GROUPS if runner.batched else GROUPS_ONE_BY_ONE)
        if found is None:
            self._check_length(nature)
        judge = None
        if found is not None:
            judge = Judge(found.mean, runner.resolution, _affordable(found))
        method = found or self._padded(foreign)
        settings = replace(self.settings, group_size=foreign.group_size)
        words = self._listed(partial(getattr, settings), settings, unused, method)
        return Plan(name, "", words, foreign, method, judge, runner.resolution)

    def _enumerated(self, estimator: OnPaths, most: int) -> Enumerated | None:
        if self.method == "sampling":
            return None
        listed = enumerate_groups(self.mdp, estimator, self.actor, self.settings.horizon, most)
        if listed is not None:
            return Enumerated(listed, estimator, self.behaviour)
        if self.method == "enumeration":
            raise ConfigError(
                f"more than {most:,} groups of {estimator.group_size} trajectories, or "
                "trajectories without a bound on their length: give a horizon or a smaller "
                "group_size, or sample"
            )
        return None

    def _padded(self, estimator: OnPaths) -> Padded:
        horizon, count = self.settings.horizon, self.samples or PADDED
        return Padded(estimator, self.behaviour, horizon, count, self.key)

    def _longest(self, row: Estimator) -> int:
        """L_max: the length of the longest trajectory there is."""
        horizon = self.settings.horizon
        paths = list_paths(self.mdp, self.actor.probabilities, horizon, GROUPS)
        longest = horizon if paths is None else int(paths.lengths.max())
        if longest is None:
            raise ConfigError(
                f"{row.name} divides by L_max, and these trajectories have no bound on their "
                "length: give max_length, or a horizon"
            )
        return longest

    def _check_complete(self, row: Estimator) -> None:
        """Group rules compare episodes, so some must end."""
        horizon = self.settings.horizon
        no_scores = np.zeros((self.mdp.num_pairs, 1))
        steps = Flow.of(self.mdp, self.actor.probabilities, no_scores).steps
        going = self.mdp.start
        for _ in range(min(horizon or self.mdp.num_states, self.mdp.num_states)):
            going = going @ steps
        if going.sum() >= 1 - 1e-12:
            when = "" if horizon is None else f" within horizon = {horizon}"
            raise EstimatorError(
                f"no episode ends{when}, and {row.name} compares complete episodes. Give a longer "
                "horizon, or an MDP that ends"
            )

    def _check_length(self, nature: Nature) -> None:
        if nature.sees_length and self.settings.horizon is None:
            raise EstimatorError(
                "the estimate depends on T, the padded length of the batch, which is whatever the "
                "longest sampled trajectory needs: divide by valid steps, or give a horizon"
            )

    def _refuse_closed_form(self, name: str) -> None:
        if self.method == "closed form":
            raise ConfigError(
                f"{name} has no closed form here; those that have, on-policy: "
                f"{', '.join(CLOSED_FORMS)}"
            )


def _affordable(method: Enumerated) -> int:
    """Directions of the Jacobian that its cost allows."""
    return min(MOST_DIRECTIONS, max(2, CALLS // (4 * len(method.listed.members))))
