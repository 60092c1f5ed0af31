"""What is said of a name that nothing has, and of an error that says nothing itself."""

import difflib
import traceback
from collections.abc import Callable, Collection, Iterable


def unknown_name(saying: str, name: object, known: Collection[str]) -> str:
    """A message: the names that are near, or all that are known where none is.

    Example:
        >>> unknown_name("No estimator is called", "gea", ["gae", "rloo"])
        "No estimator is called 'gea'. Did you mean gae?"
        >>> unknown_name("PPO has no setting", "colour", ["gamma", "epochs"])
        "PPO has no setting 'colour'. Known: gamma, epochs."
    """
    hint = did_you_mean(str(name), known) or f"Known: {', '.join(known)}."
    return f"{saying} {name!r}. {hint}"


def did_you_mean(name: str, known: Iterable[str], key: Callable[[str], str] = str) -> str:
    """A question with at most three near names, in upper or lower case, - or _; else "".

    Args:
        name: what was given.
        known: what there is.
        key: the part of a known name that is compared.

    Example:
        >>> did_you_mean("cartpoel-v1", ["gym:CartPole-v1"], key=lambda id: id.removeprefix("gym:"))
        'Did you mean gym:CartPole-v1?'
        >>> did_you_mean("colour", ["gamma"])
        ''
    """
    meant: dict[str, str] = {}
    for other in known:
        meant.setdefault(_folded(key(other)), other)
    near = difflib.get_close_matches(_folded(name), meant, n=3)
    return f"Did you mean {' or '.join(meant[word] for word in near)}?" if near else ""


def reason(error: BaseException) -> str:
    """What an exception says, in one line; where it says nothing, the line that raised it.

    Example:
        >>> reason(ValueError("no wheel"))
        'ValueError: no wheel'
        >>> try:
        ...     raise NotImplementedError
        ... except NotImplementedError as error:
        ...     reason(error).partition(",")[0].partition(" in ")[0]
        'NotImplementedError'
    """
    kind, text = type(error).__name__, str(error).strip()
    if text:
        return f"{kind}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return f"{kind}, which says nothing more"
    last = frames[-1]
    source = f": {last.line}" if last.line else ""
    return f"{kind} in {last.filename}, line {last.lineno}{source}"


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
