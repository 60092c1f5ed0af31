"""Tables of outcomes, as Gymnasium's toy-text environments carry them in `P`."""

import reprlib
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from logtrick.errors import ConfigError, MDPError, UnknownEnvError
from logtrick.mdp.checks import start_field
from logtrick.support.numbers import checked_flag, checked_number

if TYPE_CHECKING:
    from gymnasium import Env


def from_outcomes(
    outcomes: Any, *, gamma: float, start: Any = None, **fields: Any
) -> dict[str, Any]:
    """The fields of the MDP; see `FiniteMDP.from_outcomes`."""
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
    return dict(
        pair_offsets=np.cumsum([0, *pair_counts]),
        pair_actions=np.array(actions, np.int32),
        outcome_offsets=np.cumsum([0, *outcome_counts]),
        successors=np.array(successors, np.int32),
        probabilities=np.array(probabilities, np.float64),
        rewards=np.array(rewards, np.float64),
        terminated=np.array(terminated, np.bool_),
        gamma=gamma,
        **start_field(start, len(pair_counts)),
        **fields,
    )


def _in_order(table: Any, what: str) -> list[Any]:
    """The entries 0, 1, 2 ... of a list or a dictionary."""
    if not isinstance(table, Mapping):
        return _listed(table, what, "a list or a dictionary of states")
    _check_keys(table, what)
    missing = sorted(set(range(len(table))) - table.keys())
    if missing:
        raise MDPError(f"{what} has {len(table)} entries, but not number {missing[0]}")
    return [table[number] for number in range(len(table))]


def _listed(given: Any, where: str, what: str) -> list[Any]:
    """A list, an array or another iterable, but no text, as a list."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise MDPError(f"{where} is {reprlib.repr(given)}; {what} is needed")
    try:
        return list(given)
    except TypeError as error:  # an array without axes
        raise MDPError(f"{where} is {reprlib.repr(given)}; {what} is needed") from error


def _check_keys(table: Mapping[Any, Any], where: str) -> None:
    for key in table:
        if isinstance(key, bool) or not isinstance(key, int | np.integer):
            raise MDPError(f"{where}: {key!r} is not a number")
        if not 0 <= key < 2**31:
            raise MDPError(f"{where}: {key} is not a number from 0 to 2^31 − 1")


def _by_action(choices: Any, state: int) -> list[tuple[int, list[Any]]]:
    where = f"state {state}"
    if isinstance(choices, Mapping):
        _check_keys(choices, f"{where}, its actions")
        pairs = sorted((int(action), listed) for action, listed in choices.items())
    else:
        pairs = list(enumerate(_listed(choices, where, "a list or a dictionary of actions")))
    return [
        (action, _listed(listed, f"{where}, action {action}", "a list of outcomes"))
        for action, listed in pairs
    ]


#: The types of most outcomes, which need no further look.
_PLAIN = [float, int, float, bool]


def _outcome(row: Any, state: int, action: int, number: int) -> tuple[float, int, float, bool]:
    try:
        probability, successor, reward, terminated = row
        if [*map(type, row)] == _PLAIN and 0 <= successor < 2**31:
            return probability, successor, reward, terminated
        place = checked_number("successor", successor)
        if not (0 <= place < 2**31 and place == int(place)):
            raise ValueError(f"{successor} is no state")
        return (
            checked_number("probability", probability),
            int(place),
            checked_number("reward", reward),
            checked_flag("flag terminated", terminated),
        )
    except (TypeError, ValueError) as error:
        raise MDPError(
            f"state {state}, action {action}, outcome {number} is {reprlib.repr(row)}; "
            f"(probability, successor, reward, terminated) is needed: {error}"
        ) from error


def from_gymnasium(
    env: "str | Env[Any, Any]", *, gamma: float, start: Any = None, **kwargs: Any
) -> dict[str, Any]:
    """The fields of the MDP; see `FiniteMDP.from_gymnasium`."""
    import gymnasium

    if isinstance(env, gymnasium.Env):
        if kwargs:
            raise ConfigError(
                f"{', '.join(kwargs)}: an environment that is made already takes no arguments; "
                "give its id instead"
            )
        return _of_environment(str(env), env, gamma, start)
    if not isinstance(env, str):
        raise MDPError(f"{reprlib.repr(env)} is neither an id nor a Gymnasium environment")
    made = _made(env, kwargs)
    try:
        return _of_environment(env, made, gamma, start)
    finally:
        made.close()


def _made(name: str, kwargs: dict[str, Any]) -> Any:
    import gymnasium

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an old version: the error says it
            return gymnasium.make(name, **kwargs)
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise UnknownEnvError(f"gymnasium cannot make {name!r}: {error}") from error
    except (TypeError, ValueError, KeyError, AssertionError) as error:
        if not kwargs:
            raise
        raise ConfigError(f"gymnasium cannot make {name!r} with {kwargs}: {error}") from error


def _of_environment(name: str, made: Any, gamma: float, start: Any) -> dict[str, Any]:
    base: Any = made.unwrapped
    table = getattr(base, "P", None)
    if table is None:
        raise MDPError(
            f"{name} has no transition table `P`; of Gymnasium's environments FrozenLake-v1, "
            "CliffWalking and Taxi have one"
        )
    if start is None:
        start = getattr(base, "initial_state_distrib", None)
    try:
        layout = _layout(base, len(_in_order(table, "the table")))
        names = _landmarks(base, layout)
        return from_outcomes(table, gamma=gamma, start=start, layout=layout, state_names=names)
    except MDPError as error:
        raise type(error)(f"{name}: {error}") from error


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
