"""The standard sequence tasks, by name."""

import itertools
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from logtrick.errors import ConfigError
from logtrick.mdp.model import FiniteMDP
from logtrick.mdp.problems.token_rewards import ArrayVerifier, Tokens
from logtrick.mdp.problems.tokens import MAX_ANSWERS, SequenceTask
from logtrick.support.names import unknown_name
from logtrick.support.numbers import checked_whole


def sequences(
    length: int = 3, *, task: str = "contains_zero", observe: str = "state", gamma: float = 1.0
) -> FiniteMDP:
    """A language model's world in small: states are prompts and prefixes, tokens are actions.

    Own tasks: `SequenceTask(...).mdp()`.

    Args:
        length: how large the task is; see there.
        task: "contains_zero", "parity" or "sort".
        observe: "state" or "tokens"; see `SequenceTask.mdp`.
        gamma: γ.

    Raises:
        ConfigError: an unknown task, or a size that it cannot have.
    """
    return make_task(task, length).mdp(observe=observe, gamma=gamma)


def make_task(name: str, length: int = 3) -> SequenceTask:
    """One of the standard tasks, by its name.

    Raises:
        ConfigError: an unknown name, or a size that it cannot have.
    """
    builder = TASKS.get(name.replace("-", "_"))
    if builder is None:
        raise ConfigError(unknown_name("No sequence task is called", name, TASKS))
    return builder(checked_whole(f"{name}: length", length, 1))


def contains_zero(length: int = 3) -> SequenceTask:
    """At most `length` tokens of 0, 1, EOS: 1 iff a 0 is among them and EOS ends them."""

    def verify(
        prompt: Int32[Array, " P"], answer: Int32[Array, " L"], length: Int32[Array, ""]
    ) -> Float[Array, ""]:
        return jnp.asarray(jnp.any(answer == 0) & (answer[length - 1] == 2), float)

    return SequenceTask(
        vocabulary=3,
        eos=2,
        limit=length,
        reward=ArrayVerifier(verify),
        name=f"contains_zero:{length}",
    )


def parity(length: int = 3) -> SequenceTask:
    """Prompts are all strings of `length` bits; 1 iff the answer is their parity, then EOS."""

    def verify(
        prompt: Int32[Array, " P"], answer: Int32[Array, " L"], length: Int32[Array, ""]
    ) -> Float[Array, ""]:
        return jnp.asarray((answer[0] == jnp.sum(prompt) % 2) & (answer[1] == 2), float)

    return SequenceTask(
        vocabulary=3,
        eos=2,
        limit=2,
        prompts=_all_strings(2, length),
        reward=ArrayVerifier(verify),
        name=f"parity:{length}",
    )


def sort(length: int = 3) -> SequenceTask:
    """Prompts are all strings of `length` digits 0, 1, 2; to be answered in order, then EOS.

    The reward is the share of the length + 1 places that are right: it is graded, not binary.
    """

    def verify(
        prompt: Int32[Array, " P"], answer: Int32[Array, " L"], length: Int32[Array, ""]
    ) -> Float[Array, ""]:
        wanted = jnp.append(jnp.sort(prompt), 3)
        return jnp.mean(jnp.asarray(answer == wanted, float))

    return SequenceTask(
        vocabulary=4,
        eos=3,
        limit=length + 1,
        prompts=_all_strings(3, length),
        reward=ArrayVerifier(verify),
        name=f"sort:{length}",
    )


TASKS: dict[str, Callable[[int], SequenceTask]] = {
    task.__name__: task for task in (contains_zero, parity, sort)
}
"""The standard tasks, by name."""


def _all_strings(digits: int, length: int) -> tuple[Tokens, ...]:
    if digits**length > MAX_ANSWERS:
        raise ConfigError(f"length={length}: {digits}^{length} prompts are too many to list.")
    return tuple(itertools.product(range(digits), repeat=length))
