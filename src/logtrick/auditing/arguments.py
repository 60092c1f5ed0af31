"""Which arguments an estimator uses: the report lists those, and every other is refused by name."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from logtrick.auditing.settings import Settings
from logtrick.errors import ConfigError
from logtrick.psi.registry import CHOICES, ESTIMATORS, Estimator, Scope, named
from logtrick.support.names import unknown_name

AXES = ("psi", "weighting", "normaliser", "ratio", "kl")
"""The fields of a row that name a choice."""
OF_A_FUNCTION = ("horizon", "group_size", "behaviour")
"""The settings that are about the trajectories which a function gets."""
ORDER = (
    "gamma", "horizon", "group_size", "ddof", "epsilon", "max_length", "beta", "lambda_", "n",
    "values", "weighting", "epsilon_low", "epsilon_high", "reference", "behaviour",
)  # fmt: skip
"""In which the report lists them."""


def check_row(row: Estimator, settings: Settings) -> None:
    """Every field of a row names a choice that this ψ has a place for.

    Raises:
        ConfigError: it does not; the field and what it may be are named.
    """
    for axis in AXES:
        known = [choice.name for choice in CHOICES if choice.axis == axis]
        if getattr(row, axis) not in known:
            message = unknown_name(f"{row.name}: no {axis} is called", getattr(row, axis), known)
            raise ConfigError(message)
    registered = {other.name: other for other in ESTIMATORS}.get(row.name)
    _check_settings(row, registered)
    if not row.rule.of_sequences:
        why = f"ψ = {row.psi} is of single trajectories, whose estimate is Σ_t w_t ψ_t ∇log π"
        for axis, only in (("normaliser", "sequence_sum"), ("ratio", "score"), ("kl", "none")):
            _check_field(row, axis, getattr(row, axis) == only, f"{only!r}", why)
        return
    why = "a group rule's R_i has its γ^t in it, and none stands in front of a step"
    _check_field(row, "weighting", row.weighting == "undiscounted", "'undiscounted'", why)
    tokens = row.ratio != "gspo" or row.rule.scope is not Scope.BATCH
    why = f"'gspo' has one ψ for a sequence, and {row.psi!r} one for each token"
    _check_field(row, "ratio", tokens, "a rule of tokens", why)
    if row.kl not in ("none", registered and registered.kl) and settings.reference is None:
        raise ConfigError(
            f"{row.name}: kl = {row.kl!r} is a KL to a reference: give reference=, a policy"
        )


def without_effect(row: Estimator, settings: Settings) -> dict[str, str]:
    """{argument: why} for every argument of `lt.audit` that the estimate does not depend on."""
    group, numbers = row.rule.of_sequences, _numbers(row)
    off_policy, referenced = settings.behaviour is not None, settings.reference is not None
    no_clip = f"its ratio rule {row.ratio!r} has no clip"
    if "epsilon_low" in numbers:
        no_clip = "on-policy every ratio is 1, and no clip is reached; give behaviour= too"
    no_kl = "its kl is 'none'; dataclasses.replace(row, kl=…) puts one in"
    conditions = {
        "values": (row.rule.needs_critic, "it looks at no critic that could be given"),
        "lambda_": ("lambda_" in numbers, "only gae and vtrace have a λ"),
        "n": ("n" in numbers, "only n_step has an n"),
        "weighting": (not group, "its R_i has γ^t in it, and none stands in front of a step"),
        "group_size": (group, "it is of single trajectories, not of groups"),
        "ddof": ("ddof" in numbers, "it has no std"),
        "epsilon": ("epsilon" in numbers, "it has no std"),
        "max_length": (
            "max_length" in numbers,
            f"only the normaliser 'constant_length' has an L_max, and its is {row.normaliser!r}",
        ),
        "epsilon_low": ("epsilon_low" in numbers and off_policy, no_clip),
        "epsilon_high": ("epsilon_high" in numbers and off_policy, no_clip),
        "reference": (row.kl != "none", no_kl),
        "beta": (
            "beta" in numbers and referenced,
            "without reference= its KL is left out" if "beta" in numbers else no_kl,
        ),
    }
    return {name: why for name, (used, why) in conditions.items() if not used}


def without_effect_on_a_function() -> dict[str, str]:
    """The same for somebody else's function, which is called with trajectories alone."""
    why = "a function of (policy, trajectories) does not get it; bind it with functools.partial"
    names = Settings.__dataclass_fields__
    return {name: why for name in names if name not in OF_A_FUNCTION}


def refuse(given: Collection[str], unused: Mapping[str, str], who: str) -> None:
    """Refuse the arguments that were given and have no effect.

    Raises:
        ConfigError: they are named, with the reason.
    """
    for name in sorted(given):
        if name in unused:
            raise ConfigError(f"{name} has no effect on {who}: {unused[name]}. Leave {name} out")


def in_words(
    settings: Settings, unused: Collection[str], number: Callable[[str], Any]
) -> dict[str, Any]:
    """The settings that were used, in words where they are not numbers.

    Args:
        settings: as given.
        unused: the names of those that were not used.
        number: what a setting is, where it was not given too.
    """
    words = {name: number(name) for name in ORDER if name not in unused}
    if "values" in words:
        words["values"] = "V_π" if settings.values is None else "given"
    for name in ("reference", "behaviour"):
        if (policy := words.pop(name, None)) is not None:
            words[name] = type(policy).__name__
    return words


def _numbers(row: Estimator) -> set[str]:
    """The settings of its choices."""
    return {name for axis in AXES for name in named(axis, getattr(row, axis)).settings}


def _check_settings(row: Estimator, registered: Estimator | None) -> None:
    """The numbers that a row brings along; a changed row may keep those of the registered one."""
    known = _numbers(row) | dict(registered.settings if registered else ()).keys()
    for name in dict(row.settings):
        if name not in known:
            raise ConfigError(unknown_name(f"{row.name}: its choices have no", name, sorted(known)))


def _check_field(row: Estimator, axis: str, fits: bool, wanted: str, why: str) -> None:
    if not fits:
        raise ConfigError(
            f"{row.name}: {axis} = {getattr(row, axis)!r}; it must be {wanted}: {why}"
        )
