"""A finite Markov decision process: one object, whatever it was read from.

Outcomes (probability, successor, reward, terminated) are kept apart, because the covariance of an
estimator depends on each of them; expected rewards and merged transitions are derived. Each state
has its own actions and each state-action pair its own number of outcomes, so the storage is three
levels of offsets:

    state s  -> pairs    pair_offsets[s] : pair_offsets[s + 1]
    pair p   -> outcomes outcome_offsets[p] : outcome_offsets[p + 1]

An absorbing state that pays nothing is a terminal state (V6), which is how many files write one:
every outcome that enters it counts as terminated. (A state whose outcomes carry the flag
themselves is left as it is: the step that ends there is taken.)
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float64, Int32, Shaped

from logtrick import validation
from logtrick.errors import ConfigError
from logtrick.mdp_arrays import MDPArrays, frozen

if TYPE_CHECKING:
    from gymnasium import Env

Storage = Literal["auto", "dense", "sparse"]

#: Up to this many states `storage="auto"` factorises dense matrices (32 MB of float64).
DENSE_STATES = 2000


@dataclass(frozen=True, eq=False, repr=False)
class FiniteMDP(MDPArrays):
    """States, actions, outcomes, a start distribution ρ and a discount factor γ.

    The arrays are read-only. Make one with a constructor (`from_arrays`, `from_outcomes`,
    `from_gymnasium`, `from_prism`, `from_umb`) or take one from `logtrick.problems`.

    Attributes:
        pair_offsets: pairs (s, a) of state s are `pair_offsets[s]:pair_offsets[s + 1]`.
        pair_actions: the action of each pair, increasing within a state.
        outcome_offsets: outcomes of pair p are `outcome_offsets[p]:outcome_offsets[p + 1]`.
        successors: the state that each outcome really reaches, also where it terminates.
        probabilities: of each outcome; they sum to one over a pair. A row that is off by more than
            rounding (by 10⁻⁹ at most, or it is refused) is divided by its sum, and so is `start`.
        rewards: r_t of each outcome.
        terminated: True where the outcome ends the episode: no value follows.
        gamma: γ, 0 ≤ γ ≤ 1.
        start: ρ, the start-state distribution; uniform over the states that are not terminal
            unless given.
        observations: what the policy sees in each state; the state's number unless given. States
            that share an observation are aliased.
        state_names: one for each state, "" for a state without one; or None.
        action_names: one for each action, or None.
        layout: state numbers as they lie on a grid, −1 where there is none; or None.
        storage: how systems are solved, "dense" or "sparse"; "auto" decides by size.
        terminal: derived, bool[S]: the absorbing states that pay nothing.

    Raises:
        MDPError: for anything that is not an MDP; the state, action and outcome are named.

    Example:
        >>> from logtrick import problems
        >>> problems.corridor()
        FiniteMDP(3 states, 2 actions, 6 pairs, 6 outcomes, gamma=1.0, 1 observation)
    """

    gamma: float
    start: Float64[np.ndarray, " S"] = None  # type: ignore[assignment]  # filled in
    observations: Shaped[np.ndarray, "S ..."] = None  # type: ignore[assignment]  # filled in
    state_names: Sequence[str] | None = None
    action_names: Sequence[str] | None = None
    layout: Int32[np.ndarray, "rows columns"] | None = None
    storage: Storage = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_labels()

    def _set_labels(self) -> None:
        """Check and freeze everything that `replace` may change."""
        set_ = object.__setattr__
        set_(self, "gamma", validation.checked_gamma(self.gamma))
        start = validation.uniform_start(self.terminal) if self.start is None else self.start
        set_(self, "start", frozen(validation.as_numbers("start", start, np.float64)))
        observations = np.arange(self.num_states, dtype=np.int32)
        if self.observations is not None:
            observations = np.asarray(self.observations)
        set_(self, "observations", frozen(observations))
        for names in ("state_names", "action_names"):
            given = getattr(self, names)
            set_(self, names, None if given is None else tuple(map(str, given)))
        if self.layout is not None:
            set_(self, "layout", frozen(validation.as_numbers("layout", self.layout, np.int32)))
        validation.check_labels(self)
        set_(self, "start", frozen(validation.normalised(self.start)))

    @cached_property
    def num_observations(self) -> int:
        """Distinct observations: one more than the largest where they are integers."""
        observations = self.observations
        if observations.ndim == 1 and np.issubdtype(observations.dtype, np.integer):
            return int(observations.max()) + 1
        return len(np.unique(observations.reshape(self.num_states, -1), axis=0))

    @cached_property
    def is_dense(self) -> bool:
        """True where systems are factorised as dense matrices."""
        if self.storage == "auto":
            return self.num_states <= DENSE_STATES
        return self.storage == "dense"

    def replace(self, **changes: Any) -> "FiniteMDP":
        """The same transitions with other γ, ρ, names, observations, layout, storage or rewards.

        Args:
            **changes: `gamma`, `start`, `observations`, `state_names`, `action_names`, `layout`,
                `storage`, or `rewards` (one for each outcome; `-mdp.rewards` turns costs round).

        Returns:
            A new MDP that shares the arrays that did not change.

        Example:
            >>> from logtrick import problems
            >>> problems.forest(gamma=0.9).replace(gamma=0.5).gamma
            0.5
        """
        labels = {"gamma", "start", "observations", "state_names", "action_names", "layout"}
        if unknown := changes.keys() - labels - {"storage", "rewards"}:
            raise ConfigError(f"replace cannot change {sorted(unknown)}; build a new MDP instead")
        new = copy.copy(self)
        if "rewards" in changes:
            rewards = validation.as_numbers("rewards", changes.pop("rewards"), np.float64)
            object.__setattr__(new, "rewards", frozen(rewards))
            validation.check_rewards(new)
            new.__dict__.pop("pair_rewards", None)
        for name, value in changes.items():
            object.__setattr__(new, name, value)
        for cached in ("is_dense", "num_observations"):
            new.__dict__.pop(cached, None)
        new._set_labels()
        return new

    def restarting(self) -> "FiniteMDP":
        """The continuing MDP in which every end leads back to a start state drawn from ρ (J3).

        Rewards are unchanged: the outcome that ended now lands in a fresh start state.
        """
        from logtrick.mdp_transforms import restarting

        return restarting(self)

    def reaching(self, states: Sequence[int] | np.ndarray) -> "FiniteMDP":
        """The MDP whose total reward is the chance of ever entering `states`.

        Entering one of them pays 1 and ends; nothing else pays. States from which none of them
        can be reached end at once, so that the supremum at γ = 1 is over proper policies.
        """
        from logtrick.mdp_transforms import reaching

        return reaching(self, np.asarray(states))

    @classmethod
    def from_arrays(
        cls,
        P: Any,
        R: Any,
        *,
        gamma: float,
        start: Any = None,
        terminal: Any = None,
        available: Any = None,
        **labels: Any,
    ) -> "FiniteMDP":
        """Read arrays: P [S, A, S'] or a scipy sparse matrix [S·A, S'], row s·A + a.

        Args:
            P: P(s' | s, a).
            R: rewards [S, A], [S, A, S'] or [S]; sparse [S·A, S'] beside a sparse P.
            gamma: γ.
            start: ρ [S], or one state's number; uniform over the non-terminal states by default.
            terminal: bool[S] or a list of states that end the episode; their rows are not read.
            available: bool[S, A], the actions that each state has; all by default.
            **labels: `observations`, `state_names`, `action_names`, `layout`, `storage`.

        Returns:
            The MDP; each nonzero of P is an outcome.

        Raises:
            MDPError: a row does not sum to one, a negative or NaN entry, an empty action set.
            ShapeError: the arrays do not fit one another.

        Example:
            >>> two = FiniteMDP.from_arrays([[[0.0, 1.0]], [[1.0, 0.0]]], [0.0, 1.0], gamma=0.9)
            >>> two.num_states, two.num_actions
            (2, 1)
        """
        from logtrick.readers.arrays import from_arrays

        return from_arrays(
            P, R, gamma=gamma, start=start, terminal=terminal, available=available, **labels
        )

    @classmethod
    def from_outcomes(
        cls, outcomes: Mapping[int, Any] | Sequence[Any], *, gamma: float, **labels: Any
    ) -> "FiniteMDP":
        """Read `outcomes[s][a] = [(probability, successor, reward, terminated), ...]`.

        Dictionaries or lists, as in Gymnasium's `P`; states may have different actions.

        Args:
            outcomes: the table.
            gamma: γ.
            **labels: `start` (as in `from_arrays`), `observations`, names, `layout`, `storage`.

        Returns:
            The MDP with its outcomes as they were listed.

        Raises:
            MDPError: naming the state, the action and the outcome.

        Example:
            >>> coin = [[[(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]]]
            >>> FiniteMDP.from_outcomes(coin, gamma=1.0).num_outcomes
            2
        """
        from logtrick.readers.outcomes import from_outcomes

        return from_outcomes(outcomes, gamma=gamma, **labels)

    @classmethod
    def from_gymnasium(
        cls, env: "str | Env[Any, Any]", *, gamma: float, start: Any = None, **kwargs: Any
    ) -> "FiniteMDP":
        """Read the transition table `env.unwrapped.P` of a Gymnasium environment.

        Time limits are wrappers and no part of the table: the MDP has none.

        Args:
            env: an id, or an environment.
            gamma: γ.
            start: ρ; the environment's `initial_state_distrib` by default.
            **kwargs: passed to `gymnasium.make`.

        Returns:
            The MDP, with the grid's layout where the environment tells it.

        Raises:
            MDPError: the environment has no table.
            UnknownEnvError: Gymnasium does not know the id.

        Example:
            >>> FiniteMDP.from_gymnasium("FrozenLake-v1", gamma=0.99).num_states
            16
        """
        from logtrick.readers.outcomes import from_gymnasium

        return from_gymnasium(env, gamma=gamma, start=start, **kwargs)

    @classmethod
    def from_prism(
        cls,
        tra: str | PathLike[str],
        lab: str | PathLike[str] | None = None,
        rew: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
        *,
        gamma: float = 1.0,
        terminal: str | None = None,
        **labels: Any,
    ) -> "FiniteMDP":
        """Read the explicit files of PRISM or Storm: `.tra`, `.lab`, state and transition rewards.

        Args:
            tra: transitions "state choice successor probability [action]"; probabilities may be
                fractions. Printed digits are few, so each row is divided by its sum.
            lab: labels; "init" gives the start states, equally likely. Without it, state 0.
            rew: one or more reward files; state rewards are paid on every step from the state.
            gamma: γ.
            terminal: a label whose states end the episode.
            **labels: `start`, `state_names`, `storage` …

        Returns:
            The MDP. Actions are the choices' labels where they tell a state's choices apart,
            otherwise the choices' numbers.

        Raises:
            MDPError: naming the file and the line.
        """
        from logtrick.readers.prism import from_prism

        return from_prism(tra, lab, rew, gamma=gamma, terminal=terminal, **labels)

    @classmethod
    def from_umb(
        cls,
        path: str | PathLike[str],
        *,
        gamma: float = 1.0,
        reward: str | None = None,
        terminal: str | None = None,
        **labels: Any,
    ) -> "FiniteMDP":
        """Read a UMB file (the neutral binary format of Storm, PRISM and others).

        Args:
            path: the file.
            gamma: γ.
            reward: the name of the reward annotation; not needed where there is only one.
            terminal: an atomic proposition whose states end the episode.
            **labels: `start`, `state_names`, `storage` …

        Returns:
            The MDP.

        Raises:
            MDPError: not a UMB file, not an MDP, or a header that does not fit its data.
            MissingExtraError: `umbi` is not installed: `pip install "logtrick[umb]"`.
        """
        from logtrick.readers.umb import from_umb

        return from_umb(path, gamma=gamma, reward=reward, terminal=terminal, **labels)

    def describe_state(self, state: int) -> str:
        """The state's number, and its name where it has one."""
        name = "" if self.state_names is None else self.state_names[state]
        return f"state {state} ({name})" if name else f"state {state}"

    def __repr__(self) -> str:
        aliased = ""
        if self.num_observations < self.num_states:
            aliased = f", {self.num_observations} observation"
            aliased += "s" if self.num_observations > 1 else ""
        return (
            f"FiniteMDP({self.num_states} states, {self.num_actions} actions, {self.num_pairs} "
            f"pairs, {self.num_outcomes} outcomes, gamma={self.gamma}{aliased})"
        )
