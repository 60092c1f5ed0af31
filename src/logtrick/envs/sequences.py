"""Sequence tasks as environments: the verifier runs on the device, and no state is listed."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Step
from logtrick.envs.spec import EnvRow, trainable
from logtrick.errors import ConfigError, UnknownEnvError
from logtrick.mdp.problems import parse
from logtrick.mdp.problems.token_rewards import NO_TOKEN, ArrayVerifier
from logtrick.mdp.problems.token_tasks import TASKS, make_task
from logtrick.mdp.problems.tokens import SequenceTask, check_observe
from logtrick.support.names import unknown_name
from logtrick.support.spaces import in_words


class SequenceState(NamedTuple):
    """Which prompt is answered, and what is written so far."""

    prompt: Int[Array, ""]
    answer: Int[Array, " L"]
    """Filled up with −1."""
    length: Int[Array, ""]


@dataclass(frozen=True)
class Sequences(DeviceEnv):
    """A `SequenceTask` token by token: the same prompts, states and rewards as its `mdp`.

    What it adds to the MDP is size: with an `ArrayVerifier` and `observe="tokens"` nothing is
    listed, so there may be more answers than fit into any table. EOS and the `limit`-th token
    terminate; at the limit `truncated` is set too, which then changes no value. The observation at
    the end is that of the last unfinished answer.

    Attributes:
        task: what is asked, and what an answer is worth.
        observe: "state", a number; or "tokens", one-hot places. As in `SequenceTask.mdp`.

    Raises:
        ConfigError: the task must be listed, and is too large for it.

    Example:
        >>> import jax
        >>> env = Sequences(make_task("parity", 2), observe="tokens")
        >>> state, obs = env.reset(jax.random.key(0))
        >>> env.id, obs.shape
        ('sequences:parity:2,observe=tokens', (9,))
    """

    task: SequenceTask
    observe: str = "state"

    def __post_init__(self) -> None:
        check_observe(self.observe)
        if self.observe == "state":
            _ = self.task.tree
        if not isinstance(self.task.reward, ArrayVerifier):
            _ = self.task.rewards  # what is wrong with it is said here, not inside a trace

    @property
    def id(self) -> str:
        """`sequences:` and the task's name; what only Python can make is an `object:`."""
        if self.task.name is None:
            return "object:sequences"
        seen = "" if self.observe == "state" else f",observe={self.observe}"
        return f"sequences:{self.task.name}{seen}"

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Discrete or Box, by `observe`."""
        task = self.task
        if self.observe == "state":
            return spaces.Discrete(len(task.prompts) * task.num_prefixes)
        width = (task.prompt_length + task.limit - 1) * task.vocabulary
        return spaces.Box(0.0, 1.0, (width,), np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The tokens 0 … vocabulary − 1, of which a step writes one."""
        return spaces.Discrete(self.task.vocabulary)

    @property
    def max_episode_steps(self) -> int:
        """The limit of an answer."""
        return self.task.limit

    def reset(self, key: PRNGKeyArray) -> tuple[SequenceState, Array]:
        """Draw a prompt; the answer is empty."""
        chances = jnp.asarray(self.task.start, jnp.float32)
        prompt = jax.random.choice(key, len(chances), p=chances).astype(jnp.int32)
        answer = jnp.full(self.task.limit, NO_TOKEN, jnp.int32)
        state = SequenceState(prompt, answer, jnp.zeros((), jnp.int32))
        return state, self._show(state)

    def step(self, key: PRNGKeyArray, state: SequenceState, action: Array) -> Step:
        """Write a token; the key is not used, since texts are written without chance."""
        token = jnp.asarray(action, jnp.int32)
        length = state.length + 1
        written = SequenceState(state.prompt, state.answer.at[state.length].set(token), length)
        full = length >= self.task.limit
        ended = full | (token == self.task.eos)
        before = self._show(state)
        return Step(
            state=written,
            obs=jnp.where(ended, before, self._show(written)),
            reward=jnp.where(ended, self._reward(state, written, token), 0.0).astype(jnp.float32),
            terminated=ended,
            truncated=full,
        )

    def _show(self, state: SequenceState) -> Array:
        if self.observe == "state":
            return state.prompt * self.task.num_prefixes + self._node(state)
        prompt = jnp.asarray(self.task.padded_prompts)[state.prompt]
        return self.task.one_hot(prompt, state.answer[:-1], jnp)

    def _node(self, state: SequenceState) -> Array:
        """The number of the answer so far in `SequenceTask.tree`."""
        node = jnp.zeros((), jnp.int32)
        for place in range(self.task.limit - 1):
            token = state.answer[place]
            child = node * self.task.branches + 1 + token - (token > self.task.eos)
            node = jnp.where(place < state.length, child, node).astype(jnp.int32)
        return jnp.minimum(node, self.task.num_prefixes - 1)

    def _reward(self, state: SequenceState, written: SequenceState, token: Array) -> Array:
        """Of the written text, where it is finished."""
        task = self.task
        if isinstance(task.reward, ArrayVerifier):
            prompt = jnp.asarray(task.padded_prompts)[state.prompt]
            return task.reward.function(prompt, written.answer, written.length)
        table = jnp.asarray(task.rewards, jnp.float32)
        return table[state.prompt, self._node(state), token]


def resolve(name: str) -> Sequences:
    """The environment behind `sequences:name`, `sort:4,observe=tokens` say."""
    bare, arguments, settings = parse(name)
    observe = settings.pop("observe", "state")
    if bare.replace("-", "_") not in TASKS:
        raise UnknownEnvError(unknown_name("No sequence task is called", bare, TASKS))
    if len(arguments) + len(settings) > 1 or settings.keys() - {"length"}:
        raise ConfigError(f"sequences:{name}: write it as sequences:sort:4,observe=tokens.")
    return Sequences(make_task(bare, *arguments, **settings), observe)


def rows() -> list[EnvRow]:
    """One line for each standard task."""
    return [_row(Sequences(make_task(name))) for name in TASKS]


def _row(env: Sequences) -> EnvRow:
    seen, taken = env.observation_space, env.action_space
    return EnvRow(env.id, "device", in_words(seen), in_words(taken), trainable(seen, taken), "")
