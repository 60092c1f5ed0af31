"""What a configuration refuses: wrong types, numbers out of range, settings that contradict."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, NoReturn, get_args, get_type_hints

from logtrick.algorithms.elsewhere import refuse_unknown
from logtrick.errors import ConfigError

_POSITIVE = (
    "num_envs", "num_steps", "n", "epochs", "minibatches", "learning_rate", "optimizer_eps",
    "max_grad_norm", "clip_eps", "value_clip_eps", "memory_width",
    "kl_coef", "target_kl", "max_kl", "cg_iterations", "line_search_steps", "sync_every",
    "rho_bar", "c_bar",
)  # fmt: skip
_TYPE_NAMES = {int: "a whole number", float: "a number", type(None): "None"}
_UNIT_INTERVAL = ("gamma", "lambda_", "line_search_shrink")
_NOT_NEGATIVE = ("value_coef", "entropy_coef", "cg_damping")


def check_names(algorithm: type[Any], names: Iterable[str]) -> None:
    """Every name is that of a setting."""
    known = [field.name for field in dataclasses.fields(algorithm)]
    for name in names:
        if name not in known:
            refuse_unknown(algorithm.__name__, name, known)


def check_types(algorithm: Any) -> None:
    """Only what the annotations say; a whole number also serves as a float, and becomes one.

    Numbers of NumPy become Python's, which JSON can say.
    """
    owner, hints = type(algorithm).__name__, get_type_hints(type(algorithm))
    for field in dataclasses.fields(algorithm):
        name, hint, value = field.name, hints[field.name], plain(getattr(algorithm, field.name))
        _check_type(owner, name, hint, value)
        if type(value) is int and float in (get_args(hint) or (hint,)):
            value = float(value)
        object.__setattr__(algorithm, name, value)


def plain(value: Any) -> Any:
    """A number of NumPy, also in a list or tuple, as Python's; anything else as it is."""
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value.item() if getattr(value, "shape", None) == () else value


def _check_type(owner: str, name: str, hint: Any, value: Any) -> None:
    choices = get_args(hint) or (hint,)
    if hint == tuple[int, ...]:
        fits = isinstance(value, tuple) and all(type(x) is int for x in value)
        wanted = "a tuple of whole numbers"
    elif all(isinstance(choice, str) for choice in choices):
        fits, wanted = value in choices, "one of " + ", ".join(map(repr, choices))
    else:
        types = tuple(choice for choice in choices if isinstance(choice, type))
        fits = type(value) in types or (type(value) is int and float in types)
        wanted = " or ".join(_TYPE_NAMES.get(t, t.__name__) for t in types)
    if not fits:
        raise ConfigError(f"{owner}: {name}={value!r}; it must be {wanted}.")


def refuse(algorithm: Any, name: str, wanted: str) -> NoReturn:
    """Raise for the value of a setting.

    Raises:
        ConfigError: always; it says what is wanted in the place of the value.
    """
    owner, value = type(algorithm).__name__, getattr(algorithm, name)
    raise ConfigError(f"{owner}: {name}={value!r}; it must be {wanted}.")


def check_ranges(algorithm: Any) -> None:
    """Refuse numbers that are out of their ranges."""

    def require(name: str, holds: bool, wanted: str) -> None:
        if not holds:
            refuse(algorithm, name, wanted)

    for field in dataclasses.fields(algorithm):
        value = getattr(algorithm, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            require(field.name, math.isfinite(value), "a finite number")
            require(field.name, type(value) is float or value < 2**31, "below 2^31")
            require(field.name, field.name not in _POSITIVE or value > 0, "greater than 0")
            require(field.name, field.name not in _NOT_NEGATIVE or value >= 0, "at least 0")
            require(field.name, field.name not in _UNIT_INTERVAL or 0 <= value <= 1, "in [0, 1]")
    require("hidden", all(0 < n < 2**31 for n in algorithm.hidden), "made of positive widths")


def check_choices(algorithm: Any) -> None:
    """Refuse settings that contradict one another, whatever the algorithm."""

    def require(name: str, holds: bool, wanted: str) -> None:
        if not holds:
            refuse(algorithm, name, wanted)

    if algorithm.trunk == "shared":
        require("trunk", algorithm.has_critic, f"'separate': psi={algorithm.psi!r} has no critic")
        require("trunk", bool(algorithm.hidden), "'separate' where hidden is empty")
    if algorithm.memory != "none":
        require("memory", bool(algorithm.hidden), "'none' where hidden is empty")
        require(
            "minibatches",
            algorithm.num_envs % algorithm.minibatches == 0,
            f"a divisor of num_envs={algorithm.num_envs}: with memory, minibatches are made of "
            "whole sequences, one of each environment",
        )
    corrects, rule = algorithm.corrects_actors, algorithm.rule
    wanted = "'vtrace'" if corrects else "another ψ: 'vtrace' is for actors that lag (IMPALA)"
    require("psi", rule.needs_ratios == corrects, wanted)
    if rule.weighted is not None and algorithm.weighting == "discounted":
        # γ^t ψ_t is computed in one piece, so there is no ψ alone that could be shifted first.
        require("normalise", algorithm.normalise == "none", "'none' for the total return with γ^t")


def check_minibatches(algorithm: Any) -> None:
    """Minibatches are of one size, and episodes are not cut into them."""
    owner = type(algorithm).__name__
    if algorithm.num_steps is None:
        if algorithm.minibatches != 1:
            raise ConfigError(
                f"{owner}: whole episodes (num_steps=None) cannot be cut into "
                f"{algorithm.minibatches} minibatches; set num_steps, or minibatches=1."
            )
        return
    batch = algorithm.num_envs * algorithm.num_steps
    if batch % algorithm.minibatches:
        raise ConfigError(
            f"{owner}: {algorithm.minibatches} minibatches do not divide the batch of "
            f"{algorithm.num_envs} x {algorithm.num_steps} = {batch} transitions (num_envs x "
            "num_steps); change one of the three."
        )
    sizes = {"batch": batch, "minibatch": batch // algorithm.minibatches}
    if sizes.get(algorithm.normalise) == 1:
        wanted = "'none' or 'batch'" if batch > 1 else "'none'"
        raise ConfigError(
            f"{owner}: normalise={algorithm.normalise!r}; it must be {wanted} where a "
            f"{algorithm.normalise} is a single transition: ψ would always be 0."
        )
