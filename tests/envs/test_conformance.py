"""One suite over every adapter: no transition is lost, invented, or told wrongly.

The two-state environment pays such that r + γ (1 − terminated) V(s') − V(s) = 0 in every row, for
every policy. A plain collector drives each adapter, and every row is checked.
"""

from pathlib import Path
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from logtrick import envs
from logtrick.envs import CartPole, DeviceEnv, HostStep, TwoState, TwoStateGym

N, T = 3, 200
WITH_MDPS = ("mdp", "sequences")
"""Exact: tests/envs/test_finite.py and tests/problems/test_sequences.py hold them to their MDPs."""
ECOSYSTEMS = Path(__file__).parent / "ecosystems"


class Rows(NamedTuple):
    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray

    @property
    def ended(self):
        return self.terminated | self.truncated


def collect(driven, steps=T, seed=0):
    """The simplest collector that keeps the protocol: what a rollout must do, and no more."""
    rng = np.random.default_rng(seed)
    columns = []

    def seeds():
        return rng.integers(2**32, size=N, dtype=np.uint32)

    obs = driven.reset(seeds(), np.ones(N, bool))
    for _ in range(steps):
        action = rng.integers(2, size=N)
        step = driven.step(action)
        columns.append((obs, action, *_reordered(step)))
        ended = step.terminated | step.truncated
        obs = driven.reset(seeds(), ended) if ended.any() else step.obs
    return Rows(*(np.stack(column) for column in zip(*columns, strict=True)))


def _reordered(step):
    return step.reward, step.obs, step.terminated, step.truncated, step.valid


class DeviceRows:
    """N rows of a device environment behind the calls of `HostEnvs`, for the one collector."""

    def __init__(self, env):
        self._reset = jax.jit(jax.vmap(env.reset))
        self._step = jax.jit(jax.vmap(env.step))
        self._key = jax.random.key(7)
        self._state = self._obs = None

    def reset(self, seeds, mask):
        fresh, obs = self._reset(jax.vmap(jax.random.key)(jnp.asarray(seeds)))
        if self._state is None:
            self._state, self._obs = fresh, np.asarray(obs)
        self._state = jax.tree.map(
            lambda new, old: jnp.where(mask.reshape(N, *[1] * (new.ndim - 1)), new, old),
            fresh,
            self._state,
        )
        self._obs = np.where(mask[:, None], obs, self._obs)
        return self._obs

    def step(self, action):
        self._key, key = jax.random.split(self._key)
        step = self._step(jax.random.split(key, N), self._state, jnp.asarray(action))
        self._state, self._obs = step.state, np.asarray(step.obs)
        arrays = [np.asarray(array) for array in (step.reward, step.terminated, step.truncated)]
        return HostStep(self._obs, *arrays, np.ones(N, bool))

    def close(self):
        pass


class HandVectorised(VectorEnv):
    """Somebody's own vector environment, in any autoreset mode, declared or not."""

    def __init__(self, twin, mode, declared):
        self.metadata = {"autoreset_mode": mode} if declared else {}
        self.mode = mode
        self.rows = [TwoStateGym(twin) for _ in range(N)]
        self.num_envs = N
        self.single_observation_space = self.rows[0].observation_space
        self.single_action_space = self.rows[0].action_space
        self.obs = [None] * N
        self.ended = [False] * N

    def reset(self, *, seed=None, options=None):
        mask = (options or {}).get("reset_mask", np.ones(N, bool))
        for i in np.flatnonzero(mask):
            own = None if seed is None else seed + int(i)
            self.obs[i], _ = self.rows[i].reset(seed=own)
            self.ended[i] = False
        return np.stack(self.obs), {}

    def step(self, actions):
        reward, flags, final = np.zeros(N), np.zeros((2, N), bool), np.full(N, None, object)
        for i, row in enumerate(self.rows):
            if self.ended[i]:
                assert self.mode is AutoresetMode.NEXT_STEP, "an ended row was stepped"
                self.obs[i], _ = row.reset()
                self.ended[i] = False
                continue
            self.obs[i], reward[i], *flags[:, i], _ = row.step(actions[i])
            self.ended[i] = bool(flags[:, i].any())
            if self.ended[i] and self.mode is AutoresetMode.SAME_STEP:
                final[i] = self.obs[i]
                self.obs[i], _ = row.reset()
                self.ended[i] = False
        info = {"final_obs": final} if self.mode is AutoresetMode.SAME_STEP else {}
        return np.stack(self.obs), reward, flags[0], flags[1], info


class Counted(TwoStateGym):
    """Counts the steps that were really taken, in this process."""

    taken = 0

    def step(self, action):
        Counted.taken += 1
        return super().step(action)


def _host(make, **options):
    return envs.make(make, N, **options)


def _vector(kind, mode):
    def build(twin):
        make = Counted if kind is SyncVectorEnv else TwoStateGym
        context = {"context": "forkserver"} if kind is AsyncVectorEnv else {}
        factories = [lambda: make(twin)] * N
        return _host(kind(factories, autoreset_mode=mode, **context))

    return build


def _gymnax(twin):
    pytest.importorskip("gymnax", reason="an optional extra")
    from gymnax_twostate import register

    return DeviceRows(envs.Gymnax(register(twin)))


ADAPTERS = {
    "device": lambda twin: DeviceRows(twin),
    "gymnax": _gymnax,
    "gym sync": lambda twin: _host(lambda: Counted(twin)),
    "gym async": lambda twin: _host(lambda: TwoStateGym(twin), workers="async"),
    **{f"SyncVectorEnv {mode.name}": _vector(SyncVectorEnv, mode) for mode in AutoresetMode},
    # DISABLED is what "gym async" builds.
    "AsyncVectorEnv NEXT_STEP": _vector(AsyncVectorEnv, AutoresetMode.NEXT_STEP),
    "AsyncVectorEnv SAME_STEP": _vector(AsyncVectorEnv, AutoresetMode.SAME_STEP),
    **{
        f"hand-made {mode.name}": lambda twin, mode=mode: _host(HandVectorised(twin, mode, True))
        for mode in AutoresetMode
    },
    "hand-made undeclared": lambda twin: _host(
        HandVectorised(twin, AutoresetMode.NEXT_STEP, False)
    ),
}


@pytest.fixture(scope="module", params=list(ADAPTERS))
def driven(request):
    """Rows of an environment that also terminates, and of the limited one, from one adapter."""
    probabilities = {"ending": 0.3, "limited": 0.0}
    if "async" in request.param.lower():
        del probabilities["limited"]  # worker processes are slow to start
    rows = {}
    for name, probability in probabilities.items():
        twin = TwoState(end_probability=probability)
        Counted.taken = 0
        adapter = ADAPTERS[request.param](twin)
        rows[name] = collect(adapter), Counted.taken
        adapter.close()
        vector = getattr(adapter, "_vector", None)
        if vector is not None:
            vector.close()
    return request.param, rows


def bellman(rows, *, bootstrap=None, next_obs=None):
    """δ of each row with the true V, or with a planted fault."""
    value = np.array(TwoState.values)
    ended = rows.terminated if bootstrap is None else bootstrap
    reached = rows.next_obs if next_obs is None else next_obs
    return rows.reward + TwoState.gamma * ~ended * (reached @ value) - rows.obs @ value


def each(driven):
    return [rows for rows, _ in driven[1].values()]


def test_the_known_value_satisfies_bellmans_equation_in_every_row(driven):
    for rows in each(driven):
        assert (bellman(rows)[rows.valid] == 0).all()


def test_taking_truncation_for_termination_breaks_it(driven):
    for rows in each(driven):
        cut = rows.truncated & ~rows.terminated
        assert cut.sum() > 20
        assert (bellman(rows, bootstrap=rows.ended)[cut] != 0).all()


def test_taking_the_fresh_observation_for_the_last_one_breaks_it(driven):
    for rows in each(driven):
        # Under NEXT_STEP the fresh one comes a row later, after the idle step.
        later = 1 if rows.valid.all() else 2
        fresh = np.roll(rows.obs, -later, axis=0)
        cut = (rows.truncated & ~rows.terminated)[:-later]
        wrong = bellman(rows, next_obs=fresh)[:-later][cut]
        # Half of the fresh observations are the last one by chance.
        assert (wrong != 0).mean() > 0.3


def test_what_is_reached_is_what_the_action_named(driven):
    for rows in each(driven):
        assert (rows.next_obs.argmax(-1) == rows.action)[rows.valid].all()


def test_inside_an_episode_the_next_observation_is_the_next_rows(driven):
    for rows in each(driven):
        inside = ~rows.ended[:-1]
        assert np.array_equal(rows.next_obs[:-1][inside], rows.obs[1:][inside])


def test_episodes_are_cut_exactly_at_their_limit(driven):
    for rows in each(driven):
        for row in range(N):
            steps = 0
            for t in range(T):
                steps += rows.valid[t, row]
                assert rows.truncated[t, row] == (steps == 3 and rows.valid[t, row])
                if rows.ended[t, row]:
                    steps = 0


def test_flags_are_kept_apart(driven):
    ending, *limited = each(driven)
    for rows in limited:
        assert not rows.terminated.any()
        assert rows.truncated.any()
    only = ending.terminated & ~ending.truncated, ending.truncated & ~ending.terminated
    assert only[0].any()
    assert only[1].any()
    assert (ending.terminated & ending.truncated).any()


def test_only_the_step_after_an_end_under_next_step_is_no_transition(driven):
    name, _ = driven
    for rows in each(driven):
        if "NEXT_STEP" in name or "undeclared" in name:
            assert np.array_equal(~rows.valid[1:], rows.ended[:-1])
            assert (rows.reward[~rows.valid] == 0).all()
        else:
            assert rows.valid.all()
        assert not (rows.ended & ~rows.valid).any()


def test_no_step_is_lost_or_invented(driven):
    """Where the environments live in this process, they count for themselves."""
    name, collected = driven
    for rows, taken in collected.values():
        counted = name.startswith(("gym sync", "SyncVectorEnv"))
        assert taken == (rows.valid.sum() if counted else 0)


def test_episodes_start_anew(driven):
    """In either state, whatever the last one was."""
    for rows in each(driven):
        first = np.vstack([np.ones((1, N), bool), rows.ended[:-1]])
        if not rows.valid.all():
            first = np.vstack([np.ones((1, N), bool), ~rows.valid[:-1]])
        places = rows.obs[first].argmax(-1)
        assert 0.3 < places.mean() < 0.7


# The same with real physics: what was reached at an end is what ended it.

LIMIT = 15


def _cartpole_vector(mode):
    def make():
        return gymnasium.make("CartPole-v1", max_episode_steps=LIMIT, disable_env_checker=True)

    return SyncVectorEnv([make] * N, autoreset_mode=mode)


def _cartpole_gymnax():
    pytest.importorskip("gymnax", reason="an optional extra")
    return DeviceRows(envs.Gymnax("CartPole-v1", params=(("max_steps_in_episode", LIMIT),)))


def _cartpole_envpool():
    pytest.importorskip("envpool", reason="an optional extra")
    from logtrick.envs.adapters.envpool import _Pool

    spec = envs.resolve("envpool:CartPole-v1")
    spaces = spec.observation_space, spec.action_space
    return _host(_Pool("CartPole-v1", N, *spaces, max_episode_steps=LIMIT))


CARTPOLES = {
    "device": lambda: DeviceRows(CartPole(max_episode_steps=LIMIT)),
    "gymnax": _cartpole_gymnax,
    "envpool": _cartpole_envpool,
    "gym": lambda: _host(
        lambda: gymnasium.make("CartPole-v1", max_episode_steps=LIMIT, disable_env_checker=True)
    ),
    **{mode.name: lambda mode=mode: _host(_cartpole_vector(mode)) for mode in AutoresetMode},
    "Gymnasium's hand-made": lambda: _host(
        gymnasium.make_vec(
            "CartPole-v1",
            N,
            vectorization_mode="vector_entry_point",
            max_episode_steps=LIMIT,
        )
    ),
}


@pytest.mark.parametrize("name", CARTPOLES)
def test_the_last_observation_of_an_episode_is_the_one_that_ended_it(name):
    rows = collect(CARTPOLES[name](), steps=400)
    fell = (np.abs(rows.next_obs[..., 0]) > 2.4) | (np.abs(rows.next_obs[..., 2]) > np.pi / 15)
    if name == "envpool":  # it calls a fall at the limit truncated only, and does not tell
        fell = fell & ~rows.truncated
    assert np.array_equal(fell & rows.valid, rows.terminated)
    assert rows.terminated.sum() > 10
    assert (rows.truncated & ~rows.terminated).sum() > 10
    fresh = rows.obs[1:][(rows.ended[:-1] & rows.valid[1:])]
    if name in ("NEXT_STEP", "Gymnasium's hand-made", "envpool"):
        fresh = rows.obs[1:][~rows.valid[:-1]]
    assert (np.abs(fresh) <= 0.05).all()
    assert (rows.reward[rows.valid] == 1).all()


def test_every_adapter_is_here():
    """A new prefix must join this suite, or have one of its own below `ecosystems`."""
    from logtrick.envs.catalog import _ADAPTERS

    own = {path.stem.removeprefix("test_") for path in ECOSYSTEMS.glob("test_*.py")}
    assert set(_ADAPTERS) == {"gym", "gymnax", *WITH_MDPS} | own
    assert issubclass(TwoState, DeviceEnv)
