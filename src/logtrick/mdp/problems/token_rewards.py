"""What an answer is worth: a table, a verifier in Python, or one that JAX can trace."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float64, Int32

from logtrick.errors import ConfigError

Tokens = tuple[int, ...]
RewardTable = Mapping[tuple[Tokens, Tokens], float]
Verifier = Callable[[Tokens, Tokens], float]

NO_TOKEN = -1
"""What fills up arrays of tokens."""


@dataclass(frozen=True)
class ArrayVerifier:
    """A verifier that JAX can trace: it needs no list of all answers.

    Attributes:
        function: (prompt int32[P], answer int32[L], length int32) -> reward. P is the longest
            prompt and L the limit; −1 fills up what is shorter, `answer[length - 1]` is the last
            token.
    """

    function: Callable[[Array, Array, Array], Array]


def rewards_of(
    reward: RewardTable | Verifier | ArrayVerifier,
    prompts: Sequence[Tokens],
    answers: Int32[np.ndarray, "E L"],
    lengths: Int32[np.ndarray, " E"],
) -> Float64[np.ndarray, "prompts E"]:
    """The reward of each answer to each prompt.

    Args:
        reward: says it.
        prompts: tuples of tokens.
        answers: all answers there are, filled up with −1.
        lengths: of the answers.

    Raises:
        ConfigError: the table lacks an answer or has one too many, or a reward is not finite.
    """
    texts = [tuple(a[:n]) for a, n in zip(answers.tolist(), lengths.tolist(), strict=True)]
    if isinstance(reward, ArrayVerifier):
        width = max(map(len, prompts))
        with jax.enable_x64(True):
            of_prompt = jax.vmap(reward.function, (None, 0, 0))
            verify = jax.jit(jax.vmap(of_prompt, (0, None, None)))
            values = np.asarray(verify(padded(prompts, width), answers, lengths), np.float64)
    else:
        if isinstance(reward, Mapping):
            reward = _from_table(reward, prompts, texts, answers.shape[1])
        values = np.array([[float(reward(prompt, text)) for text in texts] for prompt in prompts])
    if not np.isfinite(values).all():
        prompt, text = np.argwhere(~np.isfinite(values))[0]
        raise ConfigError(
            f"the reward of the answer {texts[text]} to the prompt {prompts[prompt]} is "
            f"{values[prompt, text]}; it must be finite."
        )
    return values


def _from_table(
    table: RewardTable, prompts: Sequence[Tokens], texts: Sequence[Tokens], limit: int
) -> Verifier:
    """The table as a function, after it was compared with the answers there are."""
    wanted = set(itertools.product(prompts, texts))
    rule = f"answers end in EOS or have {limit} tokens."
    if missing := sorted(wanted - table.keys()):
        raise ConfigError(
            f"the reward table lacks {len(missing)} of {len(wanted)} answers, the answer "
            f"{missing[0][1]} to the prompt {missing[0][0]} among them; {rule}"
        )
    if extra := sorted(table.keys() - wanted):
        raise ConfigError(
            f"the reward table has the entry {extra[0]}, which is no (prompt, answer) of this "
            f"task; {rule}"
        )
    return lambda prompt, text: table[prompt, text]


def padded(rows: Any, width: int) -> Int32[np.ndarray, "rows width"]:
    """Tuples of tokens as one array, filled up with −1."""
    array = np.full((len(rows), width), NO_TOKEN, np.int32)
    for i, row in enumerate(rows):
        array[i, : len(row)] = row
    return array
