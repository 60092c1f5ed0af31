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

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float64, Int32, Shaped

from logtrick.errors import ConfigError, MDPError
from logtrick.mdp import checks, transforms
from logtrick.mdp.arrays import KINDS, MDPArrays, frozen, owned
from logtrick.mdp.row_sums import normalised, normalised_rows
from logtrick.mdp.state_sets import Labels, mask_of

if TYPE_CHECKING:
    from gymnasium import Env

Storage = Literal["auto", "dense", "sparse"]
MDP = TypeVar("MDP", bound="FiniteMDP")
"""A `FiniteMDP` or a subclass, which gets itself back."""

#: Fields that are inferred, from what was given for them and for others.
_INFERRED = ("successors", "rewards", "terminated", "terminal", "start", "observations")
#: The fields that transitions consist of: with another one of them, everything is checked again.
_TRANSITIONS = frozenset(
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
    _given: Mapping[str, tuple[Any, Any]] | None = None
    """Inferred field -> (what was given for it, what was inferred)."""
    _unread: Any = None
    """bool[S], the states whose transitions a reader left out because `terminal` named them."""

    def __post_init__(self) -> None:
        # dataclasses.replace passes the inferred arrays, too: those give way to what was given.
        for name, (given, inferred) in (self._given or {}).items():
            if getattr(self, name) is inferred:
                object.__setattr__(self, name, given)
            elif name == "successors":
                object.__setattr__(self, "_unread", None)
        for name, dtype in KINDS.items():
            object.__setattr__(self, name, owned(name, getattr(self, name), dtype))
        checks.check_structure(self)
        rows = normalised_rows(self.outcome_offsets, self.probabilities)
        object.__setattr__(self, "probabilities", frozen(rows))
        self._fill_in()

    def _fill_in(self, like: "FiniteMDP | None" = None) -> None:
        """Check and freeze what may be left out, and infer the rest from what was given."""
        set_ = object.__setattr__
        if not (isinstance(self.labels, Labels) and self.labels.num_states == self.num_states):
            set_(self, "labels", Labels(self.labels, self.num_states))
        ends = mask_of("terminal", self.terminal, self.num_states, self.labels)
        if self.terminal is not None and not isinstance(self.terminal, str):
            set_(self, "terminal", frozen(ends.copy()))  # a label is looked up again
        for name, dtype in (("start", np.float64), ("layout", np.int32)):
            if getattr(self, name) is not None:
                set_(self, name, owned(name, getattr(self, name), dtype))
        if self.observations is not None:
            seen = np.asarray(self.observations)
            set_(self, "observations", frozen(seen.copy() if seen.flags.writeable else seen))
        self._check_unread(ends)
        given = {name: getattr(self, name) for name in _INFERRED}
        if like is not None and like._ends_as(self, ends):
            for name in ("successors", "rewards", "terminated", "terminal"):
                set_(self, name, getattr(like, name))
        else:
            self._end_in(ends, like)
        if self.start is None:
            set_(self, "start", frozen(checks.uniform_start(self.terminal)))
        if self.observations is None:
            set_(self, "observations", frozen(np.arange(self.num_states, dtype=np.int32)))
        set_(self, "gamma", checks.checked_gamma(self.gamma))
        self._check_descriptions()
        set_(self, "start", frozen(normalised(self.start)))
        set_(self, "_given", {name: (given[name], getattr(self, name)) for name in _INFERRED})

    def _check_descriptions(self) -> None:
        """ρ, observations, names, layout and the choice of storage."""
        checks.check_distribution("start", self.start, self.num_states)
        checks.check_observations(self.observations, self.num_states)
        for name, size in (("state_names", self.num_states), ("action_names", self.num_actions)):
            names = getattr(self, name)
            names = None if names is None else tuple(map(str, names))
            checks.check_names(name, names, size)
            object.__setattr__(self, name, names)
        checks.check_layout(self.layout, self.num_states)
        checks.check_storage(self.storage)

    def _ends_as(self, other: "FiniteMDP", ends: Bool[np.ndarray, " S"]) -> bool:
        """True where another MDP, of the same transitions, was given the same ends."""
        rewards, terminated, terminal = (
            self._given_for(name) for name in ("rewards", "terminated", "terminal")
        )
        same = other.rewards is rewards and other.terminated is terminated
        ours = mask_of("terminal", terminal, self.num_states, self.labels)
        return same and np.array_equal(ours, ends)

    def _given_for(self, name: str) -> Any:
        """What was given for a field, before anything was inferred."""
        assert self._given is not None
        return self._given[name][0] if name in self._given else getattr(self, name)

    def _check_unread(self, ends: Bool[np.ndarray, " S"]) -> None:
        """States whose transitions a reader left out cannot cease to be terminal."""
        if self._unread is not None and (self._unread & ~ends).any():
            state = int(np.argmax(self._unread & ~ends))
            raise MDPError(
                f"state {state} was read as terminal, so its transitions were left out; read the "
                "MDP again with another terminal="
            )

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

    def replace(self: MDP, **changes: Any) -> MDP:
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
        fields = {f.name: f.default for f in dataclasses.fields(self) if f.name[0] != "_"}
        if unknown := sorted(changes.keys() - fields.keys()):
            raise ConfigError(f"an MDP has no field {unknown[0]!r}; it has {', '.join(fields)}")
        for name, value in changes.items():
            if value is None and fields[name] is not dataclasses.MISSING:
                changes[name] = fields[name]  # what was given is taken back
        given = {name: self._given_for(name) for name in fields} | changes
        if changes.keys() & _TRANSITIONS:
            return type(self)(**{name: value for name, value in given.items() if value is not None})
        new = copy.copy(self)  # its transitions were checked already
        new.__dict__.clear()
        new.__dict__.update(given, _unread=self._unread)
        for name, dtype in (("rewards", np.float64), ("terminated", np.bool_)):
            if name in changes:
                object.__setattr__(new, name, owned(name, changes[name], dtype))
        checks.check_outcome_fields(new)
        new._fill_in(like=self)
        new._keep_derived(self)
        return new

    def restarting(self: MDP) -> MDP:
        """The continuing MDP in which every end leads back to a start state drawn from ρ (J3).

        Rewards are unchanged: the outcome that ended now lands in a fresh start state.
        """
        return self.replace(start=self.start, **transforms.restarting(self, self.start))

    def reaching(self: MDP, states: Any) -> MDP:
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
        target = transforms.reached("reaching", states, self.num_states, self.labels)
        return self.replace(start=self.start, **transforms.reaching(self, target))

    @classmethod
    def from_arrays(
        cls: type[MDP],
        P: Any,
        R: Any,
        *,
        gamma: float,
        start: Any = None,
        terminal: Any = None,
        available: Any = None,
        actions_first: Any = None,
        **fields: Any,
    ) -> MDP:
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

        fields |= {"gamma": gamma, "start": start, "terminal": terminal}
        return cls(**from_arrays(P, R, available=available, actions_first=actions_first, **fields))

    @classmethod
    def from_outcomes(
        cls: type[MDP], outcomes: Mapping[int, Any] | Sequence[Any], *, gamma: float, **fields: Any
    ) -> MDP:
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

        return cls(**from_outcomes(outcomes, gamma=gamma, **fields))

    @classmethod
    def from_gymnasium(
        cls: type[MDP],
        env: "str | Env[Any, Any]",
        *,
        gamma: float,
        start: Any = None,
        **kwargs: Any,
    ) -> MDP:
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

        return cls(**from_gymnasium(env, gamma=gamma, start=start, **kwargs))

    @classmethod
    def from_prism(
        cls: type[MDP],
        tra: str | PathLike[str],
        lab: str | PathLike[str] | None = None,
        rew: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
        *,
        gamma: float = 1.0,
        terminal: Any = None,
        **fields: Any,
    ) -> MDP:
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

        return cls(**from_prism(tra, lab, rew, gamma=gamma, terminal=terminal, **fields))

    @classmethod
    def from_umb(
        cls: type[MDP],
        path: str | PathLike[str],
        *,
        gamma: float = 1.0,
        reward: str | None = None,
        terminal: Any = None,
        **fields: Any,
    ) -> MDP:
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

        return cls(**from_umb(path, gamma=gamma, reward=reward, terminal=terminal, **fields))

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
