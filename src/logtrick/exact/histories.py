"""Policies with memory on a finite MDP: the MDP whose states are histories.

What a policy with memory does depends on o_0 … o_t, not on s_t alone. In the tree of histories
every state is such a sequence, together with the state that it led to, and there the policy is a
function of the state again: J, ∇J and the mean of every estimator are those of any finite MDP.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float64, Int, Int32

from logtrick.errors import MDPError, ShapeError
from logtrick.mdp.model import FiniteMDP
from logtrick.policies.memory import call, initial_carry

History = tuple[int, ...]
"""s_0 … s_t."""
MOST_HISTORIES = 100_000
"""More take longer than anybody waits for."""
NOTHING = -1
"""Fills an observed sequence up to the length of the longest."""


class OnHistories(eqx.Module):
    """A policy as a function of a whole history, whether it has a memory or not.

    Args:
        policy: `policy(obs)`, or `policy(obs, carry)` with `initial_carry()`.
        mdp: whose states the histories are made of; their observations are looked up there.
    """

    policy: Any
    mdp: FiniteMDP = eqx.field(static=True)

    def __call__(self, history: Int[Array, " L"]) -> Any:
        """π(·|o_0 … o_t) for states that stand for o_0 … o_t, filled up with −1."""
        observations = jnp.asarray(self.mdp.observations)
        fresh = initial_carry(self.policy)

        def step(carry: Any, state: Array) -> tuple[Any, Any]:
            distribution, carry = call(self.policy, observations[state], carry)
            return carry, distribution

        _, distributions = jax.lax.scan(step, fresh, history)
        last = jnp.sum(history >= 0) - 1
        return jax.tree.map(lambda x: x[last], distributions)


@dataclass(frozen=True, eq=False)
class Histories:
    """The tree of histories of a finite MDP whose episodes are bounded in length.

    Args:
        base: the MDP.

    Raises:
        MDPError: episodes can be of any length, or there are more than 100 000 histories.

    Example:
        >>> from logtrick import exact, problems
        >>> from logtrick.policies.recurrent import RecurrentPolicy
        >>> from gymnasium.spaces import Discrete
        >>> base = problems.sequences(2)
        >>> tree = Histories(base)
        >>> tree.mdp
        FiniteMDP(6 states, 3 actions, 18 pairs, 18 outcomes, gamma=1.0)
        >>> policy = RecurrentPolicy(base, Discrete(3), width=4, hidden=(4,))
        >>> gradient = exact.policy_gradient(tree.mdp, tree.policy(policy)).policy  # shaped like it
    """

    base: FiniteMDP

    @cached_property
    def mdp(self) -> FiniteMDP:
        """Its states are histories, its observations int[L] what was seen, as states of `base`."""
        return self._tree[0]

    @property
    def states(self) -> Int32[np.ndarray, " N"]:
        """The state of `base` that each history led to."""
        return self._tree[1]

    def policy(self, policy: Any) -> Any:
        """A policy on `base`, with memory or without, as one on `mdp`."""
        if not callable(policy):
            return np.asarray(policy)[self.states]
        return OnHistories(policy, self.base)

    def values(self, values: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, " N"]:
        """State values on `base` as those of `mdp`."""
        if np.shape(values) != (self.base.num_states,):
            raise ShapeError(f"values has shape {np.shape(values)}; it is [{self.base.num_states}]")
        return values[self.states]

    @cached_property
    def _tree(self) -> tuple[FiniteMDP, Int32[np.ndarray, " N"]]:
        """The MDP and the last state of each history, shorter histories first."""
        base = self.base
        histories: list[History] = [(int(s),) for s in np.flatnonzero(base.start)]
        over = [bool(base.terminal[history[0]]) for history in histories]
        outcomes: list[dict[int, Any]] = []
        for node, history in enumerate(histories):  # which grows meanwhile
            if over[node]:
                (actions,) = np.nonzero(base.available[history[-1]])
                outcomes.append({int(a): [(1.0, node, 0.0, False)] for a in actions})
                continue
            self._check_bounds(history, len(histories))
            following: dict[tuple[int, bool], int] = {}
            table: dict[int, Any] = {}
            for action, chance, successor, reward, terminated in self._outcomes(history[-1]):
                if (successor, terminated) not in following:
                    following[successor, terminated] = len(histories)
                    histories.append((*history, successor))
                    over.append(terminated)
                child = following[successor, terminated]
                table.setdefault(action, []).append((chance, child, reward, terminated))
            outcomes.append(table)
        first = np.zeros(len(histories))
        first[: np.count_nonzero(base.start)] = base.start[base.start > 0]
        states = np.array([history[-1] for history in histories], np.int32)
        tree = FiniteMDP.from_outcomes(
            outcomes,
            gamma=base.gamma,
            start=first,
            observations=_padded(histories),
            terminal=np.array(over),
            labels={name: mask[states] for name, mask in base.labels.items()},
        )
        return tree, states

    def _outcomes(self, state: int) -> Iterator[tuple[int, float, int, float, bool]]:
        """(action, probability, successor, reward, terminated) of all that can happen."""
        base = self.base
        for pair in range(base.pair_offsets[state], base.pair_offsets[state + 1]):
            for k in range(base.outcome_offsets[pair], base.outcome_offsets[pair + 1]):
                if base.probabilities[k] > 0:
                    yield (
                        int(base.pair_actions[pair]),
                        float(base.probabilities[k]),
                        int(base.successors[k]),
                        float(base.rewards[k]),
                        bool(base.terminated[k]),
                    )

    def _check_bounds(self, history: History, histories: int) -> None:
        base = self.base
        if len(history) > base.num_states:  # one state came twice
            again = next(s for s in history if history.count(s) > 1)
            raise MDPError(
                f"{base.describe_state(again)} can be visited again and again, so histories have "
                "no bound on their length, and a policy with memory has no exact gradient here: "
                "put the time, and its limit, into the states"
            )
        if histories > MOST_HISTORIES:
            raise MDPError(
                f"there are more than {MOST_HISTORIES:,} histories; a policy with memory needs "
                "all of them: take a smaller MDP"
            )


def _padded(histories: list[History]) -> Int32[np.ndarray, "N L"]:
    longest = max(map(len, histories))
    rows = np.full((len(histories), longest), NOTHING, np.int32)
    for row, history in zip(rows, histories, strict=True):
        row[: len(history)] = history
    return rows
