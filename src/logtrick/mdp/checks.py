"""Is this a Markov decision process? Each check names the state, action and outcome to look at."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.mdp.arrays import MDPArrays
from logtrick.mdp.row_sums import ROW_SUM_TOLERANCE
from logtrick.support.numbers import as_numbers


def checked_gamma(gamma: Any) -> float:
    """γ as a float, or an error."""
    number = isinstance(gamma, int | float | np.number) and not isinstance(gamma, bool)
    if not (number and 0 <= gamma <= 1):
        raise ConfigError(f"gamma is {gamma!r}; a discount factor lies in [0, 1]")
    return float(gamma)


def check_structure(mdp: MDPArrays) -> None:
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


def _check_actions(mdp: MDPArrays) -> None:
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


def _check_successors(mdp: MDPArrays) -> None:
    dangling = (mdp.successors < 0) | (mdp.successors >= mdp.num_states)
    if dangling.any():
        outcome = int(np.argmax(dangling))
        raise MDPError(
            f"{_outcome(mdp, outcome)} leads to state {mdp.successors[outcome]}, but the states "
            f"are 0 ... {mdp.num_states - 1}"
        )


def _check_probabilities(mdp: MDPArrays) -> None:
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


def check_outcome_fields(mdp: MDPArrays) -> None:
    """One finite reward and one flag for each outcome."""
    for name in ("rewards", "terminated"):
        _check_shape(mdp, name)
    wrong = ~np.isfinite(mdp.rewards)
    if wrong.any():
        outcome = int(np.argmax(wrong))
        raise MDPError(f"{_outcome(mdp, outcome)} pays {mdp.rewards[outcome]}")


def _check_shape(mdp: MDPArrays, name: str) -> None:
    shape = getattr(mdp, name).shape
    if shape != (mdp.num_outcomes,):
        raise ShapeError(
            f"{name} has shape {shape}; one for each of the {mdp.num_outcomes} outcomes is needed"
        )


def check_names(name: str, names: Sequence[str] | None, size: int) -> None:
    """One name for each state, or for each action, where there are names."""
    if names is not None and len(names) != size:
        raise ShapeError(f"{name} has {len(names)} entries, the MDP {size}")


def check_layout(layout: np.ndarray | None, num_states: int) -> None:
    """A grid [rows, columns] that shows each state once at most."""
    if layout is None:
        return
    cells = layout[layout >= 0]
    if layout.ndim != 2 or (cells >= num_states).any():
        raise ShapeError(f"layout must be [rows, columns] of states 0 ... {num_states - 1}")
    if len(np.unique(cells)) < len(cells):
        raise ShapeError("layout shows a state twice")


def check_storage(storage: str) -> None:
    """One of the three ways in which systems are solved."""
    if storage not in ("auto", "dense", "sparse"):
        raise ConfigError(f"storage is {storage!r}; choose auto, dense or sparse")


def check_distribution(name: str, weights: np.ndarray, num_states: int) -> None:
    """Weights [S] that are a distribution over states, or an error that names the state."""
    if weights.shape != (num_states,):
        raise ShapeError(f"{name} has shape {weights.shape}, the MDP {num_states} states")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        state = int(np.argmax(wrong))
        raise MDPError(f"{name} gives state {state} the probability {weights[state]}")
    if abs(weights.sum() - 1) > ROW_SUM_TOLERANCE:
        raise MDPError(f"{name} sums to {weights.sum():.12g}, not 1")


def check_observations(observations: np.ndarray, num_states: int) -> None:
    """One finite observation for each state; whole numbers from 0 on where they are numbers."""
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


def _pair(mdp: MDPArrays, pair: Any) -> str:
    return f"state {mdp.pair_states[pair]}, action {mdp.pair_actions[pair]}"


def _outcome(mdp: MDPArrays, outcome: int) -> str:
    pair = int(np.searchsorted(mdp.outcome_offsets, outcome, side="right")) - 1
    number = outcome - int(mdp.outcome_offsets[pair])
    return f"{_pair(mdp, pair)}, outcome {number}"
