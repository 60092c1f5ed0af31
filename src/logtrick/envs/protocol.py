"""What an environment is: one protocol on the device, one on the host.

Environments never reset themselves; the rollout does. So the observation that a step returns is
always the one that was really reached, at the end of an episode too, and `terminated` (the MDP
ended: the value that follows is 0) is never confused with `truncated` (we stopped looking: the
value that follows is the critic's).
"""

import abc
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, PRNGKeyArray


class Step(NamedTuple):
    """What one step of a device environment produced. Both flags may be set."""

    state: Any
    """The environment's next state, a pytree."""
    obs: Any
    """The observation of that state, an array or for Dict and Tuple spaces a pytree of them: the
    one really reached, never that of a fresh episode."""
    reward: Float[Array, ""]
    """r_t, the reward after a_t."""
    terminated: Bool[Array, ""]
    """The MDP ended here."""
    truncated: Bool[Array, ""]
    """The episode was cut here, by a time limit say; the MDP goes on without us."""


class DeviceEnv(abc.ABC):
    """An environment written in JAX: `reset` and `step` are pure, unbatched and traceable.

    The rollout calls them under `vmap` and `jit`. A time limit belongs to the environment: it
    counts its steps in its state and sets `truncated`. Implementations are frozen dataclasses (so
    that they can be compared and hashed) whose fields are the physical constants.
    """

    @property
    @abc.abstractmethod
    def id(self) -> str:
        """The id that makes it again, prefix included: `CartPole-v1`, `gymnax:Pong-misc`."""

    @property
    @abc.abstractmethod
    def observation_space(self) -> spaces.Space[Any]:
        """The space of one observation."""

    @property
    @abc.abstractmethod
    def action_space(self) -> spaces.Space[Any]:
        """The space of one action."""

    @property
    @abc.abstractmethod
    def max_episode_steps(self) -> int | None:
        """Steps after which an episode is truncated; None where there is no limit."""

    @abc.abstractmethod
    def reset(self, key: PRNGKeyArray) -> tuple[Any, Any]:
        """Start an episode: (state, observation)."""

    @abc.abstractmethod
    def step(self, key: PRNGKeyArray, state: Any, action: Any) -> Step:
        """Take one action. What follows the end of an episode is undefined: reset first."""


class Starts(NamedTuple):
    """All states in which an episode can start."""

    probability: Any
    """[N], their sum is 1."""
    state: Any
    """A pytree with N in front."""
    obs: Any
    """[N, ...]"""


class Outcomes(NamedTuple):
    """All that one action can lead to in one state."""

    probability: Array
    """[K], their sum is 1; 0 where the row is padding."""
    step: Step
    """A `Step` whose leaves have K in front."""


@runtime_checkable
class Enumerable(Protocol):
    """What a device environment may offer beside `reset` and `step`: its chances, counted.

    `check_env` compares them with what the environment samples, and `enumerate_mdp` builds the
    exact MDP from them. Both are called with 64-bit numbers on, and `outcomes` under `vmap`.
    """

    def starts(self) -> Starts:
        """Where `reset` can lead to."""

    def outcomes(self, state: Any, action: Array) -> Outcomes:
        """What `step` can lead to; K is the same for every state and action."""


class HostStep(NamedTuple):
    """What one step of N host environments produced, row by row. Both flags may be set."""

    obs: Any
    """[N, ...] the observations really reached: an array, or dicts and tuples of arrays."""
    reward: np.ndarray
    """float32[N]"""
    terminated: np.ndarray
    """bool[N]"""
    truncated: np.ndarray
    """bool[N]"""
    valid: np.ndarray
    """bool[N]; False where the row is no transition (the idle step of NEXT_STEP autoreset)."""


class HostEnvs(abc.ABC):
    """N environments of one kind that live on the host and are stepped together.

    After a row has ended, `reset` is called with that row's mask before the next `step`.
    """

    id: str
    """The id that makes it again, prefix included (`gym:CartPole-v1`)."""
    num_envs: int
    observation_space: spaces.Space[Any]
    """The space of one row's observation."""
    action_space: spaces.Space[Any]
    """The space of one row's action."""
    max_episode_steps: int | None
    replayable: bool
    """True where `reset` with the same seed, then the same actions, gives the same episode again.
    An interrupted run is then resumed exactly by replaying the unfinished episodes."""
    one_seed_each: bool = True
    """Whether `reset` gives each row its own of the seeds, so that rows can start alike; else the
    first seed is for all rows."""

    @abc.abstractmethod
    def reset(self, seeds: np.ndarray, mask: np.ndarray) -> Any:
        """Start new episodes in the rows of `mask`.

        Args:
            seeds: uint32[N], one a row; rows outside the mask are ignored.
            mask: bool[N].

        Returns:
            [N, ...] the current observations: fresh ones in the rows of `mask`, except that
            environments under NEXT_STEP autoreset show theirs only after one more (invalid) step.
        """

    @abc.abstractmethod
    def step(self, actions: Any) -> HostStep:
        """Take one action in each row: [N, ...] actions."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free processes and windows."""

    def __enter__(self) -> "HostEnvs":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
