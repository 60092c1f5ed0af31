"""`lt.audit`: what is this estimator's expectation, its covariance, and whose gradient is it?"""

from functools import partial
from typing import Any

import numpy as np

from logtrick.auditing.moment_methods import sampled_batches
from logtrick.auditing.plans import METHODS, Case, Plan
from logtrick.auditing.policies import read_policy
from logtrick.auditing.report import FlatMoments, Report
from logtrick.auditing.settings import Settings, checked, state_values
from logtrick.auditing.significance import exceeds_sampling_error
from logtrick.auditing.truth import truth, truths
from logtrick.auditing.verdict import ROUNDING, Verdict, rounding
from logtrick.errors import ConfigError
from logtrick.exact.histories import Histories
from logtrick.mdp.model import FiniteMDP
from logtrick.policies.memory import has_memory
from logtrick.psi.registry import ESTIMATORS, Estimator
from logtrick.support.names import unknown_name
from logtrick.support.numbers import checked_whole


def audit(
    estimator: Any,
    mdp: FiniteMDP | Any,  # whatever comes is checked below, and refused in words
    policy: Any,
    *,
    values: Any = None,
    gamma: float | Any = None,
    lambda_: float | Any = None,
    weighting: str | Any = None,
    horizon: int | Any = None,
    batch_size: int | Any = 64,
    key: int | Any = 0,
    method: str | Any = "auto",
    samples: int | Any = None,
    group_size: int | Any = None,
    **settings: Any,
) -> Report:
    """Measure an estimator of the policy gradient against the truth.

    The truth is ∇J_γ (J1) with the γ of the MDP. An estimator is a name of
    `logtrick.psi.registry`, a row like those there, or any `callable(policy, trajectories)` that
    returns a gradient shaped like the policy; `trajectories` is a `Trajectory` whose arrays are
    [B, T], with `valid`. A callable that uses JAX alone is compiled; others are called as they are.

    Three methods: closed form for the ψ of single trajectories (on-policy), enumeration of every
    trajectory or group of trajectories where those are few, else sampling with a standard error.

    A callable is measured on batches of one trajectory if it is found to be a mean over
    trajectories, otherwise on batches of `batch_size`; with `group_size`, on groups of so many
    that share a start state. Group rules (RLOO, GRPO …) take complete episodes: R_i is the
    discounted return, one start state is one prompt, and no γ^t stands in front of a step. A group
    shares its prompt; only whitening over a whole batch draws a prompt for each sequence.

    Args:
        estimator: what to measure.
        mdp: a finite MDP.
        policy: a pytree that is called on one observation and returns a distribution over actions,
            or probabilities [S, A], read as positive weights θ(s, a) of which π is the share: the
            gradient is then η·A, which is η·Q but for a constant in each row. One with memory,
            `policy(obs, carry)`, is audited on the tree of histories (`logtrick.Histories`), where
            a callable estimator finds int[B, T, L] of states seen in `trajectories.obs`.
        values: the critic V, an array [S] or a function of one observation; None is V_π, at every
            θ.
        gamma: γ of the estimator; None is the MDP's.
        lambda_: λ of GAE and V-trace; None is 0.95.
        weighting: "discounted" (γ^t in front of step t, G2) or "undiscounted" (G4), for a name that
            does not say it itself; None is "discounted" there.
        horizon: cut every trajectory after so many steps, as truncated.
        batch_size: B, for the numbers about a batch.
        key: of all samples.
        method: "auto", or one of the three.
        samples: how many trajectories to sample; refused where nothing is sampled.
        group_size: G; 4 for the group rules. For `reinforce_plus_plus`, which whitens over a whole
            batch, it is N, the sequences of the batch, each from a start of its own.
        **settings: `n` of `n_step`; `ddof`, `epsilon` of the std; `epsilon_low`, `epsilon_high` of
            the clip, with a `behaviour`; `max_length`, L_max of Dr. GRPO; `reference`, a policy,
            and `beta` of the KL, which is left out without a reference; `behaviour`, the policy
            that acts instead: deterministic or with zeros if you like, for it needs no score. What
            is not given is as the algorithm of that name is trained.

    An argument that has no effect on this estimator is refused by its name, so `settings` of the
    report are those that were used. None always means "not given".

    Returns:
        A `Report`: `print` it, `plot` it, `save` it.

    Raises:
        EstimatorError: the estimator breaks the contract (another structure, NaN, rows that are
            not valid, the order of trajectories), or a moment of it is infinite.
        ConfigError: a name or a setting that cannot be meant or has no effect, a choice of a row
            that its ψ has no place for, or arguments in another order.
        ShapeError, MDPError: arrays or a policy that do not fit the MDP.
        ImproperPolicyError: γ = 1 and the policy does not end from every state.

    Example:
        >>> import logtrick as lt
        >>> mdp = lt.problems.gamma_t_fixture()  # G4: leaving γ^t out opposes both J1 and J2
        >>> policy = lt.SoftmaxTable(mdp)
        >>> report = lt.audit("gae", mdp, policy, weighting="undiscounted")
        >>> round(report.scale, 9), report.gradient_of  # slopes −.5 against +.25
        (-2.0, 'undecidable (one parameter)')

    Source:
        The claims and their references are in `logtrick.psi.registry`; that dropping γ^t leaves no
        gradient at all: Nota and Thomas, arXiv 1906.07073.
    """
    _check_order(estimator, mdp, policy)
    batch_size, key = checked_whole("batch_size", batch_size, 1), checked_whole("key", key, 0)
    if samples is not None:
        samples = checked_whole("samples", samples, 2)  # a standard error needs two
    if method not in METHODS:
        raise ConfigError(f"method = {method!r}; choose one of {', '.join(METHODS)}")
    settings |= {
        "gamma": gamma,
        "weighting": weighting,
        "lambda_": lambda_,
        "horizon": horizon,
        "values": state_values(mdp, values),
        "group_size": group_size,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    used = _settings({"gamma": mdp.gamma} | given)
    names = frozenset(given) | ({"samples"} if samples is not None else frozenset())
    words = {"mdp": repr(mdp), "policy": type(policy).__name__}
    if any(has_memory(p) for p in (policy, used.behaviour, used.reference)):
        tree = Histories(mdp)
        mdp, policy, used = tree.mdp, tree.policy(policy), used.on(tree)
    case = Case(mdp, read_policy(mdp, policy), used, key, samples, method, names)
    if callable(estimator):
        plan = case.of_function(estimator, batch_size)
    else:
        plan = case.of_row(_row(estimator, weighting))
    return _measured(case, plan, batch_size, words)


def _check_order(estimator: Any, mdp: Any, policy: Any) -> None:
    """The three first arguments, which are easily mixed up."""
    if not isinstance(mdp, FiniteMDP):
        hint = "logtrick.problems.make(name) makes one of a name"
        if any(isinstance(other, FiniteMDP) for other in (estimator, policy)):
            hint = "the order is audit(estimator, mdp, policy)"
        raise ConfigError(f"mdp is a {type(mdp).__name__}, not a FiniteMDP: {hint}")
    if isinstance(policy, str | Estimator | FiniteMDP) or policy is None:
        raise ConfigError(
            f"policy is a {type(policy).__name__}: give a policy, such as "
            "logtrick.SoftmaxTable(mdp); the order is audit(estimator, mdp, policy)"
        )


def _measured(case: Case, plan: Plan, batch_size: int, words: dict[str, Any]) -> Report:
    """Carry a plan out."""
    moments, estimates = plan.method.measure(case.policy)
    second = np.trace(moments.covariance) + moments.mean @ moments.mean
    size = float(np.sqrt(max(second, 0.0)))
    group_size = plan.estimator.group_size
    samples = None if estimates is None else estimates * group_size
    exact = truth(case.policy)
    # That of one trajectory is that of a group times its size: a batch of B has it over B.
    flat = FlatMoments(
        moments.mean,
        exact.vector,
        moments.covariance * group_size,
        rounding(plan.resolution) * max(size, exact.size),
        ROUNDING * exact.size,
    )
    if plan.judge is not None:
        verdict = plan.judge.decide(case.policy, size)
    else:
        verdict = _sampled_verdict(case, flat, samples or 1)
    return Report(
        estimator=plan.name,
        claim=plan.claim,
        method=plan.method.name,
        settings=words | plan.settings,
        mean=case.policy.shaped(flat.mean),
        bias=case.policy.shaped(flat.bias),
        gradient=case.policy.shaped(exact.vector),
        gradient_of=verdict.gradient_of,
        curl=verdict.curl,
        batch_size=batch_size,
        samples=samples,
        flat=flat,
        draw=partial(
            sampled_batches,
            plan.estimator,
            case.policy,
            case.actor,
            key=case.key,
            horizon=case.settings.horizon,
        ),
    )


def _sampled_verdict(case: Case, flat: FlatMoments, samples: int) -> Verdict:
    """From a mean at one θ, known but for its sampling error: what it cannot be."""
    fits = [
        f"J {kind}"
        for kind, exact in truths(case.policy).items()
        if not exceeds_sampling_error(
            flat.mean - exact.vector, flat.covariance / samples, flat.rounding
        )
    ]
    said = f"consistent with {fits[0]}" if fits else "not ∇J of any kind"
    return Verdict(f"undecided (sampled; {said})", float("nan"))


def _row(estimator: Any, weighting: str | None) -> Estimator:
    """The row that is meant; a weighting that it contradicts is refused."""
    rows = {row.name: row for row in ESTIMATORS}
    if not isinstance(estimator, str | Estimator):
        raise ConfigError(
            f"an estimator is a name, a row of logtrick.psi.registry, or a function of (policy, "
            f"trajectories); this is a {type(estimator).__name__}"
        )
    if isinstance(estimator, str) and estimator not in rows:
        raise ConfigError(unknown_name("No estimator is called", estimator, rows))
    row = estimator if isinstance(estimator, Estimator) else rows[estimator]
    if weighting in (None, row.weighting) or row.rule.of_sequences:
        return row
    if estimator == row.psi:
        return rows[f"{row.psi}_undiscounted"]
    raise ConfigError(f"weighting = {weighting!r}, and {row.name} says itself {row.weighting!r}")


def _settings(given: dict[str, Any]) -> Settings:
    known = Settings.__dataclass_fields__
    for name in given:
        if name not in known:
            raise ConfigError(unknown_name("audit has no setting", name, known))
    return Settings(**{name: checked(name, value) for name, value in given.items()})
