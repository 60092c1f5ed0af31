"""The field's standard small MDPs, each a few lines, and all of them by name.

`make("random_walk(19)")` builds by name, with arguments if need be; `_` and `-` are the same. The
command line takes the same names (and `random_walk:19`, which no shell needs quoted), Gymnasium
ids with a transition table, and files (`.umb`, `.tra`, `.npz`).
"""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from logtrick.errors import ConfigError, LogtrickError, MDPError
from logtrick.mdp.model import FiniteMDP
from logtrick.mdp.problems.garnets import garnet
from logtrick.mdp.problems.grids import (
    cliff_walking,
    example_3_5_grid,
    frozen_lake,
    salad_and_poison,
    taxi,
)
from logtrick.mdp.problems.small_chains import (
    chain,
    corridor,
    forest,
    gamma_t_fixture,
    puterman_two_state,
    random_walk,
    river_swim,
    two_state_loop,
    vanishing_chain,
)
from logtrick.mdp.problems.token_rewards import ArrayVerifier
from logtrick.mdp.problems.token_tasks import sequences
from logtrick.mdp.problems.tokens import SequenceTask
from logtrick.support.names import unknown_name

#: name -> builder, for `make` and the command line.
REGISTRY: dict[str, Callable[..., FiniteMDP]] = {
    builder.__name__: builder
    for builder in (
        chain,
        cliff_walking,
        corridor,
        example_3_5_grid,
        forest,
        frozen_lake,
        gamma_t_fixture,
        garnet,
        puterman_two_state,
        random_walk,
        river_swim,
        salad_and_poison,
        sequences,
        taxi,
        two_state_loop,
        vanishing_chain,
    )
}


def make(
    name: str,
    *,
    gamma: float | None = None,
    terminal: str | None = None,
    reward: str | None = None,
) -> FiniteMDP:
    """Build an MDP from a name: a problem, a Gymnasium id, or a file.

    Args:
        name: "corridor", "random-walk(19)", "garnet:1000,4,seed=3", "FrozenLake-v1", "model.umb",
            "model.npz", "model.tra" (with "model.lab", "model.srew", "model.trew" or "model.rew",
            and "model.sta" beside it) …
        gamma: γ; the problem's own by default, .99 for a Gymnasium id, 1 for a file that has none.
        terminal: a label of the MDP, whose states end the episode.
        reward: which rewards are paid, where a file has several: of a `.umb` the name of an
            annotation, of a `.tra` that of a reward structure or of a reward file beside it.

    Returns:
        The MDP.

    Raises:
        MDPError: nothing has this name; the nearest names are given.
        ConfigError: arguments that the problem does not take; a reward for what has only one.

    Example:
        >>> make("random-walk(19)", gamma=0.5)
        FiniteMDP(19 states, 2 actions, 38 pairs, 38 outcomes, gamma=0.5)
    """
    mdp = _make(name, terminal, reward)
    return mdp if gamma is None else mdp.replace(gamma=gamma)


def _make(name: str, terminal: str | None, reward: str | None) -> FiniteMDP:
    path = Path(name)
    if path.suffix == ".umb":
        return FiniteMDP.from_umb(path, terminal=terminal, reward=reward)
    if path.suffix == ".tra":
        from logtrick.mdp.readers.prism import from_prism_folder

        fields = from_prism_folder(path, gamma=1.0, terminal=terminal, reward=reward)
        return FiniteMDP(**fields)
    if reward is not None:
        raise ConfigError(
            f"reward={reward!r} chooses among the rewards of a .tra or .umb file; {name} has one"
        )
    mdp = _unnamed(name, path)
    return mdp if terminal is None else mdp.replace(terminal=terminal)


def _unnamed(name: str, path: Path) -> FiniteMDP:
    """An MDP without names of rewards: of a `.npz`, a problem or a Gymnasium id."""
    if path.suffix == ".npz":
        from logtrick.mdp.readers.numpy_files import from_npz

        return FiniteMDP(**from_npz(path))
    bare, arguments, keywords = parse(name)
    builder = REGISTRY.get(bare.replace("-", "_"))
    if builder is not None:
        try:
            signature = inspect.signature(builder)
            signature.bind(*arguments, **keywords)
            return builder(*arguments, **keywords)
        except LogtrickError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            known = ", ".join(signature.parameters)
            raise ConfigError(f"{name}: {error}; {bare} takes {known}") from error
    if "-v" in bare:
        if arguments:
            raise ConfigError(
                f"{name}: a Gymnasium id takes its arguments by name, as in map_name=8x8"
            )
        if "gamma" in keywords:
            raise ConfigError(f"{name}: γ is no argument of the environment; use gamma=")
        return FiniteMDP.from_gymnasium(bare, gamma=0.99, **keywords)
    raise MDPError(unknown_name("No problem is called", bare, REGISTRY))


def parse(name: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Split "garnet(100, 4, seed=3)" or "garnet:100,4,seed=3" into name and literal arguments.

    Raises:
        ConfigError: the arguments are no literals.

    Example:
        >>> parse("garnet:100,4,seed=3")
        ('garnet', [100, 4], {'seed': 3})
    """
    mark = re.search(r"[(:]", name)
    if mark is None:
        return name.strip(), [], {}
    bare, rest = name[: mark.start()], name[mark.end() :]
    if mark[0] == ":":
        rest = ", ".join(map(_quoted, rest.split(","))) + ")"
    try:
        call = ast.parse(f"f({rest}", mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError("not a list of arguments")
        arguments = [ast.literal_eval(argument) for argument in call.args]
        keywords = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ConfigError(
            f"{name!r}: write the arguments as in garnet:100,4,seed=3 or garnet(100, 4, seed=3)"
        ) from error
    return bare.strip(), arguments, keywords


def _quoted(argument: str) -> str:
    """An argument whose value is quoted if it is no literal, as in `map_name=8x8`."""
    keyword, equals, value = argument.rpartition("=")
    text = value.strip()
    try:
        ast.literal_eval(text or "0")  # nothing is no text either: it stays an error
        return argument
    except (SyntaxError, ValueError):
        return f"{keyword}{equals}{text!r}"


__all__ = [
    "REGISTRY",
    "ArrayVerifier",
    "SequenceTask",
    "chain",
    "cliff_walking",
    "corridor",
    "example_3_5_grid",
    "forest",
    "frozen_lake",
    "gamma_t_fixture",
    "garnet",
    "make",
    "parse",
    "puterman_two_state",
    "random_walk",
    "river_swim",
    "salad_and_poison",
    "sequences",
    "taxi",
    "two_state_loop",
    "vanishing_chain",
]
