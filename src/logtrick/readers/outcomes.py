"""Tables of outcomes, as Gymnasium's toy-text environments carry them in `P`."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from logtrick.errors import MDPError, UnknownEnvError
from logtrick.mdp import FiniteMDP
from logtrick.validation import start_field

if TYPE_CHECKING:
    from gymnasium import Env


def from_outcomes(
    outcomes: Mapping[int, Any] | Sequence[Any], *, gamma: float, start: Any = None, **labels: Any
) -> FiniteMDP:
    """See `FiniteMDP.from_outcomes`."""
    pair_counts, actions, outcome_counts = [], [], []
    rows: list[tuple[float, int, float, bool]] = []
    for state, choices in enumerate(_in_order(outcomes, "the table")):
        numbered = _by_action(choices, state)
        pair_counts.append(len(numbered))
        for action, listed in numbered:
            actions.append(action)
            outcome_counts.append(len(listed))
            rows.extend(_outcome(row, state, action, n) for n, row in enumerate(listed))
    probabilities, successors, rewards, terminated = zip(*rows, strict=True) if rows else ((),) * 4
    return FiniteMDP(
        pair_offsets=np.cumsum([0, *pair_counts]),
        pair_actions=np.array(actions, np.int32),
        outcome_offsets=np.cumsum([0, *outcome_counts]),
        successors=np.array(successors, np.int32),
        probabilities=np.array(probabilities, np.float64),
        rewards=np.array(rewards, np.float64),
        terminated=np.array(terminated, np.bool_),
        gamma=gamma,
        **start_field(start, len(pair_counts)),
        **labels,
    )


def _in_order(table: Mapping[int, Any] | Sequence[Any], what: str) -> list[Any]:
    """The entries 0, 1, 2 ... of a list or a dictionary."""
    if not isinstance(table, Mapping):
        return list(table)
    missing = sorted(set(range(len(table))) - table.keys())
    if missing:
        raise MDPError(f"{what} has {len(table)} entries, but not number {missing[0]}")
    return [table[number] for number in range(len(table))]


def _by_action(choices: Any, state: int) -> list[tuple[int, list[Any]]]:
    if isinstance(choices, Mapping):
        for action in choices:
            if not isinstance(action, int | np.integer):
                raise MDPError(f"state {state}: the action {action!r} is not a number")
        return sorted((int(action), list(listed)) for action, listed in choices.items())
    return [(action, list(listed)) for action, listed in enumerate(choices)]


def _outcome(row: Any, state: int, action: int, number: int) -> tuple[float, int, float, bool]:
    try:
        probability, successor, reward, terminated = row
        if successor != int(successor) or not 0 <= successor < 2**31:
            raise ValueError(f"{successor} is no state")
        return float(probability), int(successor), float(reward), bool(terminated)
    except (TypeError, ValueError) as error:
        raise MDPError(
            f"state {state}, action {action}, outcome {number} is {row!r}; "
            f"(probability, successor, reward, terminated) is needed: {error}"
        ) from error


def from_gymnasium(
    env: "str | Env[Any, Any]", *, gamma: float, start: Any = None, **kwargs: Any
) -> FiniteMDP:
    """See `FiniteMDP.from_gymnasium`."""
    import gymnasium

    made: Any = env
    if isinstance(env, str):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an old version: the error says it
                made = gymnasium.make(env, **kwargs)
        except gymnasium.error.Error as error:
            raise UnknownEnvError(f"gymnasium cannot make {env!r}: {error}") from error
    base: Any = made.unwrapped
    table = getattr(base, "P", None)
    if table is None:
        raise MDPError(
            f"{env} has no transition table `P`; of Gymnasium's environments FrozenLake-v1, "
            "CliffWalking and Taxi have one"
        )
    if start is None:
        start = getattr(base, "initial_state_distrib", None)
    layout = _layout(base, len(table))
    mdp = from_outcomes(
        table, gamma=gamma, start=start, layout=layout, state_names=_landmarks(base, layout)
    )
    if env is not made:
        made.close()
    return mdp


def _layout(base: Any, num_states: int) -> np.ndarray | None:
    """The grid's states in their places, where the environment tells its rows and columns."""
    rows, columns = getattr(base, "nrow", 0), getattr(base, "ncol", 0)
    if hasattr(base, "shape") and len(base.shape) == 2:
        rows, columns = base.shape
    if rows * columns != num_states:
        return None
    return np.arange(num_states, dtype=np.int32).reshape(rows, columns)


#: What the letters of FrozenLake's map mean; plain ice has no name.
_LANDMARKS = {b"S": "start", b"H": "hole", b"G": "goal", b"F": ""}


def _landmarks(base: Any, layout: np.ndarray | None) -> list[str] | None:
    """Names from the map, where the environment has one whose letters are known."""
    letters = getattr(base, "desc", None)
    if layout is None or letters is None or letters.shape != layout.shape:
        return None
    names = [_LANDMARKS.get(letter) for letter in letters.ravel().tolist()]
    return None if None in names else [name or "" for name in names]
