"""From device environments to the MDPs that they are."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from test_finite import full

from logtrick import envs, exact, planning
from logtrick.envs import (
    DeviceEnv,
    FiniteMDPEnv,
    Outcomes,
    Starts,
    Step,
    TwoState,
    enumerate_mdp,
)
from logtrick.envs.twostate import TwoStateState
from logtrick.errors import ConfigError, EnvError, SpaceError
from logtrick.mdp import problems


class Walker(NamedTuple):
    cell: Any
    steps: Any
    energy: Any


@dataclass(frozen=True)
class Maze(DeviceEnv):
    """Walk on a torus from the middle to a corner; a clock, and energy that nobody reads."""

    id: ClassVar[str] = "Maze"
    size: int = 5
    max_episode_steps: int = 12
    observation_space = spaces.Box(0, 4, (2,), np.int32)
    action_space = spaces.Discrete(4)

    def reset(self, key):
        cell = jnp.full(2, self.size // 2, jnp.int32)
        return Walker(cell, jnp.zeros((), jnp.int32), jnp.ones(())), cell

    def step(self, key, state, action):
        move = jnp.array([[0, 1], [1, 0], [0, -1], [-1, 0]], jnp.int32)[action]
        cell = (state.cell + move) % self.size
        arrived = (cell == 0).all()
        reached = Walker(cell, state.steps + 1, state.energy * 0.9)
        reward = jnp.where(arrived, 1.0, -0.25).astype(jnp.float32)
        return Step(reached, cell, reward, arrived, reached.steps >= self.max_episode_steps)


def test_a_deterministic_grid():
    mdp = enumerate_mdp(Maze(), gamma=1.0)
    # 25 cells: clock and energy are left out. The corner is reached, and never acted in.
    assert mdp.num_states == 25
    assert mdp.num_outcomes == 100
    assert mdp.terminal.sum() == 1
    assert mdp.observations[mdp.terminal].tolist() == [[0, 0]]
    assert mdp.start[0] == 1
    assert mdp.observations[0].tolist() == [2, 2]
    values = planning.solve(mdp).values
    corner = np.minimum(mdp.observations, 5 - mdp.observations).sum(axis=1)
    live = ~mdp.terminal
    assert values[live] == pytest.approx((1 - 0.25 * (corner - 1))[live])


def test_a_clock_that_rewards_read_is_no_clock():
    @dataclass(frozen=True)
    class Fading(Maze):
        id: ClassVar[str] = "Fading"

        def step(self, key, state, action):
            step = super().step(key, state, action)
            return step._replace(reward=step.reward * state.energy)

    with pytest.raises(EnvError, match=r"Fading: more than 300 states, and \d+ of those found"):
        enumerate_mdp(Fading(), gamma=1.0, max_states=300)


def test_starts_that_share_a_state_add_up():
    maze = Maze()
    middle = maze.reset(None)
    beside = maze.step(None, middle[0], jnp.int32(0))
    starts = [(0.5, middle), (0.125, (beside.state, beside.obs)), (0.375, middle)]
    mdp = enumerate_mdp(maze, gamma=1.0, starts=starts)
    assert mdp.start[:2].tolist() == [0.875, 0.125]
    assert mdp.observations[:2].tolist() == [[2, 2], [2, 3]]


def test_minus_zero_is_zero():
    """A walk between 0 and 1 that comes back to −0: two states, not three."""

    @dataclass(frozen=True)
    class Swing(Maze):
        id: ClassVar[str] = "Swing"
        observation_space = spaces.Box(-1, 1, (), np.float32)

        def reset(self, key):
            return jnp.zeros(()), jnp.zeros(())

        def step(self, key, state, action):
            place = -1.0 * (1.0 - state) * state + jnp.where(state == 0, 1.0, 0.0)
            return Step(place, place, -jnp.ones(()), action == 3, jnp.zeros((), bool))

    assert enumerate_mdp(Swing(), gamma=0.9).num_states == 2


@pytest.mark.parametrize("name", ["frozen_lake", "sequences", "taxi"])
def test_there_and_back_again(name):
    mdp = problems.make(name)
    again = enumerate_mdp(FiniteMDPEnv(mdp), gamma=mdp.gamma)
    # Discrete observations are the states' numbers, which tells who is who.
    who = again.observations
    one, other = planning.solve(mdp).values, planning.solve(again).values
    live = ~again.terminal  # beyond an end, a table says what never happens
    assert np.abs(other - one[who])[live].max() < 1e-9
    assert np.array_equal(again.start, mdp.start[who])
    table = np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)
    visits = exact.visitation(mdp, table)
    assert exact.visitation(again, table[who]) == pytest.approx(visits[who], rel=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_random_mdps_come_back_with_all_their_outcomes(seed):
    mdp = full(seed)
    again = enumerate_mdp(FiniteMDPEnv(mdp), gamma=0.9)
    reached = exact.objective(again, np.full((again.num_states, 3), 1 / 3))
    assert reached == pytest.approx(exact.objective(mdp, np.full((mdp.num_states, 3), 1 / 3)))
    assert again.num_states <= mdp.num_states
    assert (again.probabilities > 0).all()


@dataclass(frozen=True)
class Counted(TwoState):
    """`TwoState`, which counts its own chances."""

    def starts(self):
        states, obs = zip(*map(self._start, (0, 1)), strict=True)
        return Starts(
            np.array([0.5, 0.5]), jax.tree.map(lambda *x: jnp.stack(x), *states), jnp.stack(obs)
        )

    def _start(self, place):
        return TwoStateState(jnp.int32(place), jnp.int32(0)), jnp.eye(2, dtype=jnp.float32)[place]

    def outcomes(self, state, action):
        ended = jnp.array([False, True])
        follows = jnp.where(ended, 0.0, self.gamma * self.value[action])
        step = Step(
            state=TwoStateState(jnp.full(2, action), jnp.full(2, state.steps + 1)),
            obs=jnp.tile(jnp.eye(2, dtype=jnp.float32)[action], (2, 1)),
            reward=self.value[state.place] - follows,
            terminated=ended,
            truncated=jnp.full(2, state.steps + 1 >= self.max_episode_steps),
        )
        return Outcomes(jnp.array([1 - self.end_probability, self.end_probability]), step)


def test_the_two_state_environment_has_the_values_it_claims():
    mdp = enumerate_mdp(Counted(end_probability=0.25), gamma=TwoState.gamma)
    assert mdp.num_states == 2
    assert mdp.start.tolist() == [0.5, 0.5]
    table = np.random.default_rng(0).dirichlet(np.ones(2), size=2)
    values = exact.state_values(mdp, table)
    assert values == pytest.approx(np.array(TwoState.values)[mdp.observations.argmax(axis=1)])


def test_gymnax_with_random_starts():
    pytest.importorskip("gymnax", reason="an optional extra")
    env = envs.make("gymnax:MemoryChain-bsuite")
    with pytest.raises(EnvError, match=r"program of reset uses its key. Say where"):
        enumerate_mdp(env, gamma=1.0)
    resets = [env.reset(jax.random.key(k)) for k in range(20)]
    contexts = [int(state.context[0]) for state, _ in resets]
    starts = [(0.5, resets[contexts.index(bit)]) for bit in (0, 1)]
    mdp = enumerate_mdp(env, gamma=1.0, starts=starts)
    assert mdp.start[:2].tolist() == [0.5, 0.5]
    # Who remembers the bit wins 1; who cannot see it (the policy, without memory) wins 0.
    best = planning.solve(mdp)
    assert float(mdp.start @ best.values) == pytest.approx(1.0)


def test_chances_that_cannot_be_counted():
    pytest.importorskip("gymnax", reason="an optional extra")
    with pytest.raises(EnvError, match="program of step uses its key"):
        enumerate_mdp("gymnax:FrozenLake-misc", gamma=0.9)


def test_refusals():
    with pytest.raises(EnvError, match="program of reset uses its key"):
        enumerate_mdp("CartPole-v1", gamma=0.9)
    with pytest.raises(ConfigError, match=r"runs on the host.*from_gymnasium reads it"):
        enumerate_mdp("gym:FrozenLake-v1", gamma=0.9)
    with pytest.raises(SpaceError, match="Discrete is needed"):
        enumerate_mdp("Pendulum-v1", gamma=0.9)
    start = envs.make("MountainCar-v0").reset(jax.random.key(0))
    with pytest.raises(EnvError, match="more than 500 states"):
        enumerate_mdp("MountainCar-v0", gamma=0.9, starts=[(1.0, start)], max_states=500)


# `check_env` compares what is counted with what is sampled.


def lying(change):
    @dataclass(frozen=True)
    class Lying(FiniteMDPEnv):
        def outcomes(self, state, action):
            return change(super().outcomes(state, action))

    return Lying(problems.chain())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o: Outcomes(o.probability[::-1], o.step), "were expected"),
        (lambda o: Outcomes(0.9 * o.probability + 0.05, o.step), "were expected"),
        (lambda o: Outcomes(o.probability / 2, o.step), "no distribution"),
        (lambda o: Outcomes(jnp.array([1.0, 0.0]), o.step), "leave out what was sampled"),
        (lambda o: o._replace(step=o.step._replace(reward=o.step.reward + 1)), "leave out"),
        (lambda o: o._replace(step=o.step._replace(terminated=~o.step.terminated)), "leave out"),
    ],
)
def test_environments_that_count_wrongly_are_caught(change, words):
    with pytest.raises(EnvError, match=words):
        envs.check_env(lying(change), steps=20)


def test_environments_that_start_elsewhere_are_caught():
    @dataclass(frozen=True)
    class Lying(FiniteMDPEnv):
        def starts(self):
            found = super().starts()
            return found._replace(obs=found.obs + 1)

    with pytest.raises(EnvError, match="starts leave out"):
        envs.check_env(Lying(problems.chain()), steps=20)


def test_honest_ones_pass():
    env = Counted(end_probability=0.3)
    assert any("frequencies" in check for check in envs.check_env(env, steps=40).passed)
