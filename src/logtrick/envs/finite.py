"""Finite MDPs as environments on the device: `mdp:NAME`.

What is trained here can be judged exactly: the policy goes into `logtrick.exact` as it is.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Float, Float32, Float64, Int, PRNGKeyArray

from logtrick.envs.protocol import DeviceEnv, Outcomes, Starts, Step
from logtrick.envs.spec import EnvRow
from logtrick.errors import ConfigError, SpaceError
from logtrick.mdp.model import FiniteMDP
from logtrick.support.numbers import checked_whole

#: Entries of the tables that outcomes are drawn from: they are constants of the program.
MOST_ENTRIES = 10_000_000

#: An episode is cut where what follows weighs less than this, γ^T, but after LONGEST at the latest.
NEGLIGIBLE, LONGEST = 1e-3, 1000


def observation_space(mdp: FiniteMDP) -> spaces.Space[Any]:
    """The space of `mdp.observations`: Discrete where they are integers, else a Box.

    Example:
        >>> from logtrick import problems
        >>> observation_space(problems.frozen_lake())
        Discrete(16)
    """
    observations = _float32(mdp.observations)
    if observations.ndim == 1 and np.issubdtype(observations.dtype, np.integer):
        return spaces.Discrete(mdp.num_observations)
    low, high = observations.min(axis=0), observations.max(axis=0)
    return spaces.Box(low, high, observations.shape[1:], observations.dtype.type)


def action_space(mdp: FiniteMDP) -> spaces.Discrete[Any]:
    """The actions 0 … A − 1, every one of which every state must have.

    Raises:
        SpaceError: a state lacks an action: an environment has one action space for all states, so
            a policy would be asked to choose what is not there.
    """
    lacking = np.argwhere(~mdp.available)
    if lacking.size:
        state, action = lacking[0]
        raise SpaceError(
            f"{mdp.describe_state(int(state))} has no action {action}, but an environment offers "
            f"all {mdp.num_actions} actions everywhere: give that state the action too (one that "
            "stays there and costs something, say), or solve the MDP instead of sampling it"
        )
    return spaces.Discrete(mdp.num_actions)


def time_limit(gamma: float) -> int:
    """Steps after which an episode is cut where no limit is given: γ^T < 10⁻³, 1000 at the most.

    Example:
        >>> time_limit(0.9), time_limit(0.99), time_limit(1.0)
        (66, 688, 1000)
    """
    if gamma == 1:
        return LONGEST
    return min(LONGEST, math.ceil(math.log(NEGLIGIBLE) / math.log(gamma)) if gamma > 0 else 1)


class _Inferred(int):
    """A time limit that nobody gave: an environment of another MDP has its own."""


class FiniteState(NamedTuple):
    """The state of a `FiniteMDPEnv`: that of its MDP, and a clock for the time limit."""

    state: Int[Array, ""]
    steps: Int[Array, ""]
    """Steps since the reset."""


@dataclass(frozen=True)
class FiniteMDPEnv(DeviceEnv):
    """A finite MDP as a device environment; observations are `mdp.observations`.

    An outcome is drawn by looking a uniform number up in the pair's cumulative probabilities, which
    are padded to one length, so that a step is two gathers. An outcome of probability 0 never
    comes; one below 2^-24 may never come either, as the number has 23 bits. An MDP has no time
    limit and no clock: the limit is ours, it truncates, and the observation does not show it.

    Attributes:
        mdp: every state must have every action.
        name: what stands behind `mdp:` in the id, if it has a name.
        max_episode_steps: where episodes are cut; by default `time_limit(mdp.gamma)`.

    Raises:
        SpaceError: a state lacks an action.
        ConfigError: an episode of no steps; tables too large to pad.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from logtrick import problems
        >>> env = FiniteMDPEnv(problems.corridor())
        >>> state, obs = env.reset(jax.random.key(0))
        >>> step = env.step(jax.random.key(1), state, jnp.array(0))
        >>> int(step.state.state), float(step.reward), bool(step.terminated)
        (1, -1.0, False)
    """

    mdp: FiniteMDP
    name: str = ""
    max_episode_steps: int = None  # type: ignore[assignment]  # filled in

    def __post_init__(self) -> None:
        given = self.max_episode_steps
        if given is None or isinstance(given, _Inferred):  # the latter from dataclasses.replace
            limit: int = _Inferred(time_limit(self.mdp.gamma))
        else:
            limit = checked_whole("max_episode_steps", given, 1)
        object.__setattr__(self, "max_episode_steps", limit)
        _ = self.action_space
        entries = self.mdp.num_pairs * self._width
        if entries > MOST_ENTRIES:
            raise ConfigError(
                f"{self.mdp.num_pairs} pairs, one with {self._width} outcomes, make a table of "
                f"{entries:,} entries; {MOST_ENTRIES:,} can be sampled from"
            )

    @property
    def id(self) -> str:
        """`mdp:` and the name; `object:` where it has none, for only Python can make it."""
        return f"mdp:{self.name}" if self.name else "object:FiniteMDPEnv"

    @cached_property
    def observation_space(self) -> spaces.Space[Any]:
        """See `finite.observation_space`."""
        return observation_space(self.mdp)

    @cached_property
    def action_space(self) -> spaces.Discrete[Any]:
        """See `finite.action_space`."""
        return action_space(self.mdp)

    def reset(self, key: PRNGKeyArray) -> tuple[FiniteState, Array]:
        """Start in a state drawn from ρ."""
        state = _drawn(key, jnp.asarray(self._start))
        return FiniteState(state, jnp.zeros((), jnp.int32)), self._observation(state)

    def step(self, key: PRNGKeyArray, state: FiniteState, action: Array) -> Step:
        """Draw one of the outcomes of (state, action)."""
        pair = state.state * self.mdp.num_actions + jnp.asarray(action, jnp.int32)
        number = _drawn(key, jnp.asarray(self._cumulative)[pair])
        outcome = jnp.asarray(self._first)[pair] + number
        return self._arrive(state, outcome)

    def starts(self) -> Starts:
        """ρ, state by state."""
        states = np.flatnonzero(self.mdp.start)
        places = FiniteState(jnp.asarray(states, jnp.int32), jnp.zeros(len(states), jnp.int32))
        return Starts(self.mdp.start[states], places, self._observation(places.state))

    def outcomes(self, state: FiniteState, action: Array) -> Outcomes:
        """All outcomes of (state, action), padded with some of probability 0."""
        pair = state.state * self.mdp.num_actions + jnp.asarray(action, jnp.int32)
        places = np.arange(self._width, dtype=np.int32)
        offsets = jnp.asarray(self.mdp.outcome_offsets)
        inside = places < offsets[pair + 1] - offsets[pair]
        outcome = jnp.where(inside, offsets[pair] + places, offsets[pair]).astype(jnp.int32)
        probability = jnp.where(inside, jnp.asarray(self.mdp.probabilities)[outcome], 0.0)
        return Outcomes(probability, jax.vmap(self._arrive, (None, 0))(state, outcome))

    def _arrive(self, state: FiniteState, outcome: Array) -> Step:
        reached = FiniteState(jnp.asarray(self.mdp.successors)[outcome], state.steps + 1)
        return Step(
            state=reached,
            obs=self._observation(reached.state),
            reward=jnp.asarray(self.mdp.rewards)[outcome],
            terminated=jnp.asarray(self.mdp.terminated)[outcome],
            truncated=reached.steps >= int(self.max_episode_steps),
        )

    def _observation(self, state: Array) -> Array:
        return jnp.asarray(self._observations)[state]

    @cached_property
    def _width(self) -> int:
        """Outcomes of a pair, at most."""
        return int(np.diff(self.mdp.outcome_offsets).max())

    @cached_property
    def _first(self) -> np.ndarray:
        """The number of each pair's first outcome."""
        return self.mdp.outcome_offsets[:-1].astype(np.int32)

    @cached_property
    def _start(self) -> np.ndarray:
        return cumulative(self.mdp.start[None])[0]

    @cached_property
    def _cumulative(self) -> np.ndarray:
        """float32[P, K], padded."""
        counts = np.diff(self.mdp.outcome_offsets)
        padded = np.zeros((self.mdp.num_pairs, self._width))
        padded[np.arange(self._width) < counts[:, None]] = self.mdp.probabilities
        return cumulative(padded)

    @cached_property
    def _observations(self) -> np.ndarray:
        return _float32(self.mdp.observations)


def cumulative(probabilities: Float64[np.ndarray, "N K"]) -> Float32[np.ndarray, "N K"]:
    """Rows such that the number drawn is how many entries a uniform number in [0, 1) reaches.

    What rounding leaves below one is less than float32 can tell from it, so a row ends in 1 and
    neither padding nor an outcome of probability 0 is ever drawn.
    """
    return np.cumsum(probabilities, axis=1).astype(np.float32)


def _drawn(key: PRNGKeyArray, sums: Float[Array, " K"]) -> Int[Array, ""]:
    return jnp.sum(jax.random.uniform(key, (), jnp.float32) >= sums, dtype=jnp.int32)


def _float32(observations: np.ndarray) -> np.ndarray:
    floating = np.issubdtype(observations.dtype, np.floating)
    return observations.astype(np.float32 if floating else np.int32)


def resolve(name: str) -> FiniteMDPEnv:
    """Find the MDP `name`, as `logtrick.problems.make` does."""
    from logtrick.mdp import problems

    return FiniteMDPEnv(problems.make(name), name)


def rows() -> list[EnvRow]:
    """The problems by name; nothing is made."""
    from logtrick.mdp import problems

    return [EnvRow(f"mdp:{name}", "device", "", "", None, "") for name in problems.REGISTRY]
