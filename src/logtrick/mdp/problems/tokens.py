"""Answers to prompts, token by token: a language model's world, small enough to enumerate.

`SequenceTask` says what is asked and what an answer is worth; `SequenceTask.mdp` is its finite MDP,
and `logtrick.envs.Sequences` the same world as an environment, with no table of states.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32

from logtrick.errors import ConfigError
from logtrick.mdp.model import FiniteMDP
from logtrick.mdp.problems.token_rewards import (
    ArrayVerifier,
    RewardTable,
    Tokens,
    Verifier,
    padded,
    rewards_of,
)
from logtrick.support.numbers import checked_whole

OBSERVE = ("state", "tokens")
"""What may be observed of a sequence task."""

MAX_ANSWERS = 2**20
"""Answers, over all prompts, that are listed at most."""


class Tree(NamedTuple):
    """The N unfinished answers, one level after the other, and the E tokens that finish one.

    Without EOS there are K tokens; the children of answer n are n K + 1 … n K + K.
    """

    lengths: Int32[np.ndarray, " N"]
    prefixes: Int32[np.ndarray, "N L"]
    """Filled up with −1."""
    ends: Bool[np.ndarray, "N V"]
    """Which token finishes which answer: EOS, and the last one that fits."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SequenceTask:
    """Answer a prompt, token by token; a verifier pays once, when the answer is finished.

    A prompt is drawn, and every token is an action. EOS finishes the answer, and so does the
    `limit`-th token, whatever it is. Both are terminations, not truncations: the limit is part of
    the problem, an answer that it finishes is paid for as it stands, and the state, which is
    the prompt and all tokens so far, knows how many may follow.

    Attributes:
        vocabulary: V; the tokens are 0 … V−1.
        eos: the token that finishes an answer, EOS itself included in what the verifier sees.
        limit: tokens of an answer at most, EOS included.
        prompts: tuples of tokens; the one empty prompt by default.
        probabilities: of the prompts; equal by default.
        reward: a table {(prompt, answer): reward} of every answer to every prompt, a function
            (prompt, answer) -> reward of tuples of ints, or an `ArrayVerifier`.
        name: what makes it again, "sort:3" say; None where only Python can.

    Raises:
        ConfigError: no prompts, EOS or a prompt's token outside of the vocabulary, a limit below 1,
            probabilities that are none. `rewards` and `mdp` also refuse tables with an answer too
            few or too many, rewards that are not finite, and tasks too large to list.

    Example:
        >>> echo = SequenceTask(
        ...     vocabulary=3, eos=2, limit=2, prompts=((0,), (1,)),
        ...     reward=lambda prompt, answer: float(answer == (*prompt, 2)),
        ... )
        >>> echo.mdp().state_names
        ('0 → ·', '0 → 0 ·', '0 → 1 ·', '1 → ·', '1 → 0 ·', '1 → 1 ·')
    """

    vocabulary: int
    eos: int
    limit: int
    reward: RewardTable | Verifier | ArrayVerifier
    prompts: tuple[Any, ...] = ((),)
    probabilities: tuple[float, ...] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        """The same in every process, which the repr of a function is not."""
        return (
            f"SequenceTask({self.name or 'custom'}, {len(self.prompts)} prompts, "
            f"{self.vocabulary} tokens, eos={self.eos}, limit={self.limit})"
        )

    @property
    def branches(self) -> int:
        """K = V − 1, the tokens that do not finish an answer."""
        return self.vocabulary - 1

    @property
    def num_prefixes(self) -> int:
        """N, the unfinished answers to one prompt."""
        return sum(self.branches**length for length in range(self.limit))

    @property
    def num_answers(self) -> int:
        """Answers to one prompt: those that end in EOS, and those that fill the limit."""
        return self.num_prefixes + self.branches**self.limit

    @property
    def prompt_length(self) -> int:
        """P, of the longest prompt."""
        return max(map(len, self.prompts))

    @cached_property
    def start(self) -> Float64[np.ndarray, " prompts"]:
        """The probability of each prompt."""
        given = [1 / len(self.prompts)] * len(self.prompts)
        return np.array(given if self.probabilities is None else self.probabilities, np.float64)

    @cached_property
    def padded_prompts(self) -> Int32[np.ndarray, "prompts P"]:
        """The prompts, filled up with −1."""
        return padded(self.prompts, self.prompt_length)

    @cached_property
    def tree(self) -> Tree:
        """All unfinished answers.

        Raises:
            ConfigError: there are too many to list.
        """
        if len(self.prompts) * self.num_answers > MAX_ANSWERS:
            raise ConfigError(
                f"{self.name or 'this task'}: {len(self.prompts)} prompts with {self.num_answers:,}"
                f" answers each are too many to list ({MAX_ANSWERS:,} at most). Make it smaller, or"
                " train on it with an ArrayVerifier and observe='tokens', which needs no list."
            )
        others = [token for token in range(self.vocabulary) if token != self.eos]
        levels = [itertools.product(others, repeat=n) for n in range(self.limit)]
        prefixes = [prefix for level in levels for prefix in level]
        lengths = np.array([len(prefix) for prefix in prefixes], np.int32)
        ends = np.zeros((len(prefixes), self.vocabulary), np.bool_)
        ends[:, self.eos] = True
        ends[lengths == self.limit - 1] = True
        return Tree(lengths, padded(prefixes, self.limit), ends)

    @cached_property
    def rewards(self) -> Float64[np.ndarray, "prompts N V"]:
        """What each token pays after each unfinished answer: 0 where it does not finish it.

        Raises:
            ConfigError: the table lacks an answer or has one too many, a reward is not finite, or
                there are too many answers to list.
        """
        nodes, tokens = np.nonzero(self.tree.ends)
        lengths = self.tree.lengths[nodes]
        answers = self.tree.prefixes[nodes]
        answers[np.arange(len(nodes)), lengths] = tokens
        values = rewards_of(self.reward, self.prompts, answers, lengths + 1)
        table = np.zeros((len(self.prompts), *self.tree.ends.shape))
        table[:, nodes, tokens] = values
        return table

    def mdp(self, *, observe: str = "state", gamma: float = 1.0) -> FiniteMDP:
        """The finite MDP: states are a prompt and the tokens so far, "0 1 → 2 ·".

        Args:
            observe: "state": the state's number; "tokens": which token stands in each place,
                float32[(P + L − 1) V], so that a network can see what states have in common.
            gamma: γ.

        Raises:
            ConfigError: as `rewards`, or `observe` is neither of the two.
        """
        check_observe(observe)
        lengths, prefixes, ends = self.tree
        prompts, nodes, tokens = len(self.prompts), len(lengths), self.vocabulary
        rank = np.arange(tokens) - (np.arange(tokens) > self.eos)
        here = np.arange(nodes)[:, None]
        following = np.where(ends, here, here * self.branches + 1 + rank)
        offsets = nodes * np.arange(prompts)[:, None, None]
        start = np.zeros((prompts, nodes))
        start[:, 0] = self.start
        pairs = prompts * nodes * tokens
        seen = np.arange(prompts * nodes, dtype=np.int32)
        if observe == "tokens":
            both = itertools.product(self.padded_prompts, prefixes[:, :-1])
            seen = np.stack([self.one_hot(prompt, answer, np) for prompt, answer in both])
        return FiniteMDP(
            pair_offsets=np.arange(0, pairs + 1, tokens),
            pair_actions=np.tile(np.arange(tokens, dtype=np.int32), prompts * nodes),
            outcome_offsets=np.arange(pairs + 1),
            successors=(offsets + following).astype(np.int32).ravel(),
            probabilities=np.ones(pairs),
            rewards=self.rewards.ravel(),
            terminated=np.tile(ends.ravel(), prompts),
            gamma=gamma,
            start=start.ravel(),
            observations=seen,
            state_names=[
                _state_name(p, tuple(a[:n]))
                for p in self.prompts
                for a, n in zip(prefixes.tolist(), lengths.tolist(), strict=True)
            ],
            action_names=["EOS" if t == self.eos else str(t) for t in range(tokens)],
        )

    def one_hot(self, prompt: Any, answer: Any, xp: Any) -> Any:
        """What "tokens" shows: a prompt [P] and L − 1 tokens, each as V numbers, 0 where none is.

        Args:
            prompt: int32[P], filled up with −1.
            answer: int32[L − 1], likewise.
            xp: `numpy` or `jax.numpy`, in which to compute.
        """
        tokens = xp.concatenate([prompt, answer])
        return xp.asarray(tokens[:, None] == xp.arange(self.vocabulary)[None], xp.float32).ravel()


def check_observe(observe: str) -> None:
    """Refuse what is neither "state" nor "tokens"."""
    if observe not in OBSERVE:
        raise ConfigError(f"observe={observe!r}; it must be 'state' or 'tokens'.")


def _state_name(prompt: Tokens, prefix: Tokens) -> str:
    written = " ".join([*map(str, prefix), "·"])
    return f"{' '.join(map(str, prompt))} → {written}" if prompt else written


def _check(task: SequenceTask) -> None:
    for name, least in (("vocabulary", 2), ("limit", 1)):
        checked_whole(name, getattr(task, name), least)
    tokens = range(task.vocabulary)
    if type(task.eos) is not int or task.eos not in tokens:
        raise ConfigError(
            f"eos={task.eos!r} is not in the vocabulary, which is 0 … {task.vocabulary - 1}."
        )
    if not task.prompts:
        raise ConfigError("prompts is empty; the one empty prompt is ((),).")
    for number, prompt in enumerate(task.prompts):
        if not isinstance(prompt, tuple):
            raise ConfigError(f"prompt {number} is {prompt!r}; a tuple of tokens is needed.")
        if outside := [token for token in prompt if token not in tokens]:
            raise ConfigError(
                f"prompt {number} has the token {outside[0]!r}, and the vocabulary is "
                f"0 … {task.vocabulary - 1}."
            )
    if len(set(task.prompts)) != len(task.prompts):
        twice = next(p for p in task.prompts if task.prompts.count(p) > 1)
        raise ConfigError(f"the prompt {twice} is listed twice; give it the sum of both chances.")
    if task.probabilities is None:
        return
    if len(task.probabilities) != len(task.prompts):
        raise ConfigError(
            f"{len(task.probabilities)} probabilities for {len(task.prompts)} prompts."
        )
    if not all(p >= 0 for p in task.probabilities) or not math.isclose(
        math.fsum(task.probabilities), 1.0, abs_tol=1e-9
    ):
        raise ConfigError(f"the prompts' probabilities {task.probabilities} are no distribution.")
