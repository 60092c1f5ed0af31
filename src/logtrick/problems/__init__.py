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
from logtrick.mdp import FiniteMDP
from logtrick.names import unknown_name
from logtrick.problems.chains import (
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
from logtrick.problems.garnets import garnet
from logtrick.problems.grids import (
    cliff_walking,
    example_3_5_grid,
    frozen_lake,
    salad_and_poison,
    taxi,
)
from logtrick.problems.token_rewards import ArrayVerifier
from logtrick.problems.token_tasks import sequences
from logtrick.problems.tokens import SequenceTask

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
            "model.npz", "model.tra" (with "model.lab", "model.rew" beside it) …
        gamma: γ; the problem's own by default, .99 for a Gymnasium id, 1 for a file that has none.
        terminal: of a `.tra` or `.umb` file, the label whose states end the episode.
        reward: which rewards are paid: of a `.umb` file the name of an annotation, of a `.tra` file
            the name of a reward file in its folder.

    Returns:
        The MDP.

    Raises:
        MDPError: nothing has this name; the nearest names are given.
        ConfigError: arguments that the problem does not take; a label or a reward for what is no
            file, or has none.

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
        lab, rew = path.with_suffix(".lab"), path.with_suffix(".rew")
        if terminal is not None and not lab.exists():
            raise ConfigError(
                f"{name} has no labels, so none called {terminal!r}: {lab} is missing"
            )
        rewards = [rew] if rew.exists() else []
        if reward is not None:
            rewards = [_reward_file(path, reward)]
        return FiniteMDP.from_prism(path, lab if lab.exists() else None, rewards, terminal=terminal)
    for option, value in (("terminal", terminal), ("reward", reward)):
        if value is not None:
            raise ConfigError(
                f"{option}={value!r} is for models in .tra or .umb files; {name} has no names to "
                "choose from"
            )
    if path.suffix == ".npz":
        from logtrick.readers.numpy_files import from_npz

        return from_npz(path)
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
        return FiniteMDP.from_gymnasium(bare, gamma=0.99, **keywords)
    raise MDPError(unknown_name("No problem is called", bare, REGISTRY))


def _reward_file(tra: Path, reward: str) -> Path:
    """The file of this name beside a `.tra` file: with its ending, or without."""
    beside = [
        tra.parent / reward,
        *(tra.parent / f"{reward}{e}" for e in (".srew", ".trew", ".rew")),
    ]
    for path in beside:
        if path.is_file():
            return path
    raise ConfigError(
        f"reward={reward!r}: there is no such file in {tra.parent}, and none that ends in .srew, "
        ".trew or .rew"
    )


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
