"""Is this a Markov decision process? Each check names the state, action and outcome to look at."""

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from logtrick.errors import ConfigError, MDPError, ShapeError

if TYPE_CHECKING:
    from logtrick.mdp.arrays import MDPArrays
    from logtrick.mdp.model import FiniteMDP

#: How far from one a distribution may sum. Beyond it the numbers are not float64 probabilities.
ROW_SUM_TOLERANCE = 1e-9

EPS = float(np.finfo(np.float64).eps)


def checked_gamma(gamma: Any) -> float:
    """γ as a float, or an error."""
    number = isinstance(gamma, int | float | np.number) and not isinstance(gamma, bool)
    if not (number and 0 <= gamma <= 1):
        raise ConfigError(f"gamma is {gamma!r}; a discount factor lies in [0, 1]")
    return float(gamma)


def checked_whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least` to 2^63 − 1, NumPy's or Python's, as Python's; or an error."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (whole and least <= value < 2**63):
        most = " and below 2^63" if whole and value >= 2**63 else ""
        raise ConfigError(f"{name}={value!r}; it must be a whole number, at least {least}{most}.")
    return int(value)


def as_numbers(name: str, array: Any, dtype: Any) -> np.ndarray:
    """An array of another kind, if that holds the same numbers.

    Raises:
        ShapeError: it is no array of numbers.
        MDPError: a number would change.
    """
    try:
        given = np.asarray(array)
        if given.dtype.kind not in "biuf":
            raise TypeError(f"its entries are {given.dtype}")
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name} is no array of numbers: {error}") from error
    with np.errstate(invalid="ignore"):
        numbers = np.asarray(given, dtype)
    if not np.can_cast(given.dtype, numbers.dtype):
        changed = numbers != given
        if changed.any():
            entry, kind = given[changed].flat[0], numbers.dtype
            raise MDPError(f"{name} has the entry {entry}, which {kind} cannot hold")
    return numbers


def check_structure(mdp: "MDPArrays") -> None:
    """Offsets, action sets, successors, probabilities and rewards."""
    _check_offsets("pair_offsets", mdp.pair_offsets, mdp.num_pairs)
    empty = np.flatnonzero(np.diff(mdp.pair_offsets) == 0)
    if empty.size:
        raise MDPError(
            f"state {empty[0]} has no actions; if it is terminal, give it one that stays there "
            "and pays 0"
        )
    _check_offsets("outcome_offsets", mdp.outcome_offsets, mdp.num_outcomes)
    if len(mdp.outcome_offsets) != mdp.num_pairs + 1:
        raise ShapeError(
            f"outcome_offsets has {len(mdp.outcome_offsets)} entries for {mdp.num_pairs} pairs; "
            "it needs one more than there are pairs"
        )
    _check_shape(mdp, "probabilities")
    _check_actions(mdp)
    _check_successors(mdp)
    _check_probabilities(mdp)
    check_outcome_fields(mdp)


def _check_offsets(name: str, offsets: np.ndarray, total: int) -> None:
    if offsets.ndim != 1 or len(offsets) < 2:
        raise ShapeError(f"{name} has shape {offsets.shape}; an MDP needs at least one state")
    if offsets[0] != 0 or offsets[-1] != total or (np.diff(offsets) < 0).any():
        raise ShapeError(f"{name} must increase from 0 to {total}; it goes {offsets[:5]} ...")


def _check_actions(mdp: "MDPArrays") -> None:
    actions = mdp.pair_actions
    if (actions < 0).any():
        pair = int(np.argmax(actions < 0))
        raise MDPError(f"state {mdp.pair_states[pair]} has the negative action {actions[pair]}")
    falls = np.diff(actions) <= 0
    falls[mdp.pair_offsets[1:-1] - 1] = False
    if falls.any():
        pair = int(np.argmax(falls)) + 1
        raise MDPError(
            f"the actions of state {mdp.pair_states[pair]} must increase, without repetition: "
            f"{actions[pair - 1]} is followed by {actions[pair]}"
        )
    childless = np.flatnonzero(np.diff(mdp.outcome_offsets) == 0)
    if childless.size:
        raise MDPError(f"{_pair(mdp, childless[0])} has no outcomes")


def _check_successors(mdp: "MDPArrays") -> None:
    dangling = (mdp.successors < 0) | (mdp.successors >= mdp.num_states)
    if dangling.any():
        outcome = int(np.argmax(dangling))
        raise MDPError(
            f"{_outcome(mdp, outcome)} leads to state {mdp.successors[outcome]}, but the states "
            f"are 0 ... {mdp.num_states - 1}"
        )


def _check_probabilities(mdp: "MDPArrays") -> None:
    wrong = ~((mdp.probabilities >= 0) & (mdp.probabilities <= 1 + ROW_SUM_TOLERANCE))
    if wrong.any():
        outcome = int(np.argmax(wrong))
        raise MDPError(f"{_outcome(mdp, outcome)} has probability {mdp.probabilities[outcome]}")
    sums = np.add.reduceat(mdp.probabilities, mdp.outcome_offsets[:-1])
    off = np.abs(sums - 1) > ROW_SUM_TOLERANCE
    if off.any():
        pair = int(np.argmax(off))
        raise MDPError(
            f"the probabilities of {_pair(mdp, pair)} sum to {sums[pair]:.12g}, not 1; normalise "
            "them in float64 if they were rounded"
        )


def normalised_rows(offsets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rows divided by their sums, where these differ from one by more than rounding.

    A row that sums to 1 + 10⁻⁹ was meant to sum to one. The MDP is the one with this row divided
    by its sum, so that averages and long horizons do not multiply what is left over. A row that is
    off by rounding only is kept as it is, bit for bit.

    Args:
        offsets: entries of row p are `offsets[p]:offsets[p + 1]`.
        weights: the entries.

    Example:
        >>> normalised_rows(np.array([0, 2, 4]), np.array([0.5, 0.5, 0.25, 0.75 + 1e-10])).tolist()
        [0.5, 0.5, 0.249999999975, 0.750000000025]
    """
    sums, lengths = np.add.reduceat(weights, offsets[:-1]), np.diff(offsets)
    off = np.abs(sums - 1) > np.minimum(lengths + 2, 64) * EPS  # sums are pairwise
    if not off.any():
        return weights
    return weights / np.repeat(np.where(off, sums, 1.0), lengths)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Distributions over the last axis, as `normalised_rows` does it."""
    rows = weights.reshape(-1)
    size = weights.shape[-1]
    return normalised_rows(np.arange(0, rows.size + 1, size), rows).reshape(weights.shape)


def check_outcome_fields(mdp: "MDPArrays") -> None:
    """One finite reward and one flag for each outcome."""
    for name in ("rewards", "terminated"):
        _check_shape(mdp, name)
    wrong = ~np.isfinite(mdp.rewards)
    if wrong.any():
        outcome = int(np.argmax(wrong))
        raise MDPError(f"{_outcome(mdp, outcome)} pays {mdp.rewards[outcome]}")


def _check_shape(mdp: "MDPArrays", name: str) -> None:
    shape = getattr(mdp, name).shape
    if shape != (mdp.num_outcomes,):
        raise ShapeError(
            f"{name} has shape {shape}; one for each of the {mdp.num_outcomes} outcomes is needed"
        )


def check_labels(mdp: "FiniteMDP") -> None:
    """ρ, observations, names, layout and the choice of storage."""
    check_distribution("start", mdp.start, mdp.num_states)
    _check_observations(mdp.observations, mdp.num_states)
    for name, size in (("state_names", mdp.num_states), ("action_names", mdp.num_actions)):
        names = getattr(mdp, name)
        if names is not None and len(names) != size:
            raise ShapeError(f"{name} has {len(names)} entries, the MDP {size}")
    if mdp.layout is not None:
        cells = mdp.layout[mdp.layout >= 0]
        if mdp.layout.ndim != 2 or (cells >= mdp.num_states).any():
            raise ShapeError(f"layout must be [rows, columns] of states 0 ... {mdp.num_states - 1}")
        if len(np.unique(cells)) < len(cells):
            raise ShapeError("layout shows a state twice")
    if mdp.storage not in ("auto", "dense", "sparse"):
        raise ConfigError(f"storage is {mdp.storage!r}; choose auto, dense or sparse")


def check_distribution(name: str, weights: np.ndarray, num_states: int) -> None:
    """A distribution over states."""
    if weights.shape != (num_states,):
        raise ShapeError(f"{name} has shape {weights.shape}, the MDP {num_states} states")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        state = int(np.argmax(wrong))
        raise MDPError(f"{name} gives state {state} the probability {weights[state]}")
    if abs(weights.sum() - 1) > ROW_SUM_TOLERANCE:
        raise MDPError(f"{name} sums to {weights.sum():.12g}, not 1")


def _check_observations(observations: np.ndarray, num_states: int) -> None:
    if len(observations) != num_states:
        raise ShapeError(f"observations has {len(observations)} rows, the MDP {num_states} states")
    if not np.issubdtype(observations.dtype, np.number):
        raise ShapeError(f"observations are {observations.dtype}; numbers are needed")
    wrong = ~np.isfinite(observations)
    if observations.ndim == 1 and np.issubdtype(observations.dtype, np.integer):
        wrong = observations < 0
    if wrong.any():
        state = int(np.argwhere(wrong)[0][0])
        raise MDPError(f"state {state} has the observation {observations[state]}")


def terminal_values(
    values: Any, horizon: int | None, num_states: int, terminal: np.ndarray | None
) -> np.ndarray:
    """V_H as a vector of float64; zeros where none is given.

    Args:
        values: V_H [S], what each state is worth after the last step; or None.
        horizon: H, or None.
        num_states: S.
        terminal: the terminal states, bool[S]; None where it is not known which they are.

    Raises:
        ConfigError: there is no horizon.
        ShapeError: not one number for each state.
        MDPError: a number that is not finite, or a terminal state that is worth something.
    """
    if values is None:
        return np.zeros(num_states)
    if horizon is None:
        raise ConfigError(
            "terminal_values are what states are worth after the last step of a horizon; give "
            "horizon= too, or leave them out"
        )
    given = as_numbers("terminal_values", values, np.float64)
    if given.shape != (num_states,):
        raise ShapeError(
            f"terminal_values has shape {given.shape}; it needs one number for each of the "
            f"{num_states} states"
        )
    wrong = ~np.isfinite(given)
    if wrong.any():
        state = int(np.argmax(wrong))
        raise MDPError(f"terminal_values gives state {state} the value {given[state]}")
    wrong = np.zeros(num_states, np.bool_) if terminal is None else terminal & (given != 0)
    if wrong.any():
        state = int(np.argmax(wrong))
        raise MDPError(
            f"terminal_values gives state {state} the value {given[state]}, but it is terminal: "
            "nothing is paid after an end, so its value is 0; pay on entering it instead"
        )
    return given.copy()


def checked_tolerance(tol: Any) -> float:
    """A tolerance as a float, or an error."""
    number = isinstance(tol, int | float | np.number) and not isinstance(tol, bool)
    if not (number and tol > 0):
        raise ConfigError(f"tol={tol!r}; a bound is a positive number")
    return float(tol)


def uniform_start(terminal: np.ndarray) -> np.ndarray:
    """ρ where none is given: uniform over the states that are not terminal."""
    eligible = ~terminal if not terminal.all() else ~np.zeros_like(terminal)
    return eligible / eligible.sum()


def start_field(start: Any, num_states: int) -> dict[str, Any]:
    """The field `start` from a distribution or a state's number; no field from None."""
    if start is None:
        return {}
    if isinstance(start, bool | np.bool_):
        raise MDPError(f"start is {start}; a state's number or a distribution [S] is needed")
    array = as_numbers("start", start, np.float64)
    if array.ndim > 0:
        return {"start": array}
    if not math.isfinite(array) or array != int(array) or not 0 <= array < num_states:
        raise MDPError(f"start is state {start}, but the states are 0 ... {num_states - 1}")
    return {"start": np.eye(1, num_states, int(array))[0]}


def checked_number(name: str, value: Any) -> float:
    """A real number as a float: no text, no truth value; NaN and ±∞ are numbers.

    Raises:
        TypeError: it is none, or too large.
    """
    number = value.item() if getattr(value, "ndim", None) == 0 else value  # any library's scalar
    if isinstance(number, bool | np.bool_) or not isinstance(number, numbers.Real):
        raise TypeError(f"the {name} {value!r} is no number")
    try:
        return float(number)
    except OverflowError as error:
        raise TypeError(f"the {name} is beyond float64") from error


def checked_flag(name: str, value: Any) -> bool:
    """True or False, 1 or 0, as a bool; no text, no other number.

    Raises:
        TypeError: it is none.
    """
    flag = value.item() if getattr(value, "ndim", None) == 0 else value
    known = isinstance(flag, bool | np.bool_ | numbers.Real)
    if not (known and flag in (0, 1)):
        raise TypeError(f"the {name} {value!r} is neither True nor False")
    return bool(flag)


def _pair(mdp: "MDPArrays", pair: Any) -> str:
    return f"state {mdp.pair_states[pair]}, action {mdp.pair_actions[pair]}"


def _outcome(mdp: "MDPArrays", outcome: int) -> str:
    pair = int(np.searchsorted(mdp.outcome_offsets, outcome, side="right")) - 1
    number = outcome - int(mdp.outcome_offsets[pair])
    return f"{_pair(mdp, pair)}, outcome {number}"
