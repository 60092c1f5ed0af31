"""A finite Markov decision process: one object, whatever it was read from.

Outcomes (probability, successor, reward, terminated) are kept apart, because the covariance of an
estimator depends on each of them; expected rewards and merged transitions are derived. Each state
has its own actions and each state-action pair its own number of outcomes, so the storage is three
levels of offsets:

    state s  -> pairs    pair_offsets[s] : pair_offsets[s + 1]
    pair p   -> outcomes outcome_offsets[p] : outcome_offsets[p + 1]

An absorbing state that pays nothing is a terminal state (V6), which is how many files write one:
every outcome that enters it counts as terminated. (A state whose outcomes carry the flag
themselves is left as it is: the step that ends there is taken.) What is inferred so, and ρ where
none is given, is inferred again from whatever `replace` changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int32, Shaped

from logtrick.errors import MDPError
from logtrick.mdp import checks as validation
from logtrick.mdp.arrays import MDPArrays, frozen, owned
from logtrick.mdp.state_sets import Labels, mask_of
from logtrick.mdp.stated import Told

if TYPE_CHECKING:
    from gymnasium import Env

Storage = Literal["auto", "dense", "sparse"]

#: What may be shown otherwise than it was told, or filled in where nothing was told.
_INFERRED = ("successors", "rewards", "terminated", "terminal", "start", "observations")
#: The fields that transitions consist of: with another one of them, everything is checked again.
TRANSITIONS = frozenset(
    {"pair_offsets", "pair_actions", "outcome_offsets", "successors", "probabilities"}
)

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
        terminal: bool[S]: the states that end the episode by their own nature. Those that are
            given (as bool[S], a list of states or a label), in which nothing happens whatever
            their outcomes say, and those that are absorbing and pay nothing.
        gamma: γ, 0 ≤ γ ≤ 1.
        start: ρ, the start-state distribution; uniform over the states that are not terminal
            unless given.
        observations: what the policy sees in each state; the state's number unless given. States
            that share an observation are aliased.
        state_names: one for each state, "" for a state without one; or None.
        action_names: one for each action, or None.
        layout: state numbers as they lie on a grid, −1 where there is none; or None.
        storage: how systems are solved, "dense" or "sparse"; "auto" decides by size.
        labels: names of sets of states, label -> bool[S]; {"goal": [3]} gives one.

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
    labels: Mapping[str, Any] = None  # type: ignore[assignment]  # filled in
    _told: Any = None

    def __post_init__(self) -> None:
        if self._told is not None:  # dataclasses.replace hands over what is shown
            unread = None if self._told.has_changed(self, "successors") else self._told.unread
            self._told.recall(self)
            object.__setattr__(self, "_told", Told({}, {}, unread))
        self._check_arrays()
        self._fill_in()

    def _fill_in(self, like: "FiniteMDP | None" = None) -> None:
        """Check and freeze what may be left out, and infer the rest from what was told."""
        set_ = object.__setattr__
        if not (isinstance(self.labels, Labels) and self.labels.num_states == self.num_states):
            set_(self, "labels", Labels(self.labels, self.num_states))
        stated = mask_of("terminal", self.terminal, self.num_states, self.labels)
        if self.terminal is not None and not isinstance(self.terminal, str):
            set_(self, "terminal", frozen(stated.copy()))  # a label is looked up again
        for name, dtype in (("start", np.float64), ("layout", np.int32)):
            if getattr(self, name) is not None:
                set_(self, name, owned(name, getattr(self, name), dtype))
        if self.observations is not None:
            seen = np.asarray(self.observations)
            set_(self, "observations", frozen(seen.copy() if seen.flags.writeable else seen))
        unread = self._unread(stated)
        told = {name: getattr(self, name) for name in _INFERRED}
        if like is not None and like._ends_as(self, stated):
            for name in ("successors", "rewards", "terminated", "terminal"):
                set_(self, name, getattr(like, name))
        else:
            self._end_in(stated, like)
        if self.start is None:
            set_(self, "start", frozen(validation.uniform_start(self.terminal)))
        if self.observations is None:
            set_(self, "observations", frozen(np.arange(self.num_states, dtype=np.int32)))
        set_(self, "gamma", validation.checked_gamma(self.gamma))
        for names in ("state_names", "action_names"):
            given = getattr(self, names)
            set_(self, names, None if given is None else tuple(map(str, given)))
        validation.check_labels(self)
        set_(self, "start", frozen(validation.normalised(self.start)))
        shown = {name: getattr(self, name) for name in _INFERRED}
        set_(self, "_told", Told(told, shown, unread))

    def _ends_as(self, other: "FiniteMDP", stated: Bool[np.ndarray, " S"]) -> bool:
        """True where another MDP, of the same transitions, was told the same about ends."""
        told = self._told.told
        same = all(getattr(other, name) is told[name] for name in ("rewards", "terminated"))
        ours = mask_of("terminal", told["terminal"], self.num_states, self.labels)
        return same and np.array_equal(ours, stated)

    def _unread(self, stated: Bool[np.ndarray, " S"]) -> Any:
        """States whose transitions a reader left out; they cannot cease to be terminal."""
        unread = getattr(self._told, "unread", None)
        if unread is not None and (unread & ~stated).any():
            state = int(np.argmax(unread & ~stated))
            raise MDPError(
                f"state {state} was read as terminal, so its transitions were left out; read the "
                "MDP again with another terminal="
            )
        return unread

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
        """An MDP with other fields; equal to one that is built afresh with them.

        What was inferred is inferred again: which states are terminal, the flags that follow, ρ
        and the observations where none were given.

        Args:
            **changes: any fields. `rewards` has one for each outcome (`-mdp.rewards` turns costs
                round); None for `start`, `observations`, `terminal` … takes back what was given.

        Returns:
            A new MDP that shares the arrays that did not change.

        Raises:
            ConfigError: no field has such a name.
            LogtrickError: as from the constructor. A field that was given for other numbers of
                states or actions is named: give it again, too.

        Example:
            >>> from logtrick import planning, problems
            >>> problems.forest(gamma=0.9).replace(gamma=0.5).gamma
            0.5
            >>> loop = FiniteMDP.from_arrays([[[1.0]]], [0.0], gamma=0.9)
            >>> loop.terminal, planning.solve(loop.replace(rewards=[1.0])).values
            (array([ True]), array([10.]))
        """
        from logtrick.mdp.transforms import replaced

        return replaced(self, changes)

    def restarting(self) -> "FiniteMDP":
        """The continuing MDP in which every end leads back to a start state drawn from ρ (J3).

        Rewards are unchanged: the outcome that ended now lands in a fresh start state.
        """
        from logtrick.mdp.transforms import restarting

        return restarting(self)

    def reaching(self, states: Any) -> "FiniteMDP":
        """The MDP whose total reward is the chance of ever entering `states`.

        Entering one of them pays 1 and ends; nothing else pays. States from which none of them
        can be reached end at once, so that the supremum at γ = 1 is over proper policies.

        Args:
            states: a label, a list of states, or bool[S].

        Raises:
            MDPError: no such label or state, or an empty list.

        Example:
            >>> walk = FiniteMDP.from_outcomes(
            ...     [[[(0.25, 1, 0.0, False), (0.75, 2, 0.0, False)]], [[(1.0, 1, 5.0, False)]],
            ...      [[(1.0, 2, 0.0, False)]]],
            ...     gamma=1.0, start=0, labels={"goal": [1]},
            ... )
            >>> from logtrick import exact
            >>> exact.objective(walk.reaching("goal"), [0, 0, 0])
            0.25
        """
        from logtrick.mdp.transforms import reaching

        return reaching(self, states)

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
        actions_first: Any = None,
        **fields: Any,
    ) -> "FiniteMDP":
        """Read arrays: P [S, A, S'], or sparse [S·A, S'] with the row s·A + a.

        Args:
            P: P(s' | s, a). A list of A sparse matrices [S, S'] is taken, too, as the MDP Toolbox
                has it.
            R: rewards [S, A], [S, A, S'] or [S]; sparse [S·A, S'], or a list as for P.
            gamma: γ.
            start: ρ [S], or one state's number; uniform over the non-terminal states by default.
            terminal: bool[S], a list of states or a label: they end the episode, and their rows
                are not read.
            available: bool[S, A], the actions that each state has; all by default.
            actions_first: True where P is [A, S, S'] (sparse: row a·S + s), and R then [A, S, S']
                if it has three axes. Left out, P is [S, A, S'], and where S = A, so that both
                are possible and differ, a `UserWarning` says so.
            **fields: `labels` ({"goal": [3]}), `observations`, `state_names`, `action_names`,
                `layout`, `storage`.

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
        from logtrick.mdp.readers.matrices import from_arrays

        return from_arrays(
            P,
            R,
            gamma=gamma,
            start=start,
            terminal=terminal,
            available=available,
            actions_first=actions_first,
            **fields,
        )

    @classmethod
    def from_outcomes(
        cls, outcomes: Mapping[int, Any] | Sequence[Any], *, gamma: float, **fields: Any
    ) -> "FiniteMDP":
        """Read `outcomes[s][a] = [(probability, successor, reward, terminated), ...]`.

        Dictionaries or lists, as in Gymnasium's `P`; states may have different actions.

        Args:
            outcomes: the table.
            gamma: γ.
            **fields: `start` and `terminal` (as in `from_arrays`), `labels`, `observations`, names,
                `layout`, `storage`.

        Returns:
            The MDP with its outcomes as they were listed.

        Raises:
            MDPError: naming the state, the action and the outcome.

        Example:
            >>> coin = [[[(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]]]
            >>> FiniteMDP.from_outcomes(coin, gamma=1.0).num_outcomes
            2
        """
        from logtrick.mdp.readers.outcomes import from_outcomes

        return from_outcomes(outcomes, gamma=gamma, **fields)

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
        from logtrick.mdp.readers.outcomes import from_gymnasium

        return from_gymnasium(env, gamma=gamma, start=start, **kwargs)

    @classmethod
    def from_prism(
        cls,
        tra: str | PathLike[str],
        lab: str | PathLike[str] | None = None,
        rew: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
        *,
        gamma: float = 1.0,
        terminal: Any = None,
        **fields: Any,
    ) -> "FiniteMDP":
        """Read the explicit files of PRISM or Storm: `.tra`, `.lab`, state and transition rewards.

        Args:
            tra: transitions "state choice successor probability [action]"; probabilities may be
                fractions. Printed digits are few, so each row is divided by its sum.
            lab: labels; "init" gives the start states, equally likely. Without it, state 0.
            rew: one or more reward files; state rewards are paid on every step from the state.
                (`logtrick.problems.make("w.tra")` takes the files that lie beside `w.tra`.)
            gamma: γ.
            terminal: a label whose states end the episode, or the states themselves.
            **fields: `start`, `state_names`, `storage` …

        Returns:
            The MDP, with the file's labels as `labels`. Actions are the choices' labels where they
            tell a state's choices apart, otherwise the choices' numbers.

        Raises:
            MDPError: naming the file and the line.
        """
        from logtrick.mdp.readers.prism import from_prism

        return from_prism(tra, lab, rew, gamma=gamma, terminal=terminal, **fields)

    @classmethod
    def from_umb(
        cls,
        path: str | PathLike[str],
        *,
        gamma: float = 1.0,
        reward: str | None = None,
        terminal: Any = None,
        **fields: Any,
    ) -> "FiniteMDP":
        """Read a UMB file (the neutral binary format of Storm, PRISM and others).

        Args:
            path: the file.
            gamma: γ.
            reward: the name of the reward annotation; not needed where there is only one.
            terminal: an atomic proposition whose states end the episode, or the states.
            **fields: `start`, `state_names`, `storage` …

        Returns:
            The MDP, with the atomic propositions about states as `labels`.

        Raises:
            MDPError: not a UMB file, not an MDP, or a header that does not fit its data.
            MissingExtraError: `umbi` is not installed: `pip install "logtrick[umb]"`.
        """
        from logtrick.mdp.readers.umb import from_umb

        return from_umb(path, gamma=gamma, reward=reward, terminal=terminal, **fields)

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
