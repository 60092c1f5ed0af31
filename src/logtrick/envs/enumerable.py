"""From a small device environment to the exact MDP that it is.

States are found breadth first. Two things are read off the environment's program, not guessed from
samples: whether its steps depend on the key, and which parts of its state matter. A part that only
the time limit reads (a step counter, say) does not, and is left out, since an MDP has no clock.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jax.interpreters import partial_eval

from logtrick.envs.catalog import make
from logtrick.envs.protocol import DeviceEnv, Enumerable, Outcomes, Starts
from logtrick.errors import ConfigError, EnvError, SpaceError
from logtrick.mdp.model import FiniteMDP

#: States whose successors are computed at once; the last, partly empty batch is padded.
BATCH = 256


def enumerate_mdp(
    env: Any,
    *,
    gamma: float,
    starts: Sequence[tuple[float, tuple[Any, Any]]] | None = None,
    max_states: int = 100_000,
) -> FiniteMDP:
    """The finite MDP that a device environment is, by breadth-first search over its states.

    The environment must have Discrete actions, and either no chance in it (its program does not
    use the key) or offer its `starts` and `outcomes` (see `envs.Enumerable`). Truncation is no part
    of an MDP: what only the time limit reads is left out, and `truncated` is not looked at.

    Args:
        env: an id, or a device environment.
        gamma: γ.
        starts: ρ, as (probability, what `reset` returned) for each start, where `reset` is random
            and `step` is not: `[(0.5, env.reset(key)), ...]`.
        max_states: where the search gives up.

    Returns:
        The MDP. Its states are numbered as they were found, `observations` are the environment's,
        rewards have its precision (float32 as a rule). A state in which an episode ends, and in
        which nobody ever acts, is a terminal state.

    Raises:
        EnvError: chance that cannot be counted, or more than `max_states` states.
        SpaceError: actions that are not Discrete.
        ConfigError: a host environment, whose states cannot be copied.

    Example:
        >>> from logtrick import problems
        >>> from logtrick.envs import FiniteMDPEnv
        >>> lake = FiniteMDPEnv(problems.frozen_lake())
        >>> enumerate_mdp(lake, gamma=0.99)
        FiniteMDP(16 states, 4 actions, 64 pairs, 152 outcomes, gamma=0.99)
    """
    built = make(env)
    if not isinstance(built, DeviceEnv):
        raise ConfigError(
            f"{built.id} runs on the host, where states cannot be copied; if it has a transition "
            "table, FiniteMDP.from_gymnasium reads it"
        )
    if not isinstance(built.action_space, spaces.Discrete):
        raise SpaceError(f"{built.id} has actions in {built.action_space}; Discrete is needed")
    with jax.enable_x64(isinstance(built, Enumerable)):
        return _StateSearch(built, _program(built, starts), max_states).run(gamma)


class _Program(NamedTuple):
    """An environment's chances, whether it counts them itself or has none."""

    starts: Starts
    outcomes: Callable[[Any, Any], Outcomes]
    matters: list[bool]
    """Which leaves of the state decide about observations, rewards, ends, and one another."""


def _program(env: DeviceEnv, given: Sequence[tuple[float, tuple[Any, Any]]] | None) -> _Program:
    key = jax.random.key(0)
    if isinstance(env, Enumerable):
        starts, outcomes = env.starts(), env.outcomes
    else:
        _refuse_chance(env, given is not None)
        given = [(1.0, env.reset(key))] if given is None else given
        state, obs = jax.tree.map(lambda *x: jnp.stack(x), *(start for _, start in given))
        starts = Starts(np.array([probability for probability, _ in given]), state, obs)

        def outcomes(state: Any, action: Any) -> Outcomes:
            step = jax.tree.map(lambda x: jnp.asarray(x)[None], env.step(key, state, action))
            return Outcomes(jnp.ones(1), step)

    return _Program(starts, outcomes, _what_matters(outcomes, starts))


def _refuse_chance(env: DeviceEnv, has_starts: bool) -> None:
    key = jax.random.key(0)
    state = env.reset(key)[0]
    if _used(lambda key: env.step(key, state, jnp.zeros((), jnp.int32))[:4], key)[0]:
        raise EnvError(
            f"{env.id}: the program of step uses its key, so its chances cannot be counted from "
            "outside. Give the environment `starts` and `outcomes` (see envs.Enumerable)"
        )
    if not has_starts and _used(env.reset, key)[0]:
        raise EnvError(
            f"{env.id}: the program of reset uses its key. Say where episodes start: "
            "starts=[(probability, env.reset(key)), ...]"
        )


def _what_matters(outcomes: Callable[[Any, Any], Outcomes], starts: Starts) -> list[bool]:
    """The smallest set of leaves that decides all but `truncated`, and its own next values."""
    leaves, structure = jax.tree.flatten(jax.tree.map(lambda x: x[0], starts.state))
    matters = [False] * len(leaves)
    while True:

        def decided(action: Any, *leaves: Any, matters: list[bool] = matters) -> Any:
            probability, step = outcomes(jax.tree.unflatten(structure, leaves), action)
            following = jax.tree.leaves(step.state)
            kept = [leaf for leaf, keep in zip(following, matters, strict=True) if keep]
            return probability, step.obs, step.reward, step.terminated, kept

        used = _used(decided, jnp.zeros((), jnp.int32), *leaves)[1:]
        if used == matters:
            return matters
        matters = [a or b for a, b in zip(used, matters, strict=True)]


def _used(function: Callable[..., Any], *arguments: Any) -> list[bool]:
    """Which flat arguments a function's program uses for its results.

    Branches and loops count as using all that goes into them: an argument that is reported unused
    surely is.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    _, used = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    return list(used)


class _StateSearch:
    """Breadth-first search: states get numbers as they are found, and rows as they are expanded."""

    def __init__(self, env: DeviceEnv, program: _Program, max_states: int) -> None:
        self.env, self.program, self.max_states = env, program, max_states
        assert isinstance(env.action_space, spaces.Discrete)  # the caller has refused all else
        self.num_actions = int(env.action_space.n)
        self.numbers: dict[bytes, int] = {}
        self.observations: list[np.ndarray] = []
        self.waiting: deque[tuple[int, list[np.ndarray]]] = deque()
        self.acted_in: set[int] = set()
        self.rows: list[np.ndarray] = []
        """(state, action, successor, probability, reward, terminated) of each outcome."""

    def run(self, gamma: float) -> FiniteMDP:
        """Search to the end."""
        starts = self.program.starts
        first = self._arrive(starts.state, starts.obs, np.zeros(len(starts.probability), bool))
        actions = jnp.arange(self.num_actions, dtype=jnp.int32)
        over_actions = jax.vmap(self.program.outcomes, (None, 0))
        expand = jax.jit(jax.vmap(over_actions, (0, None)))
        structure: Any = jax.tree.structure(starts.state)
        while self.waiting:
            batch = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
            padded = [batch[k % len(batch)][1] for k in range(BATCH)]
            states = jax.tree.unflatten(structure, [np.stack(x) for x in zip(*padded, strict=True)])
            self._record([number for number, _ in batch], expand(states, actions))
        rho = np.zeros(len(self.numbers))
        np.add.at(rho, first, np.asarray(starts.probability, np.float64))
        return self._assemble(gamma, rho)

    def _record(self, sources: list[int], found: Outcomes) -> None:
        """Number what a batch of states leads to, and write the rows."""
        shape = np.shape(found.probability)
        source, action, place = np.meshgrid(*map(np.arange, shape), indexing="ij")
        possible = (np.asarray(found.probability) > 0) & (source < len(sources))
        at = source[possible], action[possible], place[possible]
        probability, step = jax.tree.map(lambda x: np.asarray(x)[at], found)
        reached = self._arrive(step.state, step.obs, step.terminated)
        states = np.asarray(sources)[at[0]]
        row = states, at[1], reached, probability, step.reward, step.terminated
        self.rows.append(np.stack([np.asarray(column, np.float64) for column in row]))

    def _arrive(self, states: Any, observations: Any, ended: np.ndarray) -> np.ndarray:
        """The number of each state; those in which somebody will act for the first time wait."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(states)]
        seen = [np.asarray(observations)]
        kept = [leaf for leaf, keep in zip(leaves, self.program.matters, strict=True) if keep]
        keys = _as_bytes([*kept, *seen])
        numbers = np.empty(len(keys), np.int64)
        for k, key in enumerate(keys):
            number = numbers[k] = self.numbers.setdefault(key, len(self.numbers))
            if number == len(self.observations):
                self.observations.append(seen[0][k])
            if not ended[k] and number not in self.acted_in:
                self.acted_in.add(number)
                self.waiting.append((number, [leaf[k] for leaf in leaves]))
        if len(self.numbers) > self.max_states:
            raise EnvError(
                f"{self.env.id}: more than {self.max_states:,} states, and {len(self.waiting):,} "
                "of those found are still to be left. With numbers that vary continuously, or a "
                "clock that its rewards read, there is no end of them; otherwise raise max_states"
            )
        return numbers

    def _assemble(self, gamma: float, rho: np.ndarray) -> FiniteMDP:
        """Rows in the order of states and actions; where nobody acts, a state stays and pays 0."""
        idle = np.array(sorted(set(range(len(rho))) - self.acted_in))
        states = np.repeat(idle, self.num_actions)
        actions = np.tile(np.arange(self.num_actions), len(idle))
        stay = np.stack([states, actions, states, states * 0 + 1, states * 0, states * 0])
        rows = np.concatenate([*self.rows, stay], axis=1)
        pairs = (rows[0] * self.num_actions + rows[1]).astype(np.int64)
        rows, pairs = rows[:, order := np.argsort(pairs, kind="stable")], pairs[order]
        num_pairs = len(rho) * self.num_actions
        return FiniteMDP(
            pair_offsets=np.arange(0, num_pairs + 1, self.num_actions),
            pair_actions=np.tile(np.arange(self.num_actions, dtype=np.int32), len(rho)),
            outcome_offsets=np.searchsorted(pairs, np.arange(num_pairs + 1)),
            successors=rows[2].astype(np.int32),
            probabilities=rows[3],
            rewards=rows[4],
            terminated=rows[5] > 0,
            terminal=np.isin(np.arange(len(rho)), idle),
            gamma=gamma,
            start=rho,
            observations=np.stack(self.observations),
        )


def _as_bytes(arrays: Sequence[np.ndarray]) -> list[bytes]:
    """One key for each row of several arrays; −0 and 0 are the same."""
    rows = len(arrays[0])
    flat = [np.ascontiguousarray(a + np.zeros((), a.dtype)).reshape(rows, -1) for a in arrays]
    return [row.tobytes() for row in np.concatenate([a.view(np.uint8) for a in flat], axis=1)]
